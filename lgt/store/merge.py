"""Merge another store into this one: runs, measurements, weights, tags, notes and deletions.

Stores that merge each other, in any order and any number of times, end with the same runs. This holds because each
part has one rule that decides between two values, whichever store has which:

- A run is known by its uuid. Only finished runs are copied.
- A deletion removes every copy of the run that was created before it.
- Tags, and notes, are those that were changed last.
- Of two versions of an imported run the one that was imported last counts, as a whole.
- Measurements of a run are united (:mod:`lgt.store.merge_rows`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update

from lgt.store import merge_rows, remarks, stored_runs
from lgt.store.configs import delete_unused
from lgt.store.engine import open_store, read_connection, refuse_if_read_only, write_transaction
from lgt.store.errors import store_name
from lgt.store.merge_rows import Outcome
from lgt.store.queries import finished_by_hash
from lgt.store.schema import RUN_TABLES, Config, DeletedRun, Run, RunState, TrainingState
from lgt.store.stored_runs import AT_ONCE, StoredRun, problem_of_deletion, problem_of_remark
from lgt.store.upserts import insert_missing, upsert
from lgt.store.writes import remove_runs

VERSION = ("finished_at", "created_at", "code_version", "device", "config_hash")
"""The columns of ``runs`` that decide which version of a run is the newest."""
OF_THE_STORE = ("id", "token")
"""The columns of ``runs`` that a copy does not get."""


@dataclass(frozen=True)
class MergeReport:
    """What a merge did with the runs of the other store, and how many runs of this store it deleted.

    ``reasons`` has a line for each run that was updated, skipped or deleted, ``now_counting`` one for each run that now
    counts instead of another one.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    deleted: int = 0
    reasons: tuple[str, ...] = ()
    now_counting: tuple[str, ...] = ()


def merge(engine: Engine, other_url: str) -> MergeReport:
    """Take over from another store what this one lacks. The other store is only read, whatever its schema.

    Copies get new numbers. Each run is merged in one transaction, so an interrupted merge can be repeated. A run with
    damaged weights is merged without them. Raises StoreError when a store cannot be read or written.
    """
    refuse_if_read_only(store_name(engine.url))
    other = open_store(other_url, create=False, read_only=True)
    with read_connection(other) as source:
        numbers = list(source.scalars(select(Run.id).order_by(Run.id)))
        deletions = [dict(row) for row in source.execute(select(*DeletedRun.__table__.columns)).mappings()]
        said = remarks.all_rows(source)
    name = Path(store_name(other.url)).name
    wrong = list(filter(None, (*map(problem_of_deletion, deletions), *map(problem_of_remark, said))))
    gone = {row["uuid"]: row["deleted_at"] for row in deletions if not problem_of_deletion(row)}
    counted = finished_by_hash(engine)
    deleted = _merge_deletions(engine, gone)
    outcomes: dict[int, Outcome] = {}
    for at in range(0, len(numbers), AT_ONCE):
        outcomes |= _merge_runs(engine, other, numbers[at : at + AT_ONCE])
    remarks.merge(engine, [row for row in said if not problem_of_remark(row)])
    counts = Counter(outcome.word for outcome in outcomes.values())
    told = (f"run {number} of {name}: {outcome.word}, {outcome.reason}" for number, outcome in outcomes.items()
            if outcome.reason)  # fmt: skip
    return MergeReport(
        **counts,
        deleted=len(deleted),
        reasons=(
            *(f"run {number}: deleted, as in {name}" for number in deleted),
            *told,
            *(f"{name}: left out, {problem}" for problem in wrong),
        ),
        now_counting=_now_counting(counted, finished_by_hash(engine), deleted),
    )


def _now_counting(before: Mapping[str, int], after: Mapping[str, int], deleted: Sequence[int]) -> tuple[str, ...]:
    """One line for each run that counts now instead of another run of the same config, which is still there."""
    changed = [(old, after[key]) for key, old in before.items() if after.get(key, old) != old and old not in deleted]
    return tuple(f"run {new} counts now instead of run {old}: the same config, finished later" for old, new in changed)


def _merge_deletions(engine: Engine, gone: Mapping[str, float]) -> list[int]:
    """Take over deletions; returns the numbers of the runs of this store that they delete."""
    with read_connection(engine) as connection:
        if not _new_deletions(connection, gone):
            return []
    with write_transaction(engine) as connection:
        new = _new_deletions(connection, gone)
        runs = connection.execute(select(Run.id, Run.uuid, Run.created_at)).all()
        numbers = sorted(run.id for run in runs if run.created_at <= new.get(run.uuid, -math.inf))
        remove_runs(connection, Run.id.in_(numbers))
        upsert(connection, DeletedRun, [{"uuid": uuid, "deleted_at": when} for uuid, when in new.items()])
    return numbers


