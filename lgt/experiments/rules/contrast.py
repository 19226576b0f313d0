"""The rule *contrast*: one series has more transfer accuracy than another, by the second edition's criteria."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from lgt.experiments.rules.base import Measurement, Rule, minus
from lgt.experiments.verdicts import Outcome, contrast
from lgt.recipes.builders import Series

if TYPE_CHECKING:
    from lgt.experiments.evidence import FigureRuns


@dataclass(frozen=True, kw_only=True)
class Contrast(Rule):
    """Transfer accuracy of ``first`` minus that of ``second``, seed by seed. ``tests``: the number of tests of the
    family, which makes the interval that decides wider."""

    first: Series
    second: Series
    tests: int = 1
    name: ClassVar[str] = "contrast"
    quantity: ClassVar[str] = "difference"
    words: ClassVar[str] = (
        "Transfer accuracy of the first series minus that of the second. If its family has several tests, the interval "
        "that decides is wider than the 95% interval that is shown."
    )

    def measure(self, runs: FigureRuns) -> Measurement:
        """The difference of the two series."""
        values = runs.transfer()
        return Measurement(values, minus(values[self.first], values[self.second]), runs.learned())

    def decide(self, numbers: Mapping[int, float], seeds: int) -> Outcome:
        """See :func:`lgt.experiments.verdicts.contrast`."""
        return contrast(numbers, seeds, self.smallest, self.tests)
