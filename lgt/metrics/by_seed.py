"""Numbers by seed from stored counts: transfer accuracy, accuracy at trained lengths, gap and gain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from lgt.core.config import RunConfig
from lgt.metrics.intervals import t_interval
from lgt.metrics.run_curves import RunCurves, run_curves
from lgt.metrics.transfer import transfer_gain
from lgt.recipes.settings import has_control

LEARNED = 0.95
"""The smallest accuracy at trained lengths at which a task counts as learned."""


@dataclass(frozen=True)
class SeedSummary:
    """A quantity by seed: every seed's value, the mean, and a text with the range."""

    values: dict[int, float]

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return sum(self.values.values()) / self.n

    def text(self) -> str:
        """Mean and range as text: ``0.96 (0.93–1.00 over 5 seeds)``. For one seed: ``0.96 (1 seed)``."""
        if self.n == 1:
            return f"{self.mean:.2f} (1 seed)"
        return f"{self.mean:.2f} ({min(self.values.values()):.2f}–{max(self.values.values()):.2f} over {self.n} seeds)"

    def middle_seed(self) -> int:
        """The seed with the median value (the lower one of two): a typical run, not the best run."""
        ranked = sorted(self.values, key=lambda seed: (self.values[seed], seed))
        return ranked[(self.n - 1) // 2]


def transfer_by_seed(accuracy: pd.DataFrame) -> SeedSummary | None:
    """Transfer accuracy of every seed of one series; ``None`` when no run has a transfer region.

    ``accuracy`` is a frame of :func:`lgt.store.queries.accuracy` with one run per seed and one step per run. The
    definition is :attr:`lgt.metrics.run_curves.RunCurves.transfer`. The class also defines the quantities of the
    functions below.
    """
    return _summary(accuracy, lambda run: run.transfer)


def trained_by_seed(accuracy: pd.DataFrame) -> SeedSummary | None:
    """The main task's accuracy at trained lengths of every seed; ``None`` without rows of a main task."""
    return _summary(accuracy, lambda run: run.trained)


def auxiliaries_by_seed(accuracy: pd.DataFrame) -> SeedSummary | None:
    """Mean exact match of the auxiliaries over the main task's transfer region by seed; ``None`` without both."""
    return _summary(accuracy, lambda run: run.auxiliary_transfer)


def gap_by_seed(accuracy: pd.DataFrame) -> SeedSummary | None:
    """Generalization gap of every co-trained seed; ``None`` without auxiliaries."""
    return _summary(accuracy, lambda run: run.gap)


def _summary(accuracy: pd.DataFrame, quantity: Callable[[RunCurves], float | None]) -> SeedSummary | None:
    found = {seed: quantity(run) for seed, run in run_curves(accuracy, by="model_seed").items()}
    values = {seed: value for seed, value in found.items() if value is not None}
    return SeedSummary(values) if values else None


def paired_gain(together: SeedSummary | None, alone: SeedSummary | None) -> SeedSummary | None:
    """Transfer gain of every seed that has a co-trained run and a baseline; ``None`` without such a seed."""
    if together is None or alone is None:
        return None
    pairs = sorted(together.values.keys() & alone.values.keys())
    gains = {seed: transfer_gain(together.values[seed], alone.values[seed]) for seed in pairs}
    return SeedSummary(gains) if gains else None


def gain_row(config: RunConfig, together: pd.DataFrame, alone: pd.DataFrame) -> dict[str, object] | None:
    """A cell of the transfer matrix: main task, auxiliaries, whether an auxiliary is a ``control``, and the mean gain
    over seeds with its t interval and n.

    ``None`` when no seed has both a co-trained run and a baseline.
    """
    gain = paired_gain(transfer_by_seed(together), transfer_by_seed(alone))
    if gain is None:
        return None
    interval = t_interval(gain.values)
    auxiliaries = "+".join(spec.task for spec in config.auxiliaries)
    return {
        "main": config.main.task, "auxiliaries": auxiliaries, "control": has_control(config),
        "gain": interval.mean, "low": interval.low, "high": interval.high, "n": interval.n,
    }  # fmt: skip


def mean_curve(accuracy: pd.DataFrame) -> dict[int, float]:
    """The main task's exact match by length, mean over runs."""
    main = accuracy[accuracy.role == "main"]
    means = (main.correct / main.total).groupby(main.length).mean()
    return {int(str(length)): float(value) for length, value in means.items()}
