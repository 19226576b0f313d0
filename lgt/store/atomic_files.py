"""Write files so that a reader sees the whole new file or no file, also after a kill or a power cut."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lgt.store.errors import DISK_FULL, StoreError


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


def check_new_folder(path: Path) -> None:
    """Raise StoreError unless ``path`` is free or an empty folder, in a folder that exists."""
    try:
        if path.is_dir() and path.samefile(Path.cwd()):
            raise StoreError(f"{path} is the folder in which this command runs; name a new folder")
        if path.is_dir() and any(path.iterdir()):
            raise StoreError(f"{path} is not empty; name a new folder")
        if path.exists() and not path.is_dir():
            raise StoreError(f"{path} is a file; name a new folder")
        if not Path(os.path.realpath(path)).parent.is_dir():
            raise StoreError(f"{path} cannot be made, because the folder {path.parent} does not exist")
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {reason(error)}") from error


def write_folder(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write ``files``, by name, into the new folder ``path`` and return it. The folder appears with all its files or
    not at all.

    Raises StoreError as :func:`check_new_folder` does, and when the system refuses.
    """
    check_new_folder(path)
    target = Path(os.path.realpath(path))
    try:
        with temporary_path(target) as temporary:
            temporary.mkdir()
            for name, content in files.items():
                (temporary / name).write_bytes(content)
                sync(temporary / name)
            sync(temporary)
            if os.name == "nt" and target.is_dir():
                target.rmdir()  # only Windows refuses to rename to an empty folder
            temporary.rename(target)
            sync(target.parent)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {reason(error)}") from error
    return path


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
