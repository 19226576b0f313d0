"""The rule *gain over each*: co-training gives more transfer accuracy than every baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from lgt.experiments.numbers import with_interval
from lgt.experiments.rules.base import BySeed, Measurement, Rule, minus
from lgt.experiments.verdicts import Outcome, contrast, equivalent
from lgt.metrics.intervals import t_interval
from lgt.recipes.builders import CO_TRAINED, Series

if TYPE_CHECKING:
    from lgt.experiments.evidence import FigureRuns

WORKS = 0.5
"""Transfer works in a seed if transfer accuracy is at least this."""


@dataclass(frozen=True, kw_only=True)
class GainOverEach(Rule):
    """Transfer accuracy of the co-trained run minus that of each of ``baselines``, seed by seed.

    The claim holds only if it holds against every baseline. It is denied only if there is no gain even over the
    baseline with the least transfer. ``tests``: the number of tests of the family.
    """

    baselines: tuple[Series, ...]
    tests: int = 1
    name: ClassVar[str] = "gain over each"
    quantity: ClassVar[str] = "difference from the best baseline"
    words: ClassVar[str] = (
        "Transfer accuracy of the co-trained run minus that of each baseline. *Strong* and *present* need the "
        "difference from every baseline. *Absent* needs that there is no difference from the weakest baseline. If the "
        "family has several tests, the interval that decides is wider than the 95% interval that is shown."
    )
    about_gain: ClassVar[bool] = True

    def measure(self, runs: FigureRuns) -> Measurement:
        """The difference from the baseline with the highest mean over seeds."""
        values = runs.transfer()
        best = max(self.baselines, key=lambda series: sum(values[series].values())) if runs.seeds else self.baselines[0]
        return Measurement(values, minus(values[CO_TRAINED], values[best]), runs.learned())

    def judge(self, measured: Measurement, seeds: int) -> Outcome:
        """The least of the verdicts on the differences; see the class."""
        gains = self.gains(measured)
        found = {contrast(of, seeds, self.smallest, self.tests) for of in gains.values()}
        if found <= {"strong", "present"}:
            return "strong" if found == {"strong"} else "present"
        if found == {"opposite"}:
            return "opposite"
        largest = max(gains.values(), key=lambda of: sum(of.values()))
        return "absent" if equivalent(largest, self.smallest) else "undecided"

    def gains(self, measured: Measurement) -> dict[Series, BySeed]:
        """The difference from each baseline by seed."""
        values = measured.values
        return {series: minus(values[CO_TRAINED], values[series]) for series in self.baselines}

    def details(self, measured: Measurement) -> list[str]:
        """The difference from each baseline, and in how many seeds transfer works, since it is all or nothing."""
        works = sum(value >= WORKS for value in measured.values[CO_TRAINED].values())
        gains = (f"over {series} {with_interval(t_interval(of))}" for series, of in self.gains(measured).items())
        return [*gains, f"transfer accuracy of {WORKS:.0%} or more in {works} of {len(measured.numbers)} seeds"]
