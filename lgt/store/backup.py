"""A copy of the store, and a copy put in its place."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine, make_url, select

from lgt.store import blobs, files
from lgt.store.engine import (
    BUSY_TIMEOUT_MS,
    database_file,
    open_store,
    read_connection,
    refuse_if_read_only,
)
from lgt.store.errors import RESTORE, StoreError, explained, store_name
from lgt.store.integrity import integrity
from lgt.store.schema import Checkpoint
from lgt.store.whole_files import _beside


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
            _copy_large_weights(copy, blobs.folder(engine.url), blobs.folder(make_url(f"sqlite:///{path}")))
            problems = integrity(copy, blobs.folder(engine.url))
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
        blobs.write_file(target, str(row.uri), blobs.read_file(source, str(row.uri), row.size, row.sha256))


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
            _copy_large_weights(source, blobs.folder(source.url), blobs.folder(make_url(f"sqlite:///{target}")))
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
