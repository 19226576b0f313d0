"""Tables as people take them along: with the run's identity, titles, lengths, zones, shares and intervals.

A table of the program has run ids, plain names, and layers and heads counted from 0. :mod:`lgt.store.columns` says what
the columns of a readable table hold.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from lgt.core.checks import ConfigError
from lgt.core.choices import POSITIONS
from lgt.core.config import RunConfig
from lgt.metrics.intervals import wilson_interval
from lgt.metrics.zones import ZONE_TITLES, zone
from lgt.recipes.commands import stored_experiment_command, train_command
from lgt.recipes.labels import ARM_TITLES, head_name, replaced_name, task_title, tasks_title
from lgt.recipes.settings import IMPORTED
from lgt.store import queries
from lgt.store.columns import ordered
from lgt.store.errors import StoreError
from lgt.store.library import Library, Source, members, run_name
from lgt.tasks import unit

IDENTITY = (
    "run", "run_uuid", "task_group", "task_group_title", "arm", "preset", "position", "model_seed", "data_seed",
    "main_length", "transfer_length", "steps",
)  # fmt: skip
"""What every table with a ``run_id`` says about the run; with several open stores also ``store``."""
RENAMED = {
    "seed": "model_seed", "loss": "loss_nats", "loss_rise": "loss_rise_nats", "seconds": "training_seconds",
    "tokens": "training_tokens", "size": "size_bytes", "uuid": "run_uuid", "total_steps": "steps",
    "difference": "attention_difference", "gap": "generalization_gap", "trained": "trained_accuracy",
    "transfer": "transfer_accuracy", "lost": "lost_nats", "auxiliaries": "auxiliary_tasks",
}  # fmt: skip
"""Columns of the program's tables whose names alone do not say what they hold, or in which unit."""
TIMES = ("created_at", "started_at", "finished_at", "heartbeat_at", "lease_until", "tags_at", "notes_at")
"""Columns with UTC epoch seconds."""


def tasks_titles(names: str) -> str:
    """The titles of several tasks whose names are joined by ``+``, joined in the same way."""
    return " + ".join(map(task_title, names.split("+")))


TITLES: Mapping[str, Callable[[str], str]] = {
    "task": task_title, "task_a": task_title, "task_b": task_title, "main_task": task_title,
    "source_task": task_title,
    "auxiliary_tasks": tasks_titles, "arm": lambda arm: str(dict(ARM_TITLES).get(arm, arm)),  # type: ignore[call-overload]
    "position": POSITIONS.title,
}  # fmt: skip
"""The columns with plain names, each with the function from a name to its title."""


def readable(rows: pd.DataFrame, source: Source | None = None) -> pd.DataFrame:
    """``rows`` with the columns that :mod:`lgt.store.columns` describes, in its order; one row each, as they come.

    ``rows`` may have any of the columns of :mod:`lgt.store.queries` and others. A ``run_id`` becomes the run's
    identity, which is read from ``source``: the store or stores that the ids belong to. Raises StoreError when one
    cannot be read.
    """
    table = rows.reset_index(drop=True)
    if "run_id" in table and source is not None:
        table = with_identity(table, source)
    known = [old for old, new in RENAMED.items() if new in table]
    table = table.drop(columns=known, errors="ignore").rename(columns=RENAMED)
    if {"preset", "position"} <= set(table):
        table = table.assign(position=table.position.where(table.preset != IMPORTED, None))  # it is not known
    table = with_times(with_titles(with_shares(with_heads(with_lengths(table)))))
    return table[ordered(table.columns)]


def with_identity(table: pd.DataFrame, source: Source) -> pd.DataFrame:
    """``table`` with :data:`IDENTITY` in place of ``run_id``; a column that it has already stays as it is."""
    found = identities(source, table.run_id.unique())
    places = table.run_id.map({run_id: place for place, run_id in enumerate(found.index)}).to_numpy(dtype=int)
    identity = found.take(places).reset_index(drop=True)
    added = [name for name in identity if name not in table or name == "transfer_length"]
    return table.drop(columns=["run_id", "transfer_length"], errors="ignore").join(identity[added])


