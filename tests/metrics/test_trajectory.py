"""Training dynamics, circuits and the grid: numbers worked out by hand, and rules on stores made up on purpose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lgt.charts import DARK, LIGHT, circuit_chart, gap_by_ratio, gap_grid, seed_strip, stability_chart
from lgt.core.config import TaskSpec
from lgt.core.records import AccuracyRow, HeadScoreRow
from lgt.experiments.claims import judged, trajectory_frame
from lgt.experiments.entries import EXPERIMENTS
from lgt.experiments.judgements import grid_frame, seeds_frame
from lgt.metrics.length_grid import nearness
from lgt.metrics.stability import falls, largest_fall, scatter_over_seeds
from lgt.metrics.trajectory import learned_steps, rank_correlation, tracking, tracking_of_changes, trajectory
from lgt.recipes.builders import cell_name, densely_measured, grid_lengths
from lgt.recipes.paper import GRID_GAP, GRID_LENGTHS
from lgt.recipes.presets import custom_config, group_config
from lgt.report.figures import figure, paper_grid
from lgt.report.html import svg
from lgt.store import leases, queries, writes
from lgt.store.comparisons import comparisons
from lgt.store.engine import open_store

CONFIG = densely_measured("caprev", "demo")(0)  # main to 8, auxiliaries to 16, two layers of four heads


def counts(step: int, main: float, beyond: float, auxiliary: float) -> pd.DataFrame:
    """Accuracy of the main task at trained lengths and beyond, and of both auxiliaries everywhere."""
    rows = [(spec.task, spec.role, length, beyond if spec.role == "main" and length > 8 else
             main if spec.role == "main" else auxiliary)
            for spec in CONFIG.tasks for length in range(1, 21)]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["task", "role", "length", "share"])
    return frame.assign(step=step, correct=(100 * frame.share).round().astype(int), total=100)


def maps(step: int, drops: dict[str, float], length: int = 3) -> pd.DataFrame:
    """A map per task in which head (0, 0) costs ``drops[task]`` and the other seven nothing."""
    return pd.DataFrame(
        {"step": step, "task": task, "length": length, "layer": layer, "head": head,
         "accuracy_drop": drop if (layer, head) == (0, 0) else 0.0}
        for task, drop in drops.items() for layer in range(2) for head in range(4)
    )  # fmt: skip


NO_ATTENTION = pd.DataFrame({"step": [], "length": [], "difference": []})


def test_a_course_has_the_numbers_worked_out_by_hand():
    accuracy = pd.concat([counts(50, 1.0, 0.0, 1.0), counts(100, 1.0, 0.5, 1.0)])
    drops = {"capitalize_reverse": 0.8, "capitalize": 0.0, "reverse": 0.4}
    scores = pd.concat([maps(50, drops), maps(100, drops | {"reverse": 0.8}), maps(100, drops, length=12)])
    attention = pd.DataFrame({"step": [50, 50, 100, 100], "length": [3, 12, 3, 12], "difference": [1.0, 9.0, 2.0, 9.0]})
    first, second = trajectory(accuracy, scores, attention, CONFIG).to_dict("records")
    assert (first["trained"], first["transfer"], second["transfer"]) == (1.0, 0.0, 0.5)
    assert first["gap"] == pytest.approx(8 / 16) and second["gap"] == pytest.approx(8 / 16 * 0.5)
    assert first["map_difference"] == pytest.approx((0.8 / 8 + 0.4 / 8) / 2), "mean over heads, then over auxiliaries"
    assert second["map_difference"] == pytest.approx((0.8 / 8 + 0.0) / 2), "trained lengths only"
    assert np.isnan(first["map_difference_beyond"]) and second["map_difference_beyond"] == pytest.approx(0.6 / 8)
    assert (first["attention_difference"], second["attention_difference"]) == (1.0, 2.0)


def test_a_step_without_maps_and_tasks_that_do_not_line_up_are_missing_not_zero():
    accuracy = pd.concat([counts(50, 1.0, 0.0, 1.0), counts(100, 1.0, 0.5, 1.0)])
    steps = trajectory(accuracy, maps(100, dict.fromkeys((s.task for s in CONFIG.tasks), 0.5)), NO_ATTENTION, CONFIG)
    assert np.isnan(steps.map_difference[0]) and steps.map_difference[1] == 0.0
    assert steps.attention_difference.isna().all()
    assert tracking(steps, "attention_difference").n == 0 and tracking(steps, "attention_difference").rho is None


@pytest.mark.parametrize(
    ("values", "fall"), [([0.1, 0.9, 0.2, 0.8], 0.7), ([0.0, 0.5, 1.0], 0.0), ([1.0, 0.0], 1.0), ([], 0.0)]
)
def test_the_largest_fall_looks_forward_only(values, fall):
    assert largest_fall(values) == pytest.approx(fall)
    brute = max((a - b for i, a in enumerate(values) for b in values[i:]), default=0.0)
    assert largest_fall(values) == pytest.approx(brute)


def test_falls_and_scatter_count_only_what_goes_beyond_the_trained_lengths():
    steps = pd.DataFrame({"step": [1, 2, 3], "transfer": [0.0, 0.9, 0.3], "trained": [1.0, 0.8, 1.0]})
    assert falls(steps) == pytest.approx(0.6 - 0.2)
    scattered = scatter_over_seeds({0: 0.9, 1: 0.1, 2: 0.5}, {0: 1.0, 1: 0.8, 2: 1.0})
    assert scattered == pytest.approx({0: 0.6 - 0.1, 1: 0.6 - 0.2, 2: 0.0 - 0.1})
    assert scatter_over_seeds({0: 0.9}, {0: 1.0}) == {}


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


def test_nearness_compares_pairs_a_factor_of_two_apart_with_the_rest():
    gaps = {(4, 4): 9.0, (4, 8): 0.2, (8, 4): 0.0, (4, 16): 0.8, (16, 4): 0.4, (4, 32): 0.9}
    assert nearness(gaps) == pytest.approx((0.8 / 0.75 + 0.4 / 0.75 + 0.9 / 0.875) / 3 - 0.1 / 0.5)
    assert nearness({(4, 4): 0.0, (4, 8): 0.2}) is None
    nothing = {(m, a): 1 - min(m, a) / max(m, a) for m in (2, 4, 8, 16) for a in (2, 4, 8, 16)}
    assert nearness(nothing) == pytest.approx(0.0), "gaps that arithmetic alone makes say nothing"


def test_checkpoints_before_the_main_task_is_learned_can_be_left_aside():
    steps = pd.DataFrame({"trained": [0.0, 0.5, 1.0, 0.96], "gap": [0.0, 0.2, 0.5, 0.4]})
    assert learned_steps(steps).gap.tolist() == [0.5, 0.4]


def test_the_papers_grid_is_symmetric_in_its_lengths_and_zero_on_its_diagonal():
    assert len(GRID_GAP) == len(GRID_LENGTHS) ** 2 and GRID_GAP[4, 8] == 0.41 and GRID_GAP[8, 4] == 0.28
    assert all(GRID_GAP[length, length] == 0 for length in GRID_LENGTHS)
    assert nearness(GRID_GAP) > 0.3, "the paper's own grid has what the rule asks for"


def finished(store, config, accuracy: list[tuple[int, str, int, int]], scores=()) -> int:
    """A run with these counts of a hundred, (step, task, length, correct), and maps."""
    run_id = writes.create_run(store, config)
    attempt = leases.start_run(store, run_id, "w", "cpu")
    for step in sorted({row[0] for row in accuracy}):
        rows = [AccuracyRow(task, length, correct, 100) for at, task, length, correct in accuracy if at == step]
        writes.record_accuracy(store, run_id, attempt, step, rows)
    for step, rows in scores:
        writes.record_head_scores(store, run_id, attempt, step, rows)
    leases.finish_run(store, run_id, attempt, "done")
    return run_id


@pytest.fixture()
def store(tmp_path):
    return open_store(str(tmp_path / "a.db"))


def follow(store, experiment, drop_of, seeds=(0, 1, 2)):
    """Runs in which transfer grows over ten checkpoints, and the maps differ by ``drop_of(checkpoint)``."""
    for seed in seeds:
        config = experiment.series["together"](seed)
        accuracy = [
            (100 * step, spec.task, length, 100 if spec.role != "main" or length <= 8 else 9 * step)
            for step in range(1, 11) for spec in config.tasks for length in range(1, 21)
        ]  # fmt: skip
        scores = [
            (100 * step, [HeadScoreRow(spec.task, 3, layer, head, drop_of(step) * (spec.role == "main"), 0.0, 64)
                          for spec in config.tasks for layer in range(2) for head in range(4)])
            for step in range(1, 11)
        ]  # fmt: skip
        finished(store, config, accuracy, scores)


MAPS = EXPERIMENTS["fig18-maps"]


@pytest.mark.parametrize(
    ("drop_of", "tracks"),
    [(lambda step: 1 - step / 11, "reproduced"), (lambda step: step / 11, "not reproduced")],
    ids=["falls with the gap", "rises while the gap falls"],
)
def test_a_circuit_is_judged_by_the_correlation_of_its_seeds(store, drop_of, tracks):
    follow(store, MAPS, drop_of)
    found = judged(store, MAPS)
    sign = 1 if tracks == "reproduced" else -1
    assert found.outcome == tracks and found.differences == pytest.approx(dict.fromkeys(range(3), sign * 1.0))
    assert found.correlations[0].n == 10 and "10 checkpoints" in found.sentence()
    control = replace(MAPS, rule="does not track")
    assert judged(store, control).outcome == "not reproduced", "a control follows in neither direction"
    assert found.of_learned == pytest.approx(dict.fromkeys(range(3), sign * 1.0))
    assert judged(store, EXPERIMENTS["fig18-attention"]).outcome == "too few seeds", "no attention was recorded"
    assert trajectory_frame(store, found).seed.unique().tolist() == [0, 1, 2]


def test_steady_growth_is_not_instability_and_a_fall_is(store):
    steps = replace(MAPS, rule="unstable over steps")
    follow(store, steps, lambda step: 0.5)
    assert judged(store, steps).outcome == "not reproduced", "it only grows"
    assert judged(store, replace(MAPS, rule="unstable over seeds")).outcome == "not reproduced", "all seeds are alike"
    for seed in range(3):
        config = steps.series["together"](seed)
        accuracy = [
            (step, spec.task, length, share if spec.role == "main" and length > 8 else 100)
            for step, share in ((500, 80), (1000, 10 + 40 * seed)) for spec in config.tasks for length in range(1, 21)
        ]  # fmt: skip
        finished(store, config, accuracy)
    found = judged(store, steps)
    assert found.differences == pytest.approx({0: 0.7, 1: 0.3, 2: 0.0}), "80% falls to 10, to 50, and rises to 90"
    assert judged(store, replace(MAPS, rule="unstable over seeds")).differences == pytest.approx({0: 0.6, 1: 0, 2: 0.6})


GRID = EXPERIMENTS["fig10"]


def fill_grid(store, gap_of, learned=lambda main, auxiliary: True, seeds=(0, 1, 2)):
    """Auxiliaries at 100 % everywhere up to the longer length, the main task lower so that the gap is ``gap_of``."""
    for seed in seeds:
        for name, make in GRID.series.items():
            main, auxiliary = grid_lengths(name)
            config, longest = make(seed), max(main, auxiliary)
            right = 100 if learned(main, auxiliary) else 50
            wrong = gap_of(main, auxiliary) * longest / (longest - main) if longest > main else 0.0
            less = max(0, right - round(100 * wrong))
            rows = [
                (1, spec.task, length, less if spec.role == "main" and length > main else right)
                for spec in config.tasks for length in range(1, longest + 1)
            ]  # fmt: skip
            finished(store, config, rows)


def test_the_grid_is_judged_by_its_ratios_and_leaves_out_what_was_not_learned(store):
    fill_grid(store, lambda main, auxiliary: 0.4 if auxiliary > 2 * main else 0.0)
    found = judged(store, GRID)
    assert found.outcome == "reproduced" and found.seeds == [0, 1, 2]
    shares = 3 * 0.4 / 0.75 + 2 * 0.4 / 0.875 + 0.4 / 0.9375  # six of the twelve far cells have a gap
    assert found.differences[0] == pytest.approx(shares / 12, abs=0.01)
    for share in (0.0, 0.5, 1.0):  # of what the gap is when nothing transfers, at every pair of lengths
        fill_grid(store, lambda main, auxiliary, share=share: share * max(0.0, 1 - main / auxiliary))
        assert judged(store, GRID).outcome == "not reproduced"
    fill_grid(store, lambda main, auxiliary: 0.4 if auxiliary > 2 * main else 0.0, lambda main, other: other != 32)
    some = judged(store, GRID)
    assert "5 of 25 cells left out" in some.sentence() and not grid_frame(some).learned.all()
    fill_grid(store, lambda main, auxiliary: 0.0, lambda main, other: main == 2)
    assert judged(store, GRID).outcome == "premise not met"


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_charts_carry_their_numbers(store, theme):
    fill_grid(store, lambda main, auxiliary: 0.4 if auxiliary > 2 * main else 0.0, lambda main, other: other != 32, [0])
    found = judged(store, GRID)
    drawn = [svg(chart(), 600) for chart in figure(found, pd.DataFrame(), trajectory_frame(store, found), theme)]
    assert len(drawn) == 3 and "0.40" in drawn[1] and "5 of 25 cells" in drawn[1] and "0.95" in drawn[2]
    assert "1/16" in drawn[0] and "lengths 4 to 256" in drawn[0]
    follow(store, MAPS, lambda step: 1 - step / 11)
    circuit = judged(store, MAPS)
    (panels,) = figure(circuit, pd.DataFrame(), trajectory_frame(store, circuit), theme)
    assert "seed 2: ρ = +1.00" in svg(panels(), 600)
    steady = judged(store, replace(MAPS, rule="unstable over steps"))
    lines, strip = (svg(c(), 600) for c in figure(steady, pd.DataFrame(), trajectory_frame(store, steady), theme))
    assert "a panel is a seed (3), 10" in lines and "all seeds shown (3)" in strip
    nothing = pd.DataFrame(columns=["seed", "step", "map_difference"])
    none = grid_frame(found)[:0].astype({"learned": bool})
    steady = stability_chart(nothing, theme, main="reverse_add")
    strip = seed_strip(seeds_frame(found)[:0], theme)
    empty = (gap_grid(none, theme), gap_by_ratio(none, paper_grid(), theme), steady, strip)
    assert all("yet" in svg(chart, 600) for chart in empty)
    assert "not comparable" in svg(circuit_chart(nothing, "map_difference", {}, theme), 600)


def test_a_shorter_auxiliary_is_a_run_without_a_transfer_region_and_no_comparison(store):
    specs = [TaskSpec("capitalize_reverse", "main", 8), TaskSpec("reverse", "auxiliary", 4)]
    config = custom_config(specs, "demo", "strings")
    assert config.transfer_length is None and config.evaluation.maximum_length == 10
    run_id = finished(store, config, [(1000, spec.task, n, 100) for spec in specs for n in range(1, 11)])
    assert queries.accuracy(store, [run_id]).transfer_length.isna().all() and comparisons(store) == {}
    assert grid_lengths(cell_name(8, 4)) == (8, 4)


def test_a_run_measured_on_its_way_is_the_same_seed_of_the_same_comparison(store):
    plain, often = group_config("caprev", "demo"), densely_measured("caprev", "demo")(0)
    assert plain.hash() != often.hash() and plain.result_hash() == often.result_hash()
    assert plain.result_hash() != group_config("caprev", "demo", seed=1).result_hash()
    rows = [(1000, spec.task, n, 100) for spec in plain.tasks for n in range(1, 21)]
    finished(store, plain, rows)
    newest = finished(store, often, rows)
    alone = finished(store, group_config("caprev", "demo", arm="alone-same-steps"), [r for r in rows if r[1] == "x"])
    (comparison,) = comparisons(store).values()
    assert comparison.setting.changes == () and comparison.runs["co-trained"] == {0: newest}
    assert comparison.runs["alone-same-steps"] == {0: alone}
