"""Display names of tasks, arms, positional encodings, heads, runs and settings. They are not used to find a run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from lgt.core.choices import POSITIONS
from lgt.core.config import Arm, RunConfig
from lgt.core.number_ranges import id_ranges
from lgt.recipes.groups import GROUPS
from lgt.recipes.settings import Setting
from lgt.tasks import TASKS

PARTS_CHARACTERS = 60
"""The longest partition that the name of a run contains."""
ARM_TITLES: dict[Arm, str] = {
    "co-trained": "co-trained",
    "alone-same-steps": "alone, same steps",
    "alone-same-examples": "alone, same main-task examples",
}


def head_name(layer: int, head: int) -> str:
    """The name of a head in charts and tables. Both numbers count from 0, the name counts from 1.

    >>> head_name(1, 0)
    'L2·H1'
    """
    return f"L{layer + 1}·H{head + 1}"


def head_names(heads: Iterable[tuple[int, int]]) -> str:
    """The names of several heads (layer, head), in order; empty for none.

    >>> head_names([(1, 0), (0, 1)])
    'L1·H2, L2·H1'
    """
    return ", ".join(head_name(*head) for head in sorted(heads))


def replaced_name(layer: int, head: int, layers: int, heads: int) -> str:
    """The name of the heads that an interchange replaces, in a network of ``layers`` layers with ``heads`` heads each
    (:class:`lgt.core.records.InterchangeRow`).

    >>> [replaced_name(*place, 2, 4) for place in ((1, 0), (1, 4), (2, 0), (2, 4))]
    ['L2·H1', 'L2', 'H1', 'all']
    """
    if layer < layers and head < heads:
        return head_name(layer, head)
    if layer == layers and head == heads:
        return "all"
    return f"L{layer + 1}" if layer < layers else f"H{head + 1}"


# --- tasks ------------------------------------------------------------------------------------------------------


def task_title(task: str) -> str:
    """The title of a task, or its name if this code does not know the task."""
    return TASKS[task].title if task in TASKS else str(task)


def tasks_title(group: str, main: str, auxiliaries: Any, main_length: Any, transfer_length: Any) -> str:
    """The tasks of a run with Lm and La, such as ``Copy beside Reverse (8 ← 16)``.

    ``auxiliaries``: task names joined by ``+``. ``auxiliaries`` and ``transfer_length`` are missing values if the run
    has none.
    """
    lengths = f"{main_length}" if pd.isna(transfer_length) else f"{main_length} ← {transfer_length}"
    return f"{_tasks_name(group, main, auxiliaries)} ({lengths})"


def _tasks_name(group: str, main: str, auxiliaries: Any) -> str:
    if pd.isna(auxiliaries):
        return task_title(main)
    if group in GROUPS:
        return GROUPS[group].title
    titles = sorted(task_title(name) for name in str(auxiliaries).split("+"))
    return f"{task_title(main)} beside {' and '.join(titles)}"


def position_note(position: str) -> str:
    """The part of a name for the positional encoding; empty for rotary positions, which nearly all runs have.

    >>> position_note("rope"), position_note("nope")
    ('', ', no positions')
    """
    note = POSITIONS.note(position)
    return f", {note}" if note else ""


# --- runs -------------------------------------------------------------------------------------------------------


def run_label(config: RunConfig) -> str:
    """A short name in ASCII, for the command line and the store, such as ``caprev 8<-16 co-trained, seed 0``.

    >>> from lgt.recipes.presets import group_config
    >>> run_label(group_config("caprev", "demo", arm="alone-same-steps"))
    'caprev 8<-16 alone, same steps, seed 0'
    >>> run_label(group_config("caprev", "demo", position="nope"))
    'caprev 8<-16 co-trained, no positions, seed 0'

    A partition (``model.parts``) is named, if it is short, and the pretrained network that a run starts from.
    """
    name = config.group if config.group != "custom" else config.main.task
    lengths = str(config.main.training_length)
    longest = max((spec.training_length for spec in config.auxiliaries), default=0)
    if config.transfer_length and longest and longest < config.transfer_length:
        lengths += f" beside {longest}, measured to {config.transfer_length}"
    elif config.transfer_length:
        lengths += f"<-{config.transfer_length}"
    elif config.auxiliaries:
        lengths += f" beside {longest}"
    arm = ARM_TITLES[config.arm] if config.auxiliaries or config.arm != "co-trained" else "alone"
    parts = config.model.parts
    notes = position_note(config.model.position) + f", {parts}" * (0 < len(parts) <= PARTS_CHARACTERS)
    notes += start_note(config)
    return f"{name} {lengths} {arm}{notes}, seed {config.model_seed}"


def start_note(config: RunConfig) -> str:
    """The part of a name for the pretrained network that a run starts from; empty for random weights. A long source is
    shortened to its kind."""
    training = config.training
    if not training.start:
        return ""
    short = training.start if len(training.start) <= PARTS_CHARACTERS else training.start.partition(":")[0]
    return f", from {short}" + ", shuffled" * training.start_shuffled


def order_words(config: RunConfig) -> str:
    """What decides the order of a run's data: its data seed, and with ``training.own_order`` the model seed, too."""
    return f"{config.data_seed}" + " and the model seed" * config.training.own_order


