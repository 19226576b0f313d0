"""Zones, gaps, intervals and correlations: every number that a figure or a verdict is made of.

Accuracies are shares in [0, 1], looked up by length *value*. Maps are arrays ``[layers, heads]`` of the drop in exact
match; a head is written ``(layer, head)``, both counted from 0. Randomness is an argument (``rng``). Definitions
marked [P] are stated in the paper (arXiv 2506.09251), [D] are this project's decisions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

# scipy.stats takes a second to import, which is a quarter of the dashboard's way to its first chart: it is imported by
# the functions that need it.

Zone = Literal["in-distribution", "transfer region", "out-of-distribution"]
IN_DISTRIBUTION: Final = "in-distribution"
TRANSFER_REGION: Final = "transfer region"
OUT_OF_DISTRIBUTION: Final = "out-of-distribution"
ZONES: Final[tuple[Zone, Zone, Zone]] = (IN_DISTRIBUTION, TRANSFER_REGION, OUT_OF_DISTRIBUTION)

BandKind = Literal["min-max", "bootstrap"]
Floats = NDArray[np.float64]


# --- zones ------------------------------------------------------------------------------------------------------


def zone(length: int, training_length: int, transfer_length: int | None) -> Zone:
    """The zone of ``length`` for one task of one run.

    ``training_length`` is the task's own (Lm of a main task, La of an auxiliary), ``transfer_length`` is La for a main
    task and ``None`` for an auxiliary or a run without comparison: then there is no transfer region.

    >>> [zone(length, 8, 16) for length in (8, 9, 17)]
    ['in-distribution', 'transfer region', 'out-of-distribution']
    >>> zone(9, 8, None)
    'out-of-distribution'
    """
    if length <= training_length:
        return IN_DISTRIBUTION
    if transfer_length is not None and length <= transfer_length:
        return TRANSFER_REGION
    return OUT_OF_DISTRIBUTION


def zone_lengths(lengths: Iterable[int], training_length: int, transfer_length: int | None) -> dict[Zone, list[int]]:
    """``lengths`` sorted into their zones, in the order of :data:`ZONES`; a zone without a length is left out.

    >>> zone_lengths(range(1, 6), 2, 4)
    {'in-distribution': [1, 2], 'transfer region': [3, 4], 'out-of-distribution': [5]}
    """
    members: dict[Zone, list[int]] = {name: [] for name in ZONES}
    for length in sorted(set(lengths)):
        members[zone(length, training_length, transfer_length)].append(length)
    return {name: found for name, found in members.items() if found}


# --- transfer ---------------------------------------------------------------------------------------------------


def generalization_gap(
    main_accuracy: Mapping[int, float],
    auxiliary_accuracies: Sequence[Mapping[int, float]],
    main_length: int,
    auxiliary_length: int,
) -> float:
    """Mean over lengths 1..max(Lm, La) of |A_aux - A_main|, averaged over the auxiliaries; in [0, 1], 0 = same curve.

    [P in words, normalisation D.] Lengths below the shortest that *both* tasks of a pair were evaluated at (a task's
    minimum, such as two nodes of a maze) are left out; from there on every length is needed. The gap is also 0 when
    both fail: show it beside :func:`transfer_accuracy`. Raises ValueError without an auxiliary, naming missing
    lengths, or for an accuracy outside [0, 1].
    """
    if not auxiliary_accuracies:
        raise ValueError("the generalization gap needs at least one auxiliary")
    longest = max(main_length, auxiliary_length)
    gaps = []
    for auxiliary in auxiliary_accuracies:
        if not main_accuracy or not auxiliary:
            raise ValueError(f"no accuracy at any of the lengths 1 to {longest}")
        lengths = range(max(min(main_accuracy), min(auxiliary)), longest + 1)
        gap = _at(auxiliary, lengths, "auxiliary") - _at(main_accuracy, lengths, "main")
        gaps.append(float(np.abs(gap).mean()))
    return float(np.mean(gaps))


def transfer_accuracy(accuracy: Mapping[int, float], main_length: int, transfer_length: int) -> float:
    """Mean main-task accuracy over the transfer region Lm < l <= La, in [0, 1].

    Raises ValueError when the region is empty, naming missing lengths, or for an accuracy outside [0, 1].
    """
    return float(_at(accuracy, range(main_length + 1, transfer_length + 1), "main").mean())


def transfer_gain(with_auxiliary: float, alone: float) -> float:
    """Transfer accuracy of the co-trained run minus that of the main-only run, in [-1, 1]."""
    return with_auxiliary - alone


def _at(accuracy: Mapping[int, float], lengths: range, which: str) -> Floats:
    if not lengths:
        raise ValueError(f"{which} accuracy: there is no length from {lengths.start} to {lengths.stop - 1}")
    missing = [length for length in lengths if length not in accuracy]
    if missing:
        raise ValueError(f"{which} accuracy is missing at length " + ", ".join(map(str, missing)))
    values = np.array([accuracy[length] for length in lengths], dtype=float)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"{which} accuracy: every value must be a share from 0 to 1")
    return values


# --- uncertainty ------------------------------------------------------------------------------------------------


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


def bootstrap_interval(
    values: ArrayLike, *, rng: np.random.Generator, confidence: float = 0.95, resamples: int = 2000
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of the mean of ``values`` (one per seed), ``None`` for fewer than two values.

    Raises ValueError for values that are not one row of finite numbers.
    """
    row = finite("values", values, dimensions=1)
    if row.size < 2:
        return None
    low, high = _bootstrap_of_means(row[:, None], rng, confidence, resamples)
    return float(low[0]), float(high[0])


