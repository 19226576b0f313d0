"""Write files so that a reader sees the whole new file or no file, also after a kill or a power cut."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lgt.store.errors import DISK_FULL


def write_atomically(path: Path, write: Callable[[Path], object]) -> Path:
    """Call ``write`` with a temporary path, then rename that file to ``path``; returns ``path``."""
    with temporary_path(path) as temporary:
        write(temporary)
        os.replace(temporary, path)
    return path


@contextmanager
def temporary_path(path: Path) -> Iterator[Path]:
    """A path with the name of ``path`` in a new folder next to it; the folder is removed when the block ends."""
    with tempfile.TemporaryDirectory(prefix=".lgt-", dir=path.parent) as folder:
        yield Path(folder) / path.name


def sync(path: Path) -> None:
    """Flush a finished file, or the names in a folder, to the disk. Never call it for a store that is open."""
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open a folder, and writes its names by itself
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def reason(error: OSError) -> str:
    """Why the operating system refused, in words for a message."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DISK_FULL
    return error.strerror or str(error)