def _new_deletions(connection: Connection, gone: Mapping[str, float]) -> dict[str, float]:
    """The deletions that this store does not know, or only an earlier one of the same run."""
    known = {row.uuid: row.deleted_at for row in connection.execute(select(DeletedRun.uuid, DeletedRun.deleted_at))}
    return {uuid: when for uuid, when in gone.items() if when > known.get(uuid, -math.inf)}


def _merge_runs(engine: Engine, other: Engine, numbers: Sequence[int]) -> dict[int, Outcome]:
    """Merge some runs of the other store. Equal runs are only read."""
    with read_connection(other) as source:
        found = stored_runs.read(source, Run.id.in_(numbers))
    with read_connection(engine) as connection:
        known = {run.uuid: run for run in stored_runs.read(connection, Run.uuid.in_([run.uuid for run in found]))}
    outcomes = {}
    for theirs in found:
        equal = theirs.uuid in known and known[theirs.uuid].same_as(theirs) and theirs.run["state"] == RunState.DONE
        outcomes[theirs.run["id"]] = Outcome("unchanged") if equal else _merge_run(engine, other, theirs)
    return outcomes


def _merge_run(engine: Engine, other: Engine, theirs: StoredRun) -> Outcome:
    problem = theirs.problem()
    if problem:
        return Outcome("skipped", f"it is damaged ({problem})")
    if theirs.run["state"] != RunState.DONE:
        return Outcome("skipped", f"it has not finished ({theirs.run['state']})")
    if theirs.unknown():
        return Outcome("skipped", f"this code cannot read its config ({theirs.unknown()})")
    theirs, damaged = theirs.with_intact_weights(other)
    with write_transaction(engine) as connection:
        if _deleted(connection, theirs):
            return Outcome("skipped", "this store has deleted it")
        mine = next(iter(stored_runs.read(connection, Run.uuid == theirs.uuid)), None)
        outcome = _united(connection, mine, theirs, other)
    return outcome.and_then(damaged)


def _deleted(connection: Connection, theirs: StoredRun) -> bool:
    """Whether this store has deleted the run after the run was created."""
    when = connection.scalar(select(DeletedRun.deleted_at).where(DeletedRun.uuid == theirs.uuid))
    return when is not None and theirs.run["created_at"] <= when


def _united(connection: Connection, mine: StoredRun | None, theirs: StoredRun, other: Engine) -> Outcome:
    if mine is None:
        _insert(connection, theirs, other)
        return Outcome("added")
    if mine.run["state"] == RunState.RUNNING:
        return Outcome("skipped", "a worker of this store is running it")
    words = []
    if mine.run["state"] != RunState.DONE or _version(mine.run) < _version(theirs.run):
        words.append("measurements of a newer version" if mine.run["state"] == RunState.DONE else "it had not finished")
        _replace(connection, mine, theirs, other)
    elif mine.tasks != theirs.tasks:
        return Outcome("skipped", "this store has other tasks for it")
    elif _version(mine.run) == _version(theirs.run):
        words += merge_rows.unite(connection, mine, theirs, other)
    words += remarks.merge_into_run(connection, mine.run, theirs.run)
    return Outcome("updated", ", ".join(words)) if words else Outcome("unchanged")


def _version(run: Mapping[str, Any]) -> tuple[tuple[bool, Any], ...]:
    return tuple((False, 0) if run[name] is None else (True, run[name]) for name in VERSION)


def _insert(connection: Connection, theirs: StoredRun, other: Engine) -> None:
    insert_missing(connection, Config, theirs.configs)
    values = {name: value for name, value in theirs.run.items() if name not in OF_THE_STORE}
    run_id = connection.execute(insert(Run).values(values).returning(Run.id)).scalar_one()
    merge_rows.insert_measured(connection, run_id, theirs, other)


def _replace(connection: Connection, mine: StoredRun, theirs: StoredRun, other: Engine) -> None:
    """Let the run have the config, state and measurements of the other one. Its number, tags and notes stay."""
    insert_missing(connection, Config, theirs.configs)
    run_id, kept = mine.run["id"], (*OF_THE_STORE, *remarks.FIELDS)
    values = {name: value for name, value in theirs.run.items() if name not in kept}
    connection.execute(update(Run).where(Run.id == run_id).values(values))
    for table in (*RUN_TABLES, TrainingState):
        connection.execute(delete(table).where(table.run_id == run_id))
    merge_rows.insert_measured(connection, run_id, theirs, other)
    delete_unused(connection, [mine.run["config_key"]])
