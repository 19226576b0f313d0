"""Copy the finished runs of another store into this one."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, Engine, and_, insert, or_, select

from lgt.store import blobs
from lgt.store.checkpoints import DamagedWeights, checked_weights
from lgt.store.engine import open_store, read_connection, refuse_if_read_only, write_transaction
from lgt.store.errors import StoreError, store_name
from lgt.store.measurements import PACKED, put_lists
from lgt.store.schema import RUN_TABLES, Base, Checkpoint, Config, Run, RunState
from lgt.store.upserts import insert_missing, upsert

IDENTITY = ("config_hash", "code_version", "device", "created_at", "finished_at")
"""Columns of ``runs`` that identify a finished run in any store: no two runs have the same values."""


@dataclass(frozen=True)
class MergeReport:
    """How many finished runs a merge copied, and how many the store already had."""

    added: int
    skipped: int


def merge(engine: Engine, other_url: str) -> MergeReport:
    """Copy the finished runs of another store, with their measurements and weights, if this store lacks them.

    The copies get new ids. Each run is copied in one transaction, so an interrupted merge can be repeated. Raises
    StoreError when the other store cannot be read or a run in it has a damaged checkpoint.
    """
    refuse_if_read_only(store_name(engine.url))
    other = open_store(other_url, create=False, read_only=True)
    with read_connection(other) as source:
        finished = list(source.scalars(select(Run.id).where(Run.state == RunState.DONE).order_by(Run.id)))
    added = sum(_copy_run(engine, other, run_id) for run_id in finished)
    return MergeReport(added=added, skipped=len(finished) - added)


def _copy_run(engine: Engine, other: Engine, run_id: int) -> bool:
    with read_connection(other) as source:
        run = _rows(source, Run, Run.id, run_id)
        config = _rows(source, Config, Config.key, run[0]["config_key"]) if run else []
        measured = {table: _rows(source, table, table.run_id, run_id) for table in RUN_TABLES}
    if not run:
        return False  # deleted by another process meanwhile
    for row in measured[Checkpoint]:
        if row["weights"] is not None and not _intact(other, row):
            raise StoreError(f"{store_name(other.url)}: run {run_id} has a damaged checkpoint; the run was not copied")
    in_files = [row for row in measured[Checkpoint] if row["weights"] is None]
    contents = [
        blobs.read_file(blobs.files_folder(other.url), row["uri"], row["size"], row["sha256"]) for row in in_files
    ]
    values = {name: value for name, value in run[0].items() if name not in ("id", "token")}
    same = and_(*(getattr(Run, name).is_not_distinct_from(values[name]) for name in IDENTITY))
    with write_transaction(engine) as connection:
        if connection.scalar(select(Run.id).where(or_(same, Run.uuid == values["uuid"])).limit(1)) is not None:
            return False
        insert_missing(connection, Config, config)
        new_id = connection.execute(insert(Run).values(values).returning(Run.id)).scalar_one()
        for row, data in zip(in_files, contents, strict=True):
            row["uri"] = blobs.checkpoint_name(new_id, row["step"])
            blobs.write_file(blobs.files_folder(engine.url), row["uri"], data)
        for table, rows in measured.items():
            upsert(connection, table, [row | {"run_id": new_id} for row in rows])
        put_lists(connection, (row[name] for packed in PACKED for row in measured[packed.table]
                               for name in packed.kind.lists))  # fmt: skip
    return True


def _intact(other: Engine, row: dict[str, Any]) -> bool:
    try:
        checked_weights(other.url, SimpleNamespace(**row))
    except DamagedWeights:
        return False
    return True


def _rows(connection: Connection, table: type[Base], key: Any, run_id: int) -> list[dict[str, Any]]:
    statement = select(*table.__table__.columns).where(key == run_id)
    return [dict(row) for row in connection.execute(statement).mappings()]
