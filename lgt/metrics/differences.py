"""The difference of two series by length, paired by seed."""

from __future__ import annotations

import pandas as pd

from lgt.metrics.intervals import t_interval
from lgt.metrics.run_curves import Curve, run_curves

COLUMNS = ["length", "difference", "low", "high", "n"]


def differences_by_length(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Exact match of the main task of ``first`` minus that of ``second``: one row per length (:data:`COLUMNS`).

    Both are frames of :func:`lgt.store.queries.accuracy` with one step per run. A seed counts at a length that both
    series measured. ``difference``: mean over these seeds, a share in [-1, 1]; ``low`` and ``high``: its 95 % t
    interval, missing for one seed; ``n``: number of seeds. Several runs of one seed count as their mean.
    """
    mine, theirs = main_by_seed(first), main_by_seed(second)
    by_length: dict[int, dict[int, float]] = {}
    for seed in mine.keys() & theirs.keys():
        for length in mine[seed].keys() & theirs[seed].keys():
            by_length.setdefault(length, {})[seed] = mine[seed][length] - theirs[seed][length]
    rows = []
    for length, values in sorted(by_length.items()):
        found = t_interval(dict(sorted(values.items())))
        rows.append([length, found.mean, found.low, found.high, found.n])
    return pd.DataFrame(rows, columns=COLUMNS).astype({"difference": float, "low": float, "high": float})


def main_by_seed(accuracy: pd.DataFrame) -> dict[int, Curve]:
    """Exact match of the main task by model seed and length, mean over the runs of a seed."""
    values: dict[int, dict[int, list[float]]] = {}
    seeds = dict(zip(accuracy.run_id.tolist(), accuracy.model_seed.tolist(), strict=True))
    for run_id, curves in run_curves(accuracy).items():
        of_seed = values.setdefault(int(seeds[run_id]), {})
        for length, share in curves.main.accuracy.items():
            of_seed.setdefault(length, []).append(share)
    return {seed: {length: sum(shares) / len(shares) for length, shares in of.items()} for seed, of in values.items()}
