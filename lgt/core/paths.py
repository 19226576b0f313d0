"""The cache folder of this user: compiled code, worker slots, files that are too large for a store."""

from __future__ import annotations

import os
from pathlib import Path


def cache_directory() -> Path:
    """The folder for cached files: ``LGT_CACHE``, else a folder in the user's cache directory."""
    if os.environ.get("LGT_CACHE"):
        return Path(os.environ["LGT_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "length-transfer-lab"


def private_folder(directory: Path) -> Path:
    """``directory``, created if missing. Raises PermissionError when another user could write files into it."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    status = directory.stat()
    if status.st_uid != user_id() or status.st_mode & 0o022:
        raise PermissionError(f"{directory} can be written by others")
    return directory


def user_id() -> int:
    """The id of this user. On Windows 0, which is also the owner id that Windows reports for each file."""
    return os.getuid() if hasattr(os, "getuid") else 0
