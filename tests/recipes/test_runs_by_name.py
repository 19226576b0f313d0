"""Presets, baselines, labels, commands and limits: the run that a name stands for, and the name of a run."""

from __future__ import annotations

import os
from dataclasses import replace

import pandas as pd
import pytest

from lgt.core import bounds
from lgt.core.checks import ConfigError
from lgt.core.config import MAXIMUM_LENGTH, TaskSpec, with_setting
from lgt.core.number_ranges import id_ranges
from lgt.recipes import builders, labels
from lgt.recipes.commands import reference_of, train_command
from lgt.recipes.groups import GROUPS, group_named
from lgt.recipes.limits import check_limits, read_only
from lgt.recipes.presets import PRESETS, baseline, custom_config, group_config, preset_named
from lgt.recipes.pretrained import PRETRAINED, copying
from lgt.recipes.settings import Setting, changes_from, setting_of
from lgt.tasks.vocabulary import VOCABULARY_SIZE

HASHES = {
    "demo": {
        "add-carry": "00157c4e4338",
        "add-subtract": "64657becb790",
        "add-multiply": "f0161f6643c0",
        "copy-mqar": "ebc188a00212",
        "caprev": "f850ba527cb2",
        "dfs-path": "3dfce15d148a",
        "path-dfs": "127442dcd5fd",
        "control-add": "6b5fdbdec6d8",
        "control-copy": "03354cbc8ddb",
    },
    "small": {
        "add-carry": "de6f7a8826e1",
        "add-subtract": "a3cf84b202e8",
        "add-multiply": "ae861770de7d",
        "copy-mqar": "542bc81d0d62",
        "caprev": "ce95d96b0a27",
        "dfs-path": "78808f5cc0f0",
        "path-dfs": "6256bc1604fe",
        "control-add": "b9ceb30fbecb",
        "control-copy": "71c97168b335",
    },
    "long": {
        "add-carry": "cef8f5e8c853",
        "add-subtract": "f79fd81711b6",
        "add-multiply": "f6f469000093",
        "copy-mqar": "c487886e526a",
        "caprev": "4117d336f90e",
        "dfs-path": "41e169fb15b7",
        "path-dfs": "ec4357c103d1",
        "control-add": "deef8eef63e2",
        "control-copy": "6833fe284974",
    },
    "paper": {
        "add-carry": "128052dd90a3",
        "add-subtract": "820a68c69c89",
        "add-multiply": "8bbc9a85e157",
        "copy-mqar": "b98f0a1afb9a",
        "caprev": "df03bcfb2af3",
        "dfs-path": "66d90ca13784",
        "path-dfs": "ab7896b89ebd",
        "control-add": "7a74915b2f6a",
        "control-copy": "62051577c577",
    },
}
"""The first digits of the config hash of every group in every preset. Another hash is another run: stored runs of the
old recipe would no longer count. Change a line only when a recipe is changed on purpose."""


@pytest.mark.parametrize("preset", HASHES)
def test_the_hash_of_every_named_run_is_unchanged(preset: str) -> None:
    assert {group: group_config(group, preset).hash()[:12] for group in HASHES[preset]} == HASHES[preset]


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ConfigError, match=r"^preset: 'huge' is not accepted; accepted: one of demo, small, long, paper"
    ):
        preset_named("huge")
    with pytest.raises(ConfigError, match=r"^group: 'x' is not accepted; accepted: one of add-carry, add-subtract"):
        group_named("x")
    assert preset_named("demo") is PRESETS["demo"] and group_named("caprev") is GROUPS["caprev"]