@dataclass(frozen=True)
class Band:
    """A mean curve and its named band. ``low`` and ``high`` are None for n < 2: never a mean of one with a band."""

    mean: Floats
    low: Floats | None
    high: Floats | None
    n: int
    kind: BandKind

    @property
    def name(self) -> str:
        """What the band is, with its n: text for a subtitle or a legend."""
        return band_name(self.kind, self.n)


def band_name(kind: BandKind, n: int) -> str:
    """The band in words, such as ``min–max over 5 seeds``; ``1 seed`` when there is no band."""
    if n < 2:
        return f"{n} seed" if n == 1 else f"{n} seeds"
    return f"{'min–max' if kind == 'min-max' else 'nominal 95% bootstrap interval'} over {n} seeds"


def band(values_by_length: ArrayLike, kind: BandKind = "min-max", rng: np.random.Generator | None = None) -> Band:
    """Mean over seeds at each length, with its band. ``values_by_length`` has shape ``[seeds, lengths]``.

    ``min-max`` spans all seeds; ``bootstrap`` is the 95% percentile bootstrap of the mean, length by length, and
    needs ``rng``. Raises ValueError for another shape, a value that is not finite, an unknown kind or a missing rng.
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
class Correlation:
    """Spearman's rho, its 95% bootstrap interval and its two-sided permutation p; all None where it is not defined."""

    rho: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int


def spearman(x: ArrayLike, y: ArrayLike, rng: np.random.Generator, resamples: int = 2000) -> Correlation:
    """Rank correlation of paired values, with a percentile bootstrap over pairs and a permutation p (two-sided).

    With at most six pairs all orders are counted and p is exact. Not defined (all None, n kept) for fewer than three
    pairs or when one side is constant; bootstrap draws in which one side is constant are left out of the interval.
    Raises ValueError for unequal lengths or values that are not finite: drop such pairs yourself, so that n is known.
    """
    a, b = finite("x", x, dimensions=1), finite("y", y, dimensions=1)
    if a.shape != b.shape:
        raise ValueError(f"spearman: {a.size} values against {b.size}")
    if a.size < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return Correlation(None, None, None, None, int(a.size))
    drawn = rng.integers(a.size, size=(resamples, a.size))  # pairs; scipy's bootstrap has no answer to constant draws
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
    """Correlation along the last axis; NaN where one side is constant."""
    x = x - x.mean(axis=-1, keepdims=True)
    y = y - y.mean(axis=-1, keepdims=True)
    scale = np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.clip((x * y).sum(axis=-1) / scale, -1.0, 1.0))


def finite(name: str, values: ArrayLike, dimensions: int) -> Floats:
    """``values`` as a float array of that many non-empty dimensions; ValueError naming ``name`` otherwise."""
    array = np.asarray(values, dtype=float)
    if array.ndim != dimensions or array.size == 0:
        raise ValueError(f"{name}: shape {array.shape} is not accepted; accepted: {dimensions} non-empty dimensions")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: every value must be finite")
    return array
