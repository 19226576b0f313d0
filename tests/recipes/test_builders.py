"""The series of runs that figures compare."""

from __future__ import annotations

from dataclasses import replace

from lgt.core.config import TaskSpec
from lgt.recipes.builders import (
    ALONE_SAME_EXAMPLES,
    CO_TRAINED,
    GRID_LENGTHS,
    Lengths,
    cell,
    changed,
    densely_measured,
    grid,
    of_position,
    positions,
    three_arms,
)
from lgt.recipes.presets import custom_config, group_config
from lgt.store import queries
from lgt.store.comparisons import comparisons
from lgt.store.engine import open_store
from tests.experiments.stores import finished_run, two_levels


def test_the_baselines_of_a_changed_figure_have_the_same_change():
    plain, deep = three_arms("add-multiply", "demo"), changed(three_arms("add-multiply", "demo"), "model.layers=5")
    assert deep.keys() == plain.keys()
    for series, make in deep.items():
        config, before = make(3), plain[series](3)
        assert config.model.layers == 5 and config.model_seed == 3
        assert replace(config, model=before.model) == before, series


def test_a_series_says_which_runs_it_has():
    for series, make in three_arms("caprev", "demo").items():
        assert make(4).arm == series.arm and series.may_stay_unlearned == (series == ALONE_SAME_EXAMPLES)
    for series, make in positions("caprev", "demo").items():
        assert (make(1).arm, make(1).model.position) == (series.arm, series.position)
        assert series == of_position(series.position, series.arm)
    for series, make in grid().items():
        assert series.lengths == Lengths(*(spec.training_length for spec in make(0).tasks[:2]))
    assert len(grid()) == len(GRID_LENGTHS) ** 2 and cell(8, 4) in grid() and cell(8, 4) != cell(4, 8)


def test_a_shorter_auxiliary_is_a_run_without_a_transfer_region_and_no_comparison(tmp_path):
    store = open_store(str(tmp_path / "a.db"))
    specs = [TaskSpec("capitalize_reverse", "main", 8), TaskSpec("reverse", "auxiliary", 4)]
    config = custom_config(specs, "demo", "strings")
    assert config.transfer_length is None and config.evaluation.maximum_length == 10
    run_id = finished_run(store, config, lambda *_: 1.0, [1000], range(1, 11))
    assert queries.accuracy(store, [run_id]).transfer_length.isna().all() and comparisons(store) == {}


def test_a_densely_measured_run_belongs_to_the_same_comparison(tmp_path):
    store = open_store(str(tmp_path / "a.db"))
    plain, often = group_config("caprev", "demo"), densely_measured("caprev", "demo")(0)
    assert plain.hash() != often.hash() and plain.result_hash() == often.result_hash()
    assert plain.result_hash() != group_config("caprev", "demo", seed=1).result_hash()
    assert three_arms("caprev", "demo")[CO_TRAINED](0) == plain
    two_levels(store, plain, 1.0, 0.5)
    newest = two_levels(store, often, 1.0, 0.4)
    alone = two_levels(store, group_config("caprev", "demo", arm="alone-same-steps"), 1.0, 0.0)
    (comparison,) = comparisons(store).values()
    assert comparison.setting.changes == () and comparison.runs["co-trained"] == {0: newest}
    assert comparison.runs["alone-same-steps"] == {0: alone}
