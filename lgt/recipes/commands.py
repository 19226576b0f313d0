"""The command that makes a run."""

from __future__ import annotations

from lgt.core.config import RunConfig
from lgt.recipes.groups import GROUPS
from lgt.recipes.presets import PRESETS, custom_config, group_config
from lgt.recipes.settings import changes_from
from lgt.tasks import TASKS


def reference_of(config: RunConfig) -> RunConfig | None:
    """The run of this config's group, preset, side, position and seed as the preset has it; ``None`` without one."""
    if config.preset not in PRESETS or config.main.task not in TASKS:
        return None
    position, seed = config.model.position, config.model_seed
    if config.group in GROUPS:
        return group_config(config.group, config.preset, arm=config.arm, position=position, seed=seed)
    if not config.auxiliaries:
        return None  # a baseline of a free pair does not tell what it stood beside
    return custom_config(config.tasks, config.preset, TASKS[config.main.task].family, position=position, seed=seed)


def command(config: RunConfig) -> str | None:
    """The command that makes exactly this run, or ``None`` where no single command does."""
    reference = reference_of(config)
    if reference is None:
        return None
    changes = changes_from(reference, config)
    if any(not change.startswith(("options.", "model.", "training.", "evaluation.")) for change in changes):
        return None
    parts = [f"--group {config.group}"]
    if config.group not in GROUPS:
        flags = ["--main", *["--aux"] * len(config.auxiliaries)]
        specs = [config.main, *config.auxiliaries]
        parts = [f"{flag} {s.task}:{s.training_length}" for flag, s in zip(flags, specs, strict=True)]
    parts.append(f"--preset {config.preset}")
    parts += [f"--position {config.model.position}"] * (config.model.position != "rope")
    parts += {"co-trained": [], "alone-same-steps": ["--main-only"],
              "alone-same-examples": ["--main-only --same-examples"]}[config.arm]  # fmt: skip
    parts += [f"--set {change}" for change in changes]
    return f".venv/bin/python -m lgt train {' '.join(parts)} --seed {config.model_seed}"
