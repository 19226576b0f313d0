"""Write files so that a reader sees the whole new file or no file, also after a kill or a power cut."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lgt.core.paths import user_id
from lgt.store.errors import DISK_FULL, StoreError

LEFTOVER = re.compile(r"\.(lgt|new)-([a-z0-9_]{8}|\d+-[0-9a-f]{8}\.new(-journal)?)")
"""The names of temporary folders and files: of :func:`temporary_path`, of new stores and of copies for reading."""
LEFTOVER_SECONDS = 3600.0
"""A temporary file or folder that has not changed for this time was left by a process that was killed."""


def write_atomically(path: Path, write: Callable[[Path], object]) -> Path:
    """Call ``write`` with a temporary path, then rename that file to ``path``; returns ``path``."""
    with temporary_path(path) as temporary:
        write(temporary)
        os.replace(temporary, path)
    return path


@contextmanager
def temporary_path(path: Path) -> Iterator[Path]:
    """A path with the name of ``path`` in a new folder next to it; the folder is removed when the block ends."""
    remove_leftovers(path.parent)
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


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files and folders of this user in ``folder`` that killed processes left there."""
    try:
        found = [path for path in folder.iterdir() if LEFTOVER.fullmatch(path.name)]
    except OSError:  # there is no such folder, or it may not be read
        return
    for path in found:
        _remove_if_older(path, LEFTOVER_SECONDS)


def remove_old(folder: Path, seconds: float, kept: Path | None = None) -> None:
    """Remove what this user has in a folder of the cache and has not used for ``seconds``, and what killed processes
    left there; never ``kept``."""
    remove_leftovers(folder)
    for path in folder.iterdir() if folder.is_dir() else ():
        if path != kept:
            _remove_if_older(path, seconds)


def _remove_if_older(path: Path, seconds: float) -> None:
    try:
        inside = list(path.iterdir()) if path.is_dir() and not path.is_symlink() else []
        status = [one.lstat() for one in (path, *inside)]
        if status[0].st_uid == user_id() and max(one.st_mtime for one in status) < time.time() - seconds:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    except OSError:
        return  # another process uses or removes it


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