def identities(source: Source, run_ids: Iterable[Any]) -> pd.DataFrame:
    """:data:`IDENTITY` of these runs, by id; with ``store`` where several stores are open. ``run`` is a name."""
    runs = queries.runs(source, ids=[int(run_id) for run_id in run_ids])
    table = runs.assign(
        run=[run_name(source, int(run_id)) for run_id in runs.id], task_group_title=group_titles(runs)
    ).rename(columns={"uuid": "run_uuid", "total_steps": "steps"})  # fmt: skip
    columns = list(IDENTITY)
    if isinstance(source, Library) and len(members(source)) > 1:
        table["store"] = [source.of(int(run_id))[0].title for run_id in table.id]
        columns.append("store")
    return table.set_index("id")[columns]


def group_titles(runs: pd.DataFrame) -> list[str]:
    """The title of each run's tasks with Lm and La. ``runs``: rows of :func:`lgt.store.queries.runs`."""
    about = (runs.task_group, runs.main_task, runs.auxiliaries, runs.main_length, runs.transfer_length)
    return [tasks_title(*one) for one in zip(*about, strict=True)]


def with_lengths(table: pd.DataFrame) -> pd.DataFrame:
    """``table`` with the unit of its lengths and their zone of the main task, where it has both training lengths."""
    own = next((name for name in ("task", "task_a", "main_task") if name in table), None)
    if own and not {"length", "lengths", "main_length", "training_length"}.isdisjoint(table.columns):
        table = table.assign(length_unit=mapped(table[own], unit))
    if {"length", "main_length", "transfer_length"} <= set(table) and "zone" not in table:
        bounds = list(zip(table.length, table.main_length, table.transfer_length, strict=True))
        titles = {of: zone_title(*of) for of in dict.fromkeys(bounds)}
        table = table.assign(zone=pd.Series([titles[of] for of in bounds], dtype=object, index=table.index))
    return table


def zone_title(length: Any, main_length: Any, transfer_length: Any) -> str | None:
    """The zone of a length of the main task as the pages name it; ``transfer_length`` may be missing.

    ``None`` when one of the others is missing: a damaged store may name no main task.
    """
    if pd.isna(length) or pd.isna(main_length):
        return None
    reached = None if pd.isna(transfer_length) else int(transfer_length)
    return ZONE_TITLES[zone(int(length), int(main_length), reached)]


def with_heads(table: pd.DataFrame) -> pd.DataFrame:
    """``table`` with the name of each head and its numbers from 1, in place of ``layer`` and ``head`` from 0."""
    if not {"layer", "head"} <= set(table):
        return table
    pairs = list(zip(table.layer.astype(int), table["head"].astype(int), strict=True))
    names = {pair: head_name(*pair) for pair in dict.fromkeys(pairs)}
    if "source_input" in table:
        return table.drop(columns=["layer", "head"]).assign(head=replaced_heads(table))
    return table.drop(columns=["layer", "head"]).assign(
        head=[names[pair] for pair in pairs],
        layer_number=[layer + 1 for layer, _ in pairs],
        head_number=[head + 1 for _, head in pairs],
    )


def replaced_heads(interchanges: pd.DataFrame) -> list[str]:
    """The heads that each row of interchanges replaced. In all rows of a run, the last layer and the last head stand
    for all of them (:class:`lgt.core.records.InterchangeRow`)."""
    run = "run" if "run" in interchanges else "run_id"
    last = interchanges.groupby(run)[["layer", "head"]].transform("max")
    places = zip(interchanges.layer, interchanges["head"], last.layer, last["head"], strict=True)
    return [replaced_name(*map(int, place)) for place in places]


