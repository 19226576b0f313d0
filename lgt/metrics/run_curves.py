"""The numbers of one run: accuracy at trained lengths, transfer accuracy and generalization gap.

Every page, table and rule takes these numbers from here. Only the table of runs uses the store's ``final_accuracy``,
which computes two of them in SQL; a test compares both. :mod:`lgt.metrics.by_seed` collects the numbers over seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lgt.core.config import RunConfig
from lgt.core.number_ranges import id_ranges
from lgt.metrics.transfer import generalization_gap, trained_accuracy, transfer_accuracy

Curve = dict[int, float]
"""Exact match (a share in [0, 1]) by length."""


@dataclass(frozen=True)
class TaskCurve:
    """Exact match of one task by length, with the training length of the task."""

    task: str
    training_length: int
    accuracy: Curve


@dataclass(frozen=True)
class RunCurves:
    """The curves of one run at one step: its main task, its auxiliaries, and La (``None``: no transfer region)."""

    main: TaskCurve
    auxiliaries: tuple[TaskCurve, ...]
    transfer_length: int | None

    @property
    def missing(self) -> str:
        """Which counts are missing for the numbers below, in words; empty for a complete run.

        A run needs the main task at a trained length and at every length of the transfer region, and every task at
        every length from the shortest one that it shares with the main task up to the longest training length.
        """
        lengths = set(self.main.accuracy)
        if not any(length <= self.main.training_length for length in lengths):
            return f"{self.main.task} is missing at its trained lengths"
        gaps = {self.main.task: self._region - lengths} if self._region - lengths else {}
        longest = max((of.training_length for of in self.auxiliaries), default=0)
        for of in self.auxiliaries:
            if not of.accuracy:
                return f"{of.task} is missing at all lengths"
            if not any(length <= of.training_length for length in of.accuracy):
                return f"{of.task} is missing at its trained lengths"
            needed = set(range(max(min(lengths), min(of.accuracy)), max(longest, self.main.training_length) + 1))
            for task, there in ((self.main.task, lengths), (of.task, set(of.accuracy))):
                if needed - there:
                    gaps[task] = gaps.get(task, set()) | (needed - there)
        return "; ".join(f"{task} is missing at length {id_ranges(absent)}" for task, absent in gaps.items())

    @property
    def _region(self) -> set[int]:
        return set(range(self.main.training_length + 1, (self.transfer_length or 0) + 1))

    @property
    def trained(self) -> float:
        """Accuracy of the main task at trained lengths: mean over the lengths up to Lm."""
        return trained_accuracy(self.main.accuracy, self.main.training_length)

    @property
    def transfer(self) -> float | None:
        """Transfer accuracy: the main task's mean over Lm < length <= La.

        ``None`` without a transfer region, or if one of its lengths was not measured (:attr:`missing`).
        """
        if self.transfer_length is None or not self._region or not self._region <= set(self.main.accuracy):
            return None
        return transfer_accuracy(self.main.accuracy, self.main.training_length, self.transfer_length)

    @property
    def gap(self) -> float | None:
        """The generalization gap (:func:`lgt.metrics.transfer.generalization_gap`).

        ``None`` without an auxiliary, or if the run is not complete (:attr:`missing`).
        """
        if not self.auxiliaries or self.missing:
            return None
        longest = max(auxiliary.training_length for auxiliary in self.auxiliaries)
        curves = [auxiliary.accuracy for auxiliary in self.auxiliaries]
        return generalization_gap(self.main.accuracy, curves, self.main.training_length, longest)

    @property
    def auxiliary_transfer(self) -> float | None:
        """Mean exact match of the auxiliaries over the main task's transfer region; ``None`` if there are none."""
        region = range(self.main.training_length + 1, (self.transfer_length or 0) + 1)
        shares = [share for of in self.auxiliaries for length, share in of.accuracy.items() if length in region]
        return float(np.mean(shares)) if shares else None

    @property
    def learned(self) -> dict[str, float]:
        """The accuracy of each task at lengths that it was trained on, by task, in the order of names; NaN where no
        such length was measured.

        The main task: :attr:`trained`. An auxiliary: its exact match at the longest trained length that was measured.
        """
        shares = {self.main.task: self.trained}
        for auxiliary in self.auxiliaries:
            known = [length for length in auxiliary.accuracy if length <= auxiliary.training_length]
            shares[auxiliary.task] = auxiliary.accuracy[max(known)] if known else float("nan")
        return dict(sorted(shares.items()))


def curve(rows: pd.DataFrame) -> Curve:
    """Exact match by length, from the rows of one task of one run."""
    return dict(zip(rows.length.astype(int).tolist(), (rows.correct / rows.total).tolist(), strict=True))


def run_curves(accuracy: pd.DataFrame, by: str = "run_id") -> dict[int, RunCurves]:
    """The curves of every run in a frame of :func:`lgt.store.queries.accuracy` that has one step per run.

    The keys are the values of the column ``by``, in ascending order: ``run_id``, or ``model_seed`` for the runs of one
    series. A run without rows of a main task is left out.
    """
    shares = accuracy.correct / accuracy.total
    columns = (accuracy[by], accuracy.task, accuracy.role, accuracy.training_length, accuracy.length, shares)
    tasks: dict[int, dict[str, tuple[str, TaskCurve]]] = {}
    for key, task, role, training_length, length, share in zip(*(column.tolist() for column in columns), strict=True):
        of_run = tasks.setdefault(int(key), {})
        _, found = of_run.setdefault(task, (role, TaskCurve(task, int(training_length), {})))
        found.accuracy[int(length)] = share
    main = accuracy[accuracy.role == "main"]
    ends = {int(key): None if pd.isna(end) else int(end)
            for key, end in zip(main[by].tolist(), main.transfer_length.tolist(), strict=True)}  # fmt: skip
    return {key: _run(list(tasks[key].values()), ends[key]) for key in sorted(ends)}


def _run(tasks: Sequence[tuple[str, TaskCurve]], transfer_length: int | None) -> RunCurves:
    main = next(found for role, found in tasks if role == "main")
    return RunCurves(main, tuple(found for role, found in tasks if role != "main"), transfer_length)


def curves_of(config: RunConfig, accuracy: Mapping[str, Curve]) -> RunCurves:
    """The curves of a run of ``config``; ``accuracy`` is the exact match by task and length. A task may be missing."""
    main, *auxiliaries = (
        TaskCurve(spec.task, spec.training_length, accuracy.get(spec.task, {}))
        for spec in (config.main, *config.auxiliaries)
    )
    return RunCurves(main, tuple(auxiliaries), config.transfer_length)
