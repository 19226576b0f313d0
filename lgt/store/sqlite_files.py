"""Check the file of a SQLite store before it is opened, and create a new one.

These checks use only SQLite and ``stat``. Opening and closing the file here would release the locks that SQLite holds
in the same process (https://www.sqlite.org/howtocorrupt.html, section 2.2).
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, text

from lgt.core.paths import share_like
from lgt.store import migrate
from lgt.store.atomic_files import remove_leftovers, sync
from lgt.store.errors import RESTORE, StoreError
from lgt.store.known_schemas import check_schema
from lgt.store.schema import APPLICATION_ID

NETWORK_FILESYSTEMS = (
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "lustre", "gpfs", "beegfs", "ceph", "9p", "glusterfs",
)  # fmt: skip
LOCAL_FUSE = ("fuse.fuse-overlayfs",)
"""Filesystems in user space that are on a local disk: the root of a container that runs without root. Others, such as
``fuse.sshfs`` or ``fuse.rclone``, are taken for network filesystems."""
SMALLEST_PAGE = 512
LONGEST_NAME, LONGEST_PATH = 247, 500
"""Bytes of a store's name and path; SQLite appends ``-journal`` and takes paths up to 512 bytes."""


def is_writable(path: Path) -> bool:
    """Whether this process may write ``path`` and create a journal file in its folder."""
    return os.access(path, os.R_OK | os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)


def check_file(path: Path, *, writable: bool) -> None:
    """Raise StoreError when ``path`` cannot be a store. Checks kind, permissions and size; does not open the file."""
    if path.is_dir():
        raise StoreError(f"{path} is a folder; give the path of a file in it, such as {path / 'results.db'}")
    if not path.is_file():
        raise StoreError(f"{path} is not a regular file; choose another path with --database")
    _check_neighbours(path)
    if not os.access(path, os.R_OK):
        raise StoreError(f"{path} may not be read; change its permissions or choose another path with --database")
    size = path.stat().st_size
    if size == 0:
        raise StoreError(
            f"{path} is empty (0 bytes), and a store is never empty; delete it to start a new one, or {RESTORE}"
        )
    if size < SMALLEST_PAGE:  # SQLite would take some of these for empty databases
        raise StoreError(f"{path} is not a SQLite database ({size} bytes); choose another file, or {RESTORE}")
    if writable and not is_writable(path):
        raise StoreError(f"{path} or its folder is read-only; make both writable or choose --database")
    if writable:
        check_filesystem(path)


def _check_neighbours(path: Path) -> None:
    """Raise StoreError when a journal beside ``path``, which SQLite would read, is no plain file."""
    real = Path(os.path.realpath(path))
    for ending in ("-journal", "-wal", "-shm"):
        beside = real.with_name(real.name + ending)
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(beside.lstat().st_mode):
                raise StoreError(f"{beside} is no plain file, so the store beside it is not opened; remove it")


def check_filesystem(path: Path) -> None:
    """Raise StoreError when ``path`` is on a network filesystem: file locks are not reliable there."""
    kind = filesystem_of(path)
    if is_network_filesystem(kind):
        raise StoreError(f"{path} is on a network filesystem ({kind}), where SQLite can lose writes; "
                         "use a local path or a PostgreSQL URL in LGT_DATABASE_URL")  # fmt: skip


def is_network_filesystem(kind: str) -> bool:
    """Whether a filesystem of this type can be written by several machines, so that its locks may not hold."""
    return kind in NETWORK_FILESYSTEMS or (kind.startswith("fuse.") and kind not in LOCAL_FUSE)


def filesystem_of(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """The type of the filesystem of ``path``, or "" if the system does not provide it."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    real = path.resolve()
    mounted = [(fields[1], fields[2]) for fields in map(str.split, lines) if len(fields) > 2]
    within = [(folder, kind) for folder, kind in mounted if real.is_relative_to(folder.replace("\\040", " "))]
    return max(within, key=lambda mount: len(mount[0]), default=("", ""))[1]


def check_contents(connection: Connection, path: Path, opened: Path) -> int:
    """The schema number of the SQLite store behind ``connection``, which has the file ``opened``: ``path`` or a copy.

    Raises StoreError when the file belongs to another program, is cut short or lacks tables. Reads only a few pages.
    """
    identity = connection.scalar(text("PRAGMA application_id"))
    if identity != APPLICATION_ID:
        raise StoreError(f"{path} is a SQLite database of another program (application id {identity}); "
                         "choose another file with --database")  # fmt: skip
    pages = connection.scalar(text("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"))
    if pages is None or opened.stat().st_size < pages:
        raise StoreError(f"{path} is damaged: it has {opened.stat().st_size} of {pages} bytes; {RESTORE}")
    named = connection.scalar(text("PRAGMA user_version")) or 0
    if 0 < named <= migrate.latest_schema():
        check_schema(connection, path, named)
    stored = migrate.stored_schema(connection)
    if stored != named:
        raise StoreError(f"{path} is damaged: its schema number is unclear; {RESTORE}")
    return stored


def create_file(path: Path, fill: Callable[[Path], None]) -> None:
    """Create ``path`` atomically: ``fill`` writes a temporary file in its folder, which is then linked to ``path``.

    If another process creates ``path`` first, its file stays and this one is deleted. Raises StoreError if the file
    cannot be created.
    """
    # The longest name that a store can have leaves no place for more, so the temporary name does not contain it.
    temporary = path.with_name(f".lgt-{os.getpid()}-{secrets.token_hex(4)}.new")
    try:
        _check_folder(path)
        remove_leftovers(path.parent)
        temporary.touch(exist_ok=False)
        fill(temporary)
        share_like(temporary, path.parent)
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        except OSError:  # a filesystem without hard links: here two processes could both replace the file
            if not path.exists():
                os.replace(temporary, path)
        sync(path.parent)
    except OSError as error:
        raise StoreError(f"{path} cannot be created: {error.strerror}; choose another path with --database") from error
    finally:
        for leftover in (temporary, temporary.with_name(temporary.name + "-journal")):
            leftover.unlink(missing_ok=True)


def _check_folder(path: Path) -> None:
    """Raise StoreError when the folder of ``path``, or what is already in it, forbids a new store there."""
    folder = path.parent
    if len(os.fsencode(path.name)) > LONGEST_NAME or len(os.fsencode(path)) > LONGEST_PATH:
        raise StoreError(f"{path} cannot be created: SQLite takes names of at most {LONGEST_NAME} bytes and paths of "
                         f"at most {LONGEST_PATH}; choose a shorter path with --database")  # fmt: skip
    if not folder.is_dir():
        raise StoreError(f"{path} cannot be created: the folder {folder} does not exist; create it or correct the path")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StoreError(
            f"{path} cannot be created: the folder {folder} is read-only; choose another path with --database"
        )
    if path.is_symlink():
        raise StoreError(f"{path} is a link to a missing file; correct the link or choose another path with --database")
    journal = path.with_name(path.name + "-journal")
    if journal.exists():  # SQLite would apply the old journal to the new file
        raise StoreError(f"{path} is missing but {journal.name} is there; put the store back or delete the journal")
    check_filesystem(path)
