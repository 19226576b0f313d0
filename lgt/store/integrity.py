"""Check whether a store is damaged."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, select

from lgt.store import blobs
from lgt.store.checkpoints import checksum_matches
from lgt.store.engine import read_connection
from lgt.store.errors import StoreError
from lgt.store.schema import Checkpoint


def integrity(engine: Engine, folder: Path | None = None) -> list[str]:
    """One line for each damage in the store; an empty list if there is none. Slow, because it reads the whole store.

    ``folder``: the folder with the store's large weights, if it is not the store's own folder of files.
    """
    problems: list[str] = []
    try:
        with read_connection(engine) as connection:
            if engine.dialect.name == "sqlite":
                problems += _sqlite_problems(connection)
            problems += _checkpoint_problems(connection, folder or blobs.files_folder(engine.url))
    except StoreError as error:
        problems.append(str(error))
    return problems


def _sqlite_problems(connection: Connection) -> list[str]:
    found = [str(line) for line in connection.exec_driver_sql("PRAGMA integrity_check(20)").scalars()]
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(20)
    lines = [line for text in found for line in text.splitlines() if line != "ok"]
    return lines + [f"table {row[0]}: a row belongs to no run" for row in orphans]


def _checkpoint_problems(connection: Connection, folder: Path) -> list[str]:
    problems = []
    for run_id, step in connection.execute(select(Checkpoint.run_id, Checkpoint.step)).all():
        chosen = select(Checkpoint.weights, Checkpoint.uri, Checkpoint.size, Checkpoint.sha256)
        row = connection.execute(chosen.where(Checkpoint.run_id == run_id, Checkpoint.step == step)).one()
        if row.weights is None:
            try:
                blobs.read_file(folder, row.uri, row.size, row.sha256)
            except StoreError as error:
                problems.append(f"run {run_id}: the checkpoint of step {step}: {error}")
        elif not checksum_matches(row.weights, row.size, row.sha256):
            problems.append(f"run {run_id}: the checkpoint of step {step} is damaged")
    return problems
