"""The rule *necessary*: without shared attention heads nothing transfers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from lgt.experiments.numbers import with_interval
from lgt.experiments.rules.base import BySeed, Measurement, Rule, minus
from lgt.experiments.verdicts import Outcome, contrast, equivalent
from lgt.metrics.intervals import t_interval
from lgt.recipes.builders import Series

if TYPE_CHECKING:
    from lgt.experiments.evidence import FigureRuns


@dataclass(frozen=True, kw_only=True)
class Necessary(Rule):
    """Transfer accuracy with ``shared`` heads minus that with heads ``apart``, seed by seed.

    ``occupied``: heads apart, while a control task of the auxiliary's length uses the main task's heads.
    Without it, heads apart would also mean that the main task's heads never see long inputs. ``alone``: the main task
    without auxiliary in its heads. The verdict needs two differences, ``shared - apart`` and ``shared - occupied``, and
    two equivalences, of ``apart`` and of ``occupied`` with ``alone``. All four must hold, so no correction is needed.
    """

    shared: Series
    apart: Series
    occupied: Series
    alone: Series
    name: ClassVar[str] = "necessary"
    quantity: ClassVar[str] = "loss without shared heads"
    words: ClassVar[str] = (
        "Transfer accuracy with shared heads minus that with separate heads. *Necessary* also asks that the loss is as "
        "clear when a control task of the auxiliary's length uses the main task's heads, and that with separate heads, "
        "with and without this task, the main task is as accurate as without an auxiliary. *Not necessary* asks that "
        "there is transfer with shared heads, and as much with separate ones."
    )

    def measure(self, runs: FigureRuns) -> Measurement:
        """The loss of the series with heads apart."""
        values = runs.transfer()
        return Measurement(values, minus(values[self.shared], values[self.apart]), runs.learned())

    def judge(self, measured: Measurement, seeds: int) -> Outcome:
        """``necessary``, ``not necessary`` (the loss without shared heads is equivalent to none) or ``undecided``."""
        lost = all(contrast(of, seeds, self.smallest) == "strong" for of in self.losses(measured).values())
        if lost and all(equivalent(of, self.smallest) for of in self.remainders(measured).values()):
            return "necessary"
        gain = minus(measured.values[self.shared], measured.values[self.alone])
        transfers = contrast(gain, seeds, self.smallest) == "strong"
        return "not necessary" if transfers and equivalent(measured.numbers, self.smallest) else "undecided"

    def losses(self, measured: Measurement) -> dict[str, BySeed]:
        """What is lost without shared heads, by seed: with heads apart, and with heads apart that a control uses."""
        values = measured.values
        return {
            f"{self.shared} minus {series}": minus(values[self.shared], values[series])
            for series in (self.apart, self.occupied)
        }

    def remainders(self, measured: Measurement) -> dict[str, BySeed]:
        """What is left of the transfer without shared heads, by seed: these series minus the main task alone."""
        values = measured.values
        return {
            f"{series} minus {self.alone}": minus(values[series], values[self.alone])
            for series in (self.apart, self.occupied)
        }

    def details(self, measured: Measurement) -> list[str]:
        """The differences that decide beside the loss."""
        _, *others = (self.losses(measured) | self.remainders(measured)).items()
        return [f"{name} {with_interval(t_interval(of))}" for name, of in others]
