"""Numbers at the edges of their definitions: exactly at a threshold, with one value, with a missing one."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lgt.metrics.by_seed import LEARNED
from lgt.metrics.correlation import spearman
from lgt.metrics.intervals import Interval, t_interval
from lgt.metrics.length_grid import nearness, relative_gap
from lgt.metrics.run_curves import curve, curves_of
from lgt.metrics.trajectory import learned_steps, rank_correlation, tracking, tracking_of_changes, trajectory
from lgt.metrics.transfer import trained_accuracy
from lgt.recipes.builders import densely_measured

CONFIG = densely_measured("caprev", "demo")(0)  # main to 8, auxiliaries to 16


def test_a_curve_has_the_share_at_each_length() -> None:
    rows = pd.DataFrame({"length": [3, 1, 12], "correct": [1, 4, 0], "total": [4, 5, 9]})
    found = curve(rows)
    assert found == {3: 0.25, 1: 0.8, 12: 0.0} and all(type(length) is int for length in found)


def test_the_curves_of_a_run_have_the_names_and_lengths_of_its_tasks() -> None:
    accuracy = {"capitalize_reverse": {8: 0.5}, "capitalize": {16: 0.25}, "reverse": {16: 0.75}}
    run = curves_of(CONFIG, accuracy)
    assert [(c.task, c.training_length, c.accuracy) for c in (run.main, *run.auxiliaries)] == [
        ("capitalize_reverse", 8, {8: 0.5}), ("capitalize", 16, {16: 0.25}), ("reverse", 16, {16: 0.75}),
    ]  # fmt: skip
    assert run.transfer_length == 16 and run.learned == {"capitalize": 0.25, "capitalize_reverse": 0.5, "reverse": 0.75}


@pytest.mark.parametrize(("lengths", "far"), [((4, 8), False), ((8, 4), False), ((4, 9), True), ((12, 4), True)])
def test_a_pair_is_far_above_a_factor_of_two(lengths: tuple[int, int], far: bool) -> None:
    gaps = {(4, 7): 0.0, (4, 16): 0.0, lengths: 0.6}
    share = relative_gap(0.6, *lengths) / 2
    assert nearness(gaps) == pytest.approx(share if far else -share)


def test_accuracy_at_lengths_that_were_not_measured_is_no_number_and_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(trained_accuracy({9: 1.0}, 8)) and trained_accuracy({8: 1.0, 9: 0.0}, 8) == 1.0


def test_one_seed_has_a_mean_and_no_interval() -> None:
    assert t_interval({3: 0.5}) == Interval(0.5, None, None, 1)
    two = t_interval({3: 0.5, 9: 1.0})
    assert (two.mean, two.n) == (0.75, 2) and two.low is not None and two.low < 0.5


def test_attention_at_the_training_length_counts_and_beyond_does_not() -> None:
    rows = [
        (task, length, 9, 10) for task in ("capitalize_reverse", "capitalize", "reverse") for length in range(1, 21)
    ]
    accuracy = pd.DataFrame(rows, columns=["task", "length", "correct", "total"]).assign(step=50)
    columns = ["step", "task", "length", "layer", "head", "accuracy_drop"]
    scores = pd.DataFrame({name: pd.Series(dtype=object if name == "task" else float) for name in columns})
    attention = pd.DataFrame({"step": [50, 50, 50], "length": [7, 8, 9], "difference": [1.0, 3.0, 50.0]})
    (step,) = trajectory(accuracy, scores, attention, CONFIG).to_dict("records")
    assert step["attention_difference"] == 2.0 and step["trained"] == pytest.approx(0.9) and step["gap"] == 0.0
    assert np.isnan(step["map_difference"])


def test_a_checkpoint_at_the_threshold_is_learned() -> None:
    steps = pd.DataFrame({"trained": [LEARNED, np.nextafter(LEARNED, 0.0), 1.0]})
    assert learned_steps(steps).index.tolist() == [0, 2]


def test_three_checkpoints_have_a_rank_correlation_and_two_have_none() -> None:
    steps = pd.DataFrame({"step": [3, 1, 2], "gap": [0.3, 0.1, 0.2], "map_difference": [1.0, 3.0, 2.0]})
    assert rank_correlation(steps, "map_difference") == pytest.approx(-1.0)
    assert rank_correlation(steps[:2], "map_difference") is None
    assert tracking_of_changes(steps, "map_difference") is None, "two changes"


def test_a_checkpoint_counts_where_the_measure_is_present_whatever_else_is_missing() -> None:
    steps = pd.DataFrame({
        "step": range(6), "gap": [0.1, 0.4, 0.2, 0.5, 0.3, 0.6], "map_difference": [1.0, 2.0, np.nan, 4.0, 3.0, 5.0],
        "attention_difference": np.nan,
    })  # fmt: skip
    assert tracking(steps, "map_difference").n == 5 and tracking(steps, "attention_difference").n == 0


def test_the_interval_of_a_correlation_is_the_same_in_every_session() -> None:
    """It is drawn from a random stream of its own, which pages and documents share."""
    rng = np.random.default_rng(3)
    steps = pd.DataFrame({"step": range(20), "gap": rng.random(20), "map_difference": rng.random(20)})
    found = tracking(steps, "map_difference")
    assert (found.low, found.high) == pytest.approx((-0.6321138972521622, 0.3653310502283103))


def test_the_interval_of_a_correlation_is_that_of_resampled_pairs() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.random(9), rng.random(9).round(1)  # with ties
    found = spearman(x, y, np.random.default_rng(7), resamples=300)
    drawn = np.random.default_rng(7).integers(9, size=(300, 9))
    one_by_one = [stats.spearmanr(x[pairs], y[pairs]).statistic for pairs in drawn]
    assert (found.low, found.high) == pytest.approx(tuple(np.nanpercentile(one_by_one, [2.5, 97.5])))
    assert found.rho == pytest.approx(stats.spearmanr(x, y).statistic) and found.n == 9
