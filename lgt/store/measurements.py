"""Write measured records into the packed tables, and read the packed tables as one row per value.

A row of a packed table holds what was measured of a run, step and task. Writing reads the row, adds the new values and
replaces it, inside the caller's write transaction. A value that is written twice is there once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import ColumnElement, Connection, Select, and_, delete, select
from sqlalchemy.orm import aliased

from lgt.store import packed_rows, packing
from lgt.store.dataframes import frame_of, read_dataframe
from lgt.store.errors import RESTORE, StoreError, store_name
from lgt.store.packed_rows import Kind
from lgt.store.schema import (
    AccuracyCounts,
    AttentionMap,
    HeadMap,
    InterchangeMap,
    NumberList,
    PackedLog,
    Run,
    RunTask,
    TrainingLogRow,
)
from lgt.store.upserts import insert_missing, upsert


@dataclass(frozen=True)
class Packed:
    """A packed table: how its rows are packed, by field of a record the column of the task's slot, and the ``plain``
    columns of the key, which are fields of a record too."""

    table: Any
    kind: Kind
    slots: Mapping[str, str]
    plain: tuple[str, ...] = ()

    @property
    def packed_columns(self) -> list[Any]:
        """The columns of the table that :func:`read_unpacked` unpacks."""
        return [getattr(self.table, name) for name in self.kind.stored]


ACCURACY = Packed(AccuracyCounts, packed_rows.ACCURACY, {"task": "slot"})
HEAD_SCORES = Packed(HeadMap, packed_rows.MAP, {"task": "slot"})
ATTENTION_DIFFERENCES = Packed(AttentionMap, packed_rows.ATTENTION, {"task_a": "slot_a", "task_b": "slot_b"})
INTERCHANGES = Packed(
    InterchangeMap, packed_rows.MAP, {"task": "slot", "source_task": "source_slot"}, ("source_input",)
)
TRAINING_LOG = Packed(PackedLog, packed_rows.LOG, {})
PACKED = (ACCURACY, HEAD_SCORES, ATTENTION_DIFFERENCES, INTERCHANGES, TRAINING_LOG)


def put(connection: Connection, into: Packed, run_id: int, step: int, records: Iterable[Any]) -> None:
    """Store records of a run (:mod:`lgt.core.records`) after ``step`` steps inside the caller's transaction.

    Raises StoreError for a task that the run does not have, or for counts that cannot be.
    """
    groups: dict[tuple[Any, ...], list[Any]] = {}
    slots = _slots(connection, run_id)
    for record in records:
        own_slots = [_slot(slots, run_id, getattr(record, name)) for name in into.slots]
        groups.setdefault((*own_slots, *(getattr(record, name) for name in into.plain)), []).append(record)
    for group, of in groups.items():
        key = {"run_id": run_id, "step": step, **dict(zip((*into.slots.values(), *into.plain), group, strict=True))}
        values = {name: [getattr(record, name) for record in of] for name in into.kind.columns}
        try:
            put_columns(connection, into, key, packed_rows.columns_of(into.kind, values))
        except (ValueError, TypeError, OverflowError) as error:
            tasks = " and ".join(str(getattr(of[0], name)) for name in into.slots)
            raise StoreError(f"run {run_id}, step {step}, {tasks}: cannot be stored ({error})") from error


def _slots(connection: Connection, run_id: int) -> dict[str, int]:
    tasks = select(RunTask.task, RunTask.slot).where(RunTask.run_id == run_id).order_by(RunTask.slot)
    return {task: slot for task, slot in connection.execute(tasks)}


def _slot(slots: Mapping[str, int], run_id: int, task: Any) -> int:
    if task not in slots:
        raise StoreError(f"run {run_id}: {task!r} is not one of its tasks; accepted: {', '.join(slots) or 'none'}")
    return slots[task]


def put_columns(connection: Connection, into: Packed, key: Mapping[str, Any], columns: packed_rows.Columns) -> None:
    """Add flat columns to the row with this primary key. Raises ValueError for what cannot be packed."""
    same = [getattr(into.table, name) == value for name, value in key.items()]
    before = connection.execute(select(*into.packed_columns).where(*same)).mappings().first()
    replace_row(connection, into, key, into.kind.merged(dict(before) if before else None, columns))


def replace_row(connection: Connection, into: Packed, key: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    """Insert a packed row or replace the one with this primary key; with the lists that it names."""
    put_lists(connection, {row[name] for name in into.kind.lists})
    upsert(connection, into.table, [{**key, **row}])


def keep_only(
    connection: Connection, of: Packed, key: Mapping[str, Any], columns: packed_rows.Columns, kept: packing.Numbers
) -> int:
    """Let the row with this primary key have those of the flat ``columns`` that are ``kept``; returns how many go."""
    dropped = int((~kept).sum())
    if not kept.any():
        same = [getattr(of.table, name) == value for name, value in key.items()]
        connection.execute(delete(of.table).where(*same))
    else:
        replace_row(connection, of, key, of.kind.pack({name: values[kept] for name, values in columns.items()}))
    return dropped


def put_lists(connection: Connection, texts: Iterable[str]) -> None:
    """Store the pieces of lists that are not stored yet."""
    wanted = sorted(set(texts))
    known = set(connection.scalars(select(NumberList.list).where(NumberList.list.in_(wanted)).distinct()))
    rows = [{"list": text, **piece._asdict()} for text in wanted if text not in known for piece in packing.pieces(text)]
    insert_missing(connection, NumberList, rows)


def pack_log(connection: Connection, run_id: int) -> None:
    """Move the log rows of a run that has ended into its packed log."""
    rows = (
        connection.execute(select(*TrainingLogRow.__table__.columns).where(TrainingLogRow.run_id == run_id))
        .mappings()
        .all()
    )
    if rows:
        values = {name: [row[name] for row in rows] for name in packed_rows.LOG.columns}
        put_columns(connection, TRAINING_LOG, {"run_id": run_id}, packed_rows.columns_of(packed_rows.LOG, values))
        connection.execute(delete(TrainingLogRow).where(TrainingLogRow.run_id == run_id))


def number(value: Any) -> Any:
    """NaN is stored as NULL on every database. SQLite does this by itself, PostgreSQL does not."""
    return None if isinstance(value, float) and math.isnan(value) else value


# --- reading


def of_tasks(measured: Packed, run_columns: Sequence[Any], columns: Sequence[Any] = ()) -> Select[*tuple[Any, ...]]:
    """Select the packed rows, for :func:`read_unpacked`: ``run_columns``, the step, the names of tasks, ``columns``.

    ``columns`` are of ``RunTask``: of the row's task, or for a pair of tasks of what the caller joins. The rows are
    ordered by run, step and names.
    """
    table = measured.table
    tasks: list[Any] = [RunTask] if len(measured.slots) == 1 else [aliased(RunTask) for _ in measured.slots]
    names = [task.task.label(field) for task, field in zip(tasks, measured.slots, strict=True)]
    plain = [getattr(table, name) for name in measured.plain]
    chosen = select(*run_columns, table.step, *names, *plain, *columns, *measured.packed_columns)
    statement = chosen.join(table, table.run_id == Run.id)
    for task, slot in zip(tasks, measured.slots.values(), strict=True):
        statement = statement.join(task, and_(task.run_id == table.run_id, task.slot == getattr(table, slot)))
    return statement.order_by(table.run_id, table.step, *names, *plain)


def read_unpacked(connection: Connection, statement: Select[*tuple[Any, ...]], packed: Packed) -> pd.DataFrame:
    """One row per value: the other columns of ``statement``, repeated, then the unpacked ones.

    ``statement`` selects the packed columns last (:attr:`Packed.packed_columns`). Raises StoreError for a damaged row.
    """
    kind = packed.kind
    rows = connection.execute(statement).all()
    stored = len(kind.stored)
    plain = list(statement.selected_columns)[:-stored]
    of_run = [column.name for column in plain].index("run_id")
    parts = [unpacked(connection, packed, row[-stored:], row[of_run]) for row in rows]
    counts = [len(part[kind.keys[0]]) for part in parts]
    repeated = frame_of(connection, plain, [row[:-stored] for row in rows])
    frame = repeated.take(np.repeat(np.arange(len(rows)), counts)).reset_index(drop=True)
    for name in kind.columns:
        kept = np.float64 if name in kind.reals else np.int64
        frame[name] = np.concatenate([part[name] for part in parts]) if parts else np.zeros(0, kept)
    return frame


def unpacked(connection: Connection, packed: Packed, stored: Sequence[Any], run_id: int) -> dict[str, packing.Numbers]:
    """The flat columns of one row. Raises StoreError that names the run for a row that cannot be unpacked."""
    try:
        return packed.kind.unpack(dict(zip(packed.kind.stored, stored, strict=True)))
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        name, table = store_name(connection.engine.url), packed.table.__tablename__
        raise StoreError(f"{name} is damaged: a row of {table} of run {run_id} has {error}; {RESTORE}") from error


def read_log(connection: Connection, run_columns: Sequence[Any], chosen: ColumnElement[bool]) -> pd.DataFrame:
    """The training logs of the chosen runs, by run and step: ``run_columns`` and the columns of the log."""
    packed = select(*run_columns, *TRAINING_LOG.packed_columns).join(PackedLog, PackedLog.run_id == Run.id)
    columns = [getattr(TrainingLogRow, name) for name in packed_rows.LOG.columns]
    rows = select(*run_columns, *columns).join(TrainingLogRow, TrainingLogRow.run_id == Run.id).where(chosen)
    newer = read_dataframe(connection, rows)
    older = read_unpacked(connection, packed.where(chosen).order_by(Run.id), TRAINING_LOG)
    if newer.empty:
        return older
    both = pd.concat([older, newer], ignore_index=True) if len(older) else newer
    last = both.drop_duplicates(["run_id", "step"], keep="last")
    return last.sort_values(["run_id", "step"], ignore_index=True)


def main_means(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per run: mean exact match at trained lengths, and in the transfer region if all of it was measured."""
    rows = rows[rows.total > 0]
    runs, first, of = np.unique(rows.run_id.to_numpy(), return_index=True, return_inverse=True)
    trained = rows.training_length.to_numpy()
    longest = rows.transfer_length.to_numpy(dtype=np.float64, na_value=np.nan)
    length, share = rows.length.to_numpy(), (rows.correct / rows.total).to_numpy()

    def mean(inside: packing.Numbers) -> tuple[packing.Numbers, packing.Numbers]:
        count = np.bincount(of, inside, len(runs))
        total = np.bincount(of, np.where(inside, share, 0.0), len(runs))
        return np.where(count > 0, total / np.maximum(count, 1), np.nan), count

    (known, _), (beyond, count) = mean(length <= trained), mean((length > trained) & (length <= longest))
    complete = count == (longest - trained)[first]
    return pd.DataFrame({"run_id": runs, "trained": known, "transfer": np.where(complete, beyond, np.nan)})
