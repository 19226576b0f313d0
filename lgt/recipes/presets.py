"""Presets, which decide the model, training and measurements of a task group, and the configs of its runs.

``paper`` has the paper's sizes and lengths (arXiv 2506.09251, section 3). ``demo`` and ``small`` have shorter lengths
with the same ratio Lm : La of 1 : 2. ``long`` has the paper's lengths, except for mazes, with a network as small as
theirs. They are ours: about the cheapest settings at which a model learns the auxiliary task to its full length
(``benchmarks/RECIPES.md`` says what was tried, and for which group it failed).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from lgt.core.checks import ConfigError
from lgt.core.config import (
    MAXIMUM_LENGTH,
    Arm,
    EvaluationConfig,
    ModelConfig,
    Position,
    RunConfig,
    TaskOptions,
    TaskSpec,
    TrainingConfig,
    check_transfers,
)
from lgt.core.parts import kept_for
from lgt.core.transfer_length import transfer_length
from lgt.recipes.groups import GROUPS, TaskGroup, group_named
from lgt.tasks import check_run, task_named
from lgt.tasks import isolated as tasks_isolated

GROUP_KEY = re.compile(r"[a-z][a-z0-9-]{0,39}")
RESERVED_KEYS = ("custom", "own")
"""Keys that mean freely chosen tasks, so no group may have them."""


@dataclass(frozen=True)
class Recipe:
    """Model, training, evaluation and task options of one family of tasks in a preset."""

    model: ModelConfig
    training: TrainingConfig
    evaluation: EvaluationConfig
    options: TaskOptions


@dataclass(frozen=True)
class Overrides:
    """Settings of one group that replace those of its family's recipe; ``None`` keeps the recipe's setting."""

    steps: int | None = None
    layers: int | None = None
    learning_rate: float | None = None


@dataclass(frozen=True)
class Preset:
    """A named scale. ``lengths`` maps a group's key to (Lm, La); ``recipes`` maps a family to its recipe.

    ``overrides`` maps a group's key to the settings that replace its family's recipe.
    """

    name: str
    summary: str
    lengths: dict[str, tuple[int, int]]
    recipes: Mapping[str, Recipe]
    overrides: dict[str, Overrides] = field(default_factory=dict)

    def recipe(self, group: TaskGroup) -> Recipe:
        """The recipe of ``group``: its family's recipe with the group's overrides."""
        recipe, own = self.recipes[group.family], self.overrides.get(group.key, Overrides())
        model = replace(recipe.model, layers=own.layers or recipe.model.layers)
        training = replace(
            recipe.training,
            steps=own.steps or recipe.training.steps,
            learning_rate=own.learning_rate or recipe.training.learning_rate,
        )
        return replace(recipe, model=model, training=training)


_TWO_LAYERS = ModelConfig(layers=2, heads=4, width=64, hidden=176, rope_theta=1000.0, qk_norm=True)
_THREE_LAYERS = replace(_TWO_LAYERS, layers=3)
_FOUR_LAYERS = replace(_TWO_LAYERS, layers=4)
_PAPER_MODEL = ModelConfig(layers=6, heads=6, width=384, hidden=1024, rope_theta=10000.0, qk_norm=False)

# Two layers learn strings fast. With three layers, twice the learning rate learns the auxiliaries' full length sooner.
_STRINGS = TrainingConfig(steps=1000)
_THREE_LAYER_TRAINING = TrainingConfig(steps=2000, learning_rate=0.04)
_PAPER_TRAINING = TrainingConfig(
    steps=20000, batch_size=1024, optimizer="adamw", learning_rate=1e-3, embedding_learning_rate=1e-3,
    weight_decay=0.1, warmup_fraction=0.05, decay_fraction=0.2, precision="bfloat16", pool=4,
    compiled=True,
)  # fmt: skip

_DEMO_MEASURES = EvaluationConfig(examples=256, progress_examples=64, snapshots=6, attribution_examples=64)
_SMALL_MEASURES = replace(_DEMO_MEASURES, snapshots=8)
_PAPER_MEASURES = EvaluationConfig(examples=1024, progress_examples=256, snapshots=20, attribution_examples=256)


def _scaled(longer: int, measures: EvaluationConfig) -> dict[str, Recipe]:
    """The recipes of a scaled preset: two layers for strings, else three. ``longer`` multiplies the steps."""
    models = {"strings": _TWO_LAYERS, "arithmetic": _THREE_LAYERS, "mazes": _THREE_LAYERS}
    recipes = {}
    for family, model in models.items():
        training = _STRINGS if family == "strings" else _THREE_LAYER_TRAINING
        training = replace(training, steps=longer * training.steps)
        recipes[family] = Recipe(model, training, measures, TaskOptions(grid=4))
    return recipes


# Longer sums need a fourth layer and half the learning rate (trials on seeds from 900 up).
_LONG_RECIPES = {
    "strings": Recipe(_TWO_LAYERS, TrainingConfig(steps=2000), _SMALL_MEASURES, TaskOptions()),
    "arithmetic": Recipe(_FOUR_LAYERS, TrainingConfig(steps=8000), _SMALL_MEASURES, TaskOptions()),
    "mazes": Recipe(_FOUR_LAYERS, TrainingConfig(steps=4000), _SMALL_MEASURES, TaskOptions(grid=8)),
}
_PAPER_RECIPE = Recipe(_PAPER_MODEL, _PAPER_TRAINING, _PAPER_MEASURES, TaskOptions(grid=8))

_SCALED_LENGTHS = {
    "add-carry": (6, 12), "add-subtract": (6, 12), "add-multiply": (4, 8), "control-add": (6, 12),
    "copy-mqar": (8, 16), "caprev": (8, 16), "control-copy": (8, 16), "dfs-path": (6, 12), "path-dfs": (6, 12),
}  # fmt: skip

PRESETS: dict[str, Preset] = {
    "demo": Preset(
        "demo",
        "twenty seconds to three minutes on two CPU cores",
        dict(_SCALED_LENGTHS),
        _scaled(1, _DEMO_MEASURES),
        {
            "copy-mqar": Overrides(steps=3000),
            "control-copy": Overrides(steps=3000),
            "add-multiply": Overrides(steps=3000, layers=4, learning_rate=0.02),
            "add-subtract": Overrides(steps=5000, layers=4, learning_rate=0.02),
            "dfs-path": Overrides(steps=4000, layers=4),
        },
    ),
    "small": Preset(
        "small",
        "twice the steps of demo and 1.5 times its string lengths: one to about ten minutes on one CPU core",
        _SCALED_LENGTHS | {key: (12, 24) for key in ("copy-mqar", "caprev", "control-copy")},
        _scaled(2, _SMALL_MEASURES),
        {
            "copy-mqar": Overrides(steps=6000),
            "control-copy": Overrides(steps=6000),
            "add-multiply": Overrides(steps=6000, layers=4, learning_rate=0.02),
            "add-subtract": Overrides(steps=10_000, layers=4, learning_rate=0.02),
            "dfs-path": Overrides(steps=8000, layers=6, learning_rate=0.02),
        },
    ),
    "long": Preset(
        "long",
        "the paper's lengths (mazes: half of them) with a small network: two to twenty minutes on one CPU core",
        {key: (group.main_length, group.auxiliary_length) for key, group in GROUPS.items()}
        | {"dfs-path": (16, 32), "path-dfs": (16, 32)},
        _LONG_RECIPES,
        {
            "copy-mqar": Overrides(steps=4000),
            "control-copy": Overrides(steps=4000),
            "add-subtract": Overrides(steps=10_000),
        },
    ),
    "paper": Preset(
        "paper",
        "the paper's model and lengths; needs a GPU, not run yet",
        {key: (group.main_length, group.auxiliary_length) for key, group in GROUPS.items()},
        {family: _PAPER_RECIPE for family in ("strings", "arithmetic", "mazes")},
    ),
}
OF_THE_PAPER = ("long", "paper")
"""The presets whose lengths are usually the paper's; the mazes of ``long`` are half as large."""


