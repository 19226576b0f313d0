"""Titles, commands and refusals of the recipes, each written out as a user reads it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from lgt.core.checks import ConfigError
from lgt.core.config import (
    EvaluationConfig,
    ModelConfig,
    RunConfig,
    TaskOptions,
    TaskSpec,
    TrainingConfig,
    with_setting,
)
from lgt.recipes import builders, labels, presets
from lgt.recipes.commands import experiment_command, measured_as_usual, reference_of, train_command
from lgt.recipes.groups import GROUPS, TaskGroup
from lgt.recipes.limits import check_limits
from lgt.recipes.presets import PRESETS, Overrides, baseline, custom_config, group_config, isolated, register_group
from lgt.recipes.settings import IMPORTED, Setting, changes_from, has_control, is_imported, setting_of

REVERSE, RECALL = TaskSpec("reverse", "main", 4), TaskSpec("mqar", "auxiliary", 8)


# --- presets and groups


def test_a_scaled_preset_has_two_layers_for_strings_and_three_for_the_rest() -> None:
    measures = EvaluationConfig(examples=7)
    for longer in (1, 2):
        recipes = presets._scaled(longer, measures)
        assert list(recipes) == ["strings", "arithmetic", "mazes"]
        for family, recipe in recipes.items():
            strings = family == "strings"
            assert recipe.model == ModelConfig(
                layers=2 if strings else 3, heads=4, width=64, hidden=176, rope_theta=1000.0, qk_norm=True
            )
            assert recipe.training == TrainingConfig(
                steps=(1000 if strings else 2000) * longer, learning_rate=0.02 if strings else 0.04
            )
            assert recipe.evaluation == measures and recipe.options == TaskOptions(grid=4)


GROUP = TaskGroup("copy-reverse", "Copying beside reversing", "strings", "string_copy", 16, ("reverse",), 32)
LENGTHS = {"demo": (5, 9), "small": (6, 11)}
KEY = "a new key of small letters, digits and hyphens, a letter first"
EACH_ONCE = "one or more tasks, each once, other than the main task"


@pytest.mark.parametrize(
    ("group", "lengths", "overrides", "message"),
    [
        (replace(GROUP, key="caprev"), LENGTHS, None, f"group: 'caprev' is not accepted; accepted: {KEY}"),
        (replace(GROUP, key="own"), LENGTHS, None, f"group: 'own' is not accepted; accepted: {KEY}"),
        (replace(GROUP, key="1a"), LENGTHS, None, f"group: '1a' is not accepted; accepted: {KEY}"),
        (replace(GROUP, title=""), LENGTHS, None, "copy-reverse.title: '' is not accepted; accepted: a text"),
        (
            replace(GROUP, auxiliaries=()),
            LENGTHS,
            None,
            f"copy-reverse.auxiliaries: () is not accepted; accepted: {EACH_ONCE}",
        ),
        (
            replace(GROUP, auxiliaries=("string_copy",)),
            LENGTHS,
            None,
            f"copy-reverse.auxiliaries: ('string_copy',) is not accepted; accepted: {EACH_ONCE}",
        ),
        (
            replace(GROUP, auxiliaries=("reverse", "no_carry")),
            LENGTHS,
            None,
            "copy-reverse.family: 'strings' is not accepted; accepted: arithmetic, the family of no_carry",
        ),
        (
            GROUP,
            {"demo": (5, 9)},
            None,
            "copy-reverse.lengths: ['demo', 'long', 'paper'] is not accepted; accepted: the presets demo, small, long, "
            "paper",
        ),
        (
            GROUP,
            {**LENGTHS, "huge": (5, 9)},
            None,
            "copy-reverse.lengths: ['demo', 'huge', 'long', 'paper', 'small'] is not accepted; accepted: the presets "
            "demo, small, long, paper",
        ),
        (
            GROUP,
            LENGTHS,
            {"huge": Overrides(steps=5)},
            "copy-reverse.overrides: ['huge'] is not accepted; accepted: the presets demo, small, long, paper",
        ),
        (
            GROUP,
            {**LENGTHS, "small": (9, 9)},
            {"demo": Overrides(steps=5)},
            "reverse.training_length: 9 is not accepted; accepted: more than 9, the main task's training length "
            "(Lm < La)",
        ),
    ],
)
def test_a_group_that_cannot_be_trained_is_refused_and_nothing_is_added(group, lengths, overrides, message) -> None:  # type: ignore[no-untyped-def]
    before = (dict(GROUPS), {name: (dict(one.lengths), dict(one.overrides)) for name, one in PRESETS.items()})
    with isolated():
        with pytest.raises(ConfigError) as caught:
            register_group(group, lengths, overrides)
        assert str(caught.value) == message
        assert before == (GROUPS, {name: (one.lengths, one.overrides) for name, one in PRESETS.items()})


def test_a_new_group_has_its_lengths_and_its_settings_in_its_presets_only() -> None:
    own = {"demo": Overrides(steps=5, layers=1), "paper": Overrides(learning_rate=0.5)}
    with isolated():
        assert register_group(GROUP, {**LENGTHS, "paper": (3, 5)}, own) is GROUP
        found = {name: group_config("copy-reverse", name) for name in PRESETS}
        assert {name: (c.main.training_length, c.transfer_length) for name, c in found.items()} == {
            "demo": (5, 9), "small": (6, 11), "long": (16, 32), "paper": (3, 5),
        }  # fmt: skip
        assert [(c.training.steps, c.model.layers, c.training.learning_rate) for c in found.values()] == [
            (5, 1, 0.02), (2000, 2, 0.02), (2000, 2, 0.02), (20_000, 6, 0.5),
        ]  # fmt: skip
        assert all("copy-reverse" in one.lengths for one in PRESETS.values())
        assert "copy-reverse" not in PRESETS["small"].overrides
    assert "copy-reverse" not in GROUPS and all("copy-reverse" not in one.lengths for one in PRESETS.values())
    with isolated():
        register_group(GROUP, LENGTHS)
        assert group_config("copy-reverse", "paper").transfer_length == 32


# --- settings


def test_a_comparison_with_a_control_is_known_by_its_role() -> None:
    assert has_control(group_config("control-add", "demo")) and not has_control(group_config("add-carry", "demo"))
    assert not has_control(group_config("control-add", "demo", arm="alone-same-steps"))


def test_the_setting_of_an_unknown_preset_or_task_names_its_config() -> None:
    config = replace(group_config("caprev", "demo", position="nope"), preset="gone")
    said = f"unknown preset or task, config {config.hash()}"
    assert setting_of(config) == Setting("caprev", "gone", "nope", (said,))
    unknown = replace(custom_config((REVERSE, RECALL), "demo", "strings"), tasks=(TaskSpec("sort", "main", 4), RECALL))
    assert setting_of(unknown) == Setting(
        "sort:4+mqar:8", "demo", "rope", (f"unknown preset or task, config {unknown.hash()}",)
    )


def test_a_run_of_another_program_is_known_by_its_preset() -> None:
    config = group_config("caprev", "demo")
    assert is_imported(replace(config, preset=IMPORTED)) and not is_imported(config)


def test_the_setting_of_a_run_without_positions_has_no_other_change() -> None:
    assert setting_of(group_config("caprev", "demo", position="nope")) == Setting("caprev", "demo", "nope")
    free = custom_config((REVERSE, RECALL), "demo", "strings", position="nope")
    assert setting_of(free) == Setting("reverse:4+mqar:8", "demo", "nope")
    assert Setting("caprev", "demo", "nope").key == "caprev.demo.nope"


def differences(reference: dict[str, Any], plain: dict[str, Any], prefix: str = "") -> list[str]:
    """What :func:`changes_from` should give, from plain dictionaries of all values."""
    found = []
    for name, value in plain.items():
        if name in ("group", "arm", "preset", "model_seed"):
            continue
        known = reference.get(name)
        if isinstance(value, dict) and isinstance(known, dict):
            found += differences(known, value, f"{prefix}{name}.")
        elif value != known:
            found.append(f"{prefix}{name}={value}")
    return found


def test_changes_are_those_of_the_plain_values() -> None:
    known = [group_config(group, preset) for group in GROUPS for preset in PRESETS]
    known += [replace(known[0], model_seed=3), replace(known[0], data_seed=4, transfer_length=7)]
    known += [replace(known[1], training=replace(known[1].training, steps=7), tasks=known[1].tasks[:1])]
    for reference, config in itertools.product(known[:6] + known[-3:], known):
        assert changes_from(reference, config) == differences(reference.as_dict(), config.as_dict())


# --- commands


def test_a_baseline_of_free_tasks_has_the_command_of_its_co_trained_run() -> None:
    together = with_setting(
        custom_config((REVERSE, RECALL), "demo", "strings", position="nope"), "training.steps", "80"
    )
    start = ".venv/bin/python -m lgt train --main reverse:4 --aux mqar:8 --preset demo --position nope "
    alone = replace(baseline(together, "alone-same-examples"), model_seed=3)
    assert train_command(alone, together) == start + "--main-only --same-examples --set training.steps=80 --seed 3"
    assert train_command(replace(together, model_seed=3)) == start + "--set training.steps=80 --seed 3"
    assert reference_of(together) == custom_config((REVERSE, RECALL), "demo", "strings", position="nope")


def test_the_command_of_a_changed_baseline_changes_the_co_trained_run() -> None:
    together = with_setting(group_config("caprev", "demo"), "training.steps", "90")
    alone = baseline(together, "alone-same-examples")  # 30 steps
    start = ".venv/bin/python -m lgt train --group caprev --preset demo --main-only --same-examples "
    assert train_command(alone, together) == start + "--set training.steps=90 --seed 0"
    steps = baseline(together, "alone-same-steps")
    said = ".venv/bin/python -m lgt train --group caprev --preset demo --main-only --set training.steps=90 --seed 0"
    assert train_command(steps) == said == train_command(steps, together)


def test_a_control_among_free_tasks_is_named_as_one() -> None:
    specs = (REVERSE, replace(RECALL, role="control"))
    command = train_command(custom_config(specs, "demo", "strings"))
    assert command is not None and "--main reverse:4 --control mqar:8 --preset demo" in command
    assert train_command(group_config("control-copy", "demo")) is not None


def test_a_baseline_of_an_unknown_preset_or_task_has_no_command() -> None:
    alone = group_config("caprev", "demo", arm="alone-same-steps")
    assert train_command(replace(alone, preset="gone")) is None
    together = replace(group_config("caprev", "demo"), preset="gone")
    assert train_command(replace(alone, preset="gone"), together) is None is train_command(together)
    assert reference_of(baseline(custom_config((REVERSE, RECALL), "demo", "strings"), "alone-same-steps")) is None


def test_measured_as_usual_changes_the_measuring_only() -> None:
    usual = group_config("caprev", "demo", seed=2)
    often = builders.densely_measured("caprev", "demo")(2)
    more = with_setting(with_setting(often, "evaluation.examples", "9"), "training.steps", "5")
    assert measured_as_usual(often) == usual
    assert changes_from(usual, measured_as_usual(more)) == ["training.steps=5", "evaluation.examples=9"]
    unknown = replace(often, preset="gone")
    assert measured_as_usual(unknown) == unknown


def test_the_command_of_an_experiment_may_name_seeds() -> None:
    assert experiment_command("grid") == ".venv/bin/python -m lgt experiment grid"
    assert experiment_command("grid", "0-4") == ".venv/bin/python -m lgt experiment grid --seeds 0-4"


# --- titles


def test_the_heads_of_a_list_are_in_order() -> None:
    assert labels.head_names([(2, 0), (0, 1), (0, 0)]) == "L1·H1, L1·H2, L3·H1" and labels.head_names([]) == ""


def test_a_setting_has_a_title_with_lengths_and_changes() -> None:
    config = with_setting(group_config("caprev", "demo", position="nope"), "training.steps", "60")
    said = "Flip case and reverse, helped by each alone (8 ← 16, preset demo, no positions, training.steps=60)"
    assert labels.setting_title(setting_of(config), config) == said
    free = custom_config((REVERSE, RECALL), "small", "strings")
    assert labels.setting_title(setting_of(free), free) == "Reverse beside Associative recall (4 ← 8, preset small)"


def test_a_setting_of_several_tasks_and_changes_lists_them_all() -> None:
    copy = TaskSpec("string_copy", "auxiliary", 8)
    free = custom_config((REVERSE, RECALL, copy), "small", "strings")
    changed = with_setting(with_setting(free, "training.steps", "60"), "model.layers", "1")
    assert labels.setting_title(setting_of(changed), changed) == (
        "Reverse beside Associative recall and Copy (4 ← 8, preset small, model.layers=1, training.steps=60)"
    )


def test_runs_of_several_stores_are_listed_by_store() -> None:
    runs = pd.DataFrame({
        "id": [1, 2, 1_000_004, 1_000_005, 1_000_007], "number": [1, 2, 4, 5, 7], "device": "cpu", "code_version": "1",
        "finished_at": 0.0, "store": ["results", "results", "mine", "mine", "mine"],
    })  # fmt: skip
    end = ", the newest finished on 01 January 1970, on cpu; code version 1."
    assert labels.provenance(runs) == "Runs 1–2 (results); 4–5, 7 (mine)" + end
    assert labels.provenance(runs[2:]) == "Runs 4–5, 7" + end, "of one store"
    assert labels.provenance(runs[2:].drop(columns=["store", "number"])) == "Runs 1000004–1000005, 1000007" + end


def test_a_series_has_a_title_with_tasks_and_arm() -> None:
    config = group_config("caprev", "demo")
    start = "Flip case and reverse + Flip case + Reverse · demo · "
    assert labels.series_title(setting_of(config), config, "co-trained") == start + "co-trained"
    assert labels.series_title(setting_of(config), config, "alone-same-steps") == (
        "Flip case and reverse · demo · alone, same steps (compared with Flip case + Reverse)"
    )
    free = with_setting(custom_config((REVERSE, RECALL), "small", "strings", position="nope"), "training.steps", "60")
    assert labels.series_title(setting_of(free), free, "alone-same-examples") == (
        "Reverse · 4 ← 8 · small · no positions · training.steps=60 · "
        "alone, same main-task examples (compared with Associative recall)"
    )


def test_a_config_and_its_row_in_a_table_have_one_title() -> None:
    free = custom_config((REVERSE, RECALL, TaskSpec("string_copy", "auxiliary", 8)), "demo", "strings", seed=2)
    said = "Reverse beside Associative recall and Copy (4 ← 8), co-trained, seed 2"
    row = {
        "task_group": "custom", "main_task": "reverse", "auxiliaries": "mqar+string_copy", "main_length": 4,
        "transfer_length": 8, "arm": "co-trained", "position": "rope", "model_seed": 2,
    }  # fmt: skip
    assert labels.config_title(free) == said == labels.row_title(pd.Series(row))
    assert labels.row_title(pd.Series(row | {"task_group": "caprev"})) == (
        "Flip case and reverse, helped by each alone (4 ← 8), co-trained, seed 2"
    )
    assert labels.row_title(pd.Series(row | {"arm": "other"})) == said.replace("co-trained", "other")
    alone = custom_config((REVERSE,), "demo", "strings")
    assert labels.config_title(alone) == "Reverse (4), alone, same steps, seed 0"


def test_a_run_without_positions_says_so_in_its_label() -> None:
    run = group_config("caprev", "demo", position="nope", seed=1)
    assert labels.run_label(run) == "caprev 8<-16 co-trained, no positions, seed 1"


@pytest.mark.parametrize("hour", [0, 23])
def test_the_day_of_the_newest_run_is_that_of_universal_time(hour: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Etc/GMT-3" if hour == 23 else "Etc/GMT+3")
    time.tzset()
    try:
        runs = pd.DataFrame(
            {"id": [1], "device": ["cpu"], "code_version": ["1"], "finished_at": [86400 + 3600.0 * hour]}
        )
        assert ", the newest finished on 02 January 1970, on cpu; " in labels.provenance(runs)
    finally:
        monkeypatch.undo()
        time.tzset()


# --- series


def test_series_have_labels_and_usual_arms() -> None:
    assert str(builders.with_one_auxiliary("reverse")) == "reverse only"
    assert builders.with_one_auxiliary("reverse").arm == "co-trained"
    assert str(builders.cell(4, 8)) == "4 beside 8" and builders.cell(4, 8).lengths == (4, 8)
    assert builders.of_position("nope") == builders.Series("nope", "co-trained", "nope")
    assert builders.of_position("nope", "alone-same-steps").label == "nope, alone"
    assert builders.of_group("caprev", "demo")(3) == group_config("caprev", "demo", seed=3)


# --- limits


@pytest.mark.parametrize(
    ("name", "limit", "message"),
    [
        (
            "steps",
            999,
            "training.steps: 1000 is not accepted; accepted: at most 999 steps (LGT_MAX_STEPS sets this limit)",
        ),
        ("length", 19, "length: 20 is not accepted; accepted: at most 19 (LGT_MAX_LENGTH sets this limit)"),
    ],
)
def test_a_run_above_a_limit_is_refused_with_its_size(
    monkeypatch: pytest.MonkeyPatch, name: str, limit: int, message: str
) -> None:
    monkeypatch.setenv(f"LGT_MAX_{name.upper()}", str(limit))
    with pytest.raises(ConfigError) as caught:
        check_limits(group_config("caprev", "demo"))
    assert str(caught.value) == message


def test_a_network_above_the_limit_is_refused_with_its_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGT_MAX_PARAMETERS", "1000")
    with pytest.raises(ConfigError) as caught:
        check_limits(group_config("caprev", "demo"))
    # two tables of 149 tokens and 64 channels; per layer 4 squares, 3 x 64 x 176 weights, 2 x 64 and 2 x 4 gains
    count = 2 * 149 * 64 + 2 * (4 * 64**2 + 3 * 64 * 176 + 2 * 64 + 2 * 4) + 64
    said = f"model: {count} is not accepted; accepted: at most 1,000 parameters (LGT_MAX_PARAMETERS sets this limit)"
    assert str(caught.value) == said


def test_a_limit_that_is_no_number_is_refused_with_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGT_MAX_STEPS", "many")
    with pytest.raises(ConfigError, match=r"^LGT_MAX_STEPS: 'many' is not accepted; accepted: a whole number above 0$"):
        check_limits(group_config("caprev", "demo"))


def test_no_task_is_longer_than_its_limit_in_a_run_without_auxiliary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGT_MAX_LENGTH", "5")
    check_limits(RunConfig(tasks=(TaskSpec("reverse", "main", 5),), evaluation=EvaluationConfig(maximum_length=5)))
