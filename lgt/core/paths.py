"""The folders of this user for cached files: compiled code, worker slots, copies, files too large for a store."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from lgt.core.checks import ConfigError

STARTED_IN = os.getcwd() if os.path.exists(".") else "/"
"""The folder in which this process started. Relative paths in variables belong to it, also after a change of folder."""
NAME = "length-transfer-lab"
"""The name of this program in the names of folders."""


def home() -> Path:
    """The home folder of this user; :func:`temporary_folder` where the system knows none.

    Raises ConfigError when that folder is another user's: anybody can make one of this name.
    """
    try:
        found = Path.home()
    except RuntimeError:  # no HOME, and no entry for this user id
        found = Path("/")
    if str(found) not in ("", "/") and found.is_dir() and os.access(found, os.X_OK):
        return found
    folder = temporary_folder()
    problem = why_not_own(folder) if os.path.lexists(folder) else ""
    if problem:
        raise ConfigError("HOME", os.environ.get("HOME", ""), f"a folder of this user (without one, {problem})")
    return folder


def temporary_folder() -> Path:
    """The folder among temporary files for the workspace of a user without a home folder. Its name is known to all."""
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
    """The folder ``name`` of this user alone in the cache, such as ``code`` or ``workers/3f``.

    Where the cache cannot be used (no home folder, another user's, a link, full, read-only) it is in
    :func:`process_folder`, and one line in the log says why.
    """
    try:
        base = cache_directory()
        if base == temporary_folder():
            raise PermissionError("this user has no home folder")
        folder = private_folder(base, name)
        if not os.access(folder, os.W_OK):
            raise PermissionError(f"{folder} cannot be written by this user")
        return folder
    except (OSError, ConfigError) as error:
        _say_once(f"{error}: cached files are kept for this process only, and are made again by the next one; set "
                  "LGT_CACHE to a folder of your own")  # fmt: skip
        return private_folder(process_folder(), name)


@cache
def process_folder() -> Path:
    """A new temporary folder for this process and those that it starts. It is removed when this process ends."""
    folder, owner = Path(tempfile.mkdtemp(prefix=f"{NAME}-")), os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # a forked process ends earlier
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


@cache  # so that a second call with the same message does nothing
def _say_once(message: str) -> None:
    logging.getLogger(__name__).warning(message)


def private_folder(base: Path, name: str = "") -> Path:
    """The folder ``name`` in ``base``, created if missing, with the folders above that are missing too.

    ``base`` and every level below it are made for this user alone, whatever the umask is. One of this user that others
    can write is closed to them. Raises PermissionError when a level is a link, another user's, or shared by design.
    """
    parts = Path(name).parts
    levels = [base, *(base.joinpath(*parts[:end]) for end in range(1, len(parts) + 1))]
    above = [folder for folder in base.parents if not folder.exists()]
    for folder in (*reversed(above), *levels):
        _make_private(folder)
    return levels[-1]


def _make_private(folder: Path) -> None:
    made = False
    with suppress(FileExistsError):
        folder.mkdir(0o700)
        made = True
    problem = why_not_own(folder)
    if problem:
        raise PermissionError(problem)
    mode = stat.S_IMODE(folder.lstat().st_mode)
    if os.name == "nt" or not (made or mode & 0o022):
        return
    folder.chmod(0o700)
    planted = sorted(entry.name for entry in os.scandir(folder) if _is_foreign(entry))
    if planted:
        folder.chmod(mode)
        raise PermissionError(f"{folder} was open to other users and has a link or a file of theirs ({planted[0]!r})")


def _is_foreign(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() or entry.stat(follow_symlinks=False).st_uid != user_id()


def why_not_own(folder: Path) -> str:
    """Why ``folder`` cannot be one of this user alone, in words; empty if it can. Links are not followed."""
    status = folder.lstat()
    if stat.S_ISLNK(status.st_mode):
        return f"{folder} is a link"
    if not stat.S_ISDIR(status.st_mode):
        return f"{folder} is no folder"
    if os.name != "nt" and status.st_uid != user_id():  # owner and mode say nothing on Windows
        return f"{folder} belongs to another user"
    return f"{folder} is shared by all users" if status.st_mode & stat.S_ISVTX else ""


def is_own_file(path: Path) -> bool:
    """Whether this is a plain file of this user that nobody else can write. A folder may have been open to others
    before :func:`private_folder` closed it. Raises FileNotFoundError."""
    status = path.lstat()
    if os.name == "nt":
        return stat.S_ISREG(status.st_mode)
    return stat.S_ISREG(status.st_mode) and status.st_uid == user_id() and not status.st_mode & 0o022


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
