"""The rule *interchange*: the heads that the main task needs compute the same in an auxiliary task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import pandas as pd

from lgt.experiments.numbers import with_interval
from lgt.experiments.rules.base import BySeed, ChartRequest, Measurement, Rule, minus
from lgt.experiments.verdicts import Outcome, least_of
from lgt.metrics.interchange import Interchange
from lgt.metrics.intervals import t_interval
from lgt.recipes.builders import Series
from lgt.recipes.labels import task_title

if TYPE_CHECKING:
    from lgt.experiments.evidence import FigureRuns
    from lgt.experiments.judgements import Judgement

SAME = Series("the closest auxiliary task, same input")
OTHER = Series("the closest auxiliary task, another input")
CONTROL = Series("the control task, same input")
VALUE, QUANTITY = "loss_recovered", "Loss recovered in the transfer region"


@dataclass(frozen=True, kw_only=True)
class InterchangeRule(Rule):
    """Loss recovered (:mod:`lgt.metrics.interchange`) by the outputs of the closest auxiliary task for the same input,
    minus that by the outputs of the control task.

    The verdict is the least of those on two differences: from the control task, and from the same auxiliary task's
    outputs for another input. ``tests``: the number of tests of the family.
    """

    tests: int = 1
    name: ClassVar[str] = "interchange"
    quantity: ClassVar[str] = "difference from the control task"
    words: ClassVar[str] = (
        "Heads that the main task needs get the outputs that they have while the same network does another task. The "
        "number is the loss recovered by the outputs of the closest auxiliary task for the same input, minus that by "
        "those of the control task. The verdict is also about the difference from the same auxiliary task with another "
        "input. A loss recovered below 0 counts as 0."
    )

    def measure(self, runs: FigureRuns) -> Measurement:
        """The loss recovered by seed. A seed whose run has no interchanges has no number."""
        found = {seed: of for seed, of in runs.interchanges().items() if of is not None}
        values: dict[Series, BySeed] = {
            SAME: {seed: of.same for seed, of in found.items()},
            OTHER: {seed: of.other for seed, of in found.items()},
            CONTROL: {seed: of.control for seed, of in found.items()},
        }
        return Measurement(values, minus(values[SAME], values[CONTROL]), runs.learned(), notes=closest_text(found))

    def judge(self, measured: Measurement, seeds: int) -> Outcome:
        """The least of the verdicts on the two differences."""
        return least_of((measured.numbers, self.from_other(measured)), seeds, self.smallest, self.tests)

    def from_other(self, measured: Measurement) -> BySeed:
        """The difference from the same auxiliary task's outputs for another input, by seed."""
        return minus(measured.values[SAME], measured.values[OTHER])

    def values_text(self, measured: Measurement) -> str:
        """The mean loss recovered by each kind of outputs."""
        means = (f"{series} {t_interval(of).mean:.2f}" for series, of in measured.values.items() if of)
        return "loss recovered: " + ", ".join(means)

    def details(self, measured: Measurement) -> list[str]:
        """The other difference, and which auxiliary task was the closest."""
        if not measured.numbers:
            return []
        return [f"difference from another input {with_interval(t_interval(self.from_other(measured)))}", measured.notes]

    def charts(self, judgement: Judgement, accuracy: pd.DataFrame) -> Iterator[ChartRequest]:
        """Every seed's loss recovered, then the length-accuracy curve of the runs."""
        trained, learned = next(iter(judgement.trained.values())), self.learned
        rows = [
            (str(series), seed, value, trained[seed], trained[seed] >= learned)
            for series, of in judgement.measured.values.items()
            for seed, value in of.items()
        ]
        frame = pd.DataFrame(rows, columns=["series", "seed", VALUE, "trained", "learned"])
        yield ChartRequest("seed_strip", (frame,), {"value": VALUE, "quantity": QUANTITY})
        for series, ids in judgement.series_runs.items():
            yield ChartRequest("length_accuracy", (accuracy[accuracy.run_id.isin(ids)],), {"title": str(series)})


def closest_text(found: dict[int, Interchange]) -> str:
    """How often each auxiliary task was the closest one."""
    counts = Counter(of.closest for of in found.values())
    times = ", ".join(f"{task_title(task)} in {count}" for task, count in counts.most_common())
    return f"closest at trained lengths: {times} of {len(found)} seeds"
