"""Read the bytes of a store's file, beside SQLite.

On POSIX systems a process loses all its locks on a file when it closes any descriptor of this file
(https://www.sqlite.org/howtocorrupt.html, section 2.2). Another process could then write in the middle of a transaction
of this one. So a file that is read here stays open. Of more than :data:`MOST` files the one that was read longest ago
is closed, and every file that was deleted, which no other process can open any more.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

from lgt.store.errors import StoreError

MOST = 512
HEADER = 100
CHUNK = 1 << 20
_kept: dict[tuple[int, int], int] = {}
"""Descriptors by device and inode, the one that was read longest ago first."""
_lock = threading.Lock()


def header(path: Path) -> bytes:
    """The first 100 bytes of a SQLite file, fewer of a shorter file. Raises StoreError."""
    try:
        return _read(path, HEADER, 0)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error


def schema_in_header(path: Path) -> int:
    """SQLite's user_version in the header of ``path``, which is the schema number of a store."""
    return int.from_bytes(header(path)[60:64], "big")


def is_in_wal_mode(path: Path) -> bool:
    """Whether the header says that the file has a write-ahead log."""
    return header(path)[18:20] == b"\x02\x02"


def change_mark(path: Path) -> tuple[int, ...]:
    """Numbers that change with every transaction that writes ``path``, or when another file takes its place.

    SQLite counts the transactions in the header; of a file with a write-ahead log size and time change. Raises
    StoreError.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    count = int.from_bytes(header(path)[24:28], "big")
    return status.st_dev, status.st_ino, count, status.st_size, status.st_mtime_ns


def copy(path: Path, target: Path) -> None:
    """Copy the bytes of a file into the new file ``target``. Raises OSError."""
    with open(target, "xb") as new:
        while part := _read(path, CHUNK, new.tell()):
            new.write(part)


def _read(path: Path, count: int, at: int) -> bytes:
    if os.name == "nt":  # locks belong to a descriptor there
        with open(path, "rb") as file:
            file.seek(at)
            return file.read(count)
    with _lock:
        return os.pread(_descriptor(path), count, at)


def _descriptor(path: Path) -> int:
    status = os.stat(path)
    known = _kept.pop((status.st_dev, status.st_ino), None)
    # A pipe must not make the process wait.
    found = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK) if known is None else known
    opened = os.fstat(found)  # the file may have been replaced since
    if not stat.S_ISREG(opened.st_mode):
        os.close(found)
        raise OSError(errno.EINVAL, "it is not a regular file")
    _kept[opened.st_dev, opened.st_ino] = found
    if known is None:
        _close_some()
    return found


def _close_some() -> None:
    deleted = [key for key, descriptor in _kept.items() if os.fstat(descriptor).st_nlink == 0]
    for key in [*deleted, *list(_kept)[:-MOST]]:
        if key in _kept:
            os.close(_kept.pop(key))
