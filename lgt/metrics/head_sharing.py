"""Whether two tasks use the same heads: overlap, correlation and difference of two ablation maps, each with the value
that chance would give.

Maps are arrays ``[layers, heads]``, measured at the same lengths (see :mod:`lgt.evaluation.ablation`). This module
does not import torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lgt.core.records import Head
from lgt.metrics.arrays import Floats, finite
from lgt.metrics.correlation import pearson

SHARED, ONLY_MAIN, ONLY_OTHER, UNUSED = "shared", "main only", "other only", "neither"
"""Who needs a head: the main and an auxiliary task, only the main task, only auxiliary tasks, no task."""


def head_kinds(of_main: ArrayLike, of_others: ArrayLike, threshold: float) -> NDArray[np.str_]:
    """Who needs each head. ``of_main``: its drop of exact match for the main task, a share; ``of_others``: the largest
    drop for an auxiliary task. Arrays of any one shape, which the result has too. A task needs a head if the drop is
    above ``threshold``.

    >>> head_kinds([0.3, 0.3, 0.0], [0.3, 0.1, 0.0], 0.1).tolist()
    ['shared', 'main only', 'neither']
    """
    main, other = np.asarray(of_main) > threshold, np.asarray(of_others) > threshold
    return np.select([main & other, main, other], [SHARED, ONLY_MAIN, ONLY_OTHER], UNUSED)


def top_k(scores: ArrayLike, k: int) -> list[Head]:
    """The k heads with the largest entries of a map ``[layers, heads]``, largest first; ties in (layer, head) order.

    >>> top_k([[0.1, 0.9], [0.9, 0.0]], 2)
    [(0, 1), (1, 0)]
    """
    values = finite("map", scores, dimensions=2)
    if not 1 <= k <= values.size:
        raise ValueError(f"top_k: k = {k} is not accepted; accepted: 1 to {values.size}, the number of heads")
    order = np.argsort(-values, axis=None, kind="stable")[:k]
    return [(int(flat) // values.shape[1], int(flat) % values.shape[1]) for flat in order]


def jaccard_top_k(map_a: ArrayLike, map_b: ArrayLike, k: int) -> float:
    """Overlap of the two top-k head sets: shared / union, from 0 (none) to 1 (the same heads)."""
    a, b = _pair(map_a, map_b)
    return _jaccard(len(set(top_k(a, k)) & set(top_k(b, k))), k)


def map_difference(map_a: ArrayLike, map_b: ArrayLike) -> float:
    """Ablation-map difference: mean over heads of |M_A - M_B|. Both maps must come from the same lengths."""
    a, b = _pair(map_a, map_b)
    return float(np.abs(a - b).mean())


@dataclass(frozen=True)
class HeadSharing:
    """How much two tasks share heads: each measure with its permutation baseline (see :func:`head_sharing`).

    ``*_baseline``: the mean over permutations. ``*_p``: the share of permutations, the real order included, that reach
    the observed value. It is a one-sided p-value for more sharing than chance gives. ``rho*`` are None if a map is
    constant.
    """

    k: int
    jaccard: float
    jaccard_baseline: float
    jaccard_p: float
    rho: float | None
    rho_baseline: float | None
    rho_p: float | None
    threshold: float
    shared: list[Head]
    only_a: list[Head]
    only_b: list[Head]
    within_layers: bool
    permutations: int


def head_sharing(
    map_a: ArrayLike,
    map_b: ArrayLike,
    k: int,
    threshold: float,
    rng: np.random.Generator,
    permutations: int = 2000,
    within_layers: bool = True,
    correlation: bool = True,
) -> HeadSharing:
    """Top-k overlap and rank correlation of two maps ``[layers, heads]``, against shuffled heads of the second map.

    The default shuffles heads *within each layer* [D]. The reason: layers differ in importance (ablating the first one
    makes every task worse), and a baseline over all heads would count this common difference as sharing.
    ``within_layers=False`` gives that weaker baseline. With one head per layer the default baseline gives no
    information (p is 1). A head is ``shared`` if its drop is above ``threshold`` for both tasks. Without
    ``correlation`` the rank correlation is not computed (None). Raises ValueError for unequal shapes or a wrong k.
    """
    a, b = _pair(map_a, map_b)
    if permutations < 1:
        raise ValueError(f"head_sharing: permutations = {permutations} is not accepted; accepted: at least 1")
    shape = (permutations, *a.shape) if within_layers else (permutations, 1, a.size)
    order = rng.permuted(np.broadcast_to(np.arange(shape[-1]), shape), axis=-1)
    top_a, top_b = _mask(a, k), _mask(b, k)
    overlaps = (_shuffled(top_b, order) & top_a.reshape(1, -1)).sum(axis=-1)
    jaccard = jaccard_top_k(a, b, k)
    null = np.array([_jaccard(int(count), k) for count in overlaps])
    rho, rho_baseline, rho_p = _rho_against(a, b, order) if correlation else (None, None, None)
    over_a, over_b = a > threshold, b > threshold
    return HeadSharing(
        k, jaccard, float(null.mean()), _share_reaching(jaccard, null), rho, rho_baseline, rho_p, threshold,
        _heads(over_a & over_b), _heads(over_a & ~over_b), _heads(over_b & ~over_a), within_layers, permutations,
    )  # fmt: skip


def _rho_against(a: Floats, b: Floats, order: NDArray[np.int64]) -> tuple[float, float, float] | tuple[None, ...]:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return None, None, None
    from scipy import stats  # slow to import, see lgt.metrics.intervals

    ranks_a, ranks_b = stats.rankdata(a).reshape(1, -1), stats.rankdata(b).reshape(b.shape)
    rho = float(pearson(ranks_a, ranks_b.reshape(1, -1))[0])
    null = pearson(ranks_a, _shuffled(ranks_b, order))
    return rho, float(null.mean()), _share_reaching(rho, null)


def _shuffled(values: NDArray[Any], order: NDArray[np.int64]) -> NDArray[Any]:
    """``values`` in each order of ``order [permutations, rows, columns]``; shape ``[permutations, heads]``."""
    rows = values.reshape(1, *order.shape[1:])
    return np.take_along_axis(rows, order, axis=-1).reshape(len(order), -1)


def _share_reaching(observed: float, null: Floats) -> float:
    return float((1 + (null >= observed - 1e-12).sum()) / (1 + null.size))


def _jaccard(shared: int, k: int) -> float:
    return shared / (2 * k - shared)


def _mask(scores: Floats, k: int) -> NDArray[np.bool_]:
    chosen = np.zeros(scores.shape, dtype=bool)
    chosen[tuple(zip(*top_k(scores, k), strict=True))] = True
    return chosen


def _heads(mask: NDArray[np.bool_]) -> list[Head]:
    return [(int(layer), int(head)) for layer, head in np.argwhere(mask)]


def _pair(map_a: ArrayLike, map_b: ArrayLike) -> tuple[Floats, Floats]:
    a, b = finite("map_a", map_a, dimensions=2), finite("map_b", map_b, dimensions=2)
    if a.shape != b.shape:
        raise ValueError(f"the maps differ in shape: {a.shape} against {b.shape} [layers, heads]")
    return a, b
