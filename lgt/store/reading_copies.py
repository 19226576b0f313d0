"""Private copies of SQLite stores that cannot be read as they are: an older schema, or a write-ahead log.

Reading a store never changes it and leaves no file beside it. A store of an older schema would have to be migrated, and
a file with a write-ahead log gets two more files when it is opened. Both are copied into this user's cache, and the
copy is migrated and read. A copy belongs to one state of the original (its path, size, time and inode). Its name ends
with the digest of its bytes, so a copy that was cut or damaged is not used and made again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from lgt.core import bounds
from lgt.core.paths import is_own_file, own_folder
from lgt.store import raw_bytes
from lgt.store.atomic_files import remove_old
from lgt.store.errors import StoreError

KEPT_SECONDS = 7 * 24 * 3600.0
"""A copy that nobody has read for this time is removed when another one is made."""
FOLDER = "stores"
ATTEMPTS = 3
"""How often a store with a write-ahead log is copied when another program changes it meanwhile."""


def reading_copy(path: Path, prepare: Callable[[Path], None]) -> Path:
    """A copy of the store ``path`` in this user's cache, which ``prepare`` has migrated. Made if there is none.

    Raises StoreError when there is no room for it, and what ``prepare`` raises.
    """
    try:
        folder = own_folder(FOLDER)
        for _ in range(ATTEMPTS):
            key = _state(path)
            found = _whole_copy(folder, key) or _new_copy(path, folder, key, prepare)
            if found:
                remove_old(folder, KEPT_SECONDS, found)
                return found
        raise StoreError(f"{path} is being changed by another program and cannot be copied for reading; try again")
    except OSError as error:
        raise StoreError(f"{path} cannot be copied for reading: {error.strerror or error}; free some space") from error


def _state(path: Path) -> str:
    """A digest of the original's path and of what changes when it is changed."""
    status = path.stat()
    key = f"{path.resolve()}\n{status.st_size}\n{status.st_mtime_ns}\n{status.st_ino}\n{_wal_state(path)}"
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _whole_copy(folder: Path, key: str) -> Path | None:
    """The copy of this state of an original; None if there is none. One that is damaged, or that another user may have
    written, is removed."""
    for path in folder.glob(f"{key}-*.db"):
        try:
            if is_own_file(path) and path.stem == f"{key}-{_digest(path)}":
                os.utime(path)
                return path
            path.unlink()
        except FileNotFoundError:  # another process removed it
            continue
    return None


def _check_size(path: Path, folder: Path) -> None:
    """Raise StoreError when a copy of ``path`` is too large: a file of somebody else may say any size."""
    size = sum(one.stat().st_size for one in (path, _wal(path)) if one.exists())
    if size > bounds.COPIED_STORE.most or size > shutil.disk_usage(folder).free / 2:
        most = f"{bounds.COPIED_STORE.accepted}, and half of the free space of {folder}"
        raise StoreError(f"{path} and its write-ahead log have {size:,} bytes, too many to copy them for reading; "
                         f"accepted: {most}")  # fmt: skip


def _new_copy(path: Path, folder: Path, key: str, prepare: Callable[[Path], None]) -> Path | None:
    """A copy of the store ``path``; None if that was changed meanwhile, so that the copy may have parts of both."""
    _check_size(path, folder)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as new:
        made = Path(new) / "copy.db"
        _copy(path, made)
        if raw_bytes.is_in_wal_mode(path) and _state(path) != key:
            return None
        prepare(made)
        target = folder / f"{key}-{_digest(made)}.db"
        made.chmod(0o600)
        os.replace(made, target)
    return target


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def _wal(path: Path) -> Path:
    """The write-ahead log that SQLite reads: beside the file itself, also when ``path`` is a link to it."""
    real = Path(os.path.realpath(path))
    return real.with_name(real.name + "-wal")


def _wal_state(path: Path) -> str:
    log = _wal(path)
    return f"{log.stat().st_size} {log.stat().st_mtime_ns}" if log.exists() else ""


def _copy(path: Path, target: Path) -> None:
    if raw_bytes.is_in_wal_mode(path):
        raw_bytes.copy(path, target)
        log = _wal(path)
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
