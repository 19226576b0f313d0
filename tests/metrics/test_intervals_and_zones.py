"""Hand-computed numbers, invariants, and simulated coverage of lgt/metrics/statistics.py."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import stats

from lgt.metrics.correlation import spearman
from lgt.metrics.intervals import band, band_name, bootstrap_interval, wilson_interval
from lgt.metrics.transfer import generalization_gap, transfer_accuracy, transfer_gain
from lgt.metrics.zones import IN_DISTRIBUTION, OUT_OF_DISTRIBUTION, TRANSFER_REGION, ZONES, zone, zone_lengths


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# --- zones


def test_zone_boundaries_belong_to_the_shorter_side():
    assert zone(8, 8, 16) == IN_DISTRIBUTION
    assert zone(9, 8, 16) == TRANSFER_REGION
    assert zone(16, 8, 16) == TRANSFER_REGION
    assert zone(17, 8, 16) == OUT_OF_DISTRIBUTION


@pytest.mark.parametrize("transfer_length", [None, 16, 8])
def test_a_task_trained_to_its_own_transfer_length_has_no_transfer_region(transfer_length):
    assert {zone(length, 16, transfer_length) for length in range(1, 40)} == {IN_DISTRIBUTION, OUT_OF_DISTRIBUTION}


def test_zone_lengths_split_every_length_once_in_zone_order():
    parts = zone_lengths([20, 3, 8, 9, 16, 3], 8, 16)
    assert parts == {IN_DISTRIBUTION: [3, 8], TRANSFER_REGION: [9, 16], OUT_OF_DISTRIBUTION: [20]}
    assert tuple(parts) == ZONES
    assert zone_lengths([1, 2], 8, 16) == {IN_DISTRIBUTION: [1, 2]}


# --- transfer


def test_gap_of_a_hand_computed_pair():
    main = {1: 1.0, 2: 0.5, 3: 0.0, 4: 0.0, 5: 0.0}
    auxiliary = {1: 1.0, 2: 1.0, 3: 1.0, 4: 0.5, 5: 0.9}
    assert generalization_gap(main, [auxiliary], 2, 4) == pytest.approx((0 + 0.5 + 1 + 0.5) / 4)
    assert generalization_gap(main, [auxiliary, main], 2, 4) == pytest.approx(0.25)


def test_gap_looks_lengths_up_by_value_not_by_position():
    main = {1: 1.0, 2: 0.5, 3: 0.0}
    auxiliary = {3: 1.0, 1: 1.0, 2: 1.0}
    assert generalization_gap(main, [auxiliary], 1, 3) == pytest.approx(0.5)


def test_gap_is_zero_for_equal_curves_and_symmetric():
    rng = generator()
    a, b = (dict(enumerate(rng.random(9), start=1)) for _ in range(2))
    assert generalization_gap(a, [a, a], 4, 9) == 0
    assert generalization_gap(a, [b], 4, 9) == generalization_gap(b, [a], 9, 4)
    assert 0 <= generalization_gap(a, [b], 4, 9) <= 1


def test_gap_leaves_out_lengths_below_the_minimum_of_either_task():
    main = {2: 1.0, 3: 0.5, 4: 0.0}
    auxiliary = {1: 0.0, 2: 1.0, 3: 1.0, 4: 1.0}
    assert generalization_gap(main, [auxiliary], 2, 4) == pytest.approx(0.5)


def test_gap_names_missing_lengths():
    full = dict.fromkeys(range(1, 6), 1.0)
    with pytest.raises(ValueError, match="main accuracy is missing at length 3, 5"):
        generalization_gap({1: 1.0, 2: 1.0, 4: 1.0}, [full], 2, 5)
    with pytest.raises(ValueError, match="auxiliary accuracy is missing at length 5"):
        generalization_gap(full, [dict.fromkeys(range(1, 5), 1.0)], 2, 5)
    with pytest.raises(ValueError, match="at least one auxiliary"):
        generalization_gap(full, [], 2, 5)
    with pytest.raises(ValueError, match="no accuracy"):
        generalization_gap({}, [full], 2, 5)


def test_transfer_accuracy_is_the_mean_strictly_above_main_and_up_to_auxiliary_length():
    accuracy = {1: 1.0, 2: 1.0, 3: 0.5, 4: 0.25, 5: 0.0}
    assert transfer_accuracy(accuracy, 2, 4) == pytest.approx(0.375)
    assert transfer_gain(0.375, 0.5) == pytest.approx(-0.125)
    with pytest.raises(ValueError, match="missing at length 6, 7"):
        transfer_accuracy(accuracy, 2, 7)
    with pytest.raises(ValueError, match="no length"):
        transfer_accuracy(accuracy, 4, 4)
    with pytest.raises(ValueError, match="share from 0 to 1"):
        transfer_accuracy({3: 50.0}, 2, 3)


# --- intervals


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


def test_bootstrap_interval_covers_the_mean_of_twenty_normals():
    rng = generator(2)
    covered = 0
    for _ in range(300):
        low, high = bootstrap_interval(rng.normal(1.0, 2.0, size=20), rng=rng, resamples=500)
        covered += low <= 1.0 <= high
    assert covered / 300 >= 0.88


def test_bootstrap_interval_needs_two_values():
    assert bootstrap_interval([0.5], rng=generator()) is None
    assert bootstrap_interval([0.5, 0.5], rng=generator()) == (0.5, 0.5)
    with pytest.raises(ValueError, match="finite"):
        bootstrap_interval([0.5, np.nan], rng=generator())
    with pytest.raises(ValueError, match="shape"):
        bootstrap_interval([[0.5, 0.6]], rng=generator())


def test_bootstrap_interval_is_a_function_of_its_generator():
    values = [0.1, 0.4, 0.9]
    assert bootstrap_interval(values, rng=generator(3)) == bootstrap_interval(values, rng=generator(3))


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


# --- correlation


def test_spearman_agrees_with_scipy_and_bounds_itself():
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


# --- heads
