"""Files that belong to a store but lie beside it: training states, and weights that are too large for a row.

A file is written whole under a name of its own before the row that names it, and removed after the row is gone, so that
a kill at any moment leaves at most a file that nobody needs; :func:`sweep` removes those.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, delete, select
from sqlalchemy.engine import URL

from lgt.core.paths import cache_directory
from lgt.store import files
from lgt.store.engine import read_connection
from lgt.store.errors import StoreError
from lgt.store.schema import Checkpoint, TrainingState
from lgt.store.upserts import upsert

SUFFIX = ".safetensors"
ORPHAN_SECONDS = 3600.0  # far longer than the moment between a file and its row
logger = logging.getLogger(__name__)


def folder(url: URL) -> Path:
    """Where a store's files lie: in ``LGT_FILES``, else beside a SQLite file, else in the user's cache directory.

    Workers of a PostgreSQL store on several machines need ``LGT_FILES`` on a shared disk, and the same URL but for user
    and password, to resume each other's runs. Every store has a folder of its own.
    """
    shared = os.environ.get("LGT_FILES")
    if url.get_backend_name() == "sqlite" and not shared:
        return Path(f"{url.database}.files")
    place = f"{url.get_backend_name()} {url.host} {url.port} {url.database}"
    return Path(shared or cache_directory()) / f"files-{hashlib.sha256(place.encode()).hexdigest()[:16]}"


def write_file(place: Path, name: str, data: bytes) -> None:
    """Make the file ``name`` in ``place`` appear whole and on the disk. Raises StoreError where it cannot be."""
    beside = place / f".{name}.{os.getpid()}.new"
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with open(beside, "wb") as handle:
                handle.write(data)
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(beside, place / name)
            files.sync(place)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{place / name} cannot be written: {files.reason(error)}") from error


def read_file(place: Path, name: str, size: int, sha256: str) -> bytes:
    """The bytes of the file ``name`` in ``place``. Raises StoreError when they are not of this size and SHA-256."""
    path = place / name
    if Path(name).name != name:
        raise StoreError(f"{name!r} is not the name of a file beside the store")
    try:
        found = path.stat().st_size
        if found != size:  # before a byte is read: the file may be of any size
            raise StoreError(f"{path} is damaged: {found:,} bytes instead of {size:,}")
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {files.reason(error)}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise StoreError(f"{path} is damaged: its SHA-256 differs")
    return data


def write_state(engine: Engine, run_id: int, attempt: int, step: int, state: bytes) -> dict[str, Any]:
    """Write a training state to a file of its own; returns what a row of ``training_states`` says about it."""
    name = f"run-{run_id}-attempt-{attempt}-step-{step}{SUFFIX}"
    write_file(folder(engine.url), name, state)
    return {"file": name, "sha256": hashlib.sha256(state).hexdigest(), "size": len(state)}


def point_to_state(connection: Connection, run_id: int, row: Mapping[str, Any]) -> str | None:
    """Make ``row`` the newest state of the run; returns the name of the file that it replaces, if any."""
    before = connection.scalar(select(TrainingState.file).where(TrainingState.run_id == run_id))
    upsert(connection, TrainingState, [{"run_id": run_id, **row}])
    return before


def checkpoint_name(run_id: int, step: int) -> str:
    """The file of weights that are too large for a row."""
    return f"checkpoint-run-{run_id}-step-{step}{SUFFIX}"


def kept_state(engine: Engine, run_id: int, code_version: str) -> bytes | None:
    """The newest state of the run, if there is one of this code and it is whole; one line of the log says why not."""
    statement = select(*TrainingState.__table__.columns).where(TrainingState.run_id == run_id)
    with read_connection(engine) as connection:
        row = connection.execute(statement).first()
    if row is None:
        return None
    if row.code_version != code_version:
        logger.warning(
            "run %s starts over: its state is of code %s, this is %s", run_id, row.code_version, code_version
        )
        return None
    try:
        return read_file(folder(engine.url), row.file, row.size, row.sha256)
    except StoreError as error:
        logger.warning("run %s starts over: %s", run_id, error)
        return None


def forget_state(connection: Connection, run_id: int) -> str | None:
    """Remove the row of a run's state; returns the name of the file to be removed once that is committed, if any."""
    gone = delete(TrainingState).where(TrainingState.run_id == run_id).returning(TrainingState.file)
    return connection.scalar(gone)


def remove(engine: Engine, name: str | None) -> None:
    """Remove the file ``name`` if there is one; what cannot be removed is left for :func:`sweep`."""
    if name is None:
        return
    try:
        (folder(engine.url) / Path(name).name).unlink(missing_ok=True)
    except OSError as error:
        logger.warning("%s could not be removed: %s", name, files.reason(error))


def sweep(engine: Engine, older_than: float = ORPHAN_SECONDS) -> list[str]:
    """Remove files that no row names and that are older than ``older_than`` seconds; returns their names."""
    place = folder(engine.url)
    if not place.is_dir():
        return []
    with read_connection(engine) as connection:
        wanted = set(connection.scalars(select(TrainingState.file)))
        wanted |= set(connection.scalars(select(Checkpoint.uri).where(Checkpoint.uri.is_not(None))))
    swept = []
    for path in sorted(place.iterdir()):
        ours = path.suffix == SUFFIX or path.name.endswith(".new")
        try:
            if ours and path.name not in wanted and path.stat().st_mtime < time.time() - older_than:
                path.unlink()
                swept.append(path.name)
        except FileNotFoundError:  # another process swept it
            continue
    return swept