def with_shares(table: pd.DataFrame) -> pd.DataFrame:
    """``table`` with the share and the 95% Wilson interval of each count of right answers."""
    if not {"correct", "total"} <= set(table):
        return table
    pairs = list(zip(table.correct.astype(int), table.total.astype(int), strict=True))
    limits = {pair: wilson_interval(*pair) if pair[1] else (None, None) for pair in dict.fromkeys(pairs)}
    return table.assign(
        accuracy=(table.correct / table.total).astype(float),
        accuracy_low=pd.Series([limits[pair][0] for pair in pairs], table.index, float),
        accuracy_high=pd.Series([limits[pair][1] for pair in pairs], table.index, float),
    )


def with_titles(table: pd.DataFrame) -> pd.DataFrame:
    """``table`` with a title beside each plain name."""
    titles = {name: mapped(table[name], title) for name, title in TITLES.items() if name in table}
    return table.assign(**{f"{name}_title": values for name, values in titles.items()})


def with_times(table: pd.DataFrame) -> pd.DataFrame:
    """``table`` with dates in UTC in place of epoch seconds."""
    times = {name: pd.to_datetime(table[name], unit="s", utc=True) for name in TIMES if name in table}
    texts = {f"{name}_utc": of.dt.strftime("%Y-%m-%d %H:%M:%S").astype("str") for name, of in times.items()}
    return table.drop(columns=list(times)).assign(**texts)


def mapped(names: pd.Series, title: Callable[[str], str]) -> pd.Series:
    """The title of each name; missing where the name is missing."""
    found = {name: title(str(name)) for name in names.dropna().unique()}
    return names.map(found).astype("str")


# --- runs -------------------------------------------------------------------------------------------------------

ABOUT_RUNS = (
    "run_id", "run_uuid", "experiment", "label", "main_task", "auxiliary_tasks", "state", "origin", "step",
    "trained_accuracy", "transfer_accuracy", "training_seconds", "training_tokens", "device", "code_version",
    "config_hash", "created_at", "finished_at", "tags", "notes", "error", "command",
)  # fmt: skip


def runs_table(source: Source, run_ids: Iterable[int], marks: pd.DataFrame | None = None) -> pd.DataFrame:
    """One readable row for each of these runs, with the ``command`` that makes it again.

    ``marks``: ``tags`` and ``notes`` by run id, where they are not those of the run's own store.
    """
    ids = [int(run_id) for run_id in run_ids]
    runs = queries.runs(source, ids=ids).rename(columns={"id": "run_id"})
    finals = queries.final_accuracy(source)
    table = runs.merge(finals, on="run_id", how="left").rename(columns=RENAMED)
    for name in ("tags", "notes"):
        if marks is not None:
            table[name] = table.run_id.map(marks[name])
    commands = [command_of(source, int(run_id)) for run_id in table.run_id]
    return readable(table.assign(command=pd.Series(commands, table.index, "str"))[list(ABOUT_RUNS)], source)


def command_of(source: Source, run_id: int) -> str:
    """The command that makes a run again, or that of its experiment; empty if there is none or it cannot be known."""
    try:
        record = queries.run(source, run_id)
    except StoreError:
        return ""  # another version of this code, or an extension that is not loaded, wrote its config
    return made_by(record.config, record.experiment)


def made_by(config: RunConfig, experiment: Any) -> str:
    """The command that makes a run of ``config``, or that of its ``experiment``; empty if neither is known."""
    if config.preset == IMPORTED:
        return ""
    return train_command(config) or stored_experiment_command(experiment if isinstance(experiment, str) else None) or ""


def command_of_text(config: str, experiment: Any) -> str:
    """:func:`made_by` for a config as JSON text; empty for one that this code cannot read."""
    try:
        return made_by(RunConfig.from_dict(json.loads(config)), experiment)
    except (ConfigError, ValueError, TypeError, KeyError):
        return ""
