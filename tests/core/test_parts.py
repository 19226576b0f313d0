"""Partitions: what their texts mean, which texts are refused, and where they are kept in configs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lgt.core.checks import ConfigError
from lgt.core.config import ModelConfig, RunConfig, with_setting
from lgt.core.parts import Part, Partition, names_of, partition_of, parts_by_task
from lgt.recipes.commands import train_command
from lgt.recipes.presets import baseline, group_config
from lgt.recipes.settings import changes_from, setting_of

EIGHT = ModelConfig(layers=2, heads=8, width=64, hidden=176)
ALL, EVERY = (0, 7), (0, 175)


def of(text: str) -> Partition:
    return partition_of(replace(EIGHT, parts=text))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("main:0-3+auxiliary:4-7", [("main", (0, 3), EVERY), ("auxiliary", (4, 7), EVERY)]),
        ("main:0-3+auxiliary:0-3", [("main", (0, 3), EVERY), ("auxiliary", (0, 3), EVERY)]),
        ("main:all:0-87+auxiliary:all:88-175", [("main", ALL, (0, 87)), ("auxiliary", ALL, (88, 175))]),
        ("main:0-3+control:0-3+auxiliary:4-7", [("main", (0, 3), EVERY), ("control", (0, 3), EVERY),
                                                ("auxiliary", (4, 7), EVERY)]),
        ("auxiliary:2-6:5+carry:7:0-174+no_carry:0", [("auxiliary", (2, 6), (5, 5)), ("carry", (7, 7), (0, 174)),
                                                      ("no_carry", (0, 0), EVERY)]),
        ("", []),
    ],
)  # fmt: skip
def test_a_text_means_ranges_of_heads_and_channels(text, parts):
    assert of(text) == Partition(tuple(Part(*part) for part in parts))


def test_random_draws_fewer_heads_than_there_are():
    assert of("random-1").drawn == 1 and of("random-7") == Partition(drawn=7)
    for text in ("random-0", "random-8", "random-99"):
        with pytest.raises(ConfigError, match=r"model\.parts: .* accepted: random-K with K from 1 to 7"):
            of(text)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("auxiliary:4-7+main:0-3", "main:0-3+auxiliary:4-7"), ("auxiliary:4+control:4", "control:4+auxiliary:4"),
        ("main:0-7:1-2", "main:all:1-2"), ("main:0-3:all", "main:0-3"), ("main:0-3:0-175", "main:0-3"),
        ("main:all+auxiliary:4-7", "auxiliary:4-7"), ("main:all", ""), ("main:2-2", "main:2"),
        ("main:00-3", "main:0-3"), ("b:0+a:0", "a:0+b:0"), ("random-04", "random-4"),
    ],
)  # fmt: skip
def test_every_partition_has_one_spelling_which_the_error_names(text, same):
    with pytest.raises(ConfigError) as refused:
        of(text)
    assert str(refused.value) == f"model.parts: {text!r} is not accepted; accepted: {same!r}, which means the same"
    assert of(same) is not None


@pytest.mark.parametrize(
    ("text", "field", "accepted"),
    [
        ("main:0-8", "model.parts, heads of main", "all, or a range from 0 to 7"),
        ("main:3-0", "model.parts, heads of main", "all, or a range from 0 to 7"),
        ("main:some", "model.parts, heads of main", "all, or a range from 0 to 7"),
        ("main:0-3:88-176", "model.parts, channels of main", "all, or a range from 0 to 175"),
        ("main:" + "9" * 30, "model.parts, heads of main", "all, or a range from 0 to 7"),
        ("main:0+main:1", "model.parts", "one entry for main"),
    ],
)  # fmt: skip
def test_a_refused_text_says_what_is_accepted(text, field, accepted):
    with pytest.raises(ConfigError) as refused:
        of(text)
    assert str(refused.value).startswith(field + ": ") and accepted in refused.value.accepted


@pytest.mark.parametrize(
    "text",
    ["main", "main:", "main:0:1:2", "main:0-3+", "+main:0-3", "ma in:0", "main:0 ", "main:0\n", "\n", "Zürich:0",
     "random-", "random", "random-2+main:0", "main:²", "main:0~3", None, 3, ["main:0"]],
)  # fmt: skip
def test_what_is_no_partition_gives_one_line_with_the_grammar(text):
    with pytest.raises(ConfigError, match=r"model\.parts: .* accepted: WHO:HEADS or WHO:HEADS:CHANNELS") as refused:
        of(text)
    assert "\n" not in str(refused.value)


def run_of(group: str, parts: str) -> RunConfig:
    config = group_config(group, "demo")
    return replace(config, model=replace(config.model, parts=parts))


def test_entries_name_roles_and_tasks_that_share_a_role():
    caprev, control = group_config("caprev", "demo"), group_config("control-add", "demo")
    assert names_of(caprev.tasks) == ("main", "auxiliary", "capitalize", "reverse")
    assert names_of(control.tasks)[:2] == ("main", "control") and "auxiliary" not in names_of(control.tasks)
    for text in ("control:0", "capitalize_reverse:0", "reverse_add:0", "Main:0"):
        with pytest.raises(ConfigError, match=r"accepted: entries for main, auxiliary, capitalize, reverse$"):
            run_of("caprev", text)
    with pytest.raises(ConfigError, match="accepted: one entry for reverse: auxiliary names it too"):
        run_of("caprev", "auxiliary:0+reverse:1")


def test_the_tasks_of_a_role_have_its_part_and_others_have_none():
    of_role = parts_by_task(run_of("caprev", "main:0-1+auxiliary:2-3:0-87"))
    assert of_role == {
        "capitalize_reverse": Part("main", (0, 1), EVERY), "capitalize": Part("auxiliary", (2, 3), (0, 87)),
        "reverse": Part("auxiliary", (2, 3), (0, 87)),
    }  # fmt: skip
    assert parts_by_task(run_of("caprev", "reverse:2")) == {"reverse": Part("reverse", (2, 2), EVERY)}
    assert parts_by_task(run_of("caprev", "random-2")) == parts_by_task(run_of("caprev", "")) == {}


@pytest.mark.parametrize(
    ("parts", "alone"),
    [("main:0-1+auxiliary:2-3", "main:0-1"), ("auxiliary:2-3", ""), ("capitalize:0+reverse:1", ""),
     ("random-2", "random-2"), ("main:all:0-87+auxiliary:0", "main:all:0-87"), ("", "")],
)  # fmt: skip
def test_a_baseline_keeps_what_the_main_task_may_use(parts, alone):
    together = run_of("caprev", parts)
    for arm in ("alone-same-steps", "alone-same-examples"):
        found = baseline(together, arm)
        assert found.model == replace(together.model, parts=alone)
        assert RunConfig.from_json(found.canonical_json()) == found


def test_a_partition_is_a_setting_of_its_own_and_has_a_command():
    usual = group_config("caprev", "demo")
    assert "parts" not in usual.canonical_json() and usual.as_dict()["model"]["parts"] == ""
    changed = with_setting(usual, "model.parts", "main:0-1+auxiliary:2-3")
    assert RunConfig.from_json(changed.canonical_json()) == changed == run_of("caprev", "main:0-1+auxiliary:2-3")
    assert changed.hash() != usual.hash() and changed.result_hash() != usual.result_hash()
    assert changes_from(usual, changed) == ["model.parts=main:0-1+auxiliary:2-3"]
    assert setting_of(changed).changes == ("model.parts=main:0-1+auxiliary:2-3",)
    assert "--set model.parts=main:0-1+auxiliary:2-3" in str(train_command(changed))
    alone = baseline(changed, "alone-same-steps")
    assert "--main-only --set model.parts=main:0-1" in str(train_command(alone))
    assert train_command(alone, changed) == str(train_command(changed)).replace(" --set", " --main-only --set")
