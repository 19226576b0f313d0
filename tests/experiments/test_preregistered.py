"""Preregistered experiments: their plan, which runs count, and the rules of the second edition."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest

from lgt.core.parts import parts_by_task
from lgt.experiments.judging import judge
from lgt.experiments.planned import planned_csv
from lgt.experiments.registry import EXPERIMENTS
from lgt.experiments.rules.base import Measurement
from lgt.experiments.verdicts import OUTCOMES, contrast, equivalent, sense_of
from lgt.recipes.builders import ALONE_SAME_EXAMPLES, ALONE_SAME_STEPS, CO_TRAINED, SHORT
from lgt.recipes.partitions import ALONE, APART, CHANNELS_APART, CHANNELS_SHARED, CROWDED, HALF, OCCUPIED, SHARED
from lgt.store import queries
from lgt.store.engine import open_store
from lgt.tasks import TASKS
from tests.conftest import ROOT
from tests.experiments.stores import fill, finished_run, two_levels

NECESSARY = replace(EXPERIMENTS["heads-caprev"], planned=(100, 101, 102))
CHANNELS = replace(EXPERIMENTS["heads-caprev-channels"], planned=(100, 101, 102))
PLANNED = [one for one in EXPERIMENTS.values() if one.planned]
TRIALS = 900


def judged(store, shared, apart, occupied, alone=0.0, right=1.0):
    """The judgement on three seeds whose transfer accuracies are ``shared`` and so on: one number, or one a seed."""
    for place, seed in enumerate(NECESSARY.planned):
        of = [value if isinstance(value, float) else value[place] for value in (shared, apart, occupied, alone)]
        fill(store, NECESSARY, dict(zip((SHARED, APART, OCCUPIED, ALONE), of, strict=True)), right, seeds=[seed])
    return judge(store, NECESSARY)


def test_the_list_of_planned_runs_is_that_of_the_code():
    """The list is committed before the first run. When this fails, a planned run has changed."""
    assert (ROOT / "docs/preregistered.csv").read_text() == planned_csv()


def test_every_planned_seed_is_for_verdicts_and_the_document_names_the_experiment():
    text = (ROOT / "docs/PREREGISTRATION.md").read_text()
    rows = list(csv.DictReader(planned_csv().splitlines()))
    assert PLANNED and {row["experiment"] for row in rows} == {one.name for one in PLANNED}
    for experiment in PLANNED:
        assert all(100 <= seed < TRIALS for seed in experiment.planned) and experiment.seeds == len(experiment.planned)
        assert f"`{experiment.name}`" in text or f"experiment {experiment.name}`" in text, experiment.name


def test_the_shipped_store_has_no_trials_and_no_unplanned_run_with_a_seed_for_verdicts(shipped):
    planned = {row["config_hash"] for row in csv.DictReader(planned_csv().splitlines())}
    runs = queries.runs(open_store(str(shipped), read_only=True))
    assert (runs.model_seed < TRIALS).all()
    assert set(runs[runs.model_seed >= 100].config_hash) <= planned


def test_only_planned_seeds_are_judged_and_missing_ones_are_counted(store):
    beyond = {SHARED: 0.9, CHANNELS_APART: 0.1}
    fill(store, CHANNELS, beyond, seeds=(0, 100, 102, 103, 900))
    two_levels(store, CHANNELS.series[SHARED](101), 1.0, 0.9)
    found = judge(store, CHANNELS)
    assert found.seeds == [100, 102] and found.outcome == "too few seeds"
    assert found.headline().endswith("n = 2 of 3 planned") and "n = 2 seeds of 3 planned" in found.sentence()
    two_levels(store, CHANNELS.series[CHANNELS_APART](101), 1.0, 0.1)
    found = judge(store, CHANNELS)
    assert found.seeds == [100, 101, 102] and found.outcome == "strong" and found.headline().endswith("n = 3")


def test_heads_are_necessary_when_transfer_vanishes_without_them_also_after_long_inputs(store):
    found = judged(store, (0.7, 0.8, 0.9), (0.0, 0.01, 0.0), (0.03, 0.0, 0.02), 0.01)
    assert found.outcome == "necessary"
    assert found.numbers == pytest.approx({100: 0.7, 101: 0.79, 102: 0.9})
    sentence = found.sentence()
    assert "loss without shared heads +0.80" in sentence
    assert "same four heads minus separate heads, a control task in the main task's +0.78" in sentence
    assert "separate heads minus alone, same steps −0.01" in sentence


@pytest.mark.parametrize(
    ("apart", "occupied", "alone", "why"),
    [
        (0.0, 0.75, 0.0, "having seen long inputs is enough"),
        (0.0, (0.0, 0.3, 0.6), 0.0, "with long inputs it is not clear"),
        (0.4, 0.0, 0.0, "heads apart keep more than the main task has alone"),
        (0.0, 0.3, 0.0, "the loss is strong, but long inputs leave more than the main task has alone"),
        ((0.0, 0.4, 0.7), 0.0, 0.0, "the loss itself is not clear"),
        (0.0, 0.0, 0.4, "heads apart are worse than alone, so they do harm of another kind"),
    ],
)
def test_heads_are_not_called_necessary_when_another_explanation_is_left(store, apart, occupied, alone, why):
    assert judged(store, (0.7, 0.75, 0.8), apart, occupied, alone).outcome == "undecided", why


def test_heads_are_not_necessary_when_separate_ones_transfer_equally_far(store):
    found = judged(store, 0.8, (0.79, 0.81, 0.8), 0.0)
    assert found.outcome == "not necessary" and sense_of(found.outcome) == "does not hold"


LONG = replace(EXPERIMENTS["long-caprev"], planned=(100, 101, 102))
SAME_STEPS, SAME_EXAMPLES = ALONE_SAME_STEPS, ALONE_SAME_EXAMPLES


@pytest.mark.parametrize(
    ("together", "steps", "examples", "outcome"),
    [
        (0.9, 0.1, 0.0, "strong"),
        (0.9, 0.82, 0.0, "present"),
        ((0.9, 0.8, 0.9), (0.6, 0.1, 0.9), 0.0, "undecided"),
        (0.3, 0.25, 0.28, "present"),
        ((0.31, 0.30, 0.29), 0.3, (0.30, 0.29, 0.31), "absent"),
        (0.3, 0.3, 0.0, "undecided"),  # no more than one baseline, but more than the other: neither claimed nor denied
        (0.1, 0.5, 0.6, "opposite"),
        (0.1, 0.5, 0.0, "undecided"),
    ],
)
def test_a_gain_over_each_baseline_is_claimed_by_the_stronger_and_denied_by_the_weaker(
    store, together, steps, examples, outcome
):
    for place, seed in enumerate(LONG.planned):
        values = [value if isinstance(value, float) else value[place] for value in (together, steps, examples)]
        fill(store, LONG, dict(zip((CO_TRAINED, SAME_STEPS, SAME_EXAMPLES), values, strict=True)), seeds=[seed])
    found = judge(store, LONG)
    assert found.outcome == outcome


def test_the_sentence_names_both_baselines_and_the_seeds_in_which_transfer_works(store):
    for seed, together in zip(LONG.planned, (0.5, 0.49, 0.9), strict=True):
        fill(store, LONG, {CO_TRAINED: together, SAME_STEPS: 0.1, SAME_EXAMPLES: 0.2}, seeds=[seed])
    sentence = judge(store, LONG).sentence()
    assert "difference from the best baseline +0.43" in sentence, "the baseline with the same examples"
    assert "over alone, same steps +0.53" in sentence and "over alone, same main-task examples +0.43" in sentence
    assert "transfer accuracy of 50% or more in 2 of 3 seeds" in sentence


def test_short_auxiliaries_differ_from_the_group_in_their_lengths_only():
    both = {series: make(107) for series, make in EXPERIMENTS["long-caprev-short"].series.items()}
    short, full = both[SHORT], both[CO_TRAINED]
    assert [spec.training_length for spec in full.tasks] == [16, 32, 32]
    assert [spec.training_length for spec in short.tasks] == [16, 16, 16]
    assert replace(short, tasks=full.tasks, group=full.group) == full, "steps, network and measured lengths are equal"


def test_where_nothing_transfers_at_all_heads_are_neither_necessary_nor_not(store):
    assert judged(store, 0.01, 0.0, 0.0).outcome == "undecided", "there is no transfer that could be lost or kept"


def test_a_task_that_is_not_learned_in_one_of_the_series_leaves_no_verdict(store):
    right = {SHARED: 1.0, APART: 0.9, OCCUPIED: 1.0, ALONE: 1.0}
    found = judged(store, 0.8, 0.0, 0.0, right=right)
    assert found.outcome == "premise not met" and "not learned where trained: " in found.sentence()


def test_a_share_just_below_the_threshold_is_not_rounded_up_to_it():
    measured = Measurement({}, {}, {"reverse": 0.947, "capitalize": 0.9, "mqar": 0.95})
    assert NECESSARY.rule.premise_text(measured) == "not learned where trained: reverse 0.947, capitalize 0.90"


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ([0.6, 0.7, 0.5], "strong"),
        ([0.11, 0.11, 0.11], "strong"),
        ([0.10, 0.10, 0.10], "present"),
        ([0.05, 0.06, 0.07], "present"),
        ([0.0, 0.0, 0.0], "absent"),
        ([-0.02, 0.03, 0.01], "absent"),
        ([-0.05, -0.06, -0.07], "opposite"),
        ([0.0, 0.2, 0.1], "undecided"),
        ([0.9, 0.0, 0.4], "undecided"),
        ([0.5, 0.5], "too few seeds"),
        ([], "too few seeds"),
    ],
)
def test_a_contrast_is_named_by_where_its_interval_lies(values, outcome):
    assert contrast({3 * place: value for place, value in enumerate(values)}, needed=3) == outcome
    assert outcome in OUTCOMES


def test_more_tests_in_a_family_widen_the_interval_that_decides():
    numbers = {0: 0.31, 1: 0.5, 2: 0.62}  # mean 0.477; half-widths of the intervals: 0.388 at 95%, 0.79 at 98.75%
    assert contrast(numbers, 3, smallest=0.05) == "strong" and contrast(numbers, 3, 0.05, tests=4) == "undecided"


def test_equivalence_uses_the_90_percent_interval_on_both_sides():
    # standard deviation 0.02 of three seeds: half-width 2.92 * 0.02 / sqrt(3) = 0.0337
    assert equivalent({0: 0.04, 1: 0.06, 2: 0.08}, margin=0.0938) and not equivalent(
        {0: 0.04, 1: 0.06, 2: 0.08}, 0.0936
    )
    assert equivalent({0: -0.04, 1: -0.06, 2: -0.08}, margin=0.0938)
    assert not equivalent({0: -0.04, 1: -0.06, 2: -0.08}, 0.0936)


def test_the_squares_of_the_chart_are_the_heads_of_the_series(store):
    frame = judged(store, 0.8, 0.0, 0.0).heads_frame()
    used = (
        frame[frame.used].groupby(["series", "task"])["head"].apply(lambda heads: (min(heads), max(heads), len(heads)))
    )
    first, last = (0, 3, 4), (4, 7, 4)
    assert used.to_dict() == {
        (str(series), task): last if task in ("capitalize", "reverse") and series in (APART, OCCUPIED) else first
        for series, make in NECESSARY.series.items() for task in (spec.task for spec in make(100).tasks)
    }  # fmt: skip
    assert judge(store, EXPERIMENTS["fig4c"]).heads_frame() is None, "its tasks may use every head"
    (strip, *_) = judge(store, NECESSARY).charts(queries.accuracy(store, judge(store, NECESSARY).runs))
    assert strip.name == "seed_strip" and strip.options["heads"].equals(frame)


def series_runs() -> dict:
    partitions = [one for one in PLANNED if one.name.startswith("heads-")]
    return {series: make(100) for one in partitions for series, make in one.series.items()}


def test_the_series_differ_in_what_they_may_use_and_in_nothing_else():
    runs = series_runs()
    first = runs[SHARED]
    assert set(runs) == {SHARED, APART, OCCUPIED, ALONE, HALF, CHANNELS_APART, CHANNELS_SHARED, CROWDED}
    for series, config in runs.items():
        assert replace(config.model, parts="") == replace(first.model, parts="") and config.training == first.training
        assert config.options == first.options and config.main == first.main, series
        others = {spec.task: spec.training_length for spec in config.tasks if spec.role == "auxiliary"}
        assert others == ({} if series == ALONE else {"capitalize": 16, "reverse": 16}), series
        controls = [(spec.task, spec.training_length) for spec in config.tasks if spec.role == "control"]
        assert controls == ([("string_copy", 16)] if series in (OCCUPIED, CROWDED) else []), series
        assert TASKS[config.main.task].family == "strings" and config.transfer_length == 16


@pytest.mark.parametrize(
    ("series", "auxiliary", "control", "channels"),
    [
        (SHARED, (0, 3), None, None),
        (APART, (4, 7), None, None),
        (OCCUPIED, (4, 7), (0, 3), None),
        (CROWDED, (0, 3), (0, 3), None),
        (HALF, (2, 5), None, None),
        (CHANNELS_APART, (0, 3), None, ((0, 87), (88, 175))),
        (CHANNELS_SHARED, (0, 3), None, ((0, 87), (0, 87))),
        (ALONE, None, None, None),
    ],
    ids=str,
)
def test_each_series_uses_the_heads_that_the_document_names(series, auxiliary, control, channels):
    config = series_runs()[series]
    parts = parts_by_task(config)
    every = (0, config.model.hidden - 1)
    expected = {"main": ((0, 3), channels[0] if channels else every)}
    expected["auxiliary"] = (auxiliary, channels[1] if channels else every)
    expected["control"] = (control, every)
    for spec in config.tasks:
        assert parts[spec.task][1:] == expected[spec.role], spec
    assert {spec.role for spec in config.tasks} == {role for role, (heads, _) in expected.items() if heads is not None}


def test_the_number_of_the_seeds_that_learned_everything_stands_beside_the_verdict_on_all(store):
    for seed, right, beyond in ((100, 1.0, 0.9), (101, 0.9, 0.1), (102, 1.0, 0.7)):
        fill(store, CHANNELS, {SHARED: beyond, CHANNELS_APART: 0.0}, {SHARED: 1.0, CHANNELS_APART: right}, [seed])
    found = judge(store, CHANNELS)
    assert found.learned_seeds == (100, 102) and found.numbers == pytest.approx({100: 0.9, 101: 0.1, 102: 0.7})
    assert "over the 2 of 3 seeds in which every task was learned: +0.80 (" in found.sentence()
    everything = replace(found, learned_seeds=(100, 101, 102))
    first_edition = replace(found, experiment=replace(found.experiment, planned=()))
    assert not any("in which every task" in one.sentence() for one in (everything, first_edition))


SHUFFLED_ONES = replace(EXPERIMENTS["long-caprev-shuffled"], planned=(100, 101, 102))


@pytest.mark.parametrize("main", [1.0, 0.5])
def test_of_tasks_with_shuffled_answers_only_the_main_task_has_to_be_learned(store, main):
    """The others cannot be learned. A main task that is not learned leaves no verdict here either."""
    for seed in SHUFFLED_ONES.planned:
        for series, make in SHUFFLED_ONES.series.items():
            config = make(seed)
            trained = {spec.task: spec.training_length for spec in config.tasks}
            right = {spec.task: 1.0 for spec in config.tasks}
            if series.only_main:
                right = {spec.task: main if spec.role == "main" else 0.0 for spec in config.tasks}
            beyond = 0.0 if series.only_main else 0.75

            def share(_, task, length, right=right, trained=trained, beyond=beyond):
                return right[task] if length <= trained[task] else beyond

            finished_run(store, config, share, [1000], range(1, 41))
    found = judge(store, SHUFFLED_ONES)
    assert found.numbers == pytest.approx(dict.fromkeys(SHUFFLED_ONES.planned, 0.75))
    assert found.outcome == ("strong" if main == 1.0 else "premise not met")
    assert found.learned_seeds == (SHUFFLED_ONES.planned if main == 1.0 else ())
    assert found.measured.learned["capitalize"] == 1.0, "of the series that has to learn it"
