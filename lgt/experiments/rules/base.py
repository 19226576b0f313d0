"""The base class of rules. A rule measures a figure seed by seed, decides the verdict, and gives texts and charts.

Each rule is a class in its own module of this package. Code outside a rule does not depend on which rule it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from lgt.experiments.verdicts import SMALLEST_EFFECT, Outcome, effect
from lgt.metrics.by_seed import LEARNED
from lgt.metrics.correlation import Correlation
from lgt.recipes.builders import Series

if TYPE_CHECKING:
    from lgt.experiments.evidence import FigureRuns
    from lgt.experiments.judgements import Judgement

BySeed = dict[int, float]


def minus(first: BySeed, second: BySeed) -> BySeed:
    """The difference of two numbers, seed by seed."""
    return {seed: value - second[seed] for seed, value in first.items()}


@dataclass(frozen=True)
class ChartRequest:
    """A chart by name. Experiments cannot import charts; :func:`lgt.report.figures.resolve` finds the function.

    ``name``: a function of :mod:`lgt.charts`, or ``module:function`` for one elsewhere. It is called with
    ``arguments``, then the theme, then ``options`` by name.
    """

    name: str
    arguments: tuple[Any, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scale:
    """The axis on which the overview shows the numbers of a rule. Rules with equal scales share one chart."""

    title: str
    quantity: str


ACCURACY = Scale("Figures about accuracy", "Difference in accuracy")
CORRELATION = Scale("Figures about circuits", "Spearman's rho over checkpoints")


@dataclass(frozen=True)
class SeedCorrelations:
    """Correlations over checkpoints by seed. ``judged`` decides the verdict; the others are only displayed.

    ``of_changes``: rho of the differences between neighbouring checkpoints. ``beyond``: rho with maps at lengths of the
    transfer region. ``of_learned``: rho over the checkpoints at which the main task is learned at trained lengths.
    ``None`` means that rho is not defined.
    """

    judged: dict[int, Correlation] = field(default_factory=dict)
    of_changes: dict[int, float | None] = field(default_factory=dict)
    beyond: dict[int, float | None] = field(default_factory=dict)
    of_learned: dict[int, float | None] = field(default_factory=dict)

    def not_judged(self) -> dict[str, dict[int, float | None]]:
        """The correlations that do not decide the verdict, by description and seed."""
        return {
            "of the changes between checkpoints": self.of_changes,
            "at lengths beyond": self.beyond,
            "where the main task is learned": self.of_learned,
        }


@dataclass(frozen=True)
class Measurement:
    """The measurement of a rule. ``values``: a number per series and seed, which the sentence reports. ``numbers``: the
    rule's quantity by seed, which decides the verdict. ``learned``: mean accuracy at trained lengths over seeds, by
    task or by series, which decides the premise. ``notes``: further parts of the sentence. ``p``: the p value of a rule
    that has one.
    """

    values: dict[Series, BySeed]
    numbers: BySeed
    learned: Mapping[Any, float]
    correlations: SeedCorrelations = field(default_factory=SeedCorrelations)
    notes: tuple[str, ...] = ()
    p: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    """A rule with its thresholds. ``smallest``: the smallest mean that counts as an effect. ``learned``: the smallest
    accuracy at trained lengths at which a task counts as learned.

    ``name`` appears in ``lgt claims --json`` and in docs/CLAIMS.md. ``quantity`` names the number per seed, and
    ``words`` explains it in a sentence. ``about_gain``: whether the rule compares a co-trained run with its two
    baselines. ``over_training``: whether it needs the trajectories of the co-trained runs.
    """

    smallest: float = SMALLEST_EFFECT
    learned: float = LEARNED
    name: ClassVar[str]
    quantity: ClassVar[str]
    words: ClassVar[str]
    scale: ClassVar[Scale] = ACCURACY
    about_gain: ClassVar[bool] = False
    over_training: ClassVar[bool] = False

    @abstractmethod
    def measure(self, runs: FigureRuns) -> Measurement:
        """Measure the finished runs of a figure."""

    def decide(self, numbers: Mapping[int, float], seeds: int) -> Outcome:
        """The outcome for the numbers by seed if the premise is met. ``seeds``: how many seeds a verdict needs."""
        return effect(numbers, seeds, self.smallest)

    def premise_met(self, learned: Mapping[Any, float]) -> bool:
        """Whether all tasks were learned at trained lengths, which a verdict requires."""
        return min(learned.values(), default=0.0) >= self.learned

    def outcome(self, measured: Measurement, seeds: int) -> Outcome:
        """The outcome of a measurement."""
        if len(measured.numbers) < seeds:
            return "too few seeds"
        if not self.premise_met(measured.learned):
            return "premise not met"
        return self.judge(measured, seeds)

    def judge(self, measured: Measurement, seeds: int) -> Outcome:
        """The outcome of a measurement with enough seeds whose premise is met: by default :meth:`decide`."""
        return self.decide(measured.numbers, seeds)

    def values_text(self, measured: Measurement) -> str:
        """A text with the mean value of each series over seeds."""
        means = ", ".join(f"{series} {sum(of.values()) / len(of):.2f}" for series, of in measured.values.items())
        return f"transfer accuracy: {means}"

    def details(self, measured: Measurement) -> list[str]:
        """Further parts of the sentence about the numbers."""
        return []

    def premise_text(self, measured: Measurement) -> str:
        """A text that lists what was not learned at trained lengths; empty if everything was learned."""
        low = [f"{task} {self._below(share)}" for task, share in measured.learned.items() if share < self.learned]
        return "not learned where trained: " + ", ".join(low) if low else ""

    def _below(self, share: float) -> str:
        """A share below :attr:`learned`, with as many digits as show that it is below."""
        return f"{share:.2f}" if round(share, 2) < self.learned else f"{share:.3f}"

    def charts(self, judgement: Judgement, accuracy: pd.DataFrame) -> Iterator[ChartRequest]:
        """The charts of a figure in reading order. ``accuracy``: the final counts of its runs.

        By default: every seed's transfer accuracy, then a length-accuracy curve for each series.
        """
        heads = judgement.heads_frame()
        options = {} if heads is None else {"heads": heads}
        yield ChartRequest("seed_strip", (judgement.seeds_frame(),), options)
        for series, ids in judgement.series_runs.items():
            yield ChartRequest("length_accuracy", (accuracy[accuracy.run_id.isin(ids)],), {"title": str(series)})
