"""Change the packed tables of a store by what their values are, and read old and new stores by plain SQL."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from sqlalchemy import select

from lgt.store.engine import open_store, write_transaction
from lgt.store.measurements import Packed, keep_only
from lgt.store.schema import RunTask

KEYS = {
    "runs": ("id",), "run_tasks": ("run_id", "task"), "accuracy": ("run_id", "step", "task", "length"),
    "head_scores": ("run_id", "step", "task", "length", "layer", "head"),
    "attention_differences": ("run_id", "step", "task_a", "task_b", "length", "layer", "head"),
    "training_log": ("run_id", "step"), "checkpoints": ("run_id", "step"), "training_states": ("run_id",),
    "interchanges": ("run_id", "step", "task", "source_task", "source_input", "length", "layer", "head"),
}  # fmt: skip
"""What people read from a store of any schema: tables or views, and the columns that name a row."""


def without(measured: Packed, gone: Callable[[Any], Any]) -> Callable[[Path], None]:
    """A change of a store: the values for which ``gone`` is true are deleted. It gets the columns of a packed row by
    name, those of its values as arrays, and ``task``, its first task."""

    def change(path: Path) -> None:
        keys = [column.name for column in measured.table.__table__.primary_key]
        columns = [getattr(measured.table, name) for name in keys]
        with write_transaction(open_store(str(path))) as connection:
            tasks = {(run_id, slot): task for run_id, slot, task in
                     connection.execute(select(RunTask.run_id, RunTask.slot, RunTask.task))}  # fmt: skip
            for row in connection.execute(select(*columns, *measured.packed_columns)).all():
                key = dict(zip(keys, row[: len(keys)], strict=True))
                values = measured.kind.unpack(dict(zip(measured.kind.stored, row[len(keys) :], strict=True)))
                slot = next((key[name] for name in measured.slots.values()), None)
                of = SimpleNamespace(**key, **values, task=tasks.get((key["run_id"], slot)))
                count = len(values[measured.kind.keys[0]])
                keep_only(connection, measured, key, values, ~np.broadcast_to(gone(of), count))

    return change


def rows(path: Path) -> dict[str, list[dict[str, Any]]]:
    """What a person reads from a store of any schema, by table or view, without this project's code."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        found = {
            name: sorted((dict(row) for row in connection.execute(f"SELECT * FROM {name}")), key=_in_order(columns))
            for name, columns in KEYS.items() if connection.execute(
                "SELECT 1 FROM sqlite_schema WHERE name = ?", (name,)).fetchone()
        }  # fmt: skip
        if "config" not in found["runs"][0]:
            texts = dict(connection.execute("SELECT key, config FROM configs").fetchall())
            for run in found["runs"]:
                run["config"] = config_text(texts[run["config_key"]], run)
    for row in found["checkpoints"]:
        row["weights"] = _weights(row)
    return found


def config_text(shared: str, run: Any) -> str:
    """The text of a run's config from the text that runs with other seeds share."""
    whole = json.loads(shared) | {name: run[name] for name in ("model_seed", "data_seed")}
    return json.dumps(whole, sort_keys=True, separators=(",", ":"))


def _in_order(columns: tuple[str, ...]) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    return lambda row: tuple(row[name] for name in columns)


def _weights(row: dict[str, Any]) -> bytes:
    if not row.get("coding"):
        return row["weights"]
    halves = zlib.decompress(row["weights"])
    middle = (len(halves) + 1) // 2
    return b"".join(bytes(pair) for pair in zip(halves[:middle], halves[middle:], strict=True))


def same_rows(path: Path, before: dict[str, list[dict[str, Any]]]) -> None:
    """Check that all values are still there. Newer schemas add columns. A drop is a count now: the stored number was
    that count in single precision."""
    after = rows(path)
    for name, old in before.items():
        if name == "head_scores":
            drops = [(row["accuracy_drop"], new["accuracy_drop"]) for row, new in zip(old, after[name], strict=True)]
            assert all((a is None) == (b is None) and (a is None or abs(a - b) <= 1e-7) for a, b in drops)
        kept = [{key: new[key] for key in row} for row, new in zip(old, after[name], strict=True)]
        assert [_exact(row) for row in kept] == [_exact(row) for row in old], name


def _exact(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "accuracy_drop"}
