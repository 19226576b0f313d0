"""The rule *gain*: co-training gives more transfer accuracy than the main task alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from lgt.experiments.rules.base import Measurement, Rule
from lgt.metrics.transfer import transfer_gain
from lgt.recipes.builders import ALONE_SAME_EXAMPLES, ALONE_SAME_STEPS, CO_TRAINED

if TYPE_CHECKING:
    from lgt.experiments.evidence import FigureRuns


@dataclass(frozen=True, kw_only=True)
class Gain(Rule):
    """Transfer accuracy of the co-trained run minus that of the better of its two baselines, seed by seed."""

    name: ClassVar[str] = "gain"
    quantity: ClassVar[str] = "difference"
    words: ClassVar[str] = "Transfer accuracy of the co-trained run minus that of the better of its two baselines."
    about_gain: ClassVar[bool] = True

    def measure(self, runs: FigureRuns) -> Measurement:
        """The gain over the better baseline."""
        values = runs.transfer()
        gains = {
            seed: transfer_gain(
                values[CO_TRAINED][seed], max(values[ALONE_SAME_STEPS][seed], values[ALONE_SAME_EXAMPLES][seed])
            )
            for seed in runs.seeds
        }
        return Measurement(values, gains, runs.learned())
