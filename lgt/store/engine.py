"""Open a store and run transactions on it.

A SQLite store is one file with a rollback journal. The write-ahead log (WAL) is not used: some widely installed SQLite
versions lose commits with it, and it leaves further files. A write transaction takes the write lock at ``BEGIN``,
because concurrent deferred transactions that read and then write fail. Every connection is closed after its
transaction.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from lgt.core import bounds
from lgt.recipes import limits
from lgt.store import locations, migrate, patience, server, sqlite_files
from lgt.store.errors import LeaseLost, StoreError, store_name, translate_errors
from lgt.store.known_schemas import check_schema
from lgt.store.raw_bytes import is_in_wal_mode, schema_in_header
from lgt.store.reading_copies import reading_copy
from lgt.store.store_urls import database_file, database_url, full_url, is_server, parsed
from lgt.store.upserts import bump_revision

__all__ = [
    "Engine",
    "LeaseLost",
    "StoreError",
    "database_file",
    "database_url",
    "full_url",
    "is_server",
    "open_store",
    "read_connection",
    "write_transaction",
]

BUSY_TIMEOUT_MS = 30_000
QUERY_SECONDS, CHECK_SECONDS = 60.0, 600.0
"""How long a query that only reads may take, and a check of the whole file."""
STEPS_BETWEEN_CHECKS = 100_000
"""How many of SQLite's steps lie between two looks at the clock, about a millisecond."""
LONGEST_VALUE = bounds.STORED_VALUE.most
"""The longest text or bytes, in bytes, that SQLite makes or reads. Weights in a row have at most 8 MB."""
ENDS = "lgt_ends"
"""Where a connection keeps when its query must have ended."""
WRITES = "lgt_writes"
"""Execution option of a connection whose transactions take the write lock when they begin."""


def open_store(url: str, *, create: bool = True, read_only: bool = False) -> Engine:
    """An engine for the store at ``url`` (URL or path). The store is checked before anything is written.

    A missing SQLite file is created when ``create`` is set. An older schema is migrated unless ``read_only`` is set.
    A store on a server that is restarting or has no free connection raises StoreBusy.
    Raises StoreError when ``url`` is a folder, is in a missing folder, or is a file that is empty, damaged, not
    readable, not writable, not a SQLite database, another program's database or of a newer schema.
    """
    named = parsed(url)
    if not read_only:
        refuse_if_read_only(store_name(named))
    with translate_errors(named):
        if named.get_backend_name() == "sqlite":
            return _open_sqlite(named, create and not read_only, read_only)
        # A connection can also be lost between two queries of the opening.
        return patience.to_connect(partial(_open_server, named, create and not read_only, read_only))


def refuse_if_read_only(name: str) -> None:
    """Raise StoreError about the store ``name`` while ``LGT_READ_ONLY`` is set."""
    if limits.read_only():
        raise StoreError(f"{name} cannot be changed: {limits.READ_ONLY} is set; unset it to make changes")


def reading_key(url: str) -> str:
    """A text that changes when the store at ``url`` must be opened anew to read it: it was upgraded, or is read as a
    copy (:mod:`lgt.store.reading_copies`) and was changed."""
    if is_server(url):
        return ""
    path = database_file(url)
    try:
        version, changed = schema_in_header(path), path.stat().st_mtime_ns
        return f"{version} {changed}" if _needs_copy(path) else f"{version}"
    except (OSError, StoreError):
        return ""


def _open_sqlite(url: URL, may_create: bool, read_only: bool) -> Engine:
    path = Path(str(url.database))
    if not os.path.exists(path):  # Path.exists would raise in a folder without search permission
        if not may_create:
            raise StoreError(f"{path} does not exist; check --database, or train a run to create it")
        if path.parent == locations.data_directory():
            with suppress(OSError):  # the next line says what is wrong
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        sqlite_files.create_file(path, _create_tables)
    sqlite_files.check_file(path, writable=not read_only)
    opened = reading_copy(path, partial(_prepare_copy, shown=path)) if read_only and _needs_copy(path) else path
    engine = sqlite_engine(opened, read_only=read_only, shown=path)
    with read_connection(engine) as connection:
        stored = sqlite_files.check_contents(connection, path, opened)
    _check_or_migrate_schema(engine, str(path), stored, read_only)
    if not read_only:
        _use_rollback_journal(engine)
    return engine


def _needs_copy(path: Path) -> bool:
    """Whether reading the store as it is would change it: it has an older schema, or a write-ahead log."""
    return 0 < schema_in_header(path) < migrate.latest_schema() or is_in_wal_mode(path)


def _prepare_copy(path: Path, shown: Path) -> None:
    """Migrate the private copy ``path`` of ``shown``, a store of an older schema. Raises StoreError if its schema has
    anything else. Leaves any other file as it is; whether it is a store is checked when it is opened."""
    engine = sqlite_engine(path, read_only=False)
    with read_connection(engine) as connection:
        stored = migrate.stored_schema(connection)
        if 0 < stored < migrate.latest_schema():
            check_schema(connection, shown, stored)
    if 0 < stored < migrate.latest_schema():
        with write_transaction(engine, results_changed=False, private_copy=True) as connection:
            migrate.upgrade(connection)


def _create_tables(path: Path) -> None:
    with open(path, "wb") as file:
        file.write(_empty_store())
        file.flush()
        os.fsync(file.fileno())


