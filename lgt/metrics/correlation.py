"""Rank correlation with a bootstrap interval and a permutation p-value. The caller passes the generator ``rng``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lgt.metrics.arrays import Floats, finite


@dataclass(frozen=True)
class Correlation:
    """Spearman's rho, its 95% bootstrap interval and its two-sided permutation p; all None if rho is not defined."""

    rho: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int


def spearman(x: ArrayLike, y: ArrayLike, rng: np.random.Generator, resamples: int = 2000) -> Correlation:
    """Rank correlation of paired values, with a percentile bootstrap over pairs and a permutation p (two-sided).

    With at most six pairs, all orders are counted and p is exact. The correlation is not defined (all None except n)
    for fewer than three pairs, or if ``x`` or ``y`` is constant. The interval ignores bootstrap draws in which one of
    them is constant. Raises ValueError for unequal lengths and for values that are not finite. The caller must remove
    such pairs, so that it knows n.
    """
    a, b = finite("x", x, dimensions=1), finite("y", y, dimensions=1)
    if a.shape != b.shape:
        raise ValueError(f"spearman: {a.size} values against {b.size}")
    if a.size < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return Correlation(None, None, None, None, int(a.size))
    drawn = rng.integers(a.size, size=(resamples, a.size))  # pairs; scipy's bootstrap cannot handle constant draws
    from scipy import stats

    draws = pearson(stats.rankdata(a[drawn], axis=-1), stats.rankdata(b[drawn], axis=-1))
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    ranks_a, ranks_b = stats.rankdata(a), stats.rankdata(b)
    null = stats.permutation_test(
        (ranks_a,), lambda order, axis: pearson(order, ranks_b), permutation_type="pairings", vectorized=True,
        n_resamples=resamples, axis=-1, rng=rng,
    )  # fmt: skip
    rho = float(stats.spearmanr(a, b).statistic)
    return Correlation(rho, float(low), float(high), float(null.pvalue), int(a.size))


def pearson(x: Floats, y: Floats) -> Floats:
    """Pearson's correlation along the last axis; NaN if ``x`` or ``y`` is constant."""
    x = x - x.mean(axis=-1, keepdims=True)
    y = y - y.mean(axis=-1, keepdims=True)
    scale = np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.clip((x * y).sum(axis=-1) / scale, -1.0, 1.0))
