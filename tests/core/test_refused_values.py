"""Every field of a config: its smallest and its greatest value, and the one line that refuses all others."""

from __future__ import annotations

import math
from typing import Any

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
from lgt.recipes.presets import group_config

TASKS = (TaskSpec("reverse", "main", 4), TaskSpec("mqar", "auxiliary", 8))
PLAIN: dict[str, tuple[Any, dict[str, Any]]] = {
    "": (RunConfig, {"tasks": TASKS}),
    "reverse": (TaskSpec, {"task": "reverse", "role": "main", "training_length": 4}),
    "options": (TaskOptions, {}),
    "model": (ModelConfig, {"width": 4096, "heads": 1}),
    "training": (TrainingConfig, {"warmup_fraction": 0.0, "decay_fraction": 0.0}),
    "evaluation": (EvaluationConfig, {}),
}
"""By section: its class, and values beside which each accepted value of another field is accepted too."""
SEED = 9_223_372_036_854_775_807
WHOLE_NUMBERS = [
    ("model_seed", 0, SEED),
    ("data_seed", 0, SEED),
    ("transfer_length", 1, 512),
    ("reverse.training_length", 1, 512),
    ("options.multiplier_digits", 1, 9),
    ("options.grid", 2, 8),
    ("model.layers", 1, 64),
    ("model.heads", 1, 64),
    ("model.width", 2, 4096),
    ("model.hidden", 2, 16_384),
    ("training.steps", 1, 1_000_000),
    ("training.batch_size", 1, 65_536),
    ("training.pool", 1, 64),
    ("evaluation.examples", 1, 100_000),
    ("evaluation.progress_examples", 1, 100_000),
    ("evaluation.maximum_length", 1, 512),
    ("evaluation.snapshots", 1, 1000),
    ("evaluation.attribution_snapshots", 0, 1000),
    ("evaluation.attribution_examples", 1, 100_000),
    ("evaluation.attribution_lengths", 1, 512),
    ("evaluation.seed", 0, SEED),
]
NUMBERS = [
    ("model.rope_theta", 1.0, 1e8, "1 to 1e+08"),
    ("training.learning_rate", 1e-8, 10.0, "1e-08 to 10"),
    ("training.embedding_learning_rate", 1e-8, 10.0, "1e-08 to 10"),
    ("training.weight_decay", 0.0, 10.0, "0 to 10"),
    ("training.warmup_fraction", 0.0, 1.0, "0 to 1"),
    ("training.decay_fraction", 0.0, 1.0, "0 to 1"),
    ("training.gradient_clip", 1e-6, 1e6, "1e-06 to 1e+06"),
]
CHOICES = [
    ("arm", "co-trained, alone-same-steps, alone-same-examples"),
    ("reverse.role", "main, auxiliary, control"),
    ("options.operands", "ragged, equal, mixed"),
    ("model.position", "rope, nope, alibi, fire"),
    ("model.schedule", "once, twice, three-times, six-times"),
    ("training.optimizer", "adamw, muon"),
    ("training.precision", "float32, bfloat16"),
]


def made(path: str, value: object) -> Any:
    """The section of ``path`` with ``value`` in its field."""
    section, _, name = path.rpartition(".")
    kind, plain = PLAIN[section]
    return kind(**plain | {name: value})


def refused(path: str, value: object) -> str:
    with pytest.raises(ConfigError) as caught:
        made(path, value)
    return str(caught.value)


@pytest.mark.parametrize(("path", "low", "high"), WHOLE_NUMBERS)
def test_a_whole_number_is_accepted_between_its_bounds_and_refused_outside(path: str, low: int, high: int) -> None:
    for value in (low, high):
        assert getattr(made(path, value), path.rpartition(".")[2]) == value
    for odd in (low - 1, high + 1, float(low), "3", True):
        assert (
            refused(path, odd) == f"{path}: {odd!r} is not accepted; accepted: a whole number from {low:,} to {high:,}"
        )


@pytest.mark.parametrize(("path", "low", "high", "shown"), NUMBERS)
def test_a_number_is_accepted_between_its_bounds_and_refused_outside(
    path: str, low: float, high: float, shown: str
) -> None:
    for value in (low, high):
        assert getattr(made(path, value), path.rpartition(".")[2]) == value
    for odd in (math.nextafter(low, -math.inf), math.nextafter(high, math.inf), math.nan, math.inf, "1", True, None):
        assert refused(path, odd) == f"{path}: {odd!r} is not accepted; accepted: a number from {shown}"


