"""Command lines that pages and documents show: they make one run or the runs of an experiment.

Each part that comes from a run is one word for the shell, because readers copy these lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from lgt.core.checks import ConfigError
from lgt.core.config import MEASURING, Role, RunConfig, pair_of, with_settings
from lgt.core.plain_text import for_shell
from lgt.recipes.groups import GROUPS
from lgt.recipes.presets import PRESETS, baseline, custom_config, group_config
from lgt.recipes.settings import changes_from
from lgt.tasks import TASKS

PROGRAM = ".venv/bin/python -m lgt"
EXPERIMENT_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
"""The names that an experiment can have (:func:`lgt.experiments.registry.register`)."""
TASK_OPTIONS: dict[Role, str] = {"main": "--main", "auxiliary": "--aux", "control": "--control"}
"""The options of ``train`` for freely chosen tasks, by role."""


def reference_of(config: RunConfig) -> RunConfig | None:
    """The run with the group, preset, arm, position and seed of ``config`` and all other settings of the preset.

    ``None`` if the preset or the main task is unknown, or for a baseline of freely chosen tasks.
    """
    if config.preset not in PRESETS or config.main.task not in TASKS:
        return None
    position, seed = config.model.position, config.model_seed
    if config.group in GROUPS:
        return group_config(config.group, config.preset, arm=config.arm, position=position, seed=seed)
    if not config.auxiliaries:
        return None  # the config of such a baseline does not contain its auxiliary tasks
    return custom_config(config.tasks, config.preset, TASKS[config.main.task].family, position=position, seed=seed)


def train_command(config: RunConfig, co_trained: RunConfig | None = None) -> str | None:
    """The command that makes exactly the run ``config``; ``None`` if no single command makes it.

    ``co_trained``: the co-trained run of the baseline ``config``, if it is known. A baseline of freely chosen tasks has
    no command without it.
    """
    together = config if config.auxiliaries else co_trained or co_trained_reference(config)
    if together is None:
        return None
    together = replace(together, model_seed=config.model_seed)
    reference, source = reference_of(together), config
    if config.auxiliaries or co_trained:
        start, source = reference, together
    else:
        start = reference_of(config)
    if reference is None or start is None:
        return None
    changes = changes_from(start, source)
    if not _makes(reference, changes, config):
        return None
    words = [*_tasks_of(together), "--preset", config.preset]
    words += ["--position", config.model.position] * (config.model.position != "rope")
    words += {"co-trained": [], "alone-same-steps": ["--main-only"],
              "alone-same-examples": ["--main-only", "--same-examples"]}[config.arm]  # fmt: skip
    words += [word for change in changes for word in ("--set", change)]
    return f"{PROGRAM} train {' '.join(map(for_shell, words))} --seed {config.model_seed}"


def measured_as_usual(config: RunConfig) -> RunConfig:
    """``config`` with the measurements of its preset. They do not change the accuracies at the end of the run."""
    reference = reference_of(config)
    if reference is None:
        return config
    usual = {name: getattr(reference.evaluation, name) for name in MEASURING}
    return replace(config, evaluation=replace(config.evaluation, **usual))


def experiment_command(name: str, seeds: str = "") -> str:
    """The command that makes the missing runs of an experiment, of all its seeds or of ``seeds`` such as ``0-4``."""
    return f"{PROGRAM} experiment {for_shell(name)}" + f" --seeds {for_shell(seeds)}" * bool(seeds)


def stored_experiment_command(name: str | None) -> str | None:
    """:func:`experiment_command` for the name that a run has in its store; ``None`` if no experiment can have it."""
    return experiment_command(name) if name and EXPERIMENT_NAME.fullmatch(name) else None


def co_trained_reference(config: RunConfig) -> RunConfig | None:
    """The co-trained run of a baseline's group with the settings of its preset; ``None`` for freely chosen tasks."""
    if config.group not in GROUPS or config.preset not in PRESETS:
        return None
    return group_config(config.group, config.preset, position=config.model.position)


def _makes(reference: RunConfig, changes: Sequence[str], config: RunConfig) -> bool:
    """Whether ``train``, with ``changes`` as ``--set`` options, makes ``config`` from the co-trained ``reference``."""
    roles = [spec.role for spec in reference.auxiliaries]
    if reference.group not in GROUPS and roles != sorted(roles):
        return False  # `train` puts control tasks behind the auxiliary tasks
    try:
        reference = with_settings(reference, map(pair_of, changes))
    except ConfigError:
        return False
    return baseline(reference, config.arm).hash() == config.hash()


def _tasks_of(together: RunConfig) -> list[str]:
    """The options of ``train`` that name the tasks, as words."""
    if together.group in GROUPS:
        return ["--group", together.group]
    words = []
    for spec in (together.main, *together.auxiliaries):
        words += [TASK_OPTIONS[spec.role], f"{spec.task}:{spec.training_length}"]
    return words
