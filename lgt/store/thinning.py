"""Make a store smaller: delete most weights, and rows that no page shows."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, delete, func, select, tuple_

from lgt.recipes.groups import GROUPS
from lgt.store import queries
from lgt.store.comparisons import comparisons
from lgt.store.engine import write_transaction
from lgt.store.errors import StoreError, store_name, translate_errors
from lgt.store.schema import AttentionDifference, Checkpoint, HeadScore, Run, RunState, RunTask, TrainingLog

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
    spaced, the last one included. All other numbers stay, and running a config again produces the same weights.
    Raises StoreError for a store that is not SQLite.
    """
    if engine.dialect.name != "sqlite":
        raise StoreError(f"{store_name(engine.url)} is not a SQLite file; there is nothing to thin out")
    done = select(Run.id).where(Run.state == RunState.DONE, Run.id.not_in(runs_that_keep_weights(engine)))
    with write_transaction(engine) as connection:
        weights = connection.execute(delete(Checkpoint).where(Checkpoint.run_id.in_(done))).rowcount
        tables = (HeadScore, AttentionDifference)
        rows = sum(connection.execute(delete(table).where(_unshown_head_rows(table))).rowcount for table in tables)
        rows += connection.execute(delete(TrainingLog).where(_dropped_losses())).rowcount
    with translate_errors(engine.url), closing(engine.raw_connection()) as raw:
        raw.cursor().execute("VACUUM")
    return ThinReport(weights, rows)


def _unshown_head_rows(table: type[HeadScore] | type[AttentionDifference]) -> ColumnElement[bool]:
    """Head rows of finished runs from before the last step, at lengths beyond the main task's transfer region."""
    longest = func.coalesce(RunTask.transfer_length, RunTask.training_length)
    of_run = select(Run.id).join(RunTask, (RunTask.run_id == Run.id) & (RunTask.role == "main"))
    beyond = of_run.where(
        Run.id == table.run_id, Run.state == RunState.DONE, table.step < Run.total_steps, table.length > longest
    )
    return beyond.correlate(table).exists()


def _dropped_losses() -> ColumnElement[bool]:
    """The rows to delete from the training logs of finished runs: all except every n-th one, counted from the last."""
    of_run: dict[str, Any] = {"partition_by": TrainingLog.run_id}
    rank = (func.row_number().over(order_by=TrainingLog.step.desc(), **of_run) - 1).label("rank")
    every = (func.count().over(**of_run) // KEPT_LOSSES).label("every")
    finished = TrainingLog.run_id.in_(select(Run.id).where(Run.state == RunState.DONE))
    ranked = select(TrainingLog.run_id, TrainingLog.step, rank, every).where(finished).subquery()
    between = select(ranked.c.run_id, ranked.c.step).where(ranked.c.every > 1, ranked.c.rank % ranked.c.every != 0)
    return tuple_(TrainingLog.run_id, TrainingLog.step).in_(between)


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
