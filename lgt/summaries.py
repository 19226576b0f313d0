"""Numbers and sentences that pages derive from stored counts. Pure functions of DataFrames; no Streamlit here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


def trained_by_seed(accuracy: pd.DataFrame) -> SeedSummary | None:
    """The main task's exact match of every seed, mean over the lengths it was trained on; ``None`` without rows."""
    main = accuracy[accuracy.role == "main"]
    return _means_by_seed(main[main.length <= main.training_length])


def beside_by_seed(accuracy: pd.DataFrame) -> SeedSummary | None:
    """Exact match of the tasks beside the main task, mean over them and over its transfer region; ``None`` without."""
    main = accuracy[(accuracy.role == "main") & accuracy.transfer_length.notna()]
    others = accuracy[accuracy.role != "main"]
    if main.empty:
        return None
    low, high = int(main.training_length.iloc[0]), int(main.transfer_length.iloc[0])
    return _means_by_seed(others[(others.length > low) & (others.length <= high)])


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
    others = "+".join(spec.task for spec in config.others)
    control = any(spec.role == "control" for spec in config.others)
    return {"main": config.main.task, "others": others, "control": control, "gain": interval.mean, "low": interval.low,
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


@dataclass(frozen=True)
class KnockOutTest:
    """A task's exact match, mean over lengths: of the whole model, without some heads, and without other choices of as
    many heads in the same layers."""

    intact: float
    chosen: float
    others: list[float]

    @property
    def as_bad(self) -> int:
        """How many of the other choices leave no more than the chosen heads do."""
        return sum(other <= self.chosen + 1e-12 for other in self.others)

    @property
    def p(self) -> float:
        """The share of all choices, the chosen one counted, that hurt at least as much: a permutation p-value."""
        return (1 + self.as_bad) / (1 + len(self.others))


def knock_out_test(counts: pd.DataFrame, chosen: str) -> KnockOutTest:
    """The test from one task's counts: columns ``heads`` (empty: the whole model), ``length``, ``correct``, ``total``.

    Every choice counts each length alike, as the transfer accuracy does. Raises KeyError without rows of ``chosen``.
    """
    means = (counts.correct / counts.total).groupby(counts.heads).mean()
    others = [float(value) for name, value in means.items() if name not in ("", chosen)]
    return KnockOutTest(float(means[""]), float(means[chosen]), others)


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


@dataclass(frozen=True)
class Failure:
    """The first length at which a run answers fewer than half of the prompts of a task, with its counts."""

    length: int
    correct: int
    total: int


def first_failure(accuracy: pd.DataFrame, task: str) -> Failure | None:
    """Where one run first fails on more than half of the prompts of ``task``; ``None`` when it nowhere does.

    ``accuracy``: rows of one run at one step, as :func:`lgt.store.queries.accuracy` gives them.
    """
    rows = accuracy[accuracy.task == task].sort_values("length")
    failed = rows[2 * rows.correct < rows.total]
    if failed.empty:
        return None
    first = failed.iloc[0]
    return Failure(int(first.length), int(first.correct), int(first.total))


def strongest_head(head_scores: pd.DataFrame, task: str) -> tuple[int, int] | None:
    """The head whose ablation costs ``task`` most, by mean drop of exact match over the mapped lengths, then by rise
    of the loss; (layer, head) from 0. ``None`` without a map. ``head_scores``: rows of one run."""
    rows = head_scores[head_scores.task == task]
    if rows.empty:
        return None
    means = rows.groupby(["layer", "head"], as_index=False)[["accuracy_drop", "loss_rise"]].mean()
    best = means.sort_values(["accuracy_drop", "loss_rise"]).iloc[-1]
    return int(best["layer"]), int(best["head"])


def mean_curve(accuracy: pd.DataFrame) -> dict[int, float]:
    """The main task's exact match by length, mean over runs."""
    main = accuracy[accuracy.role == "main"]
    means = (main.correct / main.total).groupby(main.length).mean()
    return {int(str(length)): float(value) for length, value in means.items()}


def asked_lengths(config: RunConfig, measured: Iterable[int]) -> list[int]:
    """Up to four lengths at which a viewer is asked for a guess: the last trained one, the middle and the end of the
    transfer region, and the longest measured one.

    >>> from lgt.presets import group_config
    >>> asked_lengths(group_config("caprev", "demo"), range(1, 21))
    [8, 12, 16, 20]
    """
    lengths = sorted(set(measured))
    trained, end = config.main.training_length, config.transfer_length or config.main.training_length
    wanted = {trained, (trained + end) // 2, end, *lengths[-1:]}
    return sorted(wanted & set(lengths))


@dataclass(frozen=True)
class GuessError:
    """How far a guessed curve is from the measured one. ``points``: mean absolute difference in percentage points over
    the ``n`` guessed lengths; ``worst`` is the length with the largest, where ``guessed`` and ``measured`` are shares.
    """

    points: float
    n: int
    worst: int
    guessed: float
    measured: float


def guess_error(guess: Mapping[int, float], measured: Mapping[int, float]) -> GuessError:
    """Compare ``guess`` (share by length) with ``measured`` at the guessed lengths; nothing is interpolated.

    Raises ValueError for an empty guess or naming a length that was not measured.
    """
    missing = sorted(set(guess) - set(measured))
    if missing or not guess:
        raise ValueError(f"no measured accuracy at length {missing[0]}" if missing else "a guess needs a length")
    off = {length: abs(share - measured[length]) for length, share in guess.items()}
    worst = max(sorted(off), key=lambda length: off[length])
    return GuessError(100 * sum(off.values()) / len(off), len(off), worst, guess[worst], measured[worst])
