"""Intervals and bands: the uncertainty of a mean over seeds and of one run's accuracy.

The caller passes the random generator ``rng``. The functions that need SciPy import it, because the import takes one
second. That is a quarter of the time until the dashboard shows its first chart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from lgt.metrics.arrays import Floats, finite

BandKind = Literal["min-max", "bootstrap"]


def wilson_interval(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of one run's accuracy ``correct / total``. Raises ValueError unless 0 <= correct <= total.

    >>> low, high = wilson_interval(8, 10)
    >>> round(low, 3), round(high, 3)
    (0.49, 0.943)
    """
    if total < 1 or not 0 <= correct <= total:
        raise ValueError(f"wilson_interval: {correct} correct of {total} is not a count; total must be at least 1")
    from scipy import stats

    interval = stats.binomtest(int(correct), int(total)).proportion_ci(confidence_level=confidence, method="wilson")
    return float(interval.low), float(interval.high)


@dataclass(frozen=True)
class Band:
    """A mean curve and its named band. ``low`` and ``high`` are None for n < 2, because one seed has no band."""

    mean: Floats
    low: Floats | None
    high: Floats | None
    n: int
    kind: BandKind

    @property
    def name(self) -> str:
        """A text that names the band and its n, for a subtitle or a legend."""
        return band_name(self.kind, self.n)


def band_name(kind: BandKind, n: int) -> str:
    """A text that names the band, such as ``min–max over 5 seeds``; ``1 seed`` if there is no band."""
    if n < 2:
        return f"{n} seed" if n == 1 else f"{n} seeds"
    return f"{'min–max' if kind == 'min-max' else 'nominal 95% bootstrap interval'} over {n} seeds"


def band(values_by_length: ArrayLike, kind: BandKind = "min-max", rng: np.random.Generator | None = None) -> Band:
    """Mean over seeds at each length, with its band. ``values_by_length`` has shape ``[seeds, lengths]``.

    ``min-max`` is the range over all seeds. ``bootstrap`` is the 95% percentile bootstrap of the mean at each length
    and needs ``rng``. Raises ValueError for another shape, a value that is not finite, an unknown kind or a missing
    rng.
    """
    if kind not in ("min-max", "bootstrap"):
        raise ValueError(f"band: {kind!r} is not accepted; accepted: min-max, bootstrap")
    values = finite("values_by_length", values_by_length, dimensions=2)
    low: Floats | None = None
    high: Floats | None = None
    if len(values) >= 2 and kind == "min-max":
        low, high = values.min(axis=0), values.max(axis=0)
    elif len(values) >= 2:
        if rng is None:
            raise ValueError("band: kind 'bootstrap' needs rng")
        low, high = _bootstrap_of_means(values, rng)
    return Band(values.mean(axis=0), low, high, len(values), kind)


def _bootstrap_of_means(
    values: Floats, rng: np.random.Generator, confidence: float = 0.95, resamples: int = 2000
) -> tuple[Floats, Floats]:
    from scipy import stats

    interval = stats.bootstrap(
        (values,), np.mean, axis=0, method="percentile", confidence_level=confidence, n_resamples=resamples, rng=rng
    ).confidence_interval
    return np.asarray(interval.low, dtype=float), np.asarray(interval.high, dtype=float)


@dataclass(frozen=True)
class Interval:
    """Mean over ``n`` seeds with its 95% t interval; ``low`` and ``high`` are None for fewer than two seeds."""

    mean: float
    low: float | None
    high: float | None
    n: int


def t_interval(values: Mapping[int, float], confidence: float = 0.95) -> Interval:
    """The mean of ``values`` (by seed) with its interval. Raises ValueError if ``values`` is empty.

    >>> t_interval({0: 0.5})
    Interval(mean=0.5, low=None, high=None, n=1)
    """
    if not values:
        raise ValueError("an interval needs at least one seed")
    row = np.array(list(values.values()), dtype=float)
    mean, n = float(row.mean()), len(row)
    if n < 2:
        return Interval(mean, None, None, n)
    from scipy import stats

    half = float(stats.t.ppf(0.5 + confidence / 2, n - 1) * row.std(ddof=1) / np.sqrt(n))
    return Interval(mean, mean - half, mean + half, n)
