"""Back up a store to a file, and restore a store from such a file."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, suppress
from itertools import product
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.engine import URL

from lgt.core.paths import share_like
from lgt.store import atomic_files, blobs
from lgt.store.atomic_files import temporary_path
from lgt.store.engine import BUSY_TIMEOUT_MS, database_file, open_store, read_connection, refuse_if_read_only
from lgt.store.errors import RESTORE, StoreError, store_name, translate_errors
from lgt.store.integrity import integrity
from lgt.store.schema import Checkpoint, TrainingState
from lgt.store.sqlite_files import LONGEST_NAME


def backup(engine: Engine, path: Path) -> Path:
    """Write a compact, checked snapshot of a SQLite store to ``path``. Other processes may keep writing to the store.

    Raises StoreError when ``path`` exists or cannot be written, or the store is damaged or not SQLite.
    """
    if engine.dialect.name != "sqlite":
        raise StoreError(f"{store_name(engine.url)} is not a SQLite file; back it up with pg_dump")
    if os.path.lexists(path):
        raise StoreError(f"{path} exists; choose a new name for the backup")
    try:
        with temporary_path(path) as copy_path, translate_errors(engine.url):
            _vacuum_into(engine, copy_path)
            copy = open_store(str(copy_path.absolute()), create=False, read_only=True)
            _copy_large_weights(copy, blobs.files_folder(engine.url), _files_of(path))
            problems = integrity(copy, blobs.files_folder(engine.url))
            if problems:
                found = problems[0].replace(str(copy_path), "its copy")
                raise StoreError(f"{store_name(engine.url)} is damaged ({found}); no backup was made; {RESTORE}")
            atomic_files.sync(copy_path)
            os.replace(copy_path, path)
        atomic_files.sync(path.parent)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}; choose another place") from error
    return path


def _files_of(path: Path) -> Path:
    """The folder of the files of the SQLite store ``path``, which need not exist."""
    return blobs.files_folder(URL.create("sqlite", database=str(path.absolute())))


def _copy_large_weights(engine: Engine, source: Path, target: Path) -> None:
    """Copy the files of large checkpoints of the store from one folder to another."""
    in_files = select(Checkpoint.uri, Checkpoint.size, Checkpoint.sha256).where(Checkpoint.uri.is_not(None))
    with read_connection(engine) as connection:
        rows = connection.execute(in_files).all()
    for row in rows:
        blobs.write_file(target, str(row.uri), blobs.read_file(source, str(row.uri), row.size, row.sha256))


def _copy_states(engine: Engine, sources: tuple[Path, ...], target: Path) -> None:
    """Copy the training states of the store's runs that are in one of the folders. Without its state a run starts
    over."""
    with read_connection(engine) as connection:
        rows = connection.execute(select(TrainingState.file, TrainingState.size, TrainingState.sha256)).all()
    for row, source in product(rows, sources):
        with suppress(StoreError):
            blobs.write_file(target, row.file, blobs.read_file(source, row.file, row.size, row.sha256))


def _vacuum_into(engine: Engine, path: Path) -> None:
    source = Path(str(engine.url.database)).as_uri()
    with closing(sqlite3.connect(f"{source}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_MS / 1000)) as connection:
        connection.execute("VACUUM INTO ?", (path.absolute().as_uri(),))  # also a name that is not Unicode


def restore(path: Path, url: str) -> Path | None:
    """Replace the SQLite store at ``url`` by the backup ``path``. No process may use the store meanwhile.

    The old store, damaged or not, is renamed; returns its new path, or None when there was no store. Raises StoreError
    when the backup is damaged or the files cannot be written.
    """
    target = database_file(url)
    refuse_if_read_only(str(target))
    source = open_store(str(path.absolute()), create=False, read_only=True)
    problems = integrity(source)
    if problems:
        raise StoreError(f"{path} is damaged ({problems[0]}); choose another backup")
    try:
        with temporary_path(target) as copy_path, translate_errors(source.url):
            _vacuum_into(source, copy_path)
            share_like(copy_path, target.parent)
            atomic_files.sync(copy_path)
            files = _files_of(target)
            files.parent.mkdir(parents=True, exist_ok=True)
            with temporary_path(files) as new_files:
                _copy_large_weights(source, blobs.files_folder(source.url), new_files)
                _copy_states(source, (blobs.files_folder(source.url), files), new_files)
                old_store = _rename_old_store(target)
                if new_files.exists():
                    os.rename(new_files, files)
                    blobs.open_folder(files)
            os.replace(copy_path, target)
        atomic_files.sync(target.parent)
    except OSError as error:
        raise StoreError(f"{target} cannot be restored: {error.strerror or error}; check the path") from error
    return old_store


def _free_name(target: Path) -> Path:
    """A name for the old store with the time in it, under which there is nothing yet, also no folder of files."""
    number = 0
    while True:
        number += 1
        ending = time.strftime(".%Y%m%dT%H%M%SZ", time.gmtime()) + (f"-{number}" if number > 1 else "")
        begin = os.fsdecode(os.fsencode(target.name)[: LONGEST_NAME - len(ending)])
        name = target.with_name(begin + ending)
        if not any(map(os.path.lexists, (name, name.with_name(name.name + "-journal"), _files_of(name)))):
            return name


def _rename_old_store(target: Path) -> Path | None:
    """Rename a store, its journal and its folder of files together: SQLite would apply a journal left here to the
    restored file, and a worker would remove files that no run of the restored store names."""
    files = _files_of(target)
    if not os.path.lexists(target) and not os.path.lexists(files):
        return None
    renamed = _free_name(target)
    moved = {
        target: renamed,
        target.with_name(target.name + "-journal"): renamed.with_name(renamed.name + "-journal"),
        files: _files_of(renamed),
    }
    existed = os.path.lexists(target)
    for old, new in moved.items():
        if os.path.lexists(old):
            os.rename(old, new)
    return renamed if existed else None
