"""Configs: round trips, hashes, and errors that name the field."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import get_args

import pytest

from lgt.core.added_fields import BEFORE, added, stored
from lgt.core.checks import ConfigError
from lgt.core.config import Arm, RunConfig, TaskSpec, check_transfers, with_setting
from lgt.core.seeding import generator, stream_seed
from lgt.experiments.registry import EXPERIMENTS
from lgt.experiments.seeds import parse_seeds
from lgt.model import schedules
from lgt.recipes.commands import train_command
from lgt.recipes.groups import GROUPS
from lgt.recipes.presets import PRESETS, baseline, group_config
from lgt.recipes.settings import changes_from, setting_of
from lgt.tasks import TASKS, check_run
from lgt.tasks.base import Task
from tests.conftest import ROOT
from tests.networks import BACK
from tests.packed import config_text

STORES = sorted((ROOT / "tests" / "stores").glob("*.db"))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("group", GROUPS)
def test_every_group_has_a_valid_run_in_every_preset_and_keeps_the_ratio(group, preset):
    for arm in get_args(Arm):
        config = group_config(group, preset, arm=arm)
        check_run(config)
        assert RunConfig.from_json(config.canonical_json()) == config
        assert config.transfer_length == 2 * config.main.training_length
        assert {spec.training_length for spec in config.auxiliaries} <= {config.transfer_length}
        assert bool(config.auxiliaries) == (arm == "co-trained")


def test_a_group_may_have_settings_of_its_own_within_a_preset():
    family, own = group_config("add-carry", "demo"), group_config("add-subtract", "demo")
    assert (family.model.layers, family.training.learning_rate, family.training.steps) == (3, 0.04, 2000)
    assert (own.model.layers, own.training.learning_rate, own.training.steps) == (4, 0.02, 5000)
    same = replace(own.training, learning_rate=family.training.learning_rate, steps=family.training.steps)
    assert same == family.training and replace(own.model, layers=3) == family.model, "nothing else differs"
    assert group_config("add-subtract", "small").training.steps == 10_000


def test_paper_preset_has_the_papers_lengths_and_size():
    for key, group in GROUPS.items():
        config = group_config(key, "paper")
        assert (config.main.training_length, config.transfer_length) == (group.main_length, group.auxiliary_length)
        assert (config.model.layers, config.model.heads, config.model.width) == (6, 6, 384)
        assert not config.model.qk_norm and config.evaluation.examples == 1024


def test_baselines_are_matched():
    together = group_config("add-carry", "small")
    steps, examples = (baseline(together, arm) for arm in ("alone-same-steps", "alone-same-examples"))
    assert steps.training == together.training
    assert examples.training.steps == round(together.training.steps / 3)
    for alone in (steps, examples):
        assert (alone.model, alone.evaluation, alone.options) == (together.model, together.evaluation, together.options)
        assert alone.tasks == (together.main,)


def test_the_hash_ignores_labels_and_nothing_else():
    config = group_config("add-carry", "small", arm="alone-same-steps")
    other = group_config("control-add", "small", arm="alone-same-steps")
    assert config != other and config.hash() == other.hash()
    for changed in (
        replace(config, model_seed=1), replace(config, data_seed=1), replace(config, transfer_length=13),
        with_setting(config, "training.learning_rate", "0.03"), with_setting(config, "model.qk_norm", "false"),
        with_setting(config, "evaluation.seed", "1"), with_setting(config, "options.operands", "equal"),
    ):  # fmt: skip
        assert changed.hash() != config.hash()


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("training.steps", "0", "training.steps: 0 is not accepted; accepted: a whole number from 1 to 1,000,000"),
        ("training.steps", "many", "training.steps: 'many' is not accepted; accepted: a whole number"),
        ("training.learning_rate", "nan", "training.learning_rate: nan is not accepted"),
        ("training.learning_rate", "-1", "training.learning_rate: -1.0 is not accepted"),
        ("training.optimizer", "sgd", "accepted: one of adamw, muon"),
        ("model.width", "65", "model.width: 65 is not accepted; accepted: a multiple of 8"),
        ("model.qk_norm", "perhaps", "accepted: true or false"),
        ("model.position", "t5", "accepted: one of rope, nope, alibi, fire"),
        ("training.decay_fraction", "0.99", "at most 1 together with training.warmup_fraction"),
        ("seed", "1", "--set: 'seed' is not accepted; accepted: one of options.operands"),
    ],
)
def test_a_refused_setting_names_field_value_and_what_is_accepted(path, text, message):
    with pytest.raises(ConfigError) as caught:
        with_setting(group_config("caprev", "demo"), path, text)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_tasks_must_fit_together():
    main = TaskSpec("reverse_add", "main", 8)
    for tasks in [(), (main, main), (main, TaskSpec("no_carry", "main", 9))]:
        with pytest.raises(ConfigError):
            RunConfig(tasks=tasks)
    with pytest.raises(ConfigError, match=r"no_carry\.training_length: 8 .* more than 8"):
        check_transfers(RunConfig(tasks=(main, TaskSpec("no_carry", "auxiliary", 8))))
    check_transfers(RunConfig(tasks=(main, TaskSpec("no_carry", "auxiliary", 9))))
    with pytest.raises(ConfigError, match=r"mqar\.training_length: 53"):
        check_run(RunConfig(tasks=(TaskSpec("mqar", "main", 53),)))


def test_a_randomly_changed_config_is_refused_by_field_or_valid():
    """Each value of a valid config is replaced. The result is an error that names the field, or a config that
    round-trips."""
    rng = random.Random(0)
    odd = [None, "", "x" * 500, -1, 0, 1e9, float("inf"), float("nan"), True, [], {}, "🦑", "'; DROP TABLE runs;--"]
    refused = 0
    for _ in range(1500):
        plain = json.loads(group_config("caprev", "demo").canonical_json())
        node = plain
        key = rng.choice(list(node))
        if isinstance(node[key], dict) and rng.random() < 0.8:
            node = node[key]
            key = rng.choice(list(node))
        if rng.random() < 0.1:
            node["surprise"] = 1
        node[key] = rng.choice(odd)
        try:
            config = RunConfig.from_dict(plain)
        except ConfigError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 600
        else:
            assert RunConfig.from_json(config.canonical_json()) == config
    assert refused > 1000


def test_streams_of_different_names_differ_and_names_are_separated():
    seeds = {stream_seed(0, *names) for names in [("a", "b"), ("ab",), ("a", 1), ("a", "1"), ("b", "a"), ()]}
    assert len(seeds) == 6
    assert generator(1, "x").integers(1 << 60) == generator(1, "x").integers(1 << 60)


def test_first_results_makes_each_distinct_run_once_seeds_outermost():
    runs = EXPERIMENTS["first-results"].runs([0, 1])
    assert len({config.hash() for config in runs}) == len(runs) == 16
    assert [config.model_seed for config in runs] == [0] * 8 + [1] * 8
    wanted = group_config("control-add", "small", arm="alone-same-steps").hash()
    assert wanted in {config.hash() for config in runs}


@pytest.mark.parametrize("text", ["", "a", "3-1", "-2", "1-", "0-99999", "1.5", "9" * 40])
def test_odd_seed_lists_are_refused(text):
    with pytest.raises(ConfigError, match="--seeds"):
        parse_seeds(text)


def test_groups_name_registered_tasks_of_their_family():
    for group in GROUPS.values():
        members: list[Task] = [TASKS[name] for name in (group.main, *group.auxiliaries)]
        assert {task.family for task in members} == {group.family}


def stored_runs(path: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'configs'").fetchone() is None:
            return connection.execute("SELECT config, config_hash FROM runs").fetchall()
        connection.row_factory = sqlite3.Row
        runs = connection.execute("SELECT * FROM runs JOIN configs ON configs.key = runs.config_key").fetchall()
        return [(config_text(run["config"], run), run["config_hash"]) for run in runs]
    finally:
        connection.close()


@pytest.mark.parametrize(("path", "least"), [("results.db", 468), *((f"tests/stores/{p.name}", 1) for p in STORES)])
def test_every_stored_run_has_the_hash_and_the_text_that_it_was_stored_with(path, least):
    runs = stored_runs(ROOT / path)
    assert len(runs) >= least
    for text, digest in runs:
        config = RunConfig.from_json(text)
        assert (config.hash(), config.canonical_json()) == (digest, text)
        plain = {k: v for k, v in json.loads(text).items() if k not in ("group", "arm", "preset")}
        by_hand = json.dumps(plain, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(by_hand.encode()).hexdigest()[:16] == digest


def test_plain_values_have_every_field_and_make_the_config_again():
    config = group_config("caprev", "demo", seed=3)
    plain = config.as_dict()
    assert set(plain) == {one.name for one in fields(RunConfig)} and json.loads(json.dumps(plain)) == plain
    assert plain["tasks"][0] == {"task": "capitalize_reverse", "role": "main", "training_length": 8}
    assert RunConfig.from_dict(plain) == config and len(plain["tasks"]) == 3


def test_the_result_hash_ignores_what_is_only_measured_and_nothing_else():
    config = group_config("caprev", "demo")
    for path in ("progress_examples", "snapshots", "attribution_snapshots", "attribution_examples",
                 "attribution_lengths"):  # fmt: skip
        changed = with_setting(config, f"evaluation.{path}", "7")
        assert changed.result_hash() == config.result_hash() and changed.hash() != config.hash()
    assert replace(config, group="custom", preset="x").result_hash() == config.result_hash()
    for path, text in (("evaluation.examples", "7"), ("evaluation.maximum_length", "17"), ("evaluation.seed", "7"),
                       ("training.steps", "7"), ("model.layers", "1"), ("options.operands", "equal")):  # fmt: skip
        assert with_setting(config, path, text).result_hash() != config.result_hash(), path
    assert replace(config, model_seed=1).result_hash() != config.result_hash()


@dataclass(frozen=True)
class Before:
    layers: int = 3


@dataclass(frozen=True)
class After:
    layers: int = 3
    loops: int = added(1)
    parts: tuple[Before, ...] = ()


def test_an_added_field_is_stored_only_if_it_differs_from_its_default():
    assert stored(After()) == {"layers": 3, "parts": []} and stored(Before()) == {"layers": 3}
    assert stored(After(loops=2, parts=(Before(4),))) == {"layers": 3, "loops": 2, "parts": [{"layers": 4}]}


def test_an_added_field_has_its_default_and_remembers_it():
    @dataclass(frozen=True)
    class Shape:
        depth: int = added(4)

    assert Shape() == Shape(4) and [one.metadata[BEFORE] for one in fields(Shape)] == [4]
    assert stored(Shape()) == {} and stored(Shape(5)) == {"depth": 5}


def test_the_default_of_an_added_field_describes_earlier_runs():
    names = ("options", "model", "training", "evaluation")
    sections = [RunConfig, *(type(getattr(group_config("caprev", "demo"), name)) for name in names)]
    found = [field for section in sections for field in fields(section) if BEFORE in field.metadata]
    assert [field.name for field in found] == [
        "auxiliary_answers",
        "schedule",
        "parts",
        "kv_heads",
        "tied",
        "frozen",
        "start",
        "start_sha256",
        "start_shuffled",
        "own_order",
        "interchange_examples",
        "further_lengths",
        "measured_steps",
    ]
    assert all(field.default == field.metadata[BEFORE] for field in found)


def test_shared_keys_and_a_tied_unembedding_are_settings_wherever_settings_are_read_or_written():
    usual = group_config("caprev", "demo")
    assert "kv_heads" not in usual.canonical_json() and "tied" not in usual.canonical_json()
    assert with_setting(with_setting(usual, "model.kv_heads", "0"), "model.tied", "false") == usual
    found = with_setting(with_setting(usual, "model.kv_heads", "2"), "model.tied", "true")
    assert RunConfig.from_json(found.canonical_json()) == found != usual and found.hash() != usual.hash()
    assert setting_of(found).changes == ("model.kv_heads=2", "model.tied=True")
    command = str(train_command(found))
    assert "--set model.kv_heads=2 --set model.tied=True" in command and "kv_heads" not in str(train_command(usual))
    for path, text, accepted in (("model.kv_heads", "two", "a whole number"), ("model.tied", "1", "true or false")):
        with pytest.raises(ConfigError, match=rf"{path}: '{text}' is not accepted; accepted: {accepted}$"):
            with_setting(usual, path, text)


def test_by_default_there_are_as_many_key_heads_as_heads_also_if_their_number_changes():
    usual, grouped = group_config("caprev", "demo"), with_setting(group_config("caprev", "demo"), "model.kv_heads", "2")
    for heads in (2, 4, 8):
        model = with_setting(usual, "model.heads", str(heads)).model
        assert (model.key_value_heads, model.key_value_width, model.queries_per_key) == (heads, model.width, 1)
    model = with_setting(grouped, "model.heads", "8").model
    assert (model.key_value_heads, model.key_value_width, model.queries_per_key) == (2, 16, 4)


def test_a_schedule_is_a_setting_of_its_own_wherever_settings_are_read_or_written():
    usual = group_config("caprev", "demo")
    assert "schedule" not in usual.canonical_json() and usual.as_dict()["model"]["schedule"] == "once"
    assert with_setting(usual, "model.schedule", "once") == usual
    with pytest.raises(ConfigError, match=r"model\.schedule: 'back' is not accepted; accepted: one of once, twice"):
        with_setting(usual, "model.schedule", "back")
    with schedules.registered(BACK):
        looped = with_setting(usual, "model.schedule", "back")
        assert RunConfig.from_json(looped.canonical_json()) == looped != usual
        assert looped.hash() != usual.hash() and looped.result_hash() != usual.result_hash()
        assert changes_from(usual, looped) == ["model.schedule=back"]
        assert setting_of(looped).changes == ("model.schedule=back",)
        assert "--set model.schedule=back" in str(train_command(looped)) and "schedule" not in str(train_command(usual))
