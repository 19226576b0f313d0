"""Move what a store holds: merge another store, export tables, back up, check."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd
from sqlalchemy import Connection, Engine, insert, make_url, select

from lgt.store import files, outside
from lgt.store.engine import (
    BUSY_TIMEOUT_MS,
    database_file,
    open_store,
    read_connection,
    refuse_if_read_only,
    write_transaction,
)
from lgt.store.errors import RESTORE, StoreError, explained, store_name
from lgt.store.frames import frame
from lgt.store.queries import intact
from lgt.store.schema import RUN_TABLES, Base, Checkpoint, Run, RunState, column_names
from lgt.store.upserts import upsert

Format = Literal["csv", "parquet", "json"]
IDENTITY = ("config_hash", "code_version", "device", "created_at", "finished_at")
"""Columns of ``runs`` that together tell one finished run from every other, in any store."""


@dataclass(frozen=True)
class MergeReport:
    """How many finished runs a merge copied, and how many were here already."""

    added: int
    skipped: int


def merge(engine: Engine, other_url: str) -> MergeReport:
    """Copy the finished runs of another store, with all they measured, that are not here yet.

    They get new numbers. Each run arrives whole or not at all, so that a merge that was broken off can be repeated.
    Raises StoreError when the other store cannot be read or a run in it has a damaged checkpoint.
    """
    refuse_if_read_only(store_name(engine.url))
    other = open_store(other_url, create=False, read_only=True)
    with read_connection(other) as source:
        finished = list(source.scalars(select(Run.id).where(Run.state == RunState.DONE).order_by(Run.id)))
    added = sum(_copy_run(engine, other, run_id) for run_id in finished)
    return MergeReport(added=added, skipped=len(finished) - added)


def _copy_run(engine: Engine, other: Engine, run_id: int) -> bool:
    with read_connection(other) as source:
        run = _rows(source, Run, Run.id, run_id)
        measured = {table: _rows(source, table, table.run_id, run_id) for table in RUN_TABLES}
    if not run:
        return False  # deleted there in the meantime
    for row in measured[Checkpoint]:
        if row["weights"] is not None and not intact(row["weights"], row["size"], row["sha256"]):
            raise StoreError(
                f"{store_name(other.url)}: run {run_id} has a damaged checkpoint; nothing of it was copied"
            )
    large = [row for row in measured[Checkpoint] if row["weights"] is None]
    contents = [outside.read_file(outside.folder(other.url), row["uri"], row["size"], row["sha256"]) for row in large]
    values = {name: value for name, value in run[0].items() if name not in ("id", "token")}
    same = [getattr(Run, name).is_not_distinct_from(values[name]) for name in IDENTITY]
    with write_transaction(engine) as connection:
        if connection.scalar(select(Run.id).where(*same).limit(1)) is not None:
            return False
        new_id = connection.execute(insert(Run).values(values).returning(Run.id)).scalar_one()
        for row, data in zip(large, contents, strict=True):
            row["uri"] = outside.checkpoint_name(new_id, row["step"])
            outside.write_file(outside.folder(engine.url), row["uri"], data)
        for table, rows in measured.items():
            upsert(connection, table, [row | {"run_id": new_id} for row in rows])
    return True


def _rows(connection: Connection, table: type[Base], key: Any, run_id: int) -> list[dict[str, Any]]:
    statement = select(*table.__table__.columns).where(key == run_id)
    return [dict(row) for row in connection.execute(statement).mappings()]


def export(engine: Engine, directory: Path, format: Format = "csv") -> list[Path]:
    """Write one file per table into ``directory``, each checkpoint as a file, and a ``README.txt``; return the paths.

    Counts stay counts. Every file appears whole. In CSV a text cell that a spreadsheet would run as a formula gets a
    leading apostrophe. Raises StoreError when the directory cannot be written.
    """
    if format not in get_args(Format):
        raise StoreError(f"export format {format!r} is not known; choose csv, parquet or json")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with read_connection(engine) as connection:  # one snapshot for all tables
            paths = [_export_table(connection, table, directory, format) for table in (Run, *RUN_TABLES)]
            paths += _export_checkpoints(connection, directory / "checkpoints")
    except OSError as error:
        raise StoreError(f"{directory} cannot be written: {error.strerror or error}; choose another folder") from error
    return [*paths, _write_whole(directory / "README.txt", lambda beside: beside.write_text(_readme(paths)))]


def _export_table(connection: Connection, table: type[Base], directory: Path, format: Format) -> Path:
    columns = [getattr(table, name) for name in column_names(table) if name != "weights"]
    rows = frame(connection, select(*columns).order_by(*table.__table__.primary_key))
    path = directory / f"{table.__tablename__}.{format}"
    write: Mapping[str, Callable[[Path], object]] = {
        "csv": lambda beside: _escaped(rows).to_csv(beside, index=False),
        "parquet": lambda beside: rows.to_parquet(beside, index=False),
        "json": lambda beside: rows.to_json(beside, orient="records", double_precision=15, indent=1),
    }
    return _write_whole(path, write[format])


def _escaped(rows: pd.DataFrame) -> pd.DataFrame:
    """``rows`` with an apostrophe before texts that begin as formulas do (OWASP, CSV injection)."""
    escaped = rows.copy()
    texts: list[str] = list(rows.select_dtypes("str").columns)
    for name in texts:
        formulas = rows[name].str.match(r"[=+\-@\t\r\n＝＋－＠]", na=False)
        escaped.loc[formulas, name] = "'" + rows.loc[formulas, name]
    return escaped


def _export_checkpoints(connection: Connection, folder: Path) -> list[Path]:
    stored = connection.execute(select(Checkpoint.run_id, Checkpoint.step)).all()
    if stored:
        folder.mkdir(exist_ok=True)
    paths = []
    for run_id, step in stored:
        columns = (Checkpoint.weights, Checkpoint.uri, Checkpoint.size, Checkpoint.sha256)
        row = connection.execute(select(*columns).where(Checkpoint.run_id == run_id, Checkpoint.step == step)).one()
        weights = row.weights or outside.read_file(outside.folder(connection.engine.url), row.uri, row.size, row.sha256)
        path = folder / f"run-{run_id}-step-{step}.safetensors"
        paths.append(_write_whole(path, partial(Path.write_bytes, data=weights)))
    return paths


def _readme(paths: list[Path]) -> str:
    about = (f"{path.name}: {', '.join(column_names(table))}"
             for path, table in zip(paths, (Run, *RUN_TABLES), strict=False))  # fmt: skip
    return "\n\n".join((
        "Length Transfer Lab: runs and what they measured, one file per table, joined by run_id (runs: id).",
        "Times are UTC epoch seconds, lengths are in task units, accuracy is correct / total (exact match),\n"
        "accuracy_drop is a fraction, loss_rise is in nats per answer token, layers and heads count from 0.",
        "Weights are in checkpoints/ as safetensors; sha256 and size are in the table.",
        "In CSV files a text that begins with = + - @ carries a leading apostrophe; remove it when reading.",
        *about,
    )) + "\n"  # fmt: skip


def _write_whole(path: Path, write: Callable[[Path], object]) -> Path:
    with _beside(path) as beside:
        write(beside)
        os.replace(beside, path)
    return path


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A free path in the folder of ``path``; whatever is left there afterwards is removed."""
    with tempfile.TemporaryDirectory(prefix=".lgt-", dir=path.parent) as folder:
        yield Path(folder) / path.name