@pytest.mark.parametrize(
    ("path", "low", "high"), [("evaluation.further_lengths", 41, 512), ("evaluation.measured_steps", 0, 1_000_000)]
)
def test_a_list_of_numbers_rises_within_its_bounds_and_has_one_text(path: str, low: int, high: int) -> None:
    for text in ("", f"{low}", f"{low},{low + 1},{high}"):
        assert getattr(made(path, text), path.rpartition(".")[2]) == text
    odd = (f"{low - 1}", f"{high + 1}", f"{low + 1},{low}", f"{low},{low}", f"{low}, {high}", f"0{low + 1}", "x", ",",
           f"{low},", "+50", "9" * 30, "\u0665\u0665", low, None)  # fmt: skip
    for value in odd:
        said = refused(path, value)
        assert said.startswith(f"{path}: ") and said.endswith(f"rising whole numbers from {low:,} to {high:,} such as "
                                                              "20,24,32"), value  # fmt: skip


@pytest.mark.parametrize(("path", "names"), CHOICES)
def test_a_choice_is_one_of_its_names(path: str, names: str) -> None:
    for name in names.split(", "):
        assert getattr(made(path, name), path.rpartition(".")[2]) == name
    for odd in ("other", names.split(", ")[0].upper(), "", None):
        assert refused(path, odd) == f"{path}: {odd!r} is not accepted; accepted: one of {names}"


@pytest.mark.parametrize("path", ["model.qk_norm", "model.tied", "training.compiled"])
def test_a_flag_is_true_or_false(path: str) -> None:
    assert [getattr(made(path, flag), path.rpartition(".")[2]) for flag in (True, False)] == [True, False]
    assert refused(path, 1) == f"{path}: 1 is not accepted; accepted: true or false"


@pytest.mark.parametrize("name", ["group", "preset"])
def test_a_label_has_1_to_100_characters(name: str) -> None:
    for label in ("x", "x" * 100):
        assert getattr(made(name, label), name) == label
    for odd in ("", None, 5, ("x",), "x" * 101):
        shown = repr(odd) if odd != "x" * 101 else "'" + "x" * 76 + "..."
        assert refused(name, odd) == f"{name}: {shown} is not accepted; accepted: a name of 1 to 100 characters"


def test_the_name_of_a_task_is_a_text() -> None:
    for odd in ("", None, 3, ("reverse",)):
        with pytest.raises(ConfigError) as caught:
            TaskSpec(odd, "main", 4)  # type: ignore[arg-type]
        said = f"task: {odd!r} is not accepted; accepted: a task name (see `python -m lgt tasks`)"
        assert str(caught.value) == said


def test_warming_up_and_decaying_may_take_the_whole_training_and_not_more() -> None:
    assert TrainingConfig(warmup_fraction=0.25, decay_fraction=0.75).decay_fraction == 0.75
    with pytest.raises(ConfigError) as caught:
        TrainingConfig(warmup_fraction=0.5, decay_fraction=0.75)
    assert str(caught.value) == (
        "training.decay_fraction: 0.75 is not accepted; accepted: at most 1 together with training.warmup_fraction"
    )


def test_the_width_is_an_even_number_of_channels_for_each_head() -> None:
    assert ModelConfig(heads=3, width=12).head_width == 4
    with pytest.raises(ConfigError) as caught:
        ModelConfig(heads=3, width=9)
    assert str(caught.value) == "model.width: 9 is not accepted; accepted: a multiple of 6 (2 x model.heads)"