@lru_cache
def _empty_store() -> bytes:
    """The file of a store without runs. Kept, because a process that makes many stores would repeat all migrations."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        path.touch()
        with write_transaction(sqlite_engine(path, read_only=False)) as connection:
            migrate.upgrade(connection)
        return path.read_bytes()


def _use_rollback_journal(engine: Engine) -> None:
    """Switch the file back to the rollback journal, in case another tool switched it to a write-ahead log."""
    raw = engine.raw_connection()
    try:
        raw.cursor().execute("PRAGMA journal_mode = DELETE")
    finally:
        raw.close()


def _check_or_migrate_schema(engine: Engine, name: str, stored: int, read_only: bool) -> None:
    latest = migrate.latest_schema()
    if stored > latest:
        raise StoreError(f"{name} has schema {stored}, newer than this code's {latest}; update the code to open it")
    if stored == latest:
        return
    if read_only:
        raise StoreError(f"{name} has schema {stored}, older than {latest}; open it once for writing to migrate it")
    with write_transaction(engine) as connection:
        migrate.upgrade(connection)
    if engine.dialect.name == "sqlite":
        _return_free_pages(engine)


def _return_free_pages(engine: Engine) -> None:
    """Make the file smaller after a migration if most of it is empty. A failure changes nothing."""
    raw = engine.raw_connection()
    try:
        free, pages = (
            raw.cursor().execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_count")
        )
        if free > pages / 2:
            with suppress(sqlite3.Error):  # another process reads, or the disk is full
                raw.cursor().execute("VACUUM")
    finally:
        raw.close()


def sqlite_engine(path: Path, *, read_only: bool, shown: Path | None = None) -> Engine:
    """An engine for the existing SQLite file ``path``. It checks nothing and never creates a file.

    ``shown``: the file that ``path`` is a copy of; messages name it, and large weights are in its folder.
    """
    # A killed writer leaves a journal. Only a connection with mode=rw can recover it, also when it then only reads.
    mode = "rw" if not read_only or sqlite_files.is_writable(path) else "ro"

    def connect() -> sqlite3.Connection:
        if shown not in (None, path):
            with suppress(OSError):
                os.utime(path)  # a copy that is read is kept
        return sqlite3.connect(f"{path.as_uri()}?mode={mode}", uri=True, timeout=BUSY_TIMEOUT_MS / 1000)

    engine = create_engine(URL.create("sqlite", database=str(shown or path)), creator=connect, poolclass=NullPool)
    event.listen(engine, "connect", lambda raw, record: _configure(raw, record, read_only))
    event.listen(engine, "begin", _begin)
    event.listen(engine, "before_cursor_execute", _start_clock)
    return engine


def _configure(raw: Any, record: Any, read_only: bool) -> None:
    raw.isolation_level = None  # otherwise the driver begins deferred transactions; _begin decides here
    raw.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
    for pragma in ("foreign_keys = ON", "synchronous = FULL", "trusted_schema = OFF", "cell_size_check = ON",
                   f"query_only = {int(read_only)}"):  # fmt: skip
        raw.execute(f"PRAGMA {pragma}")
    if read_only:
        ends = record.info[ENDS] = [time.monotonic() + QUERY_SECONDS]
        raw.set_progress_handler(lambda: time.monotonic() > ends[0], STEPS_BETWEEN_CHECKS)


def _start_clock(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
    """A query that reads may take QUERY_SECONDS: a store from somebody else could contain one that never ends."""
    ends = connection.info.get(ENDS)
    if ends is not None:
        ends[0] = time.monotonic() + (CHECK_SECONDS if statement.startswith("PRAGMA") else QUERY_SECONDS)


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _open_server(url: URL, may_create: bool, read_only: bool) -> Engine:
    engine = server.server_engine(url, read_only)
    with read_connection(engine) as connection:
        stored = migrate.stored_schema(connection)
    name = url.render_as_string()
    if stored == 0 and not may_create:
        raise StoreError(f"{name} holds no store; check --database, or train a run to create it")
    _check_or_migrate_schema(engine, name, stored, read_only)
    with read_connection(engine) as connection:
        server.remember_identity(connection)
        indexed = read_only or not server.lacks_queue_index(connection)
    if not indexed:
        with write_transaction(engine, results_changed=False) as connection:
            server.make_queue_index(connection)
    return engine


def _connected(engine: Engine) -> Connection:
    """A connection. In a block of :func:`lgt.store.patience.waiting` a server that is busy is waited for."""

    def connect() -> Connection:
        with translate_errors(engine.url):
            return engine.connect()

    return patience.to_connect(connect)


@contextmanager
def write_transaction(
    engine: Engine, *, results_changed: bool = True, private_copy: bool = False
) -> Iterator[Connection]:
    """A short transaction with the write lock from its start. It commits at the end and rolls back on any error.

    It increases the store's revision number, unless ``results_changed`` is False (heartbeats and progress). Raises
    StoreError when the database refuses (locked, full, damaged, ...), and always while ``LGT_READ_ONLY`` is set, except
    for a ``private_copy``.
    """
    if not private_copy:
        refuse_if_read_only(store_name(engine.url))
    with translate_errors(engine.url), _connected(engine) as opened:
        connection = opened.execution_options(**{WRITES: True})
        with connection.begin():
            yield connection
            if results_changed:
                bump_revision(connection)


@contextmanager
def read_connection(engine: Engine) -> Iterator[Connection]:
    """A connection whose reads all see one snapshot of the store. Fetch all rows before the block ends.

    Raises StoreError when the database refuses (locked, damaged, ...).
    """
    with translate_errors(engine.url), _connected(engine) as opened:
        if engine.dialect.name == "postgresql":
            opened = opened.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with opened.begin():
            yield opened