def backup(engine: Engine, path: Path) -> Path:
    """Write a compact, checked copy of a SQLite store to ``path``, of one moment, while others go on working.

    Raises StoreError when ``path`` exists or cannot be written, or the store is damaged or not SQLite.
    """
    if engine.dialect.name != "sqlite":
        raise StoreError(f"{store_name(engine.url)} is not a SQLite file; back it up with pg_dump")
    if os.path.lexists(path):
        raise StoreError(f"{path} exists; choose a new name for the backup")
    try:
        with _beside(path) as beside, explained(engine.url):
            _vacuum_into(engine, beside)
            copy = open_store(str(beside), create=False, read_only=True)
            _copy_large_weights(copy, outside.folder(engine.url), outside.folder(make_url(f"sqlite:///{path}")))
            problems = integrity(copy, outside.folder(engine.url))
            if problems:
                found = problems[0].replace(str(beside), "its copy")
                raise StoreError(f"{store_name(engine.url)} is damaged ({found}); no backup was made; {RESTORE}")
            files.sync(beside)
            os.replace(beside, path)
        files.sync(path.parent)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}; choose another place") from error
    return path


def _copy_large_weights(engine: Engine, source: Path, target: Path) -> None:
    """Copy the files that checkpoints of the store name from one folder to another."""
    large = select(Checkpoint.uri, Checkpoint.size, Checkpoint.sha256).where(Checkpoint.uri.is_not(None))
    with read_connection(engine) as connection:
        rows = connection.execute(large).all()
    for row in rows if source != target else ():
        outside.write_file(target, str(row.uri), outside.read_file(source, str(row.uri), row.size, row.sha256))


