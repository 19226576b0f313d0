"""Tags and notes: of runs, and of a viewer about runs of other stores.

The shipped results are never written. What a viewer says about one of their runs is a row of ``annotations`` in the
viewer's workspace, by the run's uuid, and pages show it in place of the run's own tags or notes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import Connection, Engine, delete, select, update

from lgt.store.engine import read_connection, write_transaction
from lgt.store.library import Library, Source, members
from lgt.store.locations import WORKSPACE
from lgt.store.schema import Annotation, Run, column_names
from lgt.store.tags import check_note, joined_tags, with_changes
from lgt.store.upserts import upsert

if TYPE_CHECKING:
    from lgt.store.queries import RunRecord

TIMES = {"tags": "tags_at", "notes": "notes_at"}
"""What a person may write about a run, and the column with the time of the last change."""
FIELDS = (*TIMES, *TIMES.values())
NOTHING_SAID: Mapping[str, Any] = {"tags": "", "notes": "", "tags_at": None, "notes_at": None}
Remarks = Mapping[str, Any]
"""Values of the columns :data:`FIELDS`."""


def all_rows(connection: Connection) -> list[dict[str, Any]]:
    """The annotations of a store."""
    columns = [getattr(Annotation, name) for name in column_names(Annotation)]
    return [dict(row) for row in connection.execute(select(*columns)).mappings()]


def read(engine: Engine) -> dict[str, dict[str, Any]]:
    """The annotations of a store by uuid of the run."""
    with read_connection(engine) as connection:
        return {row["run_uuid"]: row for row in all_rows(connection)}


def change_tags(
    engine: Engine, tags: Mapping[str, str], *, add: Iterable[str] = (), remove: Iterable[str] = ()
) -> None:
    """Add and remove tags of runs of other stores. ``tags``: the tags that are shown of each run now, by uuid."""
    add, remove = list(add), list(remove)
    wanted = {uuid: with_changes(shown, add, remove) for uuid, shown in tags.items()}
    with write_transaction(engine) as connection:
        for uuid, text in wanted.items():
            if text != tags[uuid]:
                write(connection, uuid, {"tags": text, "tags_at": time.time()})


def set_note(engine: Engine, uuids: Iterable[str], text: str) -> None:
    """Replace the note of runs of other stores. Raises ConfigError for a long one."""
    check_note(text)
    with write_transaction(engine) as connection:
        for uuid in uuids:
            write(connection, uuid, {"notes": text, "notes_at": time.time()})


def shown(source: Source, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of :func:`lgt.store.queries.runs` with the tags and notes that the workspace has about other runs."""
    said = _of_viewer(source)
    here = [place for place, uuid in enumerate(rows.uuid) if uuid in said] if said else []
    if not here:
        return rows
    columns = {name: rows[name].tolist() for name in TIMES}
    for place in here:
        run = {name: None if pd.isna(rows[name].iloc[place]) else rows[name].iloc[place] for name in FIELDS}
        for name, value in later(run, said[rows.uuid.iloc[place]]).items():
            if name in TIMES:
                columns[name][place] = value
    return rows.assign(**{name: pd.Series(values, rows.index, rows[name].dtype) for name, values in columns.items()})


def shown_of_run(source: Source, record: RunRecord) -> RunRecord:
    """A run with the tags and the note that the workspace has about it."""
    said = _of_viewer(source).get(record.uuid)
    if said is None:
        return record
    own = {name: getattr(record, name) for name in FIELDS} | {"tags": joined_tags(record.tags)}
    found = later(own, said)
    if "tags" in found:
        found["tags"] = tuple(tag for tag in found["tags"].split(",") if tag)
    return replace(record, **found)


def _of_viewer(source: Source) -> dict[str, dict[str, Any]]:
    workspace = next((member for member in members(source) if member.name == WORKSPACE), None)
    return read(workspace.engine) if isinstance(source, Library) and workspace else {}


def write(connection: Connection, run_uuid: str, values: Remarks) -> None:
    """Replace some of the tags and notes (columns :data:`FIELDS`) about a run of another store."""
    before = next((row for row in all_rows(connection) if row["run_uuid"] == run_uuid), NOTHING_SAID)
    upsert(connection, Annotation, [{**before, **values, "run_uuid": run_uuid}])


def later(mine: Remarks, theirs: Remarks) -> dict[str, Any]:
    """The columns of ``theirs`` whose text was changed after that of ``mine``, with their times."""

    def rank(values: Remarks, text: str) -> tuple[float, str]:
        when = values[TIMES[text]]
        return -math.inf if when is None else when, values[text]

    return {
        name: theirs[name]
        for text, time in TIMES.items() if rank(theirs, text) > rank(mine, text) for name in (text, time)
    }  # fmt: skip


def merge_into_run(connection: Connection, mine: Mapping[str, Any], theirs: Remarks) -> list[str]:
    """Give a run the tags and notes of ``theirs`` that were changed later; returns the names of those that changed."""
    values = later(mine, theirs)
    if values:
        connection.execute(update(Run).where(Run.id == mine["id"]).values(values))
    return [text for text in TIMES if text in values and values[text] != mine[text]]


def merge(engine: Engine, theirs: Sequence[Mapping[str, Any]]) -> None:
    """Take over annotations of another store. An annotation of a run that this store has becomes the run's own."""
    with read_connection(engine) as connection:
        mine, new = _new(connection, theirs)
        if not new and not _owned(connection, mine):
            return
    with write_transaction(engine) as connection:
        mine, new = _new(connection, theirs)
        for uuid, row in new.items():
            write(connection, uuid, later(mine[uuid], row) if uuid in mine else row)
        said = {row["run_uuid"]: row for row in all_rows(connection)}
        owned = _owned(connection, said)
        for uuid, run in owned.items():
            merge_into_run(connection, run, said[uuid])
        connection.execute(delete(Annotation).where(Annotation.run_uuid.in_(list(owned))))


def _new(
    connection: Connection, theirs: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, dict[str, Any]], dict[str, Mapping[str, Any]]]:
    """The annotations of this store, and those of ``theirs`` of which this store lacks something, by uuid."""
    mine = {row["run_uuid"]: row for row in all_rows(connection)}
    new = {row["run_uuid"]: row for row in theirs if row["run_uuid"] not in mine or later(mine[row["run_uuid"]], row)}
    return mine, new


def _owned(connection: Connection, uuids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """The runs of the store that have one of these uuids."""
    columns = [getattr(Run, name) for name in ("id", "uuid", *FIELDS)]
    rows = connection.execute(select(*columns).where(Run.uuid.in_(list(uuids)))).mappings()
    return {row["uuid"]: dict(row) for row in rows}
