"""The experiments about pretrained language models (docs/PREREGISTRATION.md, section 3)."""

from __future__ import annotations

from lgt.experiments.experiment import Experiment
from lgt.experiments.rules.contrast import Contrast
from lgt.recipes.builders import Series
from lgt.recipes.pretrained import PRETRAINED, RANDOM, SHUFFLED, SMALL, STARTS, copying

SEEDS = tuple(range(100, 105))
CONTROLS = {
    "": (SHUFFLED, "the same numbers in shuffled matrices"),
    "-random": (RANDOM, "random weights"),
    "-small": (SMALL, "a small network that has learned to copy up to 8"),
}
"""What the pretrained model is compared with, one test each. The first experiment has the runs of all."""


def _copying(key: str, control: Series, words: str) -> Experiment:
    series = (PRETRAINED, control) if key else (*STARTS, SMALL)
    return Experiment(
        f"pretrained-copy{key}", 11, "", "demo",
        f"After 60 steps of copying up to 8 letters, a pretrained model copies 9 to 16 letters better than {words}.",
        {one: copying(one) for one in series},
        Contrast(first=PRETRAINED, second=control, tests=len(CONTROLS)), planned=SEEDS,
    )  # fmt: skip


PRETRAINING: tuple[Experiment, ...] = tuple(_copying(key, *of) for key, of in CONTROLS.items())