def _vacuum_into(engine: Engine, path: Path) -> None:
    source = Path(str(engine.url.database)).as_uri()
    with closing(sqlite3.connect(f"{source}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_MS / 1000)) as connection:
        connection.execute("VACUUM INTO ?", (str(path),))


def restore(path: Path, url: str) -> Path | None:
    """Put the backup ``path`` in the place of the SQLite store at ``url``, which no process may be using meanwhile.

    The store that was there, damaged or not, is kept beside it; returns its new path, or None when there was none.
    Raises StoreError when the backup is not a whole store or the place cannot be written.
    """
    target = database_file(url)
    refuse_if_read_only(str(target))
    source = open_store(str(path), create=False, read_only=True)
    problems = integrity(source)
    if problems:
        raise StoreError(f"{path} is damaged ({problems[0]}); choose another backup")
    try:
        with _beside(target) as beside, explained(source.url):
            _vacuum_into(source, beside)
            files.sync(beside)
            _copy_large_weights(source, outside.folder(source.url), outside.folder(make_url(f"sqlite:///{target}")))
            kept = _set_aside(target)
            os.replace(beside, target)
        files.sync(target.parent)
    except OSError as error:
        raise StoreError(f"{target} cannot be restored: {error.strerror or error}; check the path") from error
    return kept


def _set_aside(target: Path) -> Path | None:
    """Rename a store and its journal, which only fit together: the journal must not meet another file."""
    if not os.path.lexists(target):
        return None
    kept = target.with_name(f"{target.name}.{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    if kept.exists():
        raise StoreError(f"{kept} exists; wait a second, then try again")
    os.rename(target, kept)
    journal = target.with_name(target.name + "-journal")
    if journal.exists():
        os.rename(journal, kept.with_name(kept.name + "-journal"))
    return kept


def integrity(engine: Engine, place: Path | None = None) -> list[str]:
    """What is wrong with the store, one line each; empty when it is whole. Reads everything, so it takes a while.

    ``place``: the folder of its large weights, if that is not its own.
    """
    problems: list[str] = []
    try:
        with read_connection(engine) as connection:
            if engine.dialect.name == "sqlite":
                problems += _sqlite_problems(connection)
            problems += _checkpoint_problems(connection, place or outside.folder(engine.url))
    except StoreError as error:
        problems.append(str(error))
    return problems


def _sqlite_problems(connection: Connection) -> list[str]:
    found = [str(line) for line in connection.exec_driver_sql("PRAGMA integrity_check(20)").scalars()]
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(20)
    lines = [line for text in found for line in text.splitlines() if line != "ok"]
    return lines + [f"table {row[0]}: a row belongs to no run" for row in orphans]


def _checkpoint_problems(connection: Connection, place: Path) -> list[str]:
    problems = []
    for run_id, step in connection.execute(select(Checkpoint.run_id, Checkpoint.step)).all():
        chosen = select(Checkpoint.weights, Checkpoint.uri, Checkpoint.size, Checkpoint.sha256)
        row = connection.execute(chosen.where(Checkpoint.run_id == run_id, Checkpoint.step == step)).one()
        if row.weights is None:
            try:
                outside.read_file(place, row.uri, row.size, row.sha256)
            except StoreError as error:
                problems.append(f"run {run_id}: the checkpoint of step {step}: {error}")
        elif not intact(row.weights, row.size, row.sha256):
            problems.append(f"run {run_id}: the checkpoint of step {step} is damaged")
    return problems
