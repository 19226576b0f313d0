"""Read the stored weights of runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import Engine, select
from sqlalchemy.engine import URL

from lgt.store import blobs, coding
from lgt.store.dataframes import read_dataframe
from lgt.store.engine import read_connection
from lgt.store.errors import RESTORE, StoreError, store_name
from lgt.store.library import frames, one_run
from lgt.store.queries import RUN_COLUMNS, sorted_ids
from lgt.store.schema import Checkpoint, Run


@dataclass(frozen=True)
class CheckpointRecord:
    """The weights of a run after ``step`` steps: safetensors bytes whose size and SHA-256 were checked."""

    run_id: int
    step: int
    sha256: str
    size: int
    weights: bytes


@frames("run_id")
def list_checkpoints(engine: Engine, run_ids: Iterable[int] | None = None) -> pd.DataFrame:
    """Which weights are stored: the run's columns, ``step``, ``size`` (bytes), ``sha256``. Reads no weights."""
    table = Checkpoint
    statement = select(*RUN_COLUMNS, table.step, table.size, table.sha256).join(table, table.run_id == Run.id)
    if run_ids is not None:
        statement = statement.where(Run.id.in_(sorted_ids(run_ids)))
    with read_connection(engine) as connection:
        return read_dataframe(connection, statement.order_by(table.run_id, table.step))


@one_run("run_id")
def read_checkpoint(engine: Engine, run_id: int, step: int | None = None) -> CheckpointRecord:
    """The weights of a run after ``step`` steps (default: the last stored step).

    Raises StoreError when there are none, or when their size or SHA-256 is wrong.
    """
    statement = select(*Checkpoint.__table__.columns).where(Checkpoint.run_id == run_id)
    if step is not None:
        statement = statement.where(Checkpoint.step == step)
    with read_connection(engine) as connection:
        row = connection.execute(statement.order_by(Checkpoint.step.desc()).limit(1)).first()
    where = f"run {run_id}" + ("" if step is None else f", step {step}")
    if row is None:
        raise StoreError(f"{where}: no checkpoint in the store {store_name(engine.url)}; see `python -m lgt runs`")
    try:
        weights = checked_weights(engine.url, row)
    except DamagedWeights as error:
        raise StoreError(f"{where}: its checkpoint is damaged (size or SHA-256 differ); {RESTORE}") from error
    return CheckpointRecord(row.run_id, row.step, row.sha256, row.size, weights)


class DamagedWeights(StoreError):
    """The weights in a row are not those that were stored."""


def checked_weights(url: URL, row: Any, folder: Path | None = None) -> bytes:
    """The safetensors bytes of a row of ``checkpoints``, from the row or from the file that it names.

    ``folder``: the folder of the store's files, if it is not its own. Raises StoreError when the file cannot be read or
    differs, and DamagedWeights for damaged bytes in the row.
    """
    if row.weights is None:
        if folder is None:
            return blobs.read_stored(url, row.uri, row.size, row.sha256)
        return blobs.read_file(folder, row.uri, row.size, row.sha256)
    try:
        weights = coding.decoded(row.coding, row.weights, row.size) if isinstance(row.weights, bytes) else None
    except (ValueError, TypeError, OverflowError):
        weights = None
    if weights is None or not checksum_matches(weights, row.size, row.sha256):
        raise DamagedWeights(f"run {row.run_id}: the checkpoint of step {row.step} is damaged")
    return weights


def checksum_matches(weights: object, size: object, sha256: object) -> bool:
    """Whether stored ``weights`` are bytes with this size and SHA-256."""
    return isinstance(weights, bytes) and len(weights) == size and hashlib.sha256(weights).hexdigest() == sha256
