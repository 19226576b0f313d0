"""Head sharing: hand-computed maps, chance levels, validity under the null."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lgt.metrics.head_sharing import head_sharing, jaccard_top_k, map_difference, top_k


def test_top_k_breaks_ties_by_layer_then_head():
    assert top_k([[0.5, 0.9], [0.9, 0.5]], 3) == [(0, 1), (1, 0), (0, 0)]
    assert top_k(np.zeros((2, 2)), 2) == [(0, 0), (0, 1)]


@pytest.mark.parametrize("k", [0, 5])
def test_top_k_refuses_k_outside_the_number_of_heads(k):
    with pytest.raises(ValueError, match="1 to 4"):
        top_k(np.zeros((2, 2)), k)


def test_jaccard_of_hand_computed_maps():
    a = [[0.9, 0.8, 0.0], [0.0, 0.7, 0.0]]
    b = [[0.9, 0.0, 0.8], [0.0, 0.7, 0.0]]
    assert jaccard_top_k(a, b, 3) == pytest.approx(2 / 4)
    assert jaccard_top_k(a, a, 3) == 1
    assert jaccard_top_k([[1, 0]], [[0, 1]], 1) == 0


def test_map_difference_is_a_mean_absolute_difference():
    assert map_difference([[0.5, 0.0], [0.0, 0.0]], [[0.0, 0.1], [0.0, 0.2]]) == pytest.approx(0.2)
    assert map_difference([[0.3]], [[0.3]]) == 0
    with pytest.raises(ValueError, match="differ in shape"):
        map_difference([[1, 2]], [[1], [2]])
    with pytest.raises(ValueError, match="dimensions"):
        map_difference([1, 2], [1, 2])


def test_shared_heads_exceed_the_threshold_for_both_tasks():
    a = [[0.5, 0.3, 0.0], [0.0, 0.1, 0.0]]
    b = [[0.4, 0.0, 0.2], [0.0, 0.1, 0.3]]
    found = head_sharing(a, b, 2, 0.1, np.random.default_rng(0), permutations=50)
    assert found.shared == [(0, 0)]
    assert found.only_a == [(0, 1)]
    assert found.only_b == [(0, 2), (1, 2)]


def test_identical_maps_share_beyond_chance():
    scores = np.random.default_rng(7).random((4, 6))
    found = head_sharing(scores, scores, 6, 0.5, np.random.default_rng(7))
    assert found.jaccard == 1 and found.rho == pytest.approx(1)
    assert found.jaccard_p < 0.01 and found.rho_p < 0.01
    assert found.jaccard_baseline < 0.5 and abs(found.rho_baseline) < 0.5


def test_the_layer_matched_baseline_does_not_count_layer_importance_as_sharing():
    """Only the layers agree: over all heads that looks like sharing, within layers it does not."""
    rng = np.random.default_rng(8)
    layers = np.array([[1.0], [0.0], [0.0]])
    a, b = (layers + 0.1 * rng.random((3, 6)) for _ in range(2))
    over_all = head_sharing(a, b, 6, 0.5, rng, within_layers=False)
    matched = head_sharing(a, b, 6, 0.5, rng)
    assert over_all.jaccard == 1 and over_all.jaccard_p < 0.01
    assert matched.jaccard_baseline == 1 and matched.jaccard_p == 1


@pytest.mark.parametrize("within_layers", [True, False])
def test_sharing_p_values_are_valid_under_the_null(within_layers):
    rng = np.random.default_rng(9)
    found = [head_sharing(rng.random((3, 8)), rng.random((3, 8)), 6, 0.5, rng, 199, within_layers) for _ in range(300)]
    assert stats.kstest([one.rho_p for one in found], "uniform").pvalue > 0.01
    assert np.mean([one.jaccard_p <= 0.05 for one in found]) <= 0.09


def test_sharing_with_one_head_per_layer_has_p_of_1():
    found = head_sharing([[0.9], [0.1]], [[0.9], [0.1]], 1, 0.5, np.random.default_rng(0))
    assert found.jaccard == found.jaccard_baseline == found.jaccard_p == 1


def test_sharing_of_a_constant_map_has_no_rank_correlation():
    found = head_sharing(np.zeros((2, 4)), np.random.default_rng(0).random((2, 4)), 2, 0.5, np.random.default_rng(0))
    assert (found.rho, found.rho_baseline, found.rho_p) == (None, None, None)


def test_sharing_refuses_unequal_shapes_and_no_permutations():
    with pytest.raises(ValueError, match="differ in shape"):
        head_sharing(np.zeros((2, 4)), np.zeros((4, 2)), 2, 0.5, np.random.default_rng(0))
    with pytest.raises(ValueError, match="at least 1"):
        head_sharing(np.zeros((2, 4)), np.zeros((2, 4)), 2, 0.5, np.random.default_rng(0), permutations=0)
