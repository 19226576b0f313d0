"""The rule *interchange*: the heads that the main task needs compute the same in an auxiliary task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import pandas as pd

from lgt.experiments.numbers import with_interval
from lgt.experiments.rules.base import BySeed, ChartRequest, Measurement, Rule, Scale, minus
from lgt.experiments.verdicts import LEVEL, Outcome, least_of
from lgt.metrics.interchange import Interchange, permutation_p
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
RECOVERED = Scale("Interchanges", "Difference in loss recovered")


@dataclass(frozen=True, kw_only=True)
class InterchangeRule(Rule):
    """Loss recovered (:mod:`lgt.metrics.interchange`) by the outputs of the closest auxiliary task for the same input,
    minus that by the outputs of the control task.

    The verdict is the least of those on two differences: from the control task, and from the same auxiliary task's
    outputs for another input. *Strong* and *present* also need that the difference from the control task is larger
    than if any of the tasks could be the control (:func:`lgt.metrics.interchange.permutation_p`). ``tests``: the number
    of tests of the family.
    """

    tests: int = 1
    name: ClassVar[str] = "interchange"
    quantity: ClassVar[str] = "difference from the control task"
    scale: ClassVar[Scale] = RECOVERED
    words: ClassVar[str] = (
        "Heads that the main task needs get the outputs that they have while the same network does another task. The "
        "number is the loss recovered by the outputs of the closest auxiliary task for the same input, minus that by "
        "those of the control task. The verdict is the least of those on this difference and on the difference from "
        "the same auxiliary task with another input. *Strong* and *present* also need a permutation test, because the "
        "closest of two tasks has an advantage over one. A loss recovered below 0 counts as 0."
    )

    def measure(self, runs: FigureRuns) -> Measurement:
        """The loss recovered by seed. A seed whose run has no interchanges has no number."""
        found = {seed: of for seed, of in runs.interchanges().items() if of is not None}
        values: dict[Series, BySeed] = {
            SAME: {seed: of.same for seed, of in found.items()},
            OTHER: {seed: of.other for seed, of in found.items()},
            CONTROL: {seed: of.control for seed, of in found.items()},
        }
        control = next(spec.task for spec in runs.experiment.example().tasks if spec.role == "control")
        p = permutation_p([of.shares for of in found.values()], control) if found else 1.0
        return Measurement(
            values, minus(values[SAME], values[CONTROL]), runs.learned(), notes=notes_on(found), p=p
        )  # fmt: skip

    def judge(self, measured: Measurement, seeds: int) -> Outcome:
        """The least of the verdicts on the two differences, or ``undecided`` if it holds without the permutation
        test."""
        found = least_of((measured.numbers, self.from_other(measured)), seeds, self.smallest, self.tests)
        return "undecided" if found in ("present", "strong") and measured.p > LEVEL / self.tests else found

    def from_other(self, measured: Measurement) -> BySeed:
        """The difference from the same auxiliary task's outputs for another input, by seed."""
        return minus(measured.values[SAME], measured.values[OTHER])

    def values_text(self, measured: Measurement) -> str:
        """The mean loss recovered by each kind of outputs."""
        means = (f"{series} {t_interval(of).mean:.2f}" for series, of in measured.values.items() if of)
        return "loss recovered: " + ", ".join(means)

    def details(self, measured: Measurement) -> list[str]:
        """The other difference, the permutation test, and what else was measured."""
        if not measured.numbers:
            return []
        return [f"difference from another input {with_interval(t_interval(self.from_other(measured)))}",
                f"permutation p {measured.p:.4f}", *measured.notes]  # fmt: skip

    def charts(self, judgement: Judgement, accuracy: pd.DataFrame) -> Iterator[ChartRequest]:
        """Every seed's loss recovered, then the length-accuracy curve of the runs."""
        ((only, trained),) = judgement.trained.items()
        rows = [
            (str(series), seed, judgement.ids[seed][only], value, trained[seed], trained[seed] >= self.learned)
            for series, of in judgement.measured.values.items()
            for seed, value in of.items()
        ]
        frame = pd.DataFrame(rows, columns=["series", "seed", "run_id", VALUE, "trained", "learned"])
        yield ChartRequest("seed_strip", (frame,), {"value": VALUE, "quantity": QUANTITY})
        for series, ids in judgement.series_runs.items():
            yield ChartRequest("length_accuracy", (accuracy[accuracy.run_id.isin(ids)],), {"title": str(series)})


def notes_on(found: dict[int, Interchange]) -> tuple[str, ...]:
    """How often each auxiliary task was the closest one, what the exact match loses, and seeds with nothing to
    recover."""
    if not found:
        return ()
    counts = Counter(of.closest for of in found.values())
    times = ", ".join(f"{task_title(task)} in {count}" for task, count in counts.most_common())
    served, lost = (sum(of.drops[k] for of in found.values()) / len(found) for k in (0, 1))
    undefined = sum(not of.defined for of in found.values())
    return (
        f"closest at trained lengths: {times} of {len(found)} seeds",
        f"exact match falls by {served:.2f} with the closest task's outputs and by {lost:.2f} with mean outputs",
        *([f"nothing to recover in {undefined} of {len(found)} seeds (counted as 0)"] if undefined else []),
    )
