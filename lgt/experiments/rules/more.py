"""The rule *more*: one series has more transfer accuracy than another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from lgt.experiments.rules.base import Measurement, Rule, minus
from lgt.recipes.builders import Series

if TYPE_CHECKING:
    from lgt.experiments.evidence import FigureRuns


@dataclass(frozen=True, kw_only=True)
class More(Rule):
    """Transfer accuracy of the series ``better`` minus that of the series ``worse``, seed by seed."""

    better: Series
    worse: Series
    name: ClassVar[str] = "more"
    quantity: ClassVar[str] = "difference"
    words: ClassVar[str] = "Transfer accuracy of the first series minus that of the second."

    def measure(self, runs: FigureRuns) -> Measurement:
        """The difference of the two series."""
        values = runs.transfer()
        return Measurement(values, minus(values[self.better], values[self.worse]), runs.learned())