@pytest.mark.parametrize(("group", "share"), [("caprev", 3), ("copy-mqar", 2), ("add-carry", 3)])
def test_a_baseline_has_the_same_steps_or_the_same_examples(group: str, share: int) -> None:
    together = group_config(group, "small", seed=7, position="nope")
    assert baseline(together, "co-trained") is together
    for arm, steps in (("alone-same-steps", together.training.steps),
                       ("alone-same-examples", round(together.training.steps / share))):  # fmt: skip
        alone = baseline(together, arm)  # type: ignore[arg-type]
        assert alone == group_config(group, "small", arm=arm, seed=7, position="nope")  # type: ignore[arg-type]
        assert (alone.arm, alone.training.steps, alone.tasks) == (arm, steps, (together.main,))
        assert alone.transfer_length == together.transfer_length and alone.model_seed == 7
    one_step = with_setting(together, "training.steps", "1")
    assert baseline(one_step, "alone-same-examples").training.steps == 1


def test_freely_chosen_tasks_have_the_recipe_of_their_family() -> None:
    specs = (TaskSpec("reverse", "main", 5), TaskSpec("mqar", "auxiliary", 9))
    config = custom_config(specs, "demo", "strings", position="nope", seed=3)
    assert (config.tasks, config.group, config.arm, config.preset) == (specs, "custom", "co-trained", "demo")
    assert (config.transfer_length, config.model.position, config.model_seed) == (9, "nope", 3)
    assert config.evaluation.maximum_length == 11, "a quarter beyond the longest"
    assert config.training == group_config("caprev", "demo").training
    alone = custom_config(specs[:1], "demo", "strings")
    assert (alone.arm, alone.transfer_length, alone.evaluation.maximum_length) == ("alone-same-steps", None, 6)
    shorter = custom_config((TaskSpec("reverse", "main", 5), TaskSpec("mqar", "auxiliary", 5)), "demo", "strings")
    assert shorter.transfer_length is None and shorter.arm == "co-trained"
    longest = custom_config((TaskSpec("reverse", "main", MAXIMUM_LENGTH),), "demo", "strings")
    assert longest.evaluation.maximum_length == MAXIMUM_LENGTH


def test_the_auxiliary_of_a_control_group_has_the_role_control() -> None:
    assert [spec.role for spec in group_config("control-add", "demo").tasks] == ["main", "control"]
    assert [spec.role for spec in group_config("caprev", "demo").tasks] == ["main", "auxiliary", "auxiliary"]


# --- settings and commands


def test_a_setting_has_everything_but_the_seed_and_the_measuring() -> None:
    config = group_config("caprev", "demo", seed=8)
    assert setting_of(config) == Setting("caprev", "demo", "rope")
    changed = with_setting(with_setting(config, "training.steps", "60"), "evaluation.snapshots", "9")
    assert setting_of(changed) == Setting("caprev", "demo", "rope", ("training.steps=60",))
    assert changes_from(config, changed) == ["training.steps=60", "evaluation.snapshots=9"]
    assert changes_from(config, replace(config, model_seed=99, group="custom", arm="alone-same-steps")) == []
    own = custom_config((TaskSpec("reverse", "main", 4), TaskSpec("mqar", "auxiliary", 8)), "small", "strings",
                        position="nope")  # fmt: skip
    assert setting_of(own) == Setting("reverse:4+mqar:8", "small", "nope")
    unknown = setting_of(replace(config, preset="gone"))
    assert unknown.changes == (f"unknown preset or task, config {replace(config, preset='gone', model_seed=0).hash()}",)
    assert unknown == setting_of(replace(config, preset="gone", model_seed=9)), "seeds of one setting stand together"
    assert unknown.preset == "gone" and setting_of(replace(changed, model_seed=3)) == setting_of(changed)


LGT = ".venv/bin/python -m lgt train "


def test_a_command_names_what_differs_from_the_preset() -> None:
    baseline_run = group_config("caprev", "demo", arm="alone-same-examples", position="nope", seed=4)
    assert train_command(baseline_run) == LGT + (
        "--group caprev --preset demo --position nope --main-only --same-examples --seed 4"
    )
    assert train_command(group_config("caprev", "small", arm="alone-same-steps")) == LGT + (
        "--group caprev --preset small --main-only --seed 0"
    )
    changed = with_setting(group_config("add-multiply", "demo"), "training.steps", "77")
    assert train_command(changed) == LGT + "--group add-multiply --preset demo --set training.steps=77 --seed 0"
    own = custom_config((TaskSpec("reverse", "main", 4), TaskSpec("mqar", "auxiliary", 8)), "demo", "strings", seed=2)
    assert train_command(own) == LGT + "--main reverse:4 --aux mqar:8 --preset demo --seed 2"


