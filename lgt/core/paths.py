"""Folders of the user that outlive a process: compiled code, worker slots, files that are too large for a store."""

from __future__ import annotations

import os
from pathlib import Path


def cache_directory() -> Path:
    """Where things are kept that can be made again: ``LGT_CACHE``, else the user's cache directory."""
    if os.environ.get("LGT_CACHE"):
        return Path(os.environ["LGT_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "length-transfer-lab"


def private(directory: Path) -> Path:
    """``directory``, made if need be. Raises PermissionError when others than this user could put something there."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    status = directory.stat()
    if status.st_uid != user_number() or status.st_mode & 0o022:
        raise PermissionError(f"{directory} can be written by others")
    return directory


def user_number() -> int:
    """This user's number; 0 on Windows, which has none and reports 0 for every file."""
    return os.getuid() if hasattr(os, "getuid") else 0
