"""Settings: the values that all runs of one comparison share, and the differences of a config from its preset."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from typing import Any

from lgt.core.config import LABELS, MEASURING, RunConfig
from lgt.recipes.groups import GROUPS
from lgt.recipes.presets import PRESETS, custom_config, group_config
from lgt.tasks import TASKS

IMPORTED = "imported"
"""The preset of a run that another program made. Of its config only tasks, lengths, arm and seed are known."""


@dataclass(frozen=True, order=True)
class Setting:
    """The values that all runs of one comparison share: everything except their model seeds and arms.

    ``group`` is the key of the task group; freely chosen tasks are listed with their training lengths
    (``reverse:4+capitalize:8``). ``changes`` lists the values that differ from the preset, such as
    ``training.steps=60``.
    """

    group: str
    preset: str
    position: str
    changes: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """A short name for addresses, such as ``caprev.demo`` or ``caprev.demo.nope``.

        Changes appear as the first six digits of their hash, so that the name is short and equal changes give equal
        names.
        """
        parts = [self.group, self.preset] + ([self.position] if self.position != "rope" else [])
        if self.changes:
            parts.append(hashlib.sha256("\n".join(self.changes).encode()).hexdigest()[:6])
        return ".".join(parts)


def setting_of(config: RunConfig) -> Setting:
    """The setting of a co-trained run."""
    position = config.model.position
    free = config.group not in GROUPS
    name = "+".join(f"{spec.task}:{spec.training_length}" for spec in config.tasks) if free else config.group
    if config.preset == IMPORTED:
        return Setting("+".join(f"{spec.task}:{spec.training_length}" for spec in config.tasks), IMPORTED, position)
    if config.preset not in PRESETS or config.main.task not in TASKS:
        of_all_seeds = replace(config, model_seed=0).hash()
        return Setting(name, config.preset, position, (f"unknown preset or task, config {of_all_seeds}",))
    if free:
        family = TASKS[config.main.task].family
        reference = custom_config(config.tasks, config.preset, family, position=position)
    else:
        reference = group_config(config.group, config.preset, position=position)
    return Setting(
        name, config.preset, position, tuple(c for c in changes_from(reference, config) if not _is_about_measuring(c))
    )


def is_imported(config: RunConfig) -> bool:
    """Whether another program made the run."""
    return config.preset == IMPORTED


def changes_from(reference: RunConfig, config: RunConfig) -> list[str]:
    """``path=value`` of each field of ``config`` that differs from ``reference``, except labels and the model seed."""
    return _differences(reference, config)


def has_control(config: RunConfig) -> bool:
    """Whether the main task is trained together with a control task, which is unrelated to it on purpose."""
    return any(spec.role == "control" for spec in config.auxiliaries)


def _is_about_measuring(change: str) -> bool:
    """Whether a change decides only when and in how much detail a run is measured."""
    return change.startswith(tuple(f"evaluation.{name}=" for name in MEASURING))


def _differences(reference: Any, config: Any, prefix: str = "") -> list[str]:
    """As :func:`changes_from`, of two dataclasses of one class."""
    found = []
    for name in (one.name for one in fields(config)):
        value, known = getattr(config, name), getattr(reference, name)
        if name in (*LABELS, "model_seed") or value == known:
            continue
        if is_dataclass(value):
            found += _differences(known, value, f"{prefix}{name}.")
        else:
            shown = [asdict(spec) for spec in value] if name == "tasks" else value
            found.append(f"{prefix}{name}={shown}")
    return found
