"""The folders of this user for cached files: compiled code, worker slots, copies, files too large for a store."""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from pathlib import Path

STARTED_IN = os.getcwd() if os.path.exists(".") else "/"
"""The folder in which this process started. Relative paths in variables belong to it, also after a change of folder."""
NAME = "length-transfer-lab"
"""The name of this program in the names of folders."""


def home() -> Path:
    """The home folder of this user; a private folder for temporary files where the system knows none."""
    try:
        found = Path.home()
    except RuntimeError:  # no HOME, and no entry for this user id
        return temporary_folder()
    usable = str(found) not in ("", "/") and found.is_dir() and os.access(found, os.X_OK)
    return found if usable else temporary_folder()


def temporary_folder() -> Path:
    """The folder of this user among temporary files."""
    return Path(tempfile.gettempdir()) / f"{NAME}-{user_id()}"


def cache_directory() -> Path:
    """The folder for cached files: ``LGT_CACHE``, else a folder in the user's cache directory."""
    if os.environ.get("LGT_CACHE"):
        return absolute(os.environ["LGT_CACHE"])
    found = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(found):  # a relative one is to be ignored (XDG Base Directory Specification)
        return Path(found) / NAME
    folder = home()
    return folder if folder == temporary_folder() else folder / ".cache" / NAME


def absolute(path: str) -> Path:
    """The path in a variable of the environment; a relative one belongs to the folder where this process started."""
    return Path(STARTED_IN, path)


def own_folder(name: str) -> Path:
    """The folder ``name`` of this user alone, in the cache or, where the cache is another user's or full, among
    temporary files. Raises PermissionError when neither can be used."""
    for base in dict.fromkeys((cache_directory(), temporary_folder())):
        try:
            return private_folder(base / name)
        except OSError as error:
            logging.getLogger(__name__).info("%s cannot be used: %s", base / name, error)
    raise PermissionError(f"neither {cache_directory()} nor {tempfile.gettempdir()} can be written by this user alone")


def private_folder(directory: Path) -> Path:
    """``directory``, created if missing, with the folders above it that are missing too.

    Raises PermissionError when it is another user's, or when others could have written files into it.
    """
    missing = [directory, *(parent for parent in directory.parents if not parent.exists())]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True, mode=0o700)  # with parents=True the folders above would get the umask's mode
    if os.name == "nt":
        return directory  # its owner and mode say nothing there
    status = directory.stat()
    if status.st_uid != user_id() or status.st_mode & 0o022:
        raise PermissionError(f"{directory} can be written by others")
    return directory


def share_like(path: Path, folder: Path) -> bool:
    """Let those who may write ``folder`` read and write ``path``, a file or folder in it, whatever the umask is.

    Returns whether this changed ``path``. One of another user stays as it is.
    """
    if os.name == "nt":
        return False
    status, is_folder = path.stat(), path.is_dir()
    own = stat.S_IMODE(status.st_mode)
    wanted = own | 0o060 | (0o2010 if is_folder else 0)
    if not folder.stat().st_mode & stat.S_IWGRP or status.st_uid != user_id() or own == wanted:
        return False
    path.chmod(wanted)
    return True


def user_id() -> int:
    """The id of this user. On Windows 0, which is also the owner id that Windows reports for each file."""
    return os.getuid() if hasattr(os, "getuid") else 0
