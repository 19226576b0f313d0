"""The rule *no gain*: an unrelated auxiliary does not lift the main task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from lgt.experiments.rules.base import Measurement, Rule
from lgt.experiments.verdicts import Outcome, absence
from lgt.metrics.transfer import transfer_gain
from lgt.recipes.builders import ALONE_SAME_EXAMPLES, ALONE_SAME_STEPS, CO_TRAINED

if TYPE_CHECKING:
    from lgt.experiments.evidence import FigureRuns


@dataclass(frozen=True, kw_only=True)
class NoGain(Rule):
    """Transfer accuracy of the co-trained run minus that of the worse baseline: the one that makes the claim harder."""

    name: ClassVar[str] = "no gain"
    quantity: ClassVar[str] = "difference"
    words: ClassVar[str] = (
        "Transfer accuracy of the run with an unrelated auxiliary minus that of the worse of its two baselines. The "
        "claim is that there is no difference, so *reproduced* and *not reproduced* change places."
    )
    about_gain: ClassVar[bool] = True

    def measure(self, runs: FigureRuns) -> Measurement:
        """The gain over the worse baseline."""
        values = runs.transfer()
        gains = {
            seed: transfer_gain(
                values[CO_TRAINED][seed], min(values[ALONE_SAME_STEPS][seed], values[ALONE_SAME_EXAMPLES][seed])
            )
            for seed in runs.seeds
        }
        return Measurement(values, gains, runs.learned())

    def decide(self, numbers: Mapping[int, float], seeds: int) -> Outcome:
        """Reproduced when there is no difference."""
        return absence(numbers, seeds, self.smallest)
