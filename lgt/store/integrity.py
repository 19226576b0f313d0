"""Check whether a store is damaged."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, select

from lgt.store.checkpoints import DamagedWeights, checked_weights
from lgt.store.engine import read_connection
from lgt.store.errors import StoreError
from lgt.store.measurements import PACKED, Packed, unpacked
from lgt.store.schema import Checkpoint, NumberList, RunTask


def integrity(engine: Engine, folder: Path | None = None) -> list[str]:
    """One line for each damage in the store; an empty list if there is none. Slow, because it reads the whole store.

    ``folder``: the folder with the store's large weights, if it is not the store's own folder of files.
    """
    problems: list[str] = []
    try:
        with read_connection(engine) as connection:
            if engine.dialect.name == "sqlite":
                problems += _sqlite_problems(connection)
            problems += [line for packed in PACKED for line in _packed_problems(connection, packed)]
            problems += _checkpoint_problems(connection, folder)
    except StoreError as error:
        problems.append(str(error))
    return problems


def _sqlite_problems(connection: Connection) -> list[str]:
    found = [str(line) for line in connection.exec_driver_sql("PRAGMA integrity_check(20)").scalars()]
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(20)
    lines = [line for text in found for line in text.splitlines() if line != "ok"]
    return lines + [f"table {row[0]}: a row belongs to no run" for row in orphans]


def _checkpoint_problems(connection: Connection, folder: Path | None) -> list[str]:
    problems: list[str] = []
    for run_id, step in connection.execute(select(Checkpoint.run_id, Checkpoint.step)).all():
        one = select(Checkpoint).where(Checkpoint.run_id == run_id, Checkpoint.step == step)
        try:
            checked_weights(connection.engine.url, connection.execute(one).one(), folder)
        except DamagedWeights as error:
            problems.append(str(error))
        except StoreError as error:
            problems.append(f"run {run_id}: the checkpoint of step {step}: {error}")
    return problems


def _packed_problems(connection: Connection, packed: Packed) -> list[str]:
    """One line for each row that cannot be unpacked, or that names a task or a list which does not exist."""
    slots = {(run_id, slot) for run_id, slot in connection.execute(select(RunTask.run_id, RunTask.slot))}
    lists = set(connection.scalars(select(NumberList.list).distinct()))
    table = packed.table
    tasks = [getattr(table, name) for name in packed.slots.values()]
    chosen = select(table.run_id, *tasks, *packed.packed_columns).order_by(table.run_id)
    problems = []
    for run_id, *values in connection.execute(chosen):
        own, stored = values[: len(tasks)], values[len(tasks) :]
        named = dict(zip(packed.kind.stored, stored, strict=True))
        if any((run_id, slot) not in slots for slot in own):
            problems.append(f"run {run_id}: a row of {table.__tablename__} has a task that the run does not have")
        if any(named[name] not in lists for name in packed.kind.lists):
            problems.append(f"run {run_id}: a row of {table.__tablename__} names a list that is not stored")
        try:
            unpacked(connection, packed, stored, run_id)
        except StoreError as error:
            problems.append(str(error))
    return problems
