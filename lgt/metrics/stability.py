"""Measures of how much transfer accuracy varies over seeds and over training steps (figure 11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd


def largest_fall(values: Sequence[float]) -> float:
    """The largest drop from a value to a later value; 0 if no later value is smaller.

    >>> largest_fall([0.1, 0.9, 0.5, 0.7, 0.6])
    0.4
    """
    row = np.asarray(values, dtype=float)
    return float((np.maximum.accumulate(row) - row).max()) if row.size else 0.0


def falls(steps: pd.DataFrame) -> float:
    """The largest fall of transfer accuracy during training minus that of accuracy at trained lengths, in [-1, 1].

    ``steps``: rows of :func:`lgt.metrics.trajectory.trajectory`, in any order.
    """
    ordered = steps.sort_values("step")
    return largest_fall(ordered.transfer.tolist()) - largest_fall(ordered.trained.tolist())


def scatter_over_seeds(transfer: Mapping[int, float], trained: Mapping[int, float]) -> dict[int, float]:
    """For every seed, the distance of its transfer accuracy from the mean of the other seeds, minus the same distance
    for accuracy at trained lengths; in [-1, 1]. Empty for fewer than two seeds.

    >>> scatter_over_seeds({0: 0.9, 1: 0.1}, {0: 1.0, 1: 1.0})
    {0: 0.8, 1: 0.8}
    """
    if len(transfer) < 2:
        return {}
    return {
        seed: round(_distance_from_others(transfer, seed) - _distance_from_others(trained, seed), 12)
        for seed in transfer
    }


def _distance_from_others(values: Mapping[int, float], seed: int) -> float:
    return abs(values[seed] - float(np.mean([value for other, value in values.items() if other != seed])))