def test_a_run_that_no_single_command_makes_has_no_command() -> None:
    config = group_config("caprev", "demo")
    assert train_command(replace(config, data_seed=5)) is None
    assert (
        train_command(replace(config, preset="gone")) is None and reference_of(replace(config, preset="gone")) is None
    )
    own = custom_config((TaskSpec("reverse", "main", 4), TaskSpec("mqar", "auxiliary", 8)), "demo", "strings")
    assert train_command(baseline(own, "alone-same-steps")) is None, "it does not tell what it stood beside"
    assert reference_of(group_config("caprev", "demo", seed=3, arm="alone-same-steps")) == group_config(
        "caprev", "demo", seed=3, arm="alone-same-steps"
    )


# --- labels


def test_consecutive_numbers_are_joined_to_a_range() -> None:
    assert id_ranges([]) == "" and id_ranges([5]) == "5"
    assert id_ranges([9, 1, 3, 2, 2, 11, 10, 7]) == "1–3, 7, 9–11"


def test_labels_tell_arms_lengths_and_positions() -> None:
    together = group_config("caprev", "demo", seed=3)
    assert labels.run_label(together) == "caprev 8<-16 co-trained, seed 3"
    assert labels.run_label(baseline(together, "alone-same-examples")) == (
        "caprev 8<-16 alone, same main-task examples, seed 3"
    )
    short = custom_config((TaskSpec("reverse", "main", 9), TaskSpec("mqar", "auxiliary", 4)), "demo", "strings")
    short_tasks = builders.short_auxiliaries("caprev", "long")(3)
    assert labels.run_label(short_tasks) == "capitalize_reverse 16 beside 16, measured to 32 co-trained, seed 3"
    parted = with_setting(together, "model.parts", "main:0-1+auxiliary:2-3")
    assert labels.run_label(parted) == "caprev 8<-16 co-trained, main:0-1+auxiliary:2-3, seed 3"
    assert labels.run_label(short) == "reverse 9 beside 4 co-trained, seed 0"
    alone = replace(custom_config((TaskSpec("reverse", "main", 9),), "demo", "strings"), arm="co-trained")
    assert labels.run_label(alone) == "reverse 9 alone, seed 0"
    assert labels.config_title(group_config("copy-mqar", "demo", position="nope", seed=1)) == (
        "Copying, helped by associative recall (8 ← 16), co-trained, no positions, seed 1"
    )
    assert labels.head_name(0, 3) == "L1·H4" and labels.task_title("not a task") == "not a task"


def test_a_pair_has_its_groups_title_or_its_tasks() -> None:
    of_group = labels.tasks_title("caprev", "capitalize_reverse", "capitalize+reverse", 8, 16)
    assert of_group == "Flip case and reverse, helped by each alone (8 ← 16)"
    assert labels.tasks_title("caprev", "capitalize_reverse", None, 8, 16) == "Flip case and reverse (8 ← 16)", (
        "a run without auxiliaries is not named after those of the group"
    )
    assert labels.tasks_title("custom", "string_copy", "reverse+mqar", 8, 16) == (
        "Copy beside Associative recall and Reverse (8 ← 16)"
    )
    assert labels.tasks_title("custom", "string_copy", None, 8, pd.NA) == "Copy (8)"
    row = pd.Series({
        "task_group": "custom", "main_task": "string_copy", "auxiliaries": None, "main_length": 8,
        "transfer_length": pd.NA, "arm": "alone-same-steps", "position": "nope", "model_seed": 6,
    })  # fmt: skip
    assert labels.row_title(row) == "Copy (8), alone, same steps, no positions, seed 6"