def preset_named(name: str) -> Preset:
    """The preset with this name. Raises ConfigError, which lists the known presets, for an unknown name."""
    if name not in PRESETS:
        raise ConfigError("preset", name, "one of " + ", ".join(PRESETS))
    return PRESETS[name]


def register_group(
    group: TaskGroup, lengths: Mapping[str, tuple[int, int]], overrides: Mapping[str, Overrides] | None = None
) -> TaskGroup:
    """Add a task group, with (Lm, La) for each preset by its name; returns it.

    ``lengths`` may omit ``long`` and ``paper``, which then get the lengths in ``group``. ``overrides`` maps preset
    names to settings that replace those of the preset. Raises ConfigError for a key that is already used or malformed,
    unknown or repeated tasks, tasks of another family, missing presets, and lengths that a run cannot have. Then
    nothing is added.
    """
    _check_group(group)
    pairs = dict.fromkeys(OF_THE_PAPER, (group.main_length, group.auxiliary_length)) | dict(lengths)
    for names, field_name in ((pairs, "lengths"), (overrides or {}, "overrides")):
        if not set(names) <= set(PRESETS) or (names is pairs and set(pairs) != set(PRESETS)):
            raise ConfigError(f"{group.key}.{field_name}", sorted(names), "the presets " + ", ".join(PRESETS))
    with _undone_after_error():
        GROUPS[group.key] = group
        for name, preset in PRESETS.items():
            preset.lengths[group.key] = pairs[name]
            if overrides and name in overrides:
                preset.overrides[group.key] = overrides[name]
            config = group_config(group.key, name)
            check_transfers(config)
            check_run(config)
    return group


