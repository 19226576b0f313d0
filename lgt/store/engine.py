"""Open a store and run transactions on it.

A SQLite store is one file with a rollback journal. The write-ahead log (WAL) is not used: some widely installed SQLite
versions lose commits with it, and it leaves further files. A write transaction takes the write lock at ``BEGIN``,
because concurrent deferred transactions that read and then write fail. Every connection is closed after its
transaction.
"""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from lgt.core import bounds
from lgt.recipes import limits
from lgt.store import locations, migrate, sqlite_files
from lgt.store.errors import LeaseLost, StoreError, store_name, translate_errors
from lgt.store.known_schemas import check_schema
from lgt.store.raw_bytes import is_in_wal_mode, schema_in_header
from lgt.store.reading_copies import reading_copy
from lgt.store.upserts import bump_revision

__all__ = ["Engine", "LeaseLost", "StoreError", "database_url", "open_store", "read_connection", "write_transaction"]

BUSY_TIMEOUT_MS = 30_000
SCHEME = re.compile(r"[\w+.-]*://")
"""What a URL begins with; any other name of a store is a path."""
ALMOST_URL = re.compile(r"(?!\w[\w+.-]*://)(postgres\w*|mysql|mariadb)[\w+.-]*:?/*[^/:@]*:[^@]*@", re.IGNORECASE)
"""A URL of a database server with a slip in its beginning. As a path it would be shown, with its password."""
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


def database_url(option: str | None = None) -> str:
    """The URL of the store that new runs go to: ``option``, else :func:`lgt.store.locations.workspace`.

    For a SQLite store it is the absolute path, never a URL: a path is taken as it is, while a URL is decoded when it is
    read, so that ``?``, ``#`` and ``%41`` in a name would open another file. Raises StoreError for a bad URL.
    """
    return _as_text(_parsed(option or locations.workspace()))


def _as_text(url: URL) -> str:
    """The text that :func:`_parsed` reads as ``url``: the path of a SQLite file, else the URL with its password."""
    return str(url.database) if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=False)


def _parsed(text: str) -> URL:
    if ALMOST_URL.match(text):
        raise StoreError("a store is named by something between a path and a database URL (it is not shown, because it "
                         "may contain a password); give a path, sqlite:///PATH or postgresql://...")  # fmt: skip
    if not SCHEME.match(text):
        return _sqlite_url(URL.create("sqlite", database=text))
    if "?" in text and text.startswith("sqlite"):
        raise StoreError(
            f"{text!r} has a question mark, which a SQLite URL cannot have; give the path without sqlite:///"
        )
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise StoreError(f"{text!r} is not a database URL; give a path, sqlite:///PATH or postgresql://...") from error
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(f"{url.drivername} stores are not supported; give a path, sqlite:///PATH or postgresql://...")
    return _sqlite_url(url) if url.get_backend_name() == "sqlite" else url


def _sqlite_url(url: URL) -> URL:
    if url.drivername not in ("sqlite", "sqlite+pysqlite") or url.host:
        raise StoreError(f"{url.render_as_string()!r} is not a plain SQLite file; give its path or sqlite:///PATH")
    if not url.database or url.database == ":memory:" or "\0" in url.database:
        raise StoreError("a store must be a file that several processes can open; give its path")
    path = Path(url.database)
    if url.database.startswith("~"):  # not Path("./~"), which is a file
        with suppress(RuntimeError):  # no user has this name
            path = path.expanduser()
    return url.set(database=str(path.absolute()))


def is_server(url: str) -> bool:
    """Whether the store at ``url`` (URL or path) is on a database server. Raises StoreError for a bad URL."""
    return _parsed(url).get_backend_name() != "sqlite"


def full_url(engine: Engine) -> str:
    """The path or URL of an open store, with its password. Pass it on only through the environment, never show it."""
    return _as_text(engine.url)


def database_file(url: str) -> Path:
    """The file of the SQLite store at ``url`` (URL or path). Raises StoreError when it is not a SQLite store."""
    parsed = _parsed(url)
    if parsed.get_backend_name() != "sqlite":
        raise StoreError(f"{store_name(parsed)} is not a SQLite file; use the server's own tools, such as pg_dump")
    return Path(str(parsed.database))


def open_store(url: str, *, create: bool = True, read_only: bool = False) -> Engine:
    """An engine for the store at ``url`` (URL or path). The store is checked before anything is written.

    A missing SQLite file is created when ``create`` is set. An older schema is migrated unless ``read_only`` is set.
    Raises StoreError when ``url`` is a folder, is in a missing folder, or is a file that is empty, damaged, not
    readable, not writable, not a SQLite database, another program's database or of a newer schema.
    """
    parsed = _parsed(url)
    if not read_only:
        refuse_if_read_only(store_name(parsed))
    with translate_errors(parsed):
        if parsed.get_backend_name() == "sqlite":
            return _open_sqlite(parsed, create and not read_only, read_only)
        return _open_server(parsed, create and not read_only, read_only)


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
    try:
        engine = create_engine(url, pool_pre_ping=True, pool_size=2)
    except ModuleNotFoundError as error:
        raise StoreError(
            f"the driver {error.name} is not installed; install it with pip, e.g. psycopg[binary]"
        ) from error
    except ArgumentError as error:
        raise StoreError(f"{url.drivername} is no driver that is known here; give postgresql+psycopg://...") from error
    if read_only:
        engine = engine.execution_options(postgresql_readonly=True)
    with read_connection(engine) as connection:
        stored = migrate.stored_schema(connection)
    name = url.render_as_string()
    if stored == 0 and not may_create:
        raise StoreError(f"{name} holds no store; check --database, or train a run to create it")
    _check_or_migrate_schema(engine, name, stored, read_only)
    return engine


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
    with translate_errors(engine.url), engine.connect() as opened:
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
    with translate_errors(engine.url), engine.connect() as opened:
        if engine.dialect.name == "postgresql":
            opened = opened.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with opened.begin():
            yield opened