@pytest.mark.parametrize(("heads", "accepted"), [(6, (0, 1, 2, 3)), (7, (0, 1)), (1, (0,))])
def test_the_number_of_key_heads_divides_the_number_of_heads(heads: int, accepted: tuple[int, ...]) -> None:
    shape = {"heads": heads, "width": 2 * heads}
    for value in range(65):
        if value in accepted:
            assert ModelConfig(**shape, kv_heads=value).key_value_heads == (value or heads)  # type: ignore[arg-type]
            continue
        with pytest.raises(ConfigError) as caught:
            ModelConfig(**shape, kv_heads=value)  # type: ignore[arg-type]
        said = ", ".join(map(str, accepted))
        assert str(caught.value) == (
            f"model.kv_heads: {value} is not accepted; accepted: one of {said}: a smaller divisor of model.heads, or 0 "
            "for as many as model.heads"
        )
    for odd in (-1, 65, 1.0, "1", True, None):
        with pytest.raises(ConfigError, match=r"model\.kv_heads: .* accepted: a whole number from 0 to 64$"):
            ModelConfig(**shape, kv_heads=odd)  # type: ignore[arg-type]


MAIN = {"task": "reverse", "role": "main", "training_length": 4}


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({}, "tasks: [] is not accepted; accepted: exactly one task with role main"),
        (
            {"tasks": [MAIN, MAIN]},
            "tasks: ['reverse', 'reverse'] is not accepted; accepted: exactly one task with role main",
        ),
        (
            {"tasks": [MAIN, MAIN | {"role": "auxiliary"}]},
            "tasks: ['reverse', 'reverse'] is not accepted; accepted: each task at most once",
        ),
        ({"tasks": "reverse"}, "tasks: 'reverse' is not accepted; accepted: a list of tasks"),
        ({"tasks": ["reverse"]}, "tasks: 'reverse' is not accepted; accepted: an object"),
        (
            {"tasks": [{"task": "reverse"}]},
            "tasks: {'task': 'reverse'} is not accepted; accepted: an object with every required field",
        ),
        (
            {"tasks": [MAIN | {"size": 1}]},
            "tasks.size: 1 is not accepted; accepted: one of the fields role, task, training_length",
        ),
        ({"tasks": [MAIN], "model": 3}, "model: 3 is not accepted; accepted: an object"),
        (
            {"tasks": [MAIN], "options": {"size": 7}},
            "options.size: 7 is not accepted; accepted: one of the fields auxiliary_answers, grid, multiplier_digits, "
            "operands",
        ),
        (
            {"tasks": [MAIN], "size": 7},
            "size: 7 is not accepted; accepted: one of the fields arm, data_seed, evaluation, group, model, "
            "model_seed, options, preset, tasks, training, transfer_length",
        ),
    ],
)
def test_a_config_that_cannot_be_read_names_the_place(plain: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RunConfig.from_dict(plain)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["{", "[1]", "null", "3"])
def test_a_text_that_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RunConfig.from_json(text)
    assert str(caught.value) == f"config: {text!r} is not accepted; accepted: a JSON object"


@pytest.mark.parametrize(
    ("path", "text", "accepted"),
    [
        ("model.qk_norm", "perhaps", "true or false"),
        ("training.learning_rate", "many", "a number"),
        ("training.steps", "1.5", "a whole number"),
    ],
)
def test_a_text_that_is_no_value_of_the_fields_type_is_refused(path: str, text: str, accepted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_setting(group_config("caprev", "demo"), path, text)
    assert str(caught.value) == f"{path}: {text!r} is not accepted; accepted: {accepted}"


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("model.qk_norm", "true", True), ("model.qk_norm", "False", False), ("model.qk_norm", "TRUE", True),
        ("training.steps", "60", 60), ("training.learning_rate", "3", 3.0), ("options.operands", "mixed", "mixed"),
    ],
)  # fmt: skip
def test_a_setting_has_the_value_of_its_text(path: str, text: str, value: object) -> None:
    section, name = path.split(".")
    config = with_setting(group_config("caprev", "demo"), path, text)
    found = getattr(getattr(config, section), name)
    assert found == value and type(found) is type(value)


def test_an_unknown_setting_is_answered_with_all_that_can_be_set() -> None:
    config = group_config("caprev", "demo")
    with pytest.raises(ConfigError) as caught:
        with_setting(config, "training.pace", "1")
    start = "--set: 'training.pace' is not accepted; accepted: one of options.operands, options.multiplier_digits, "
    assert str(caught.value).startswith(start)
    listed = str(caught.value).split("one of ")[1].split(", ")
    plain = config.as_dict()
    assert listed == [f"{s}.{name}" for s in ("options", "model", "training", "evaluation") for name in plain[s]]