def _check_group(group: TaskGroup) -> None:
    if not GROUP_KEY.fullmatch(group.key) or group.key in (*GROUPS, *RESERVED_KEYS):
        raise ConfigError("group", group.key, "a new key of small letters, digits and hyphens, a letter first")
    if not group.title:
        raise ConfigError(f"{group.key}.title", group.title, "a text")
    names = (group.main, *group.auxiliaries)
    if not group.auxiliaries or len(set(names)) != len(names):
        raise ConfigError(
            f"{group.key}.auxiliaries", group.auxiliaries, "one or more tasks, each once, other than the main task"
        )
    for name in names:
        if task_named(name).family != group.family:
            raise ConfigError(f"{group.key}.family", group.family, f"{task_named(name).family}, the family of {name}")


@contextmanager
def isolated() -> Iterator[None]:
    """Groups and tasks that are registered inside the block are removed when the block ends. For tests."""
    before = _registered()
    try:
        with tasks_isolated():
            yield
    finally:
        _restore(before)


@contextmanager
def _undone_after_error() -> Iterator[None]:
    before = _registered()
    try:
        yield
    except ConfigError:
        _restore(before)
        raise


def _registered() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Every dictionary that registering a group changes, with a copy of it."""
    tables: list[dict[str, Any]] = [GROUPS]
    for preset in PRESETS.values():
        tables += [preset.lengths, preset.overrides]
    return [(table, dict(table)) for table in tables]


def _restore(before: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    for table, copy in before:
        table.clear()
        table.update(copy)


def group_config(
    group_key: str, preset_name: str, *, arm: Arm = "co-trained", position: Position = "rope", seed: int = 0
) -> RunConfig:
    """The config of one run of a task group with a preset.

    ``arm``: ``co-trained`` trains the main task and the auxiliaries together. ``alone-same-steps`` trains the main task
    alone for the same number of optimizer steps. ``alone-same-examples`` trains it alone until it has seen the same
    number of main-task examples. Both baselines are matched to the co-trained run (our decision). ``seed`` is
    the model seed; the order of the data is the same for all seeds, as in the paper. Raises ConfigError for an unknown
    group or preset.
    """
    group, preset = group_named(group_key), preset_named(preset_name)
    main_length, auxiliary_length = preset.lengths[group_key]
    tasks = [TaskSpec(group.main, "main", main_length)]
    tasks += [
        TaskSpec(name, "control" if group.control else "auxiliary", auxiliary_length) for name in group.auxiliaries
    ]
    config = _config(tasks, group.key, preset, preset.recipe(group), position, seed)
    return baseline(config, arm)


def custom_config(
    tasks: Sequence[TaskSpec], preset_name: str, family: str, *, position: Position = "rope", seed: int = 0
) -> RunConfig:
    """A run of freely chosen ``tasks``, with the preset's recipe for ``family`` (the family of the main task).

    An auxiliary may have a shorter training length than the main task: the grid of training lengths has such cells.
    """
    preset = preset_named(preset_name)
    return _config(list(tasks), "custom", preset, preset.recipes[family], position, seed)


def _config(
    tasks: list[TaskSpec], group: str, preset: Preset, recipe: Recipe, position: Position, seed: int
) -> RunConfig:
    longest = max(spec.training_length for spec in tasks)
    main_length = next(spec.training_length for spec in tasks if spec.role == "main")
    return RunConfig(
        tasks=tuple(tasks),
        group=group,
        arm="co-trained" if len(tasks) > 1 else "alone-same-steps",
        preset=preset.name,
        transfer_length=transfer_length(main_length, (spec.training_length for spec in tasks if spec.role != "main")),
        options=recipe.options,
        model=replace(recipe.model, position=position),
        training=recipe.training,
        evaluation=replace(recipe.evaluation, maximum_length=min(longest + longest // 4, MAXIMUM_LENGTH)),
        model_seed=seed,
    )


def baseline(config: RunConfig, arm: Arm) -> RunConfig:
    """The run of ``arm`` that is matched to the co-trained run ``config``; ``config`` itself for ``co-trained``.

    The main task may use the same heads and channels in both (``model.parts``).
    """
    if arm == "co-trained":
        return config
    steps = config.training.steps
    if arm == "alone-same-examples":
        steps = max(1, round(steps / len(config.tasks)))
    model = replace(config.model, parts=kept_for(config.model.parts, (config.main,)))
    return replace(config, tasks=(config.main,), arm=arm, model=model, training=replace(config.training, steps=steps))