def row_title(run: Any) -> str:
    """The title of a row of :func:`lgt.store.queries.runs`, such as ``Copy (8), alone, same steps, seed 0``."""
    tasks = tasks_title(run.task_group, run.main_task, run.auxiliaries, run.main_length, run.transfer_length)
    return _run_title(tasks, run.arm, run.position, run.model_seed)


def config_title(config: RunConfig) -> str:
    """The title that :func:`row_title` gives, for a run that is not in a table of runs. It also names the pretrained
    network that the run starts from, which such a table does not have."""
    auxiliaries = "+".join(spec.task for spec in config.auxiliaries) or None
    main = config.main
    tasks = tasks_title(config.group, main.task, auxiliaries, main.training_length, config.transfer_length)
    return _run_title(tasks, config.arm, config.model.position, config.model_seed, start_note(config))


def _run_title(tasks: str, arm: Any, position: str, seed: int, start: str = "") -> str:
    return f"{tasks}, {ARM_TITLES.get(arm, arm)}{position_note(position)}{start}, seed {seed}"


def provenance(runs: pd.DataFrame) -> str:
    """A sentence: which runs, when the newest of them finished, on which devices, and with which code version.

    ``runs`` has a run's ``id``, or its ``number`` and ``store`` where several stores are open.
    """
    devices, versions = "; ".join(sorted(set(runs.device.dropna()))), ", ".join(sorted(set(runs.code_version)))
    newest = datetime.fromtimestamp(float(runs.finished_at.max()), UTC).strftime("%d %B %Y")
    return f"Runs {_run_names(runs)}, the newest finished on {newest}, on {devices}; code version {versions}."


def _run_names(runs: pd.DataFrame) -> str:
    if "store" not in runs or runs.store.nunique() < 2:
        return id_ranges(runs["number" if "number" in runs else "id"])
    return "; ".join(f"{id_ranges(of.number)} ({store})" for store, of in runs.groupby("store", sort=False))


# --- settings ---------------------------------------------------------------------------------------------------


def setting_title(setting: Setting, config: RunConfig) -> str:
    """The title of a setting, with Lm and La. ``config``: the config of one of its co-trained runs."""
    tasks = _tasks_name(setting.group, config.main.task, "+".join(spec.task for spec in config.auxiliaries))
    lengths = f"{config.main.training_length} ← {config.transfer_length}"
    changes = "".join(f", {change}" for change in setting.changes)
    return f"{tasks} ({lengths}, preset {setting.preset}{position_note(setting.position)}{changes})"


def series_title(setting: Setting, config: RunConfig, arm: Arm) -> str:
    """A short title of one arm of a setting, such as ``Addition + Digit sums + Carries · small · co-trained`` or
    ``Addition · small · alone, same steps (compared with Digit sums + Carries)``. ``config``: a co-trained run."""
    others = " + ".join(task_title(spec.task) for spec in config.auxiliaries)
    together = arm == "co-trained"
    tasks = task_title(config.main.task) + (f" + {others}" if together else "")
    named = ARM_TITLES[arm] if together else f"{ARM_TITLES[arm]} (compared with {others})"
    free = [] if setting.group in GROUPS else [f"{config.main.training_length} ← {config.transfer_length}"]
    position = position_note(setting.position).removeprefix(", ")
    return " · ".join([tasks, *free, setting.preset, *([position] if position else []), *setting.changes, named])
