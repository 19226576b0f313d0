"""Rank correlation against SciPy, and its p-value under the null."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lgt.metrics.correlation import spearman


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_spearman_agrees_with_scipy_and_lies_within_its_interval():
    rng = generator(5)
    x = rng.normal(size=30)
    y = x + rng.normal(size=30)
    found = spearman(x, y, rng)
    assert found.rho == pytest.approx(stats.spearmanr(x, y).statistic)
    assert found.low < found.rho < found.high
    assert found.p < 0.05 and found.n == 30


def test_spearman_p_is_exact_for_few_pairs():
    found = spearman([1, 2, 3, 4], [1, 2, 3, 4], generator())
    assert found.rho == pytest.approx(1) and found.p == pytest.approx(2 / 24)


@pytest.mark.parametrize(("x", "y"), [([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [0, 0, 0]), ([1, 2], [2, 1])])
def test_spearman_is_undefined_for_constants_and_two_pairs(x, y):
    found = spearman(x, y, generator())
    assert (found.rho, found.low, found.high, found.p, found.n) == (None, None, None, None, len(x))


def test_spearman_refuses_nan_and_unequal_lengths():
    with pytest.raises(ValueError, match="finite"):
        spearman([1, np.nan, 3], [1, 2, 3], generator())
    with pytest.raises(ValueError, match="3 values against 2"):
        spearman([1, 2, 3], [1, 2], generator())


def test_spearman_p_is_uniform_under_the_null():
    rng = generator(6)
    p = [spearman(rng.normal(size=12), rng.normal(size=12), rng, resamples=199).p for _ in range(200)]
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(p) <= 0.05) <= 0.1
