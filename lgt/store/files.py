"""What can be wrong with the file of a SQLite store, and how a new one appears whole.

The file is only ever looked at through SQLite or ``stat``: opening and closing it here would drop the locks that
SQLite holds in the same process (https://www.sqlite.org/howtocorrupt.html, section 2.2).
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from lgt.store import migrate
from lgt.store.errors import DISK_FULL, RESTORE, StoreError
from lgt.store.schema import APPLICATION_ID, Base

NETWORK_FILESYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "afs")
SMALLEST_PAGE = 512


def is_writable(path: Path) -> bool:
    """Whether this process may write ``path`` and make a journal beside it."""
    return os.access(path, os.R_OK | os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)


def check_file(path: Path, *, writable: bool) -> None:
    """Raise StoreError when ``path`` cannot be a store, judged from the outside."""
    if path.is_dir():
        raise StoreError(f"{path} is a folder; give the path of a file in it, such as {path / 'results.db'}")
    if not path.is_file():
        raise StoreError(f"{path} is not a regular file; choose another path with --database")
    if not os.access(path, os.R_OK):
        raise StoreError(f"{path} may not be read; change its permissions or choose another path with --database")
    size = path.stat().st_size
    if size == 0:
        raise StoreError(
            f"{path} is empty (0 bytes), which no store ever is; delete it to start a new one, or {RESTORE}"
        )
    if size < SMALLEST_PAGE:  # SQLite would take some of these for empty databases
        raise StoreError(f"{path} is not a SQLite database ({size} bytes); choose another file, or {RESTORE}")
    if writable and not is_writable(path):
        raise StoreError(f"{path} or its folder is read-only; make both writable or choose --database")
    if writable:
        check_filesystem(path)


def check_filesystem(path: Path) -> None:
    """Raise StoreError when ``path`` lies on a network filesystem, whose locks SQLite cannot rely on."""
    kind = filesystem_of(path)
    if kind in NETWORK_FILESYSTEMS:
        raise StoreError(f"{path} lies on a network filesystem ({kind}) where SQLite loses writes; "
                         "use a local path or a PostgreSQL URL in LGT_DATABASE_URL")  # fmt: skip


def filesystem_of(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """The type of the filesystem that holds ``path`` ("" where the system does not say)."""
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    real = path.resolve()
    held = [(fields[1], fields[2]) for fields in map(str.split, lines) if len(fields) > 2]
    within = [(folder, kind) for folder, kind in held if real.is_relative_to(folder.replace("\\040", " "))]
    return max(within, key=lambda mount: len(mount[0]), default=("", ""))[1]


def check_contents(connection: Connection, path: Path) -> int:
    """The schema number of the SQLite store behind ``connection``.

    Raises StoreError when it is another program's database, cut short, or lacks tables. Cheap: reads a few pages.
    """
    identity = connection.scalar(text("PRAGMA application_id"))
    if identity != APPLICATION_ID:
        raise StoreError(f"{path} is a SQLite database of another program (application id {identity}); "
                         "choose another file with --database")  # fmt: skip
    pages = connection.scalar(text("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"))
    if pages is None or path.stat().st_size < pages:
        raise StoreError(f"{path} is damaged: {path.stat().st_size} of {pages} bytes are there; {RESTORE}")
    stored = migrate.stored_schema(connection)
    if stored != connection.scalar(text("PRAGMA user_version")):
        raise StoreError(f"{path} is damaged: its schema number is unclear; {RESTORE}")
    missing = set(Base.metadata.tables) - set(inspect(connection).get_table_names())
    if stored == migrate.latest_schema() and missing:
        raise StoreError(f"{path} is damaged: no table {', '.join(sorted(missing))}; {RESTORE}")
    return stored


def new_file(path: Path, fill: Callable[[Path], None]) -> None:
    """Make ``path`` appear whole: ``fill`` an empty file beside it, then link it into place.

    When another process was first, its file stays and this one's is dropped. Raises StoreError where nothing may be
    created.
    """
    _check_place(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.new")
    try:
        beside.touch(exist_ok=False)
        fill(beside)
        try:
            os.link(beside, path)
        except FileExistsError:
            pass
        except OSError:  # a filesystem without hard links; the window for two creators is tiny here
            if not path.exists():
                os.replace(beside, path)
        sync(path.parent)
    except OSError as error:
        raise StoreError(f"{path} cannot be created: {error.strerror}; choose another path with --database") from error
    finally:
        for leftover in (beside, beside.with_name(beside.name + "-journal")):
            leftover.unlink(missing_ok=True)


def _check_place(path: Path) -> None:
    folder = path.parent
    if not folder.is_dir():
        raise StoreError(f"{path} cannot be created: the folder {folder} does not exist; create it or correct the path")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StoreError(f"{path} cannot be created: the folder {folder} is read-only; choose --database")
    if path.is_symlink():
        raise StoreError(f"{path} is a link to a missing file; correct the link or choose --database")
    journal = path.with_name(path.name + "-journal")
    if journal.exists():  # SQLite would play the old journal into the new file
        raise StoreError(f"{path} is missing but {journal.name} is there; put the store back or delete the journal")
    check_filesystem(path)


def reason(error: OSError) -> str:
    """Why the system refused, in words for a message."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DISK_FULL
    return error.strerror or str(error)


def sync(path: Path) -> None:
    """Make a finished file, or the names in a folder, survive a power cut. Never for a store that is in use."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