def test_provenance_names_runs_devices_and_code_once() -> None:
    runs = pd.DataFrame({
        "id": [4, 3, 9], "device": ["b", None, "a"], "code_version": ["2", "1", "2"], "finished_at": [0.0, 2e8, 1e8],
    })  # fmt: skip
    said = "Runs 3–4, 9, the newest finished on 03 May 1976, on a; b; code version 1, 2."
    assert labels.provenance(runs) == said


# --- series of figures


def test_the_series_of_a_figure_are_runs_of_the_seed() -> None:
    arms = builders.three_arms("caprev", "demo", prefix="x ")
    assert [series.label for series in arms] == [
        "x together", "x alone, same steps", "x alone, same main-task examples",
    ]  # fmt: skip
    for series, make in arms.items():
        assert make(6) == group_config("caprev", "demo", arm=series.arm, seed=6)
    fast = builders.changed(builders.three_arms("caprev", "demo"), "training.steps=90", "model.layers=3")
    together = with_setting(with_setting(group_config("caprev", "demo", seed=2), "training.steps", "90"),
                            "model.layers", "3")  # fmt: skip
    assert [series.arm for series in fast] == ["co-trained", "alone-same-steps", "alone-same-examples"]
    for series, make in fast.items():
        assert make(2) == baseline(together, series.arm)
    one = builders.one_auxiliary("caprev", "demo", "reverse")(5)
    assert [(s.task, s.role, s.training_length) for s in one.tasks] == [
        ("capitalize_reverse", "main", 8), ("reverse", "auxiliary", 16),
    ]  # fmt: skip
    assert one.model_seed == 5 and one.training.steps == group_config("caprev", "demo").training.steps


def test_positions_are_compared_with_and_without_auxiliary() -> None:
    series = builders.positions("caprev", "demo", "training.steps=90")
    found = {one.label: make(1) for one, make in series.items()}
    assert {name: (c.model.position, c.arm, c.training.steps, c.model_seed) for name, c in found.items()} == {
        "rope": ("rope", "co-trained", 90, 1), "nope": ("nope", "co-trained", 90, 1),
        "rope, alone": ("rope", "alone-same-steps", 90, 1), "nope, alone": ("nope", "alone-same-steps", 90, 1),
    }  # fmt: skip


def test_a_densely_measured_run_ends_with_the_same_numbers() -> None:
    dense, usual = builders.densely_measured("caprev", "demo")(4), group_config("caprev", "demo", seed=4)
    measures = dense.evaluation
    assert (measures.snapshots, measures.attribution_snapshots, measures.attribution_lengths) == (20, 20, 2)
    assert measures.progress_examples == 128 and dense.result_hash() == usual.result_hash() != dense.hash()


def test_the_grid_has_every_pair_of_lengths_with_equal_steps() -> None:
    cells = builders.grid()
    assert len(cells) == 25 and {cell.lengths for cell in cells} == {
        (main, other) for main in (2, 4, 8, 16, 32) for other in (2, 4, 8, 16, 32)
    }
    for cell, make in cells.items():
        config, (main, other) = make(3), cell.lengths
        assert builders.cell(main, other) == cell and config.training.steps == 2000 and config.model_seed == 3
        assert [(s.task, s.role, s.training_length) for s in config.tasks] == [
            ("capitalize_reverse", "main", main), ("capitalize", "auxiliary", other), ("reverse", "auxiliary", other),
        ]  # fmt: skip


# --- limits


@pytest.mark.parametrize(
    ("path", "value", "limit"),
    [("measured_steps", "1,2,3", "SNAPSHOTS"), ("further_lengths", "24,40", "LENGTH")],
)
def test_lists_of_steps_and_lengths_have_the_limits_of_their_kind(path, value, limit, monkeypatch):
    config = with_setting(group_config("caprev", "demo"), f"evaluation.{path}", value)
    config = with_setting(config, "evaluation.snapshots", "2")
    check_limits(config)
    monkeypatch.setenv(f"LGT_MAX_{limit}", {"SNAPSHOTS": "2", "LENGTH": "39"}[limit])
    with pytest.raises(ConfigError, match=f"LGT_MAX_{limit}"):
        check_limits(config)


