"""Generalization gap, transfer accuracy and accuracy at trained lengths, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lgt.metrics.transfer import generalization_gap, trained_accuracy, transfer_accuracy, transfer_gain


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


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


def test_accuracy_at_trained_lengths_is_a_mean_over_the_measured_ones_up_to_the_trained_one():
    accuracy = {5: 0.0, 3: 0.25, 2: 0.75, 4: 1.0}  # a maze has no length 1
    assert trained_accuracy(accuracy, 3) == 0.5 and trained_accuracy(accuracy, 4) == pytest.approx(2 / 3)
    assert np.isnan(trained_accuracy(accuracy, 1))
