"""Files that belong to a store: training states, and weights that are too large for a row.

Each file has a unique name. It is written before the row that names it, and removed after that row is deleted. A kill
at any moment therefore leaves at most a file without a row; :func:`remove_orphans` deletes such files.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, delete, select
from sqlalchemy.engine import URL

from lgt.core.paths import absolute, cache_directory, share_like, user_id
from lgt.store import atomic_files, server
from lgt.store.engine import read_connection
from lgt.store.errors import StoreError
from lgt.store.schema import Checkpoint, TrainingState
from lgt.store.upserts import upsert

SUFFIX = ".safetensors"
FILES = ".files"
"""Ends the name of the folder beside a SQLite store."""
OWN_NAME = re.compile(
    r"\.?(run-\d+-attempt-\d+|checkpoint-run-\d+)-step-\d+(-[0-9a-f]{16})?\.safetensors(\.[0-9a-f]+\.new)?"
)
"""The names of files that this module makes; it removes no others."""
NO_FOLLOW, NO_WAIT = getattr(os, "O_NOFOLLOW", 0), getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
ORPHAN_SECONDS = 3600.0  # much longer than the time between writing a file and writing its row
logger = logging.getLogger(__name__)


def files_folder(url: URL) -> Path:
    """The folder of a store's files: in ``LGT_FILES``, else next to a SQLite file, else in the user's cache directory.

    Every store has its own folder. Workers of a PostgreSQL store on several machines can resume each other's runs if
    ``LGT_FILES`` is a shared folder, however each of them spells the server's name: once a store was opened, its folder
    has the server's own identity (:func:`lgt.store.server.remember_identity`).
    """
    return folders(url)[0]


def folders(url: URL) -> list[Path]:
    """The folder of a store's files, and the one that earlier versions wrote, which is only read: its name depends on
    how the server's name is spelled."""
    shared = os.environ.get("LGT_FILES")
    if url.get_backend_name() == "sqlite" and not shared:
        return [Path(f"{url.database}{FILES}")]
    address = f"{url.get_backend_name()} {url.host} {url.port} {url.database}"
    known = None if url.get_backend_name() == "sqlite" else server.identity(url)
    base = absolute(shared) if shared else cache_directory()
    names = [*([f"postgresql server {known}"] if known else []), address]
    return [base / f"files-{hashlib.sha256(name.encode()).hexdigest()[:16]}" for name in names]


def read_stored(url: URL, name: object, size: object, sha256: object) -> bytes:
    """The bytes of the file ``name`` of the store at ``url``; see :func:`read_file`."""
    places = folders(url)
    ours = isinstance(name, str) and OWN_NAME.fullmatch(name) is not None
    there = (place for place in places if ours and os.path.lexists(place / str(name)))
    return read_file(next(there, places[0]), name, size, sha256)


def write_file(folder: Path, name: str, data: bytes) -> None:
    """Write ``data`` to the file ``name`` in ``folder``, atomically and flushed to the disk. Raises StoreError."""
    temporary = folder / f".{name}.{secrets.token_hex(8)}.new"
    try:
        open_folder(folder)
        try:
            with open(temporary, "xb", opener=_no_link) as handle:
                handle.write(data)
                handle.flush()
                os.fsync(handle.fileno())
            share_like(temporary, folder)
            os.replace(temporary, folder / name)
            atomic_files.sync(folder)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{folder / name} cannot be written: {atomic_files.reason(error)}") from error


def open_folder(folder: Path) -> None:
    """Make ``folder`` if it is missing, open to the group if the folder above it is. Raises StoreError if this user may
    not write it.

    Its owner also opens one that an earlier version made for its owner alone.
    """
    check_folder(folder)
    new = not folder.exists()
    if new:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if share_like(folder, folder.parent) and not new:
        for path in folder.iterdir():
            share_like(path, folder)
    if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
        raise StoreError(f"{folder} may not be written by this user; its owner can open it to the group with "
                         "`chmod -R g+rwX` or by the next run in this store")  # fmt: skip


def read_file(folder: Path, name: object, size: object, sha256: object) -> bytes:
    """The bytes of the file ``name`` in ``folder``. Raises StoreError when their size or SHA-256 differs, and when the
    arguments, which come from a row of a store, are not those of a file."""
    if not isinstance(name, str) or OWN_NAME.fullmatch(name) is None:
        raise StoreError(f"{ascii(name)[:80]} is not the name of a file of a store")
    path = folder / name
    if not isinstance(size, int):
        raise StoreError(f"{path} is damaged: its size in the store is {ascii(size)[:80]}")
    try:
        check_folder(folder)
        data = _read_plain_file(path, size)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {atomic_files.reason(error)}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise StoreError(f"{path} is damaged: its SHA-256 differs")
    return data


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | NO_FOLLOW, 0o666)


def check_folder(folder: Path) -> None:
    """Raise StoreError if the folder of a store's files is a link, is no folder, or was put there by somebody else."""
    if folder.is_symlink():
        raise StoreError(f"{folder} is a link; put the folder itself there, or name it with LGT_FILES")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise StoreError(f"{folder} is no folder; remove it, or name another folder with LGT_FILES")
    if _is_foreign(folder):
        raise StoreError(f"{folder} belongs to another user, who does not own the store; remove it, or name a folder "
                         "of your own with LGT_FILES")  # fmt: skip