def test_a_network_of_the_size_of_smollm2_is_within_the_limits_and_the_variable_still_refuses_it(monkeypatch):
    config = copying(PRETRAINED)(900)
    check_limits(config)
    monkeypatch.setenv("LGT_MAX_PARAMETERS", "106289279")
    with pytest.raises(ConfigError, match=r"model: 106289280 .* at most 106,289,279 parameters"):
        check_limits(config)


def test_limits_are_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = {"steps": 100_000, "parameters": 150_000_000, "length": MAXIMUM_LENGTH, "batch": 8_192, "examples": 16_384,
             "snapshots": 100, "request": 1_000, "queue": 1_000, "workers": os.cpu_count() or 1, "stores": 16,
             "upload": 200}  # fmt: skip
    assert {bound.name: bound.most for bound in bounds.SETTABLE} == usual
    for place, bound in enumerate(bounds.SETTABLE, start=11):
        monkeypatch.setenv(bound.variable, str(place))
    assert [bound.most for bound in bounds.SETTABLE] == [11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21]
    assert bounds.STEPS.variable == "LGT_MAX_STEPS" and bounds.TASKS.variable == ""
    for text, most in ((str(2**31 - 1), 2**31 - 1), ("", 100_000), ("1", 1)):
        monkeypatch.setenv("LGT_MAX_STEPS", text)
        assert bounds.STEPS.most == most


def test_a_limit_without_a_variable_cannot_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for bound in set(bounds.BOUNDS) - set(bounds.SETTABLE):
        monkeypatch.setenv(f"LGT_MAX_{bound.name.upper()}", "3")
        assert bound.most == bound.default, bound.name


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5", str(2**31), " 5", "9" * 5000])
def test_a_limit_is_a_whole_number_above_zero(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("LGT_MAX_QUEUE", text)
    with pytest.raises(ConfigError, match=r"^LGT_MAX_QUEUE: .* is not accepted; accepted: a whole number above 0$"):
        _ = bounds.QUEUE.most


@pytest.mark.parametrize(("text", "locked"), [("", False), ("0", False), ("1", True), ("yes", True), ("00", True)])
def test_read_only_is_set_by_anything_but_zero(monkeypatch: pytest.MonkeyPatch, text: str, locked: bool) -> None:
    assert not read_only()
    monkeypatch.setenv("LGT_READ_ONLY", text)
    assert read_only() is locked


def test_a_config_at_its_limits_is_accepted_and_one_above_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    config = group_config("caprev", "demo")  # auxiliaries to 16, measured to 20
    sizes = {"steps": 1000, "parameters": config.model.parameters(VOCABULARY_SIZE), "length": 20,
             "batch": config.training.batch_size, "examples": 256, "snapshots": 6}  # fmt: skip
    of = {bound.name: bound.variable for bound in bounds.SETTABLE}
    for name, size in sizes.items():
        monkeypatch.setenv(of[name], str(size))
        check_limits(config)
    for name, size in sizes.items():
        monkeypatch.setenv(of[name], str(size - 1))
        unit = {"length": "", "batch": "examples "}.get(name, f"{name} ")
        said = f"accepted: at most {size - 1:,} {unit}(LGT_MAX_{name.upper()} sets this limit)"
        with pytest.raises(ConfigError) as caught:
            check_limits(config)
        assert str(caught.value).endswith(said)
        monkeypatch.setenv(of[name], str(size))
    trained = replace(config, evaluation=replace(config.evaluation, maximum_length=5))
    monkeypatch.setenv("LGT_MAX_LENGTH", "15")
    with pytest.raises(ConfigError, match="LGT_MAX_LENGTH"):
        check_limits(trained)
