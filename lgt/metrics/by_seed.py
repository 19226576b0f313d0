"""One number per seed from stored counts: transfer accuracy, accuracy at trained lengths, gap and gain."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from lgt.core.config import RunConfig
from lgt.metrics.intervals import t_interval
from lgt.metrics.transfer import generalization_gap, transfer_accuracy, transfer_gain

LEARNED = 0.95
"""Accuracy from which a task counts as learned where it was trained."""


@dataclass(frozen=True)
class SeedSummary:
    """A quantity over seeds: every seed's value, their mean, smallest and largest."""

    values: dict[int, float]

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return sum(self.values.values()) / self.n

    def text(self) -> str:
        """Such as ``0.96 (0.93–1.00 over 5 seeds)``; a single seed is named as such and has no range."""
        if self.n == 1:
            return f"{self.mean:.2f} (1 seed)"
        return f"{self.mean:.2f} ({min(self.values.values()):.2f}–{max(self.values.values()):.2f} over {self.n} seeds)"

    def middle_seed(self) -> int:
        """The seed whose value is the (lower) median: a typical run, not the best one."""
        ranked = sorted(self.values, key=lambda seed: (self.values[seed], seed))
        return ranked[(self.n - 1) // 2]


def curve(rows: pd.DataFrame) -> dict[int, float]:
    """Exact match by length, of one task of one run."""
    return dict(zip(rows.length.astype(int), rows.correct / rows.total, strict=True))


def transfer_by_seed(accuracy: pd.DataFrame) -> SeedSummary | None:
    """Transfer accuracy of every seed in a frame of :func:`lgt.store.queries.accuracy`; ``None`` without main rows.

    Mean over the lengths of the transfer region, Lm < l <= La, of the main task's exact match.
    """
    main = accuracy[(accuracy.role == "main") & accuracy.transfer_length.notna()]
    values = {}
    for seed, rows in main.groupby("model_seed"):
        first = rows.iloc[0]
        values[int(str(seed))] = transfer_accuracy(curve(rows), int(first.training_length), int(first.transfer_length))
    return SeedSummary(values) if values else None


def trained_by_seed(accuracy: pd.DataFrame) -> SeedSummary | None:
    """The main task's exact match of every seed, mean over the lengths it was trained on; ``None`` without rows."""
    main = accuracy[accuracy.role == "main"]
    return _means_by_seed(main[main.length <= main.training_length])


def beside_by_seed(accuracy: pd.DataFrame) -> SeedSummary | None:
    """Exact match of the tasks beside the main task, mean over them and over its transfer region; ``None`` without."""
    main = accuracy[(accuracy.role == "main") & accuracy.transfer_length.notna()]
    auxiliaries = accuracy[accuracy.role != "main"]
    if main.empty:
        return None
    low, high = int(main.training_length.iloc[0]), int(main.transfer_length.iloc[0])
    return _means_by_seed(auxiliaries[(auxiliaries.length > low) & (auxiliaries.length <= high)])


def _means_by_seed(rows: pd.DataFrame) -> SeedSummary | None:
    """Mean over all (task, length) rows of each seed."""
    means = (rows.correct / rows.total).groupby(rows.model_seed).mean()
    return SeedSummary({int(str(seed)): float(value) for seed, value in means.items()}) if len(means) else None


def paired_gain(together: SeedSummary | None, alone: SeedSummary | None) -> SeedSummary | None:
    """Transfer gain of every seed that has both sides; ``None`` without one."""
    if together is None or alone is None:
        return None
    pairs = sorted(together.values.keys() & alone.values.keys())
    gains = {seed: transfer_gain(together.values[seed], alone.values[seed]) for seed in pairs}
    return SeedSummary(gains) if gains else None


def gain_row(config: RunConfig, together: pd.DataFrame, alone: pd.DataFrame) -> dict[str, object] | None:
    """A cell of the transfer matrix: main task, what was beside it and whether that is a ``control``, mean gain over
    seeds with its t interval and n.

    ``None`` where no seed has both sides.
    """
    gain = paired_gain(transfer_by_seed(together), transfer_by_seed(alone))
    if gain is None:
        return None
    interval = t_interval(gain.values)
    auxiliaries = "+".join(spec.task for spec in config.auxiliaries)
    control = any(spec.role == "control" for spec in config.auxiliaries)
    return {"main": config.main.task, "auxiliaries": auxiliaries, "control": control, "gain": interval.mean, "low": interval.low,
            "high": interval.high, "n": interval.n}  # fmt: skip


def gap_by_seed(accuracy: pd.DataFrame) -> SeedSummary | None:
    """Generalization gap of every co-trained seed; ``None`` without auxiliary rows. See :mod:`lgt.metrics.transfer`."""
    values = {}
    for seed, rows in accuracy.groupby("model_seed"):
        curves = {task: curve(of) for task, of in rows.groupby("task")}
        main, auxiliaries = rows[rows.role == "main"], rows[rows.role != "main"]
        if main.empty or auxiliaries.empty:
            continue
        values[int(str(seed))] = generalization_gap(
            curves[main.task.iloc[0]], [curves[task] for task in auxiliaries.task.unique()],
            int(main.training_length.iloc[0]), int(auxiliaries.training_length.max()),
        )  # fmt: skip
    return SeedSummary(values) if values else None


def mean_curve(accuracy: pd.DataFrame) -> dict[int, float]:
    """The main task's exact match by length, mean over runs."""
    main = accuracy[accuracy.role == "main"]
    means = (main.correct / main.total).groupby(main.length).mean()
    return {int(str(length)): float(value) for length, value in means.items()}
