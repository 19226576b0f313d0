"""Trajectories over checkpoints, worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lgt.metrics.trajectory import learned_steps, rank_correlation, tracking, tracking_of_changes, trajectory
from lgt.recipes.builders import densely_measured

CONFIG = densely_measured("caprev", "demo")(0)  # main to 8, auxiliaries to 16, two layers of four heads


def counts(step: int, main: float, beyond: float, auxiliary: float) -> pd.DataFrame:
    """Accuracy of the main task at trained lengths and beyond, and of both auxiliaries everywhere."""
    rows = [(spec.task, spec.role, length, beyond if spec.role == "main" and length > 8 else
             main if spec.role == "main" else auxiliary)
            for spec in CONFIG.tasks for length in range(1, 21)]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["task", "role", "length", "share"])
    total = 100 * (1 + frame.length % 3)
    frame = frame.assign(step=step, correct=(total * frame.share).round().astype(int), total=total)
    return frame.sample(frac=1, random_state=step)  # in no order


def maps(step: int, drops: dict[str, float], length: int = 3) -> pd.DataFrame:
    """A map per task in which head (0, 0) costs ``drops[task]`` and the other seven nothing."""
    return pd.DataFrame(
        {"step": step, "task": task, "length": length, "layer": layer, "head": head,
         "accuracy_drop": drop if (layer, head) == (0, 0) else 0.0}
        for task, drop in drops.items() for layer in range(2) for head in range(4)
    )  # fmt: skip


NO_ATTENTION = pd.DataFrame({"step": [], "length": [], "difference": []})


def test_a_trajectory_has_the_numbers_worked_out_by_hand():
    accuracy = pd.concat([counts(170, 1.0, 0.5, 1.0), counts(50, 1.0, 0.0, 1.0)])
    drops = {"capitalize_reverse": 0.8, "capitalize": 0.0, "reverse": 0.4}
    scores = pd.concat([maps(50, drops), maps(170, drops | {"reverse": 0.8}), maps(170, drops, length=12)])
    attention = pd.DataFrame({"step": [50, 50, 170, 170], "length": [3, 12, 3, 12], "difference": [1.0, 9.0, 2.0, 9.0]})
    first, second = trajectory(accuracy, scores, attention, CONFIG).to_dict("records")
    assert (first["step"], second["step"]) == (50, 170)
    assert (first["trained"], first["transfer"], second["transfer"]) == (1.0, 0.0, 0.5)
    assert first["gap"] == pytest.approx(8 / 16) and second["gap"] == pytest.approx(8 / 16 * 0.5)
    assert first["map_difference"] == pytest.approx((0.8 / 8 + 0.4 / 8) / 2), "mean over heads, then over auxiliaries"
    assert second["map_difference"] == pytest.approx((0.8 / 8 + 0.0) / 2), "trained lengths only"
    assert np.isnan(first["map_difference_beyond"]) and second["map_difference_beyond"] == pytest.approx(0.6 / 8)
    assert (first["attention_difference"], second["attention_difference"]) == (1.0, 2.0)


def test_a_step_without_maps_and_tasks_that_do_not_line_up_are_missing_not_zero():
    accuracy = pd.concat([counts(170, 1.0, 0.5, 1.0), counts(50, 1.0, 0.0, 1.0)])
    steps = trajectory(accuracy, maps(170, dict.fromkeys((s.task for s in CONFIG.tasks), 0.5)), NO_ATTENTION, CONFIG)
    assert np.isnan(steps.map_difference[0]) and steps.map_difference[1] == 0.0
    assert steps.attention_difference.isna().all()
    assert tracking(steps, "attention_difference").n == 0 and tracking(steps, "attention_difference").rho is None


def test_tracking_is_the_rank_correlation_and_of_changes_that_of_differences():
    rng = np.random.default_rng(3)
    steps = pd.DataFrame({"step": range(20), "gap": rng.random(20), "map_difference": rng.random(20)})
    found = tracking(steps.sample(frac=1, random_state=1), "map_difference")
    assert found.rho == pytest.approx(stats.spearmanr(steps.gap, steps.map_difference).statistic) and found.n == 20
    expected = stats.spearmanr(np.diff(steps.gap), np.diff(steps.map_difference)).statistic
    assert tracking_of_changes(steps, "map_difference") == pytest.approx(expected)
    assert rank_correlation(steps, "map_difference") == found.rho
    assert rank_correlation(steps.assign(gap=0.5), "map_difference") is None
    assert tracking(steps, "map_difference") == tracking(steps, "map_difference"), "the same interval every time"


def test_checkpoints_before_the_main_task_is_learned_can_be_left_aside():
    steps = pd.DataFrame({"trained": [0.0, 0.5, 1.0, 0.96], "gap": [0.0, 0.2, 0.5, 0.4]})
    assert learned_steps(steps).gap.tolist() == [0.5, 0.4]
