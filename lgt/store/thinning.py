"""Make a store smaller: delete most weights, and rows that no page shows."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, Engine, delete, func, select

from lgt.recipes.groups import GROUPS
from lgt.store import queries
from lgt.store.comparisons import comparisons
from lgt.store.engine import write_transaction
from lgt.store.errors import StoreError, store_name, translate_errors
from lgt.store.measurements import (
    ATTENTION_DIFFERENCES,
    HEAD_SCORES,
    TRAINING_LOG,
    Packed,
    keep_only,
    pack_log,
    unpacked,
)
from lgt.store.schema import Checkpoint, Run, RunState, RunTask

TRANSFERS = 0.5
"""The smallest transfer accuracy of a run that counts as a run with transfer."""
KEPT_LOSSES = 50
"""About this many logged losses of a finished run stay. They are enough to draw the curve."""


@dataclass(frozen=True)
class ThinReport:
    """``weights``: number of checkpoints deleted. ``rows``: number of head and loss rows deleted."""

    weights: int
    rows: int


def thin(engine: Engine) -> ThinReport:
    """Delete most weights and some rows of finished runs, then shrink the file.

    The weights of :func:`runs_that_keep_weights` stay. Head rows from before the last step are deleted at lengths that
    newer runs do not measure (:mod:`lgt.training.snapshots`). About :data:`KEPT_LOSSES` losses per run stay, evenly
    spaced, the last one included, rounded to seven digits. All other numbers stay, and running a config again produces
    the same weights.
    Raises StoreError for a store that is not SQLite.
    """
    if engine.dialect.name != "sqlite":
        raise StoreError(f"{store_name(engine.url)} is not a SQLite file; there is nothing to thin out")
    done = select(Run.id).where(Run.state == RunState.DONE, Run.id.not_in(runs_that_keep_weights(engine)))
    with write_transaction(engine) as connection:
        weights = connection.execute(delete(Checkpoint).where(Checkpoint.run_id.in_(done))).rowcount
        rows = sum(_drop_unshown_heads(connection, packed) for packed in (HEAD_SCORES, ATTENTION_DIFFERENCES))
        rows += _drop_losses(connection)
    with translate_errors(engine.url), closing(engine.raw_connection()) as raw:
        raw.cursor().execute("VACUUM")
    return ThinReport(weights, rows)


def _drop_unshown_heads(connection: Connection, packed: Packed) -> int:
    """Drop the values of finished runs from before the last step, at lengths beyond the main task's transfer region;
    returns how many."""
    table, names = packed.table, ["run_id", "step", *packed.slots.values()]
    longest = func.coalesce(RunTask.transfer_length, RunTask.training_length)
    statement = (
        select(longest, *(getattr(table, name) for name in names), *packed.packed_columns)
        .join(Run, Run.id == table.run_id)
        .join(RunTask, (RunTask.run_id == Run.id) & (RunTask.role == "main"))
        .where(Run.state == RunState.DONE, table.step < Run.total_steps)
    )
    dropped = 0
    for most, *values in connection.execute(statement).all():
        key = dict(zip(names, values, strict=False))
        columns = unpacked(connection, packed, values[len(names) :], key["run_id"])
        kept = columns["length"] <= most
        dropped += 0 if kept.all() else keep_only(connection, packed, key, columns, kept)
    return dropped


def _drop_losses(connection: Connection) -> int:
    """Drop rows of the training logs of finished runs: all except every n-th one, counted from the last; returns how
    many. The numbers that stay are rounded to what a float of 4 bytes holds."""
    dropped = 0
    for run_id in connection.scalars(select(Run.id).where(Run.state == RunState.DONE)).all():
        pack_log(connection, run_id)
        chosen = select(*TRAINING_LOG.packed_columns).where(TRAINING_LOG.table.run_id == run_id)
        row = connection.execute(chosen).first()
        if row is not None:
            columns = unpacked(connection, TRAINING_LOG, row, run_id)
            columns |= {name: columns[name].astype(np.float32).astype(np.float64) for name in TRAINING_LOG.kind.reals}
            count = len(columns["step"])
            kept = np.arange(count)[::-1] % max(1, count // KEPT_LOSSES) == 0
            dropped += keep_only(connection, TRAINING_LOG, {"run_id": run_id}, columns, kept)
    return dropped


def runs_that_keep_weights(engine: Engine) -> set[int]:
    """Ids of the finished runs whose weights stay, two or three for each task group with an unchanged preset.

    They are the co-trained run with the median transfer accuracy and the main-alone run with the same seed and steps.
    With rotary positions, if that median run transfers, the co-trained run with the lowest transfer accuracy stays too:
    it shows a seed that fails although others succeed.
    """
    transfer = queries.final_accuracy(engine).set_index("run_id").transfer.fillna(0.0)
    found = set()
    for setting, comparison in comparisons(engine).items():
        runs, alone = comparison.runs["co-trained"], comparison.runs["alone-same-steps"]
        if setting.group not in GROUPS or setting.changes or not runs:
            continue
        ranked = [seed for _, seed in sorted((transfer.get(run_id, 0.0), seed) for seed, run_id in runs.items())]
        middle = ranked[(len(ranked) - 1) // 2]
        found |= {runs[middle]} | ({alone[middle]} if middle in alone else set())
        transfers = transfer.get(runs[middle], 0.0) >= TRANSFERS
        found |= {runs[ranked[0]]} if setting.position == "rope" and transfers else set()
    return found
