"""Short names for people. A label never identifies a run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from lgt.core.choices import POSITIONS
from lgt.core.config import Arm, RunConfig
from lgt.recipes.groups import GROUPS
from lgt.tasks import TASKS

ARM_TITLES: dict[Arm, str] = {
    "co-trained": "with auxiliary",
    "alone-same-steps": "alone, same steps",
    "alone-same-examples": "alone, same main-task examples",
}


def id_ranges(ids: Iterable[int]) -> str:
    """Numbers in words, neighbours as a range.

    >>> id_ranges([3, 1, 2, 7, 9, 10])
    '1–3, 7, 9–10'
    """
    ranges: list[list[int]] = []
    for number in sorted(set(ids)):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(f"{first}" if first == last else f"{first}–{last}" for first, last in ranges)


def head_name(layer: int, head: int) -> str:
    """A head's name as charts and tables have it, counted from 1.

    >>> head_name(1, 0)
    'L2·H1'
    """
    return f"L{layer + 1}·H{head + 1}"


def run_label(config: RunConfig) -> str:
    """Such as ``caprev 8<-16 with auxiliary, seed 0``.

    >>> from lgt.recipes.presets import group_config
    >>> run_label(group_config("caprev", "demo", arm="alone-same-steps"))
    'caprev 8<-16 alone, same steps, seed 0'
    >>> run_label(group_config("caprev", "demo", position="nope"))
    'caprev 8<-16 with auxiliary, no positions, seed 0'
    """
    name = config.group if config.group != "custom" else config.main.task
    lengths = str(config.main.training_length)
    if config.transfer_length:
        lengths += f"<-{config.transfer_length}"
    elif config.auxiliaries:
        lengths += f" beside {max(spec.training_length for spec in config.auxiliaries)}"
    arm = ARM_TITLES[config.arm] if config.auxiliaries or config.arm != "co-trained" else "alone"
    return f"{name} {lengths} {arm}{position_words(config.model.position)}, seed {config.model_seed}"


def position_words(position: str) -> str:
    """What a run's name says of its positional encoding: nothing for rotary positions, which nearly all runs have."""
    note = POSITIONS.note(position)
    return f", {note}" if note else ""


def pair_title(group: str, main: str, auxiliaries: Any, main_length: Any, transfer_length: Any) -> str:
    """A run's pair in words with its lengths, such as ``Copy beside Reverse (8 ← 16)``."""
    lengths = f"{main_length}" if pd.isna(transfer_length) else f"{main_length} ← {transfer_length}"
    if group in GROUPS:
        return f"{GROUPS[group].title} ({lengths})"
    beside = [] if pd.isna(auxiliaries) else sorted(title(name) for name in str(auxiliaries).split("+"))
    return title(main) + (f" beside {' and '.join(beside)}" if beside else "") + f" ({lengths})"


def run_title(run: Any) -> str:
    """A row of :func:`lgt.store.queries.runs` in words, such as ``Copy (8), alone, same steps, seed 0``."""
    pair = pair_title(run.task_group, run.main_task, run.auxiliaries, run.main_length, run.transfer_length)
    return f"{pair}, {ARM_TITLES.get(run.arm, run.arm)}{position_words(run.position)}, seed {run.model_seed}"


def config_title(config: RunConfig) -> str:
    """The run of ``config`` in the words of :func:`run_title`."""
    auxiliaries = "+".join(spec.task for spec in config.auxiliaries) or None
    pair = pair_title(config.group, config.main.task, auxiliaries, config.main.training_length, config.transfer_length)
    return f"{pair}, {ARM_TITLES[config.arm]}{position_words(config.model.position)}, seed {config.model_seed}"


def provenance(runs: pd.DataFrame) -> str:
    """Which runs, on what, from which code."""
    ids, devices = id_ranges(runs.id), "; ".join(sorted(set(runs.device.dropna())))
    return f"Runs {ids}; on {devices}; code {', '.join(sorted(set(runs.code_version)))}."


def title(task: str) -> str:
    """A task's title, or its name when this code does not know it."""
    return TASKS[task].title if task in TASKS else str(task)
