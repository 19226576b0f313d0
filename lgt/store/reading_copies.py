"""Private copies of SQLite stores that cannot be read as they are: an older schema, or a write-ahead log.

Reading a store never changes it and leaves no file beside it. A store of an older schema would have to be migrated, and
a file with a write-ahead log gets two more files when it is opened. Both are copied into this user's cache, and the
copy is migrated and read. A copy belongs to one state of the original (its path, size, time and inode).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from lgt.core.paths import own_folder
from lgt.store import raw_bytes
from lgt.store.errors import StoreError

KEPT_SECONDS = 7 * 24 * 3600.0
"""A copy that nobody has opened for this time is removed when another one is made."""


def reading_copy(path: Path, prepare: Callable[[Path], None]) -> Path:
    """A copy of the store ``path`` in this user's cache, which ``prepare`` has migrated. Made if there is none.

    Raises StoreError when there is no room for it, and what ``prepare`` raises.
    """
    status = path.stat()
    key = f"{path.resolve()}\n{status.st_size}\n{status.st_mtime_ns}\n{status.st_ino}\n{_wal_state(path)}"
    try:
        folder = own_folder("stores")
        target = folder / f"{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.db"
        if target.exists():
            os.utime(target)
            return target
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as new:
            made = Path(new) / "copy.db"
            _copy(path, made)
            prepare(made)
            os.replace(made, target)
        _remove_old(folder, target)
        return target
    except OSError as error:
        raise StoreError(f"{path} cannot be copied for reading: {error.strerror or error}; free some space") from error


def _wal_state(path: Path) -> str:
    log = path.with_name(path.name + "-wal")
    return f"{log.stat().st_size} {log.stat().st_mtime_ns}" if log.exists() else ""


def _copy(path: Path, target: Path) -> None:
    if raw_bytes.is_in_wal_mode(path):
        raw_bytes.copy(path, target)
        log = path.with_name(path.name + "-wal")
        if log.exists():
            shutil.copyfile(log, target.with_name(target.name + "-wal"))
        with closing(sqlite3.connect(target)) as copied:
            copied.execute("PRAGMA journal_mode = DELETE")
        return
    with (
        closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)) as original,
        closing(sqlite3.connect(target)) as copied,
    ):
        original.backup(copied)


def _remove_old(folder: Path, kept: Path) -> None:
    for path in folder.iterdir():
        try:
            if path != kept and path.stat().st_mtime < time.time() - KEPT_SECONDS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError:
            continue  # another process uses or removes it
