"""Intervals and bands: textbook cases, invariants and simulated coverage."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import stats

from lgt.metrics.intervals import band, band_name, t_interval, wilson_interval


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_wilson_interval_of_a_textbook_case():
    z, n, p = 1.959963984540054, 10, 0.8
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert wilson_interval(8, 10) == pytest.approx((centre - half, centre + half))


def test_wilson_interval_stays_inside_the_unit_range_and_is_open_at_the_ends():
    low, high = wilson_interval(0, 20)
    assert low == 0 and 0 < high < 0.2
    low, high = wilson_interval(20, 20)
    assert 0.8 < low < 1 and high == 1


@pytest.mark.parametrize(("correct", "total"), [(1, 0), (-1, 5), (6, 5)])
def test_wilson_interval_refuses_impossible_counts(correct, total):
    with pytest.raises(ValueError, match="is not a count"):
        wilson_interval(correct, total)


@pytest.mark.parametrize("total", [20, 128, 1024])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_wilson_interval_covers_about_95_percent(p, total):
    interval = cache(wilson_interval)
    draws = generator(1).binomial(total, p, size=2000)
    covered = [low <= p <= high for low, high in (interval(int(correct), total) for correct in draws)]
    assert 0.92 <= np.mean(covered) <= 0.98


def test_the_t_interval_is_that_of_the_textbook():
    interval = t_interval({0: 1.0, 1: 2.0, 2: 3.0})  # mean 2, s = 1, t(0.975, 2) = 4.303, 4.303 / sqrt(3) = 2.484
    assert (interval.mean, interval.n) == (2.0, 3)
    assert interval.low == pytest.approx(2 - 2.484, abs=1e-3) and interval.high == pytest.approx(2 + 2.484, abs=1e-3)
    values = {3: 0.1, 4: 0.9, 11: 0.35, 12: 0.2}
    found = t_interval(values)
    by_scipy = stats.ttest_1samp(list(values.values()), 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((by_scipy.low, by_scipy.high))
    assert t_interval({0: 0.4}).low is None
    with pytest.raises(ValueError, match="at least one seed"):
        t_interval({})


def test_min_max_band_spans_the_seeds():
    found = band([[1.0, 0.2], [0.8, 0.4], [0.9, 0.0]])
    np.testing.assert_allclose(found.mean, [0.9, 0.2])
    np.testing.assert_allclose(found.low, [0.8, 0.0])
    np.testing.assert_allclose(found.high, [1.0, 0.4])
    assert (found.n, found.kind, found.name) == (3, "min-max", "min–max over 3 seeds")


def test_bootstrap_band_lies_within_min_max():
    values = generator(4).random((5, 7))
    found = band(values, "bootstrap", generator(4))
    assert (found.low >= values.min(axis=0)).all() and (found.high <= values.max(axis=0)).all()
    assert (found.low <= found.mean).all() and (found.mean <= found.high).all()
    assert found.name == "nominal 95% bootstrap interval over 5 seeds"
    again = band(values, "bootstrap", generator(4))
    assert (found.low == again.low).all() and (found.high == again.high).all(), "a function of its generator"


def test_bootstrap_band_covers_the_mean_of_twenty_normals():
    rng = generator(2)
    found = band(rng.normal(1.0, 2.0, size=(20, 300)), "bootstrap", rng)
    assert np.mean((found.low <= 1.0) & (found.high >= 1.0)) >= 0.88


@pytest.mark.parametrize("kind", ["min-max", "bootstrap"])
def test_one_seed_never_gets_a_band(kind):
    found = band([[0.1, 0.2]], kind, generator())
    assert found.low is None and found.high is None and found.n == 1 and found.name == "1 seed"


def test_band_refuses_bad_input():
    with pytest.raises(ValueError, match="shape"):
        band([0.1, 0.2])
    with pytest.raises(ValueError, match="shape"):
        band(np.empty((0, 3)))
    with pytest.raises(ValueError, match="finite"):
        band([[0.1, np.nan]])
    with pytest.raises(ValueError, match="needs rng"):
        band([[0.1], [0.2]], "bootstrap")
    with pytest.raises(ValueError, match="not accepted"):
        band([[0.1], [0.2]], "sd")  # type: ignore[arg-type]
    assert band_name("min-max", 0) == "0 seeds"
