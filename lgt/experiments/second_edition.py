"""The second edition: the paper's figures at the paper's lengths, on fresh seeds. Preregistered in
docs/PREREGISTRATION.md; a group is added here when its recipe is settled, before its first run."""

from __future__ import annotations

from lgt.experiments.experiment import Experiment
from lgt.experiments.rules.contrast import Contrast
from lgt.experiments.rules.gain_over_each import GainOverEach
from lgt.recipes.builders import (
    ALONE_SAME_EXAMPLES,
    ALONE_SAME_STEPS,
    CO_TRAINED,
    SHORT,
    SHUFFLED,
    Maker,
    Series,
    of_group,
    short_auxiliaries,
    shuffled_auxiliaries,
    three_arms,
)

PRIMARY_TESTS = 10
"""How many primary tests this edition will have at most: the groups, the controls, and what follows from them. The
level of each is divided by it, so a verdict does not change when another figure is run."""
FIRST_SEED = 100


def _gain(group: str, figures: str, statement: str, seeds: int) -> Experiment:
    """Does co-training lift the main task of ``group`` over both baselines?"""
    rule = GainOverEach(baselines=(ALONE_SAME_STEPS, ALONE_SAME_EXAMPLES), tests=PRIMARY_TESTS)
    return Experiment(
        f"long-{group}", 1, figures, "long", statement, three_arms(group, "long"), rule,
        planned=tuple(range(FIRST_SEED, FIRST_SEED + seeds)),
    )  # fmt: skip


def _baseline(group: str, key: str, baseline: Series, make: Maker, statement: str, seeds: int) -> Experiment:
    """Is co-training better than a further baseline, in which something is missing that could be what helps?"""
    series = {CO_TRAINED: of_group(group, "long"), baseline: make}
    return Experiment(
        f"long-{group}-{key}", 1, "", "long", statement, series, Contrast(first=CO_TRAINED, second=baseline),
        planned=tuple(range(FIRST_SEED, FIRST_SEED + seeds)),
    )  # fmt: skip


SECOND_EDITION: tuple[Experiment, ...] = (
    _gain(
        "caprev", "4c, 4d", "Flipping case and reversing, each longer, lift both together, at the paper's lengths.", 20
    ),
    _baseline(
        "caprev",
        "short",
        SHORT,
        short_auxiliaries("caprev", "long"),
        "Longer auxiliaries lift flipping and reversing further than short ones.",
        20,
    ),
    _baseline(
        "caprev",
        "shuffled",
        SHUFFLED,
        shuffled_auxiliaries("caprev", "long"),
        "Auxiliaries with their own answers lift flipping and reversing further than with shuffled ones.",
        8,
    ),
    _gain("add-carry", "3a, 3d", "Digit sums and carries of longer numbers lift addition, at the paper's lengths.", 8),
)
