"""A judgement: the verdict on one figure, its numbers by seed, and texts of both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from lgt.core.parts import parts_by_task
from lgt.experiments.experiment import Experiment
from lgt.experiments.numbers import signed, with_interval
from lgt.experiments.rules.base import ChartRequest, Measurement, Rule
from lgt.experiments.verdicts import Outcome
from lgt.metrics.intervals import Interval, t_interval
from lgt.recipes.builders import CO_TRAINED, Series


@dataclass(frozen=True)
class Judgement:
    """One figure, judged by its rule. A seed counts if its runs of all series have finished.

    ``measured``: what the rule measured. ``ids``: the run ids by seed and series. ``trained``: the main task's accuracy
    at trained lengths by series and seed. ``left_out``: the seeds that do not count because one of their runs was given
    up, with the reason. ``trajectory``: for a rule about training, the trajectories of the co-trained runs in one frame
    with a column ``seed``; else a frame without rows. ``learned_seeds``: the seeds in which every task was learned
    where it was trained.
    """

    experiment: Experiment
    rule: Rule
    outcome: Outcome
    measured: Measurement
    ids: dict[int, dict[Series, int]]
    trained: dict[Series, dict[int, float]]
    left_out: dict[int, str]
    trajectory: pd.DataFrame
    learned_seeds: tuple[int, ...] = ()

    @property
    def seeds(self) -> list[int]:
        """The seeds that count."""
        return list(self.ids)

    @property
    def runs(self) -> list[int]:
        """The ids of all its runs, in order. A run that belongs to two series is listed once."""
        return sorted({run_id for of in self.ids.values() for run_id in of.values()})

    @property
    def series_runs(self) -> dict[Series, list[int]]:
        """The run ids by series, in the order of seeds."""
        return {series: [of[series] for of in self.ids.values()] for series in self.experiment.series}

    @property
    def numbers(self) -> dict[int, float]:
        """The rule's quantity by seed."""
        return self.measured.numbers

    @cached_property
    def interval(self) -> Interval | None:
        """Mean of the numbers with its 95% t interval; ``None`` if there are no numbers."""
        return t_interval(self.numbers) if self.numbers else None

    @property
    def verdict(self) -> str:
        """The outcome, or ``not run yet`` if no seed counts."""
        return self.outcome if self.seeds else "not run yet"

    def charts(self, accuracy: pd.DataFrame) -> Iterator[ChartRequest]:
        """The charts of the figure, by name. ``accuracy``: the final counts of :attr:`runs`."""
        return self.rule.charts(self, accuracy)

    def with_runs(self, frame: pd.DataFrame) -> pd.DataFrame:
        """``frame`` of one of its charts with the ``run_id`` of each row that is about one run, by ``seed``.

        The run is that of the row's ``series``, or of its pair of training lengths, else the co-trained one. A frame
        whose rows have a run, or belong to none of ours, stays as it is.
        """
        if "run_id" in frame or "seed" not in frame:
            return frame
        series: dict[Any, Series]
        if "series" in frame:
            names, series = list(frame.series), {str(one): one for one in self.experiment.series}
        elif "auxiliary_length" in frame:
            names = list(zip(frame.main_length, frame.auxiliary_length, strict=True))
            series = {tuple(one.lengths or ()): one for one in self.experiment.series}
        else:
            names, series = [CO_TRAINED] * len(frame), {CO_TRAINED: CO_TRAINED}
        pairs = list(zip(frame.seed, names, strict=True))
        ids = {(seed, name): of[one] for seed, of in self.ids.items() for name, one in series.items() if one in of}
        return frame.assign(run_id=[ids[pair] for pair in pairs]) if set(pairs) <= set(ids) else frame

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        entry, measured, interval = self.experiment, self.measured, self.interval
        correlations = measured.correlations
        return {
            "name": entry.name, "claim": entry.claim, "figures": entry.figures, "preset": entry.preset,
            "statement": entry.statement, "rule": self.rule.name, "replaced_by": entry.replaced_by,
            "outcome": self.verdict, "seeds": self.seeds, "series": _labelled(measured.values),
            "differences": self.numbers,
            "interval": interval and {"mean": interval.mean, "low": interval.low, "high": interval.high},
            "learned": _labelled(measured.learned), "trained": _labelled(self.trained), "runs": self.runs,
            "sentence": self.sentence(),
            "correlations": {seed: asdict(found) for seed, found in correlations.judged.items()},
            "of_changes": correlations.of_changes, "beyond": correlations.beyond,
            "of_learned": correlations.of_learned, "left_out": self.left_out,
        }  # fmt: skip

    def headline(self) -> str:
        """A heading: the mean that decides the verdict, with its interval and n."""
        if self.interval is None:
            return ""
        return f"{with_interval(self.interval)}, n = {self.interval.n}" + self._of_planned()

    def sentence(self) -> str:
        """A sentence with the numbers that decide the outcome, n and the interval."""
        if not self.seeds:
            return "; ".join(part for part in ("No finished seed yet", self._left_out_text()) if part)
        n = len(self.numbers)
        parts = [
            self.rule.values_text(self.measured),
            f"{self._interval_text()}, n = {n} seed{'s' * (n != 1)}{self._of_planned()}",
            *self.rule.details(self.measured),
            self.rule.premise_text(self.measured),
            self._learned_text(),
            self._failed_text(),
            self._left_out_text(),
        ]
        text = "; ".join(part for part in parts if part)
        return text[:1].upper() + text[1:]

    def short_sentence(self) -> str:
        """A shorter :meth:`sentence` for a table cell: values, interval, what was not learned; empty without a seed."""
        if not self.seeds:
            return ""
        rule, measured = self.rule, self.measured
        parts = (rule.values_text(measured), self._interval_text(), rule.premise_text(measured))
        return "; ".join(part for part in parts if part).removeprefix("transfer accuracy: ")

    def _interval_text(self) -> str:
        if self.interval is None:
            return f"{self.rule.quantity} not defined"
        text = f"{self.rule.quantity} {signed(self.interval.mean)}"
        if self.interval.low is not None and self.interval.high is not None:
            text += f" (95% t interval {signed(self.interval.low)} to {signed(self.interval.high)})"
        return text

    def _of_planned(self) -> str:
        """How many seeds were planned, for a preregistered experiment that does not have all of them."""
        planned = len(self.experiment.planned)
        return f" of {planned} planned" if len(self.numbers) < planned else ""

    def _learned_text(self) -> str:
        """For a preregistered experiment, the number over the seeds in which everything was learned, if these are not
        all. The verdict is on all seeds."""
        inside = {seed: number for seed, number in self.numbers.items() if seed in self.learned_seeds}
        if not self.experiment.planned or not inside or len(inside) == len(self.numbers):
            return ""
        told = with_interval(t_interval(inside))
        return f"over the {len(inside)} of {len(self.numbers)} seeds in which every task was learned: {told}"

    def _left_out_text(self) -> str:
        reasons = "; ".join(f"seed {seed} ({why})" for seed, why in self.left_out.items())
        return f"left out, as a run of theirs was given up: {reasons}" if reasons else ""

    def _failed_text(self) -> str:
        asked = {series: of for series, of in self.trained.items() if not series.may_stay_unlearned}
        values = [share for of in asked.values() for share in of.values()]
        failed = sum(share < self.rule.learned for share in values)
        if not failed:
            return ""
        return f"{failed} of {len(values)} runs count though they did not learn the main task where it was trained"

    def heads_frame(self) -> pd.DataFrame | None:
        """Which heads each task of a series may use: ``series``, ``task``, ``head`` (from 0) and ``used``. ``None`` if
        no series confines a task to some heads."""
        rows = []
        for series, make in self.experiment.series.items():
            config = make(0)
            parts, heads = parts_by_task(config), config.model.heads
            for spec in config.tasks:
                first, last = parts[spec.task].heads if spec.task in parts else (0, heads - 1)
                rows += [(str(series), spec.task, head, first <= head <= last) for head in range(heads)]
        frame = pd.DataFrame(rows, columns=["series", "task", "head", "used"])
        return None if frame.used.all() else frame

    def seeds_frame(self) -> pd.DataFrame:
        """One row per series and seed: ``transfer`` and ``trained`` accuracy of the main task, and ``learned``:
        whether the main task was learned at trained lengths."""
        rows = [
            (str(series), seed, value, self.trained[series][seed], self.trained[series][seed] >= self.rule.learned)
            for series, of in self.measured.values.items()
            for seed, value in of.items()
        ]
        return pd.DataFrame(rows, columns=["series", "seed", "transfer", "trained", "learned"])


def _labelled(by_key: Any) -> dict[str, Any]:
    """``by_key`` with text keys, for JSON: the name of a task or the label of a series."""
    return {str(key): value for key, value in by_key.items()}
