"""Unite what two stores have measured of the same run.

Accuracy, maps, attention differences and interchanges are united length by length. If both stores have a length, the
measurement with more values counts, then the one with more prompts, then the one whose SHA-256 is greater. The last
rule does not prefer better results. Of two training logs the one with more lines counts. Weights are united by step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine

from lgt.store import blobs
from lgt.store.measurements import PACKED, TRAINING_LOG, Packed, put_lists, replace_row, unpacked
from lgt.store.packing import Numbers
from lgt.store.schema import Checkpoint
from lgt.store.stored_runs import StoredRun
from lgt.store.upserts import upsert

Row = Mapping[str, Any]
Columns = Mapping[str, Numbers]
WORDS = {
    "accuracy_counts": "accuracy", "head_maps": "maps", "attention_maps": "attention differences",
    "interchange_maps": "interchanges", "packed_logs": "training log",
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a merge did with one run: added, updated, unchanged or skipped; and why, if that is worth a line."""

    word: str
    reason: str = ""

    def and_then(self, more: Sequence[str]) -> Outcome:
        """This outcome with further reasons."""
        return replace(self, reason=", ".join(filter(None, (self.reason, *more))))


def insert_measured(connection: Connection, run_id: int, theirs: StoredRun, other: Engine) -> None:
    """Store all measurements of ``theirs`` as those of run ``run_id``, which has none."""
    for table, rows in theirs.measured.items():
        if table is Checkpoint:
            for row in rows:
                _put_weights(connection, run_id, row, other)
        else:
            upsert(connection, table, [{**row, "run_id": run_id} for row in rows])
    put_lists(connection, (row[name] for packed in PACKED for row in theirs.measured[packed.table]
                           for name in packed.kind.lists))  # fmt: skip


def _put_weights(connection: Connection, run_id: int, row: Row, other: Engine) -> None:
    """Copy weights; those in a file become a file of this store."""
    new = {**row, "run_id": run_id}
    if row["weights"] is None:
        new["uri"] = blobs.checkpoint_name(run_id, row["step"], row["sha256"])
        data = blobs.read_stored(other.url, row["uri"], row["size"], row["sha256"])
        blobs.write_file(blobs.files_folder(connection.engine.url), new["uri"], data)
    upsert(connection, Checkpoint, [new])


def unite(connection: Connection, mine: StoredRun, theirs: StoredRun, other: Engine) -> list[str]:
    """Add to ``mine`` the measurements of ``theirs``, another copy of the same run; returns the kinds that changed."""
    changed = [
        WORDS[packed.table.__tablename__] for packed in PACKED if _unite_packed(connection, packed, mine, theirs)
    ]
    if _unite_weights(connection, mine, theirs, other):
        changed.append("weights")
    return changed


def _unite_packed(connection: Connection, packed: Packed, mine: StoredRun, theirs: StoredRun) -> bool:
    names = [column.name for column in packed.table.__table__.primary_key if column.name != "run_id"]
    own = {tuple(row[name] for name in names): row for row in mine.measured[packed.table]}
    changed = False
    for row in theirs.measured[packed.table]:
        place = tuple(row[name] for name in names)
        before = own.get(place)
        stored = packed.kind.stored
        if before is not None and all(before[name] == row[name] for name in stored):
            continue
        key = {"run_id": mine.run["id"], **dict(zip(names, place, strict=True))}
        new = {name: row[name] for name in stored}
        if before is not None:
            old_columns = unpacked(connection, packed, [before[name] for name in stored], mine.run["id"])
            new_columns = unpacked(connection, packed, [row[name] for name in stored], theirs.run["id"])
            new = packed.kind.pack(_joined(packed, old_columns, new_columns))
            if all(before[name] == new[name] for name in stored):
                continue
        replace_row(connection, packed, key, new)
        changed = True
    return changed


def _joined(packed: Packed, mine: Columns, theirs: Columns) -> Columns:
    """The columns with the winning measurement of each length, or of the whole training log."""
    if packed is TRAINING_LOG:
        return max(mine, theirs, key=_rank)
    parts = []
    for length in np.union1d(mine["length"], theirs["length"]):
        found = [_at(columns, length) for columns in (mine, theirs)]
        parts.append(max(found, key=_rank))
    return {name: np.concatenate([part[name] for part in parts]) for name in mine}


def _at(columns: Columns, length: int) -> Columns:
    chosen = columns["length"] == length
    return {name: values[chosen] for name, values in columns.items()}


def _rank(columns: Columns) -> tuple[int, int, str]:
    """Decides between two measurements: values, prompts, then the SHA-256 of all values."""
    prompts = next((int(columns[name].sum()) for name in ("total", "examples") if name in columns), 0)
    digest = hashlib.sha256()
    for name in sorted(columns):
        values = columns[name] + 0.0 if columns[name].dtype.kind == "f" else columns[name]  # -0.0 becomes 0.0
        digest.update(np.ascontiguousarray(values).tobytes())
    return len(next(iter(columns.values()))), prompts, digest.hexdigest()


def _unite_weights(connection: Connection, mine: StoredRun, theirs: StoredRun, other: Engine) -> bool:
    own = {row["step"]: row["sha256"] for row in mine.measured[Checkpoint]}
    new = [row for row in theirs.measured[Checkpoint] if row["sha256"] > own.get(row["step"], "")]
    for row in new:
        _put_weights(connection, mine.run["id"], row, other)
    return bool(new)
