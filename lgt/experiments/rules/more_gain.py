"""The rule *more gain*: co-training gains more with one positional encoding than with another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from lgt.core.config import Position
from lgt.experiments.rules.base import Measurement, Rule
from lgt.metrics.transfer import transfer_gain
from lgt.recipes.builders import of_position

if TYPE_CHECKING:
    from lgt.experiments.evidence import FigureRuns


@dataclass(frozen=True, kw_only=True)
class MoreGain(Rule):
    """The gain over the main task alone with the encoding ``better``, minus the gain with ``worse``, seed by seed."""

    better: Position
    worse: Position
    name: ClassVar[str] = "more gain"
    quantity: ClassVar[str] = "difference of gains"
    words: ClassVar[str] = (
        "The gain over the main task alone with the first positional encoding minus the gain with the second."
    )

    def measure(self, runs: FigureRuns) -> Measurement:
        """The difference of the two gains."""
        values = runs.transfer()

        def gain(position: Position, seed: int) -> float:
            alone = of_position(position, "alone-same-steps")
            return transfer_gain(values[of_position(position)][seed], values[alone][seed])

        differences = {seed: gain(self.better, seed) - gain(self.worse, seed) for seed in runs.seeds}
        return Measurement(values, differences, runs.learned())
