"""Store runs that other programs made, and read them back in the same format.

Such a run has the preset ``imported``. It is shown on the pages with a badge. It never counts in a verdict, because no
experiment has this preset's settings.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd
from sqlalchemy import Connection, Engine, Select, insert, select, update

from lgt.core import bounds
from lgt.core.config import RunConfig
from lgt.core.records import AccuracyRow
from lgt.recipes.settings import IMPORTED
from lgt.store import queries
from lgt.store.engine import read_connection, write_transaction
from lgt.store.errors import StoreError
from lgt.store.exchange import ImportedRun
from lgt.store.library import Source, run_name
from lgt.store.schema import DeletedRun, Run, RunState, RunTask
from lgt.store.upserts import upsert
from lgt.store.writes import put_accuracy, run_values, task_values

TOKEN = "import:"
"""Begins the token of an imported run; its identity follows."""
NO_HEARTBEAT = 4_102_444_800.0
"""The year 2100: no heartbeat yet. What records a run (:mod:`lgt.store.record`) replaces it by the time of a report."""
COLUMNS = (
    "run", "uuid", "task", "role", "training_length", "transfer_length", "seed", "step", "length", "correct", "total",
    "group", "arm", "label",
)  # fmt: skip


@dataclass(frozen=True)
class ImportReport:
    """How many runs an import added, updated with new rows, and found unchanged."""

    added: int
    updated: int
    unchanged: int


def import_runs(engine: Engine, runs: Iterable[ImportedRun]) -> ImportReport:
    """Store runs, all or none. A run that the store has under the same identity gets the rows that it lacks.

    Raises StoreError when the store cannot be written.
    """
    counts = {"added": 0, "updated": 0, "unchanged": 0}
    runs = list(runs)
    stored = {run.uuid: _stored_rows(engine, run.uuid) for run in runs}
    with write_transaction(engine) as connection:
        for run in runs:
            counts[_import_run(connection, run, stored[run.uuid])] += 1
    return ImportReport(**counts)


def _import_run(connection: Connection, run: ImportedRun, before: set[tuple[int, str, int, int, int]]) -> str:
    known = connection.scalar(_with_identity(run.uuid))
    rows = {(step, one.task, one.length, one.correct, one.total) for step, of in run.rows.items() for one in of}
    if known is not None and rows <= before:
        return "unchanged"
    run_id = start(connection, run.config, run.label, run.uuid) if known is None else known
    for step, of in run.rows.items():
        record(connection, run_id, step, of)
    finish(connection, run_id, RunState.DONE)
    return "added" if known is None else "updated"


def start(connection: Connection, config: RunConfig, label: str, identity: str) -> int:
    """A new imported run that is running; returns its id.

    A run that was deleted may be imported again: it is created after the deletion, also if the clock is behind.
    """
    bounds.NAME.check_text("label", label)
    if connection.scalar(select(Run.id).where(Run.uuid == identity)) is not None:
        raise StoreError(f"run {label!r}: the store has a trained run with its uuid {identity}; give it another uuid")
    deleted = connection.scalar(select(DeletedRun.deleted_at).where(DeletedRun.uuid == identity)) or 0.0
    values = run_values(connection, config) | {
        "label": label, "token": TOKEN + identity, "uuid": identity, "origin": IMPORTED,
        "state": RunState.RUNNING, "started_at": time.time(), "attempt": 1,
        "heartbeat_at": NO_HEARTBEAT, "created_at": max(time.time(), math.nextafter(deleted, math.inf)),
    }  # fmt: skip
    run_id = int(connection.execute(insert(Run).values(values).returning(Run.id)).scalar_one())
    upsert(connection, RunTask, task_values(config, run_id))
    return run_id


def record(connection: Connection, run_id: int, step: int, rows: Sequence[AccuracyRow]) -> None:
    """Store the counts of a step and set the run's step to the largest one."""
    put_accuracy(connection, run_id, step, rows)
    reached = connection.scalar(select(Run.step).where(Run.id == run_id)) or 0
    last = max(step, reached)
    connection.execute(update(Run).where(Run.id == run_id).values(step=last, total_steps=last))


def finish(connection: Connection, run_id: int, state: RunState, error: str | None = None) -> None:
    """Set the final state of an imported run."""
    values = {"state": state, "error": error, "finished_at": time.time(), "heartbeat_at": None, "lease_until": None}
    connection.execute(update(Run).where(Run.id == run_id).values(values))


def _stored_rows(engine: Engine, identity: str) -> set[tuple[int, str, int, int, int]]:
    """The (step, task, length, correct, total) that the store has of an imported run."""
    with read_connection(engine) as connection:
        known = connection.scalar(_with_identity(identity))
    rows = queries.accuracy(engine, [] if known is None else [known], "all")
    return set(rows[["step", "task", "length", "correct", "total"]].itertuples(index=False, name=None))


def exchange_rows(source: Source, run_ids: Sequence[int]) -> pd.DataFrame:
    """All accuracies of these runs in the format that :mod:`lgt.store.exchange` reads, with all of its columns."""
    rows = queries.accuracy(source, run_ids, "all")
    runs = queries.runs(source, ids=run_ids).set_index("id")
    identities = runs.uuid.where(runs.origin == IMPORTED, "")
    names = rows.run_id.map(lambda run_id: identities[run_id] or f"run {run_name(source, run_id)}")
    return rows.assign(
        run=names, uuid=rows.run_id.map(identities), seed=rows.model_seed,
        group=rows.task_group, label=rows.run_id.map(runs.label),
    )[list(COLUMNS)]  # fmt: skip


def _with_identity(identity: str) -> Select[int]:
    """The id of the imported run with this identity, which is its uuid."""
    return select(Run.id).where(Run.uuid == identity, Run.origin == IMPORTED)
