"""Runs as a table: what it shows, how it is searched, in what runs differ, and the command that makes one again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lgt.config import LABELS, Arm, RunConfig
from lgt.groups import GROUPS
from lgt.labels import ARM_TITLES, id_ranges, without_positions
from lgt.presets import PRESETS, custom_config, group_config
from lgt.store.comparisons import changes_from
from lgt.store.marks import ARCHIVED, DELETED, STAR
from lgt.tasks import TASKS

COLUMNS = (
    "run_id", "star", "pair", "side", "preset", "seed", "state", "transfer", "trained", "position", "steps", "seconds",
    "finished", "tags", "notes",
)  # fmt: skip
POSITIONS = {"rope": "rotary", "nope": "none"}
SIDES: dict[str, Arm] = {
    "together": "co-trained",
    "alone-steps": "alone-same-steps",
    "alone-examples": "alone-same-examples",
}
"""How addresses call a comparison's sides."""
NOT_THERE = "–"
"""What a comparison of settings shows for a task that a run does not have."""
MARKS = (STAR, ARCHIVED, DELETED)


def table(runs: pd.DataFrame, finals: pd.DataFrame) -> pd.DataFrame:
    """One row per run, newest first: :data:`COLUMNS`, and ``group``, ``archived`` and ``deleted`` to choose by.

    ``runs`` as :func:`lgt.store.queries.runs` gives them, ``finals`` as :func:`lgt.store.queries.final_accuracy`.
    ``transfer`` and ``trained`` are shares, missing where there is no such number; ``seconds`` of training.
    """
    rows = runs.merge(finals, left_on="id", right_on="run_id", how="left").sort_values("id", ascending=False)
    marks = [set(str(tags).split(",")) for tags in rows.tags]
    about = zip(rows.task_group, rows.main_task, rows.others, rows.main_length, rows.transfer_length, strict=True)
    return pd.DataFrame({
        "run_id": rows.id, "star": ["★" if STAR in found else "" for found in marks],
        "pair": [pair_title(*one) for one in about], "side": rows.arm.map(ARM_TITLES).fillna(rows.arm),
        "preset": rows.preset, "position": rows.position.map(POSITIONS).fillna(rows.position),
        "seed": rows.model_seed, "state": rows.state, "transfer": rows.transfer, "trained": rows.trained,
        "steps": rows.step, "seconds": rows.seconds.where(rows.seconds > 0),
        "finished": pd.to_datetime(rows.finished_at, unit="s", utc=True),
        "tags": [", ".join(sorted(found - {"", *MARKS})) for found in marks], "notes": rows.notes,
        "group": rows.task_group, "archived": [ARCHIVED in found for found in marks],
        "deleted": [DELETED in found for found in marks],
        "words": rows.label + " " + rows.experiment.fillna("") + " " + rows.error.fillna(""),
    }).reset_index(drop=True)  # fmt: skip


def pair_title(group: str, main: str, others: Any, main_length: Any, transfer_length: Any) -> str:
    """A run's pair in words with its lengths, such as ``Copy beside Reverse (8 ← 16)``."""
    lengths = f"{main_length}" if pd.isna(transfer_length) else f"{main_length} ← {transfer_length}"
    if group in GROUPS:
        return f"{GROUPS[group].title} ({lengths})"
    beside = [] if pd.isna(others) else sorted(title(name) for name in str(others).split("+"))
    return title(main) + (f" beside {' and '.join(beside)}" if beside else "") + f" ({lengths})"


def run_title(run: Any) -> str:
    """A row of :func:`lgt.store.queries.runs` in words, such as ``Copy (8), alone, same steps, seed 0``."""
    pair = pair_title(run.task_group, run.main_task, run.others, run.main_length, run.transfer_length)
    return f"{pair}, {ARM_TITLES.get(run.arm, run.arm)}{without_positions(run.position)}, seed {run.model_seed}"


def config_title(config: RunConfig) -> str:
    """The run of ``config`` in the words of :func:`run_title`."""
    others = "+".join(spec.task for spec in config.others) or None
    pair = pair_title(config.group, config.main.task, others, config.main.training_length, config.transfer_length)
    return f"{pair}, {ARM_TITLES[config.arm]}{without_positions(config.model.position)}, seed {config.model_seed}"


