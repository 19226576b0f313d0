"""Stores that a viewer drops on a page. Each is kept as a file of this user's cache, under the digest of its bytes."""

from __future__ import annotations

import hashlib
import os
from functools import partial
from pathlib import Path

from lgt.core import bounds
from lgt.core.paths import own_folder
from lgt.store.atomic_files import remove_old, write_atomically

FOLDER = "dropped"
KEPT_SECONDS = 30 * 24 * 3600.0
"""A dropped store that nobody has dropped again for this time is removed. The viewer's own file is elsewhere."""


def keep(content: bytes) -> Path:
    """The file with these bytes, written if there is none or if it is damaged. Raises OSError if it cannot be.

    Beyond the number of stores that are kept, those are removed that nobody has dropped for the longest time.
    """
    folder, digest = own_folder(FOLDER), hashlib.sha256(content).hexdigest()
    path = folder / f"{digest[:32]}.db"
    if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == digest:
        os.utime(path)
    else:
        write_atomically(path, partial(Path.write_bytes, data=content))
        path.chmod(0o400)
    remove_old(folder, KEPT_SECONDS, path)
    kept = sorted(folder.glob("*.db"), key=lambda one: (one == path, one.stat().st_mtime))
    for old in kept[: -bounds.DROPPED.most]:
        old.unlink(missing_ok=True)
    return path
