"""Runs as a table: its columns, how it is searched, and in which values configurations differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lgt.core.choices import POSITIONS
from lgt.core.config import LABELS, Arm, RunConfig
from lgt.recipes.commands import reference_of
from lgt.recipes.groups import GROUPS
from lgt.recipes.labels import ARM_TITLES, task_title, tasks_title
from lgt.recipes.settings import IMPORTED, is_imported
from lgt.store.tags import ARCHIVED, DELETED, STAR
from lgt.ui.run_search import matching, read_search

COLUMNS = (
    "run_id", "number", "store", "star", "tasks", "arm", "preset", "seed", "state", "transfer", "trained", "position",
    "steps", "seconds", "finished", "tags", "notes",
)  # fmt: skip
ARM_ADDRESSES: dict[str, Arm] = {
    "together": "co-trained",
    "alone-steps": "alone-same-steps",
    "alone-examples": "alone-same-examples",
}
"""The arms as ``?side=`` of the page Heads names them."""
ARM_FACETS: dict[Arm, str] = {
    "co-trained": "with auxiliary",
    "alone-same-steps": "alone, same steps",
    "alone-same-examples": "alone, same main-task examples",
}
"""The arms as ``?side=`` of the page Runs names them. Addresses stay, also when titles on the page change."""
NOT_THERE = "–"
"""What stands for a value that a run does not have, or that is not known."""
MARKS = (STAR, ARCHIVED, DELETED)
BROKEN = ("failed", "cancelled")
"""The states of runs that can be queued again."""


def table(runs: pd.DataFrame, finals: pd.DataFrame) -> pd.DataFrame:
    """One row per run, newest first: :data:`COLUMNS`, and columns to filter by: ``group``, ``side`` (see
    :data:`ARM_FACETS`), ``archived``, ``deleted``, ``words`` (further text that the search reads), ``task_names``
    (names and titles of a run's tasks, one a line) and ``pair_names`` (these, and name and title of its task group).

    ``runs``: see :func:`lgt.store.library.with_stores`, ``finals``: see :func:`lgt.store.queries.final_accuracy`.
    ``transfer`` and ``trained`` are shares, missing where there is no such number; ``seconds`` of training.
    """
    rows = runs.merge(finals, left_on="id", right_on="run_id", how="left").sort_values("id", ascending=False)
    marks = [set(str(tags).split(",")) for tags in rows.tags]
    about = zip(rows.task_group, rows.main_task, rows.auxiliaries, rows.main_length, rows.transfer_length, strict=True)
    names = [_task_names(*one) for one in zip(rows.main_task, rows.auxiliaries, strict=True)]
    groups = zip(rows.task_group, names, strict=True)
    return pd.DataFrame({
        "run_id": rows.id, "number": rows["number"], "store": rows.store,
        "star": ["★" if STAR in found else "" for found in marks],
        "tasks": [tasks_title(*one) for one in about], "arm": rows.arm.map(ARM_TITLES).fillna(rows.arm),
        "side": rows.arm.map(ARM_FACETS).fillna(rows.arm),
        "preset": rows.preset,
        "position": rows.position.map(POSITIONS.title).where(rows.preset != IMPORTED, NOT_THERE),
        "seed": rows.model_seed, "state": rows.state, "transfer": rows.transfer, "trained": rows.trained,
        "steps": rows.step, "seconds": rows.seconds.where(rows.seconds > 0),
        "finished": pd.to_datetime(rows.finished_at, unit="s", utc=True),
        "tags": [", ".join(sorted(found - {"", *MARKS})) for found in marks], "notes": rows.notes,
        "group": rows.task_group, "archived": [ARCHIVED in found for found in marks],
        "deleted": [DELETED in found for found in marks],
        "task_names": names, "pair_names": [f"{group}\n{_group_title(group)}\n{of}" for group, of in groups],
        "words": rows.label + " " + rows.experiment.fillna("") + " " + rows.error.fillna(""),
    }).reset_index(drop=True)  # fmt: skip


def _task_names(main: str, auxiliaries: Any) -> str:
    tasks = [str(main), *([] if pd.isna(auxiliaries) else str(auxiliaries).split("+"))]
    return "\n".join(text for task in tasks for text in (task, task_title(task)))


def _group_title(group: str) -> str:
    return GROUPS[group].title if group in GROUPS else group


def filtered(
    rows: pd.DataFrame, search: str, facets: Mapping[str, Sequence[str]], *, show: str = "current"
) -> pd.DataFrame:
    """The rows that fulfil every term of ``search`` (:func:`lgt.ui.run_search.read_search`) and have an accepted value
    in the column of every facet. What cannot be read of ``search`` is left out.

    ``show``: ``current`` leaves archived and deleted runs out; ``starred``, ``archived`` and ``deleted`` show only
    those.
    """
    keep = rows.deleted if show == "deleted" else ~rows.deleted
    keep &= rows.archived if show == "archived" else ~rows.archived | (show in ("deleted", "starred"))
    if show == "starred":
        keep &= rows.star != ""
    for column, values in facets.items():
        if values:
            keep &= rows[column].astype(str).isin(list(values))
    return rows[keep & matching(rows, read_search(search).terms)]


def flat_config(config: RunConfig) -> dict[str, Any]:
    """Every value of a config by its path, such as ``training.steps``; a task as ``tasks.reverse``: ``auxiliary,
    trained to 16``. Of a run that another program made, only what is known."""
    found: dict[str, Any] = {}
    plain = config.as_dict()
    if is_imported(config):
        plain = {name: plain[name] for name in ("tasks", "group", "arm", "preset", "transfer_length", "model_seed")}
    for name, value in plain.items():
        if name == "tasks":
            found |= {f"tasks.{t['task']}": f"{t['role']}, trained to {t['training_length']}" for t in value}
        elif isinstance(value, dict):
            found |= {f"{name}.{inner}": of for inner, of in value.items()}
        else:
            found[name] = value
    return found


def config_differences(configs: Mapping[str, RunConfig]) -> pd.DataFrame:
    """The values in which configs differ: one row each, one column per config; empty where all are equal."""
    every = {name: flat_config(config) for name, config in configs.items()}
    settings = list(dict.fromkeys(setting for found in every.values() for setting in found))
    frame = pd.DataFrame(
        {name: [str(found.get(setting, NOT_THERE)) for setting in settings] for name, found in every.items()},
        index=pd.Index(settings, name="setting"),
    )
    return frame[frame.nunique(axis=1) > 1].sort_index(key=_tasks_first, kind="stable").reset_index()


def _tasks_first(settings: pd.Index) -> pd.Index:
    return pd.Index([not str(setting).startswith("tasks.") for setting in settings])


def config_frame(config: RunConfig) -> pd.DataFrame:
    """Every value of a run's config (``setting``, its path), the ``preset``'s value where there is one, and ``changed``
    where the two differ."""
    reference = reference_of(config)
    known = flat_config(reference) if reference else {}
    rows = [
        {"setting": name, "value": str(value), "preset": str(known[name]) if name in known else ""}
        for name, value in flat_config(config).items() if name not in LABELS
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    return frame.assign(changed=np.where((frame.preset != "") & (frame.value != frame.preset), "changed", ""))
