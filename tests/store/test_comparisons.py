"""Comparisons: baselines are found by what they are."""

from __future__ import annotations

import pytest

from lgt.core.config import TaskSpec, with_setting
from lgt.core.records import AccuracyRow
from lgt.recipes.presets import baseline, custom_config, group_config
from lgt.recipes.settings import Setting
from lgt.store import leases, writes
from lgt.store.comparisons import comparisons
from lgt.store.engine import open_store


@pytest.fixture()
def engine(tmp_path):
    return open_store(str(tmp_path / "a.db"))


def add(engine, config, state: str = "done") -> int:
    run_id = writes.create_run(engine, config)
    attempt = leases.start_run(engine, run_id, "test", "cpu")
    writes.record_accuracy(engine, run_id, attempt, 1, [AccuracyRow(config.main.task, 1, 1, 2)])
    leases.finish_run(engine, run_id, attempt, state)
    return run_id


def test_an_empty_store_has_no_comparison(engine):
    assert comparisons(engine) == {}


def test_runs_are_grouped_by_arm_and_seed(engine):
    ids = {
        (arm, seed): add(engine, group_config("caprev", "demo", arm=arm, seed=seed))
        for seed in (1, 0)
        for arm in ("co-trained", "alone-same-steps", "alone-same-examples")
    }
    (found,) = comparisons(engine).values()
    assert found.setting == Setting("caprev", "demo", "rope")
    assert found.ids("co-trained") == [ids["co-trained", 0], ids["co-trained", 1]]
    assert found.runs["alone-same-steps"] == {seed: ids["alone-same-steps", seed] for seed in (0, 1)}


def test_a_baseline_of_another_group_with_the_same_main_task_serves(engine):
    add(engine, group_config("control-add", "small"))
    alone = add(engine, group_config("add-carry", "small", arm="alone-same-steps"))
    other_steps = add(engine, group_config("add-carry", "small", arm="alone-same-examples"))
    (found,) = comparisons(engine).values()
    assert found.runs["alone-same-steps"] == {0: alone}
    assert found.runs["alone-same-examples"] == {}, f"run {other_steps} saw another number of examples"


def test_unfinished_and_failed_runs_are_left_out(engine):
    add(engine, group_config("caprev", "demo"))
    add(engine, group_config("caprev", "demo", arm="alone-same-steps"), "failed")
    writes.create_run(engine, group_config("caprev", "demo", seed=1))
    (found,) = comparisons(engine).values()
    assert found.runs == {"co-trained": {0: 1}, "alone-same-steps": {}, "alone-same-examples": {}}


def test_a_repeated_run_counts_once_and_another_recipe_is_another_comparison(engine):
    add(engine, group_config("caprev", "demo"))
    changed = with_setting(group_config("caprev", "demo", seed=1), "training.steps", "7")
    other = add(engine, changed)
    newest = add(engine, group_config("caprev", "demo"))
    alone = add(engine, baseline(changed, "alone-same-steps"))
    found = comparisons(engine)
    assert found[Setting("caprev", "demo", "rope")].runs["co-trained"] == {0: newest}
    theirs = found[Setting("caprev", "demo", "rope", ("training.steps=7",))]
    assert theirs.runs["co-trained"] == {1: other} and theirs.runs["alone-same-steps"] == {1: alone}


def test_freely_chosen_tasks_are_compared_by_their_names(engine):
    for name in ("capitalize", "string_copy"):
        tasks = (TaskSpec("reverse", "main", 4), TaskSpec(name, "auxiliary", 8))
        add(engine, custom_config(tasks, "demo", "strings"))
    assert [setting.group for setting in comparisons(engine)] == [
        "reverse:4+capitalize:8", "reverse:4+string_copy:8",
    ]  # fmt: skip
