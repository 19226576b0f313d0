"""Every rule on stores whose runs are made up, with numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lgt.experiments.experiment import Experiment
from lgt.experiments.judging import judge
from lgt.experiments.registry import EXPERIMENTS
from lgt.experiments.rules.does_not_track import DoesNotTrack
from lgt.experiments.rules.gain import Gain
from lgt.experiments.rules.more import More
from lgt.experiments.rules.no_gain import NoGain
from lgt.experiments.rules.ratio import Ratio
from lgt.experiments.rules.unstable_over_seeds import UnstableOverSeeds
from lgt.experiments.rules.unstable_over_steps import UnstableOverSteps
from lgt.recipes.builders import (
    ALONE_SAME_EXAMPLES,
    ALONE_SAME_STEPS,
    CO_TRAINED,
    cell,
    of_position,
    one_auxiliary,
    three_arms,
    with_one_auxiliary,
)
from tests.experiments.stores import SEEDS, fill, fill_grid, finished_run, follow, two_levels

GAIN = Experiment("trial", 1, "0", "demo", "?", three_arms("caprev", "demo"), Gain(), seeds=3)
CONTROL = replace(GAIN, series=three_arms("control-copy", "demo"), rule=NoGain())
REVERSE, CAPITALIZE = with_one_auxiliary("reverse"), with_one_auxiliary("capitalize")
MORE = replace(
    GAIN,
    series={
        of: one_auxiliary("caprev", "demo", name) for of, name in ((REVERSE, "reverse"), (CAPITALIZE, "capitalize"))
    },
    rule=More(better=REVERSE, worse=CAPITALIZE),
)
MAPS, GRID = EXPERIMENTS["fig18-maps"], EXPERIMENTS["fig10"]


def arms(co_trained: float, same_steps: float, same_examples: float) -> dict:
    return {CO_TRAINED: co_trained, ALONE_SAME_STEPS: same_steps, ALONE_SAME_EXAMPLES: same_examples}


def everywhere(number: float) -> dict:
    return pytest.approx(dict.fromkeys(SEEDS, number))


def test_a_gain_is_over_the_better_baseline_seed_by_seed(store):
    for seed, better in zip(SEEDS, (ALONE_SAME_STEPS, ALONE_SAME_EXAMPLES, ALONE_SAME_STEPS), strict=True):
        fill(store, GAIN, arms(0.8, 0.1, 0.1) | {better: 0.3 + 0.01 * seed}, seeds=[seed])
    found = judge(store, GAIN)
    assert found.outcome == "reproduced" and found.seeds == list(SEEDS) and len(found.runs) == 9
    assert found.numbers == pytest.approx({0: 0.5, 2: 0.48, 7: 0.43})
    assert found.measured.values[CO_TRAINED] == everywhere(0.8)
    assert "together 0.80" in found.sentence() and "difference +0.47" in found.sentence()
    assert found.sentence().endswith("n = 3 seeds")


def test_a_baseline_with_equal_accuracy_makes_the_gain_zero(store):
    fill(store, GAIN, arms(0.8, 0.1, 0.78))
    assert judge(store, GAIN).outcome == "not reproduced"


def test_thresholds_belong_to_the_rule(store):
    fill(store, GAIN, arms(0.8, 0.6, 0.5))
    assert judge(store, GAIN).outcome == "reproduced"
    assert judge(store, replace(GAIN, rule=Gain(smallest=0.25))).outcome == "not reproduced"
    assert judge(store, replace(GAIN, seeds=4)).outcome == "too few seeds"
    fill(store, GAIN, arms(0.8, 0.1, 0.1), right=0.8)
    assert judge(store, GAIN).outcome == "premise not met"
    lenient = judge(store, replace(GAIN, rule=Gain(learned=0.75)))
    assert lenient.outcome == "reproduced" and "did not learn" not in lenient.sentence()


def test_a_control_without_gain_reproduces_its_claim_and_with_one_does_not(store):
    fill(store, CONTROL, arms(0.02, 0.0, 0.0))
    assert judge(store, CONTROL).outcome == "reproduced"
    fill(store, CONTROL, arms(0.6, 0.0, 0.0))  # run again: the newest run of a config counts
    assert judge(store, CONTROL).outcome == "not reproduced"


def test_a_control_is_judged_by_its_worse_baseline(store):
    fill(store, CONTROL, arms(0.4, 0.0, 0.35))
    assert judge(store, CONTROL).numbers == everywhere(0.4)
    fill(store, CONTROL, arms(0.4, 0.35, 0.1))
    assert judge(store, CONTROL).numbers == everywhere(0.3) and judge(store, CONTROL).outcome == "not reproduced"


def test_more_subtracts_the_series_that_the_rule_names_whatever_their_order(store):
    fill(store, MORE, {REVERSE: 0.9, CAPITALIZE: 0.2})
    assert judge(store, MORE).numbers == everywhere(0.7)
    turned = replace(MORE, series=dict(reversed(MORE.series.items())))
    assert judge(store, turned).numbers == everywhere(0.7)
    assert judge(store, replace(MORE, rule=More(better=CAPITALIZE, worse=REVERSE))).outcome == "not reproduced"


def test_positions_are_compared_by_what_each_gains(store):
    positions = replace(EXPERIMENTS["fig12-strings"], seeds=3)
    alone = {of_position("rope", "alone-same-steps"): 0.65, of_position("nope", "alone-same-steps"): 0.0}
    fill(store, positions, {of_position("rope"): 0.8, of_position("nope"): 0.6} | alone)
    found = judge(store, positions)
    assert found.numbers == everywhere(0.15 - 0.6)
    assert found.outcome == "not reproduced" and "difference of gains −0.45" in found.sentence()


def test_a_task_that_was_not_learned_means_premise_not_met(store):
    fill(store, GAIN, arms(0.0, 0.0, 0.0), right={CO_TRAINED: 0.5, ALONE_SAME_STEPS: 0.9, ALONE_SAME_EXAMPLES: 1.0})
    found = judge(store, GAIN)
    assert found.outcome == "premise not met" and "not learned where trained: " in found.sentence()
    assert found.measured.learned["reverse"] == found.measured.learned["capitalize_reverse"] == 0.5
    assert judge(store, replace(GAIN, seeds=4)).outcome == "too few seeds", "which is said before the premise"


def test_the_baseline_with_fewer_examples_may_stay_untrained(store):
    fill(store, GAIN, arms(0.8, 0.0, 0.0), right={CO_TRAINED: 1.0, ALONE_SAME_STEPS: 1.0, ALONE_SAME_EXAMPLES: 0.4})
    found = judge(store, GAIN)
    assert found.outcome == "reproduced" and "did not learn" not in found.sentence()
    fill(store, GAIN, arms(0.8, 0.0, 0.0), right={CO_TRAINED: 1.0, ALONE_SAME_STEPS: 0.4, ALONE_SAME_EXAMPLES: 1.0})
    assert judge(store, GAIN).outcome == "premise not met"


def test_the_premise_is_checked_for_every_series(store):
    fill(store, MORE, {REVERSE: 0.5, CAPITALIZE: 0.5}, right={REVERSE: 1.0, CAPITALIZE: 0.91})
    found = judge(store, MORE)
    assert found.measured.learned["capitalize_reverse"] == pytest.approx(0.91) and found.outcome == "premise not met"
    assert "3 of 6 runs count though they did not learn" in found.sentence()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("drop_of", "outcome"),
    [(lambda k: 1 - k / 11, "reproduced"), (lambda k: k / 11, "not reproduced")],
    ids=["falls with the gap", "rises while the gap falls"],
)
def test_a_circuit_is_judged_by_the_correlation_of_its_seeds(store, drop_of, outcome):
    follow(store, MAPS, drop_of)
    found = judge(store, MAPS)
    sign = 1 if outcome == "reproduced" else -1
    assert found.outcome == outcome and found.numbers == everywhere(sign * 1.0)
    correlations = found.measured.correlations
    assert correlations.judged[7].n == 10 and "10 checkpoints" in found.sentence()
    assert correlations.of_learned == everywhere(sign * 1.0) and list(correlations.beyond) == list(SEEDS)
    assert judge(store, EXPERIMENTS["fig18-attention"]).measured.correlations.beyond == {}, "no maps to compare there"
    control = replace(MAPS, rule=DoesNotTrack())
    assert judge(store, control).outcome == "not reproduced", "a control follows in neither direction"
    assert judge(store, EXPERIMENTS["fig18-attention"]).outcome == "too few seeds", "no attention was recorded"
    assert found.trajectory.seed.unique().tolist() == list(SEEDS)


@pytest.mark.slow
def test_steady_growth_is_not_instability_and_a_fall_is(store):
    steps, seeds = replace(MAPS, rule=UnstableOverSteps()), replace(MAPS, rule=UnstableOverSeeds())
    follow(store, steps, lambda k: 0.5)
    assert judge(store, steps).outcome == "not reproduced", "it only grows"
    assert judge(store, seeds).outcome == "not reproduced", "all seeds are alike"
    for seed, last in zip(SEEDS, (0.1, 0.5, 0.9), strict=True):
        config = steps.series[CO_TRAINED](seed)
        roles = {spec.task: spec.role for spec in config.tasks}

        def share(step, task, length, last=last, roles=roles):
            return 1.0 if roles[task] != "main" or length <= 8 else 0.8 if step == 500 else last

        finished_run(store, config, share, [500, 1000 + seed])
    assert judge(store, steps).numbers == pytest.approx({0: 0.7, 2: 0.3, 7: 0.0}), "80% falls to 10, to 50, rises to 90"
    assert judge(store, seeds).numbers == pytest.approx({0: 0.6, 2: 0, 7: 0.6})


@pytest.mark.slow
def test_the_grid_is_judged_by_its_ratios_and_leaves_out_what_was_not_learned(store):
    fill_grid(store, GRID, lambda main, auxiliary: 0.4 if auxiliary > 2 * main else 0.0)
    found = judge(store, GRID)
    assert found.outcome == "reproduced" and found.seeds == list(SEEDS)
    shares = 3 * 0.4 / 0.75 + 2 * 0.4 / 0.875 + 0.4 / 0.9375  # six of the twelve far cells have a gap
    assert found.numbers[2] == pytest.approx(shares / 12, abs=0.01)
    assert found.measured.values[cell(2, 32)][7] == pytest.approx(0.4, abs=0.01)
    assert found.measured.values[cell(32, 2)][7] == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_gaps_without_any_transfer_are_not_reproduced(store, share):
    fill_grid(store, GRID, lambda main, auxiliary: share * max(0.0, 1 - main / auxiliary))
    assert judge(store, GRID).outcome == "not reproduced"


@pytest.mark.slow
def test_the_grid_leaves_out_cells_that_were_not_learned(store):
    fill_grid(store, GRID, lambda main, other: 0.4 if other > 2 * main else 0.0, lambda main, other: other != 32)
    some = judge(store, GRID)
    assert "5 of 25 cells left out" in some.sentence() and "2 beside 32" in some.sentence()
    shares = (0.4 / 0.75) * 2 + 0.4 / 0.875  # (2, 8), (4, 16) and (2, 16); nine far cells are left
    assert some.numbers[7] == pytest.approx(shares / 9, abs=0.01)
    rows = some.rule.grid_frame(some)
    assert set(rows[~rows.learned].auxiliary_length) == {32} and len(rows) == 75
    fill_grid(store, GRID, lambda main, auxiliary: 0.0, lambda main, other: main == 2)
    assert judge(store, GRID).outcome == "premise not met"
    assert judge(store, replace(GRID, rule=Ratio(least_cells=0.2))).outcome != "premise not met"


def test_a_rule_that_asks_for_a_transfer_region_refuses_a_run_without_one(store):
    shorter = {series: GRID.series[cell(8, 4)] for series in (CO_TRAINED, ALONE_SAME_STEPS, ALONE_SAME_EXAMPLES)}
    broken = replace(GAIN, series=shorter)
    two_levels(store, GRID.series[cell(8, 4)](0), 1.0, 0.0)
    with pytest.raises(ValueError, match="cannot have"):
        judge(store, broken)
