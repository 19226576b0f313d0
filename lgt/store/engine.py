"""Open a store and run transactions on it.

SQLite stores are one file with a rollback journal (WAL lost commits in the SQLite versions people have, and leaves
side files). Writers take the write lock at ``BEGIN``: with deferred transactions concurrent read-then-write
transactions fail. No connection outlives its transaction.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from lgt.recipes import limits
from lgt.store import files, migrate
from lgt.store.errors import LeaseLost, StoreError, explained, store_name
from lgt.store.upserts import bump_revision

__all__ = ["Engine", "LeaseLost", "StoreError", "database_url", "open_store", "read_connection", "write_transaction"]

BUSY_TIMEOUT_MS = 30_000
WRITES = "lgt_writes"
"""Execution option of a connection whose transactions take the write lock at once."""


def database_url(option: str | None = None) -> str:
    """The URL of the store to use: ``option``, else ``LGT_DATABASE_URL``, else ``results.db`` beside the package.

    A plain path is accepted and becomes a SQLite URL with an absolute path. Raises StoreError for a bad URL.
    """
    chosen = option or os.environ.get("LGT_DATABASE_URL") or str(Path(__file__).parents[2] / "results.db")
    return _parsed(chosen).render_as_string(hide_password=False)


def _parsed(text: str) -> URL:
    if "?" in text and (":" not in text or text.startswith("sqlite")):
        raise StoreError(f"{text!r} has a question mark, which a store's path or SQLite URL may not; choose another")
    if "://" not in text:
        text = f"sqlite:///{Path(text).expanduser().absolute()}"
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise StoreError(f"{text!r} is not a database URL; give a path, sqlite:///PATH or postgresql://...") from error
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(f"{url.drivername} stores are not supported; give a path, sqlite:///PATH or postgresql://...")
    if url.get_backend_name() == "sqlite":
        return _sqlite_url(url)
    return url


def _sqlite_url(url: URL) -> URL:
    if url.drivername not in ("sqlite", "sqlite+pysqlite") or url.host:
        raise StoreError(f"{url.render_as_string()!r} is not a plain SQLite file; give its path or sqlite:///PATH")
    if not url.database or url.database == ":memory:" or "\0" in url.database:
        raise StoreError("a store must be a file that several processes can open; give its path")
    return url.set(database=str(Path(url.database).expanduser().absolute()))


def database_file(url: str) -> Path:
    """The file of the SQLite store at ``url`` (URL or path). Raises StoreError when it is not a SQLite store."""
    parsed = _parsed(url)
    if parsed.get_backend_name() != "sqlite":
        raise StoreError(f"{store_name(parsed)} is not a SQLite file; use the server's own tools, such as pg_dump")
    return Path(str(parsed.database))


def open_store(url: str, *, create: bool = True, read_only: bool = False) -> Engine:
    """An engine for the store at ``url`` (URL or path), checked before anything is written.

    A missing SQLite file is created when ``create`` is set, an older schema is migrated unless ``read_only``.
    Raises StoreError, one line naming the store, what is wrong and what to do: a folder, a missing folder, a text
    file, an empty file, another program's database, a newer schema, a damaged, unreadable or unwritable file.
    """
    parsed = _parsed(url)
    if not read_only:
        refuse_if_read_only(store_name(parsed))
    with explained(parsed):
        if parsed.get_backend_name() == "sqlite":
            return _open_sqlite(parsed, create and not read_only, read_only)
        return _open_server(parsed, create and not read_only, read_only)


def refuse_if_read_only(name: str) -> None:
    """Raise StoreError about the store ``name`` while ``LGT_READ_ONLY`` is set."""
    if limits.read_only():
        raise StoreError(f"{name} is not written to: {limits.READ_ONLY} is set; unset it to make changes")


def migrate_if_older(url: str) -> None:
    """Bring the store at ``url`` to this code's schema where that is all it needs and it may be written.

    Every other trouble is left for :func:`open_store` to explain.
    """
    parsed = _parsed(url)
    with suppress(StoreError), explained(parsed):
        if parsed.get_backend_name() == "sqlite":
            path = Path(str(parsed.database))
            files.check_file(path, writable=True)
            engine = sqlite_engine(path, read_only=True)
        else:
            engine = create_engine(parsed, poolclass=NullPool)
        with read_connection(engine) as connection:
            stored = migrate.stored_schema(connection)
        if 0 < stored < migrate.latest_schema():
            open_store(url, create=False)


def _open_sqlite(url: URL, may_create: bool, read_only: bool) -> Engine:
    path = Path(str(url.database))
    if not os.path.exists(path):  # Path.exists would raise in folders that may not be searched
        if not may_create:
            raise StoreError(f"{path} does not exist; check --database, or train a run to create it")
        files.new_file(path, _fill)
    files.check_file(path, writable=not read_only)
    engine = sqlite_engine(path, read_only=read_only)
    with read_connection(engine) as connection:
        stored = files.check_contents(connection, path)
    _settle_schema(engine, str(path), stored, read_only)
    if not read_only:
        _leave_wal(engine)
    return engine


def _fill(path: Path) -> None:
    engine = sqlite_engine(path, read_only=False)
    with write_transaction(engine) as connection:
        migrate.upgrade(connection)


def _leave_wal(engine: Engine) -> None:
    """Return a file that another tool switched to a write-ahead log to the rollback journal."""
    raw = engine.raw_connection()
    try:
        raw.cursor().execute("PRAGMA journal_mode = DELETE")
    finally:
        raw.close()


def _settle_schema(engine: Engine, name: str, stored: int, read_only: bool) -> None:
    latest = migrate.latest_schema()
    if stored > latest:
        raise StoreError(f"{name} has schema {stored}, newer than this code's {latest}; update the code to open it")
    if stored == latest:
        return
    if read_only:
        raise StoreError(f"{name} has schema {stored}, older than {latest}; open it once for writing to migrate it")
    with write_transaction(engine) as connection:
        migrate.upgrade(connection)


def sqlite_engine(path: Path, *, read_only: bool) -> Engine:
    """An engine for the existing SQLite file ``path``, unchecked; it never creates a file."""
    # A reader with write permission can recover the journal of a killed writer, which mode=ro cannot.
    mode = "rw" if not read_only or files.is_writable(path) else "ro"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(f"{path.as_uri()}?mode={mode}", uri=True, timeout=BUSY_TIMEOUT_MS / 1000)

    engine = create_engine(URL.create("sqlite", database=str(path)), creator=connect, poolclass=NullPool)
    event.listen(engine, "connect", lambda raw, _record: _configure(raw, read_only))
    event.listen(engine, "begin", _begin)
    return engine


def _configure(raw: Any, read_only: bool) -> None:
    raw.isolation_level = None  # the driver would begin deferred transactions of its own; _begin decides instead
    for pragma in ("foreign_keys = ON", "synchronous = FULL", "trusted_schema = OFF", f"query_only = {int(read_only)}"):
        raw.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _open_server(url: URL, may_create: bool, read_only: bool) -> Engine:
    try:
        engine = create_engine(url, pool_pre_ping=True, pool_size=2)
    except ModuleNotFoundError as error:
        raise StoreError(
            f"the driver {error.name} is not installed; install it with pip, e.g. psycopg[binary]"
        ) from error
    if read_only:
        engine = engine.execution_options(postgresql_readonly=True)
    with read_connection(engine) as connection:
        stored = migrate.stored_schema(connection)
    name = url.render_as_string()
    if stored == 0 and not may_create:
        raise StoreError(f"{name} holds no store; check --database, or train a run to create it")
    _settle_schema(engine, name, stored, read_only)
    return engine


@contextmanager
def write_transaction(engine: Engine, *, results_changed: bool = True) -> Iterator[Connection]:
    """A short transaction that holds the write lock from its start; commits at the end, rolls back on any error.

    Counts the store's revision up, unless ``results_changed`` is False: then no page has anything new to show. Raises StoreError for
    what the database refuses (locked, full, damaged, ...), and for every write while ``LGT_READ_ONLY`` is set.
    """
    refuse_if_read_only(store_name(engine.url))
    with explained(engine.url), engine.connect() as opened:
        connection = opened.execution_options(**{WRITES: True})
        with connection.begin():
            yield connection
            if results_changed:
                bump_revision(connection)


@contextmanager
def read_connection(engine: Engine) -> Iterator[Connection]:
    """A connection for reads that all see one state of the store. Fetch everything before the block ends.

    Raises StoreError for what the database refuses (locked, damaged, ...).
    """
    with explained(engine.url), engine.connect() as opened:
        if engine.dialect.name == "postgresql":
            opened = opened.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with opened.begin():
            yield opened