def provenance(runs: pd.DataFrame) -> str:
    """Which runs, on what, from which code."""
    ids, devices = id_ranges(runs.id), "; ".join(sorted(set(runs.device.dropna())))
    return f"Runs {ids}; on {devices}; code {', '.join(sorted(set(runs.code_version)))}."


def title(task: str) -> str:
    """A task's title, or its name when this code does not know it."""
    return TASKS[task].title if task in TASKS else str(task)


def chosen(
    rows: pd.DataFrame, search: str, facets: Mapping[str, Sequence[str]], *, show: str = "current"
) -> pd.DataFrame:
    """The rows that hold every word of ``search`` somewhere and pass every facet (a column and its accepted values).

    ``show``: ``current`` leaves archived and deleted runs out, ``starred``, ``archived`` and ``deleted`` show those.
    """
    keep = rows.deleted if show == "deleted" else ~rows.deleted
    keep &= rows.archived if show == "archived" else ~rows.archived | (show in ("deleted", "starred"))
    if show == "starred":
        keep &= rows.star != ""
    for column, values in facets.items():
        if values:
            keep &= rows[column].isin(list(values))
    words = search.lower().split()
    if words:
        text = rows.run_id.astype(str)
        for column in ("pair", "group", "side", "preset", "position", "state", "tags", "notes", "words"):
            text = text.str.cat(rows[column].fillna("").astype(str), sep=" ")
        text = text.str.lower()
        for word in words:
            keep &= text.str.contains(word, regex=False)
    return rows[keep]


def flat(config: RunConfig) -> dict[str, Any]:
    """Every setting of a config by its path, such as ``training.steps``; each task as ``tasks.reverse``: ``auxiliary,
    trained to 16``."""
    found: dict[str, Any] = {}
    for name, value in config.as_dict().items():
        if name == "tasks":
            found |= {f"tasks.{t['task']}": f"{t['role']}, trained to {t['training_length']}" for t in value}
        elif isinstance(value, dict):
            found |= {f"{name}.{inner}": of for inner, of in value.items()}
        else:
            found[name] = value
    return found


def config_differences(configs: Mapping[str, RunConfig]) -> pd.DataFrame:
    """The settings in which configs differ, one row each, one column per config; empty where they do not."""
    every = {name: flat(config) for name, config in configs.items()}
    settings = list(dict.fromkeys(setting for found in every.values() for setting in found))
    frame = pd.DataFrame(
        {name: [str(found.get(setting, NOT_THERE)) for setting in settings] for name, found in every.items()},
        index=pd.Index(settings, name="setting"),
    )
    return frame[frame.nunique(axis=1) > 1].sort_index(key=_tasks_first, kind="stable").reset_index()


def _tasks_first(settings: pd.Index) -> pd.Index:
    return pd.Index([not str(setting).startswith("tasks.") for setting in settings])


def settings_frame(config: RunConfig) -> pd.DataFrame:
    """Every setting of a run with its value, and whether it is ``as in the preset`` (where there is one)."""
    reference = reference_of(config)
    known = flat(reference) if reference else {}
    rows = [
        {"setting": name, "value": str(value), "preset": str(known[name]) if name in known else ""}
        for name, value in flat(config).items() if name not in LABELS
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    return frame.assign(changed=np.where((frame.preset != "") & (frame.value != frame.preset), "changed", ""))


def reference_of(config: RunConfig) -> RunConfig | None:
    """The run of this config's group, preset, side, position and seed as the preset has it; ``None`` without one."""
    if config.preset not in PRESETS or config.main.task not in TASKS:
        return None
    position, seed = config.model.position, config.model_seed
    if config.group in GROUPS:
        return group_config(config.group, config.preset, arm=config.arm, position=position, seed=seed)
    if not config.others:
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
        flags = ["--main", *["--aux"] * len(config.others)]
        specs = [config.main, *config.others]
        parts = [f"{flag} {s.task}:{s.training_length}" for flag, s in zip(flags, specs, strict=True)]
    parts.append(f"--preset {config.preset}")
    parts += [f"--position {config.model.position}"] * (config.model.position != "rope")
    parts += {"co-trained": [], "alone-same-steps": ["--main-only"],
              "alone-same-examples": ["--main-only --same-examples"]}[config.arm]  # fmt: skip
    parts += [f"--set {change}" for change in changes]
    return f".venv/bin/python -m lgt train {' '.join(parts)} --seed {config.model_seed}"
