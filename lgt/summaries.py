"""Numbers and sentences that pages derive from stored counts. Pure functions of DataFrames; no Streamlit here."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from lgt.config import RunConfig
from lgt.statistics import generalization_gap, transfer_accuracy, transfer_gain, zone_lengths
from lgt.verdicts import t_interval


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


def expected_seconds(runs: pd.DataFrame, config: RunConfig) -> float | None:
    """How long a run of ``config`` would take on one core: the median of finished ones like it, scaled by their steps.

    ``runs``: a frame of :func:`lgt.store.queries.runs`. Alike are runs of the same group and preset with the same tasks
    (by arm), else of the same group, else of the same preset; None when there are none.
    """
    if runs.empty:
        return None
    done = runs[(runs.state == "done") & (runs.seconds > 0)]
    group, preset, arm = done.task_group == config.group, done.preset == config.preset, done.arm == config.arm
    for alike in (group & preset & arm, group & preset, group, preset):
        if alike.any():
            chosen = done[alike]
            return float((chosen.seconds / chosen.total_steps).median()) * config.training.steps
    return None


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


def paired_gain(together: SeedSummary | None, alone: SeedSummary | None) -> SeedSummary | None:
    """Transfer gain of every seed that has both sides; ``None`` without one."""
    if together is None or alone is None:
        return None
    pairs = sorted(together.values.keys() & alone.values.keys())
    gains = {seed: transfer_gain(together.values[seed], alone.values[seed]) for seed in pairs}
    return SeedSummary(gains) if gains else None


def gain_row(config: RunConfig, together: pd.DataFrame, alone: pd.DataFrame) -> dict[str, object] | None:
    """A cell of the transfer matrix: main task, what was beside it, mean gain over seeds with its t interval and n.

    ``None`` where no seed has both sides.
    """
    gain = paired_gain(transfer_by_seed(together), transfer_by_seed(alone))
    if gain is None:
        return None
    interval = t_interval(gain.values)
    others = "+".join(spec.task for spec in config.others)
    return {"main": config.main.task, "others": others, "gain": interval.mean, "low": interval.low,
            "high": interval.high, "n": interval.n}  # fmt: skip


def gap_by_seed(accuracy: pd.DataFrame) -> SeedSummary | None:
    """Generalization gap of every co-trained seed; ``None`` without auxiliary rows. See :mod:`lgt.statistics`."""
    values = {}
    for seed, rows in accuracy.groupby("model_seed"):
        curves = {task: curve(of) for task, of in rows.groupby("task")}
        main, others = rows[rows.role == "main"], rows[rows.role != "main"]
        if main.empty or others.empty:
            continue
        values[int(str(seed))] = generalization_gap(
            curves[main.task.iloc[0]], [curves[task] for task in others.task.unique()],
            int(main.training_length.iloc[0]), int(others.training_length.max()),
        )  # fmt: skip
    return SeedSummary(values) if values else None


def mean_map(head_scores: pd.DataFrame, config: RunConfig, zone_name: str) -> pd.DataFrame:
    """One run's maps averaged over the mapped lengths of a zone of the *main* task, the same lengths for every task.

    Columns ``task``, ``role``, ``layer``, ``head``, ``accuracy_drop``, ``loss_rise`` and ``examples`` (prompts per
    task, over these lengths); the lengths themselves are in ``attrs["lengths"]``.
    """
    mapped = sorted(int(length) for length in head_scores.length.unique())
    chosen = zone_lengths(mapped, config.main.training_length, config.transfer_length).get(zone_name, [])  # type: ignore[call-overload]
    rows = head_scores[head_scores.length.isin(chosen)]
    keys = ["task", "role", "layer", "head"]
    frame = rows.groupby(keys, as_index=False, sort=False).agg(
        accuracy_drop=("accuracy_drop", "mean"), loss_rise=("loss_rise", "mean"), examples=("examples", "sum")
    )
    frame.attrs["lengths"] = chosen
    return frame