def _is_usable(folder: Path) -> bool:
    try:
        check_folder(folder)
        return folder.is_dir()
    except (StoreError, OSError):
        return False


def _is_foreign(folder: Path) -> bool:
    """Whether the owner of ``folder`` could not have changed the store itself: it is neither this user's nor the
    store's owner's nor the owner's of the folder above, in which not everybody may rename what others own."""
    if os.name == "nt":
        return False  # owners say nothing there
    above, store = folder.parent.stat(), folder.with_name(folder.name.removesuffix(FILES))
    known = {user_id(), above.st_uid} | ({store.lstat().st_uid} if os.path.lexists(store) else set())
    shared = above.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not above.st_mode & stat.S_ISVTX
    return folder.stat().st_uid not in known and not shared


def _read_plain_file(path: Path, size: int) -> bytes:
    """The bytes of a file. Raises StoreError unless it is a plain file of ``size`` bytes, OSError for a link.

    Opening does not wait, so a pipe or a device does not hang.
    """
    descriptor = os.open(path, os.O_RDONLY | NO_FOLLOW | NO_WAIT)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StoreError(f"{path} is no plain file")
        if status.st_size != size:  # checked before reading, because a wrong file may be huge
            raise StoreError(f"{path} is damaged: {status.st_size:,} bytes instead of {size:,}")
        return file.read(size)


def write_state(engine: Engine, run_id: int, attempt: int, step: int, state: bytes) -> dict[str, Any]:
    """Write a training state to a new file; returns the columns ``file``, ``sha256`` and ``size`` of its row."""
    name = f"run-{run_id}-attempt-{attempt}-step-{step}{SUFFIX}"
    write_file(files_folder(engine.url), name, state)
    return {"file": name, "sha256": hashlib.sha256(state).hexdigest(), "size": len(state)}


def replace_state_row(connection: Connection, run_id: int, row: Mapping[str, Any]) -> str | None:
    """Make ``row`` the run's row of ``training_states``; returns the file name of the row before it, if any."""
    before = connection.scalar(select(TrainingState.file).where(TrainingState.run_id == run_id))
    upsert(connection, TrainingState, [{"run_id": run_id, **row}])
    return before


def checkpoint_name(run_id: int, step: int, sha256: str = "") -> str:
    """The file name of weights that are too large for a row. With ``sha256`` other weights get another name, so that
    they can be written while a row still names the old ones."""
    return f"checkpoint-run-{run_id}-step-{step}{'-' * bool(sha256)}{sha256[:16]}{SUFFIX}"


def newest_state(engine: Engine, run_id: int, code_version: str) -> bytes | None:
    """The newest training state of the run; None when it is missing, damaged or from another code version (logged)."""
    statement = select(*TrainingState.__table__.columns).where(TrainingState.run_id == run_id)
    with read_connection(engine) as connection:
        row = connection.execute(statement).first()
    if row is None:
        return None
    if row.code_version != code_version:
        logger.warning(
            "run %s starts over: its training state is from code %s, this is %s", run_id, row.code_version, code_version
        )
        return None
    try:
        return read_stored(engine.url, row.file, row.size, row.sha256)
    except StoreError as error:
        logger.warning("run %s starts over: %s", run_id, error)
        return None


def delete_state_row(connection: Connection, run_id: int) -> str | None:
    """Delete the run's row of ``training_states``; returns its file name, if any. Remove that file after the commit."""
    statement = delete(TrainingState).where(TrainingState.run_id == run_id).returning(TrainingState.file)
    return connection.scalar(statement)


def remove_file(engine: Engine, name: object) -> None:
    """Remove the store's file ``name``, if it exists. A failure is logged; :func:`remove_orphans` tries again.

    A file with a name that this module does not make stays: a row of a store may contain any name.
    """
    if not isinstance(name, str) or OWN_NAME.fullmatch(name) is None:
        return
    try:
        for folder in folders(engine.url):
            if os.path.lexists(folder):
                check_folder(folder)
                (folder / name).unlink(missing_ok=True)
    except StoreError as error:
        logger.warning("%s was not removed: %s", name, error)
    except OSError as error:
        logger.warning("%s could not be removed: %s", name, atomic_files.reason(error))


def remove_orphans(engine: Engine, older_than: float = ORPHAN_SECONDS) -> list[str]:
    """Remove files that no row names and that are older than ``older_than`` seconds; returns their names.

    What killed processes left beside a SQLite store is removed too.
    """
    folder = files_folder(engine.url)
    if engine.dialect.name == "sqlite":
        atomic_files.remove_leftovers(Path(str(engine.url.database)).parent)
    if not _is_usable(folder):
        return []
    with read_connection(engine) as connection:
        named = set(connection.scalars(select(TrainingState.file)))
        named |= set(connection.scalars(select(Checkpoint.uri).where(Checkpoint.uri.is_not(None))))
    removed = []
    for path in sorted(folder.iterdir()):
        try:
            status = path.lstat()
            ours = OWN_NAME.fullmatch(path.name) is not None and stat.S_ISREG(status.st_mode)
            if ours and path.name not in named and status.st_mtime < time.time() - older_than:
                path.unlink()
                removed.append(path.name)
        except FileNotFoundError:  # another process removed it
            continue
    return removed
