"""Make a store smaller: weights that no page is likely to open, and maps that nothing shows."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, delete, func, select, tuple_

from lgt.recipes.groups import GROUPS
from lgt.store import queries
from lgt.store.comparisons import comparisons
from lgt.store.engine import write_transaction
from lgt.store.errors import StoreError, explained, store_name
from lgt.store.schema import AttentionDifference, Checkpoint, HeadScore, Run, RunState, RunTask, TrainingLog

TRANSFERS = 0.5
"""Transfer accuracy from which a run that keeps its weights counts as one that transfers."""


LOSSES = 50
"""How many logged losses of a finished run stay, about: enough for the shape of a curve."""


@dataclass(frozen=True)
class ThinReport:
    """Of how many runs the weights went, and how many rows of what was measured of heads and losses during training."""

    weights: int
    rows: int


def thin(engine: Engine) -> ThinReport:
    """Remove weights and give the space back; those of :func:`exemplary` runs stay, and those of unfinished ones.

    What older runs measured of heads on their way at lengths that are not followed (:mod:`lgt.training.snapshots`) goes, too,
    and of a finished run's losses about :data:`LOSSES` stay, evenly spaced, the last among them. All other numbers
    stay; a repeated run makes the same weights again. Raises StoreError for a store that is not SQLite, whose file
    does not grow for ever.
    """
    if engine.dialect.name != "sqlite":
        raise StoreError(f"{store_name(engine.url)} is not a SQLite file; there is nothing to thin out")
    done = select(Run.id).where(Run.state == RunState.DONE, Run.id.not_in(exemplary(engine)))
    with write_transaction(engine) as connection:
        weights = connection.execute(delete(Checkpoint).where(Checkpoint.run_id.in_(done))).rowcount
        tables = (HeadScore, AttentionDifference)
        rows = sum(connection.execute(delete(table).where(_on_the_way_beyond(table))).rowcount for table in tables)
        rows += connection.execute(delete(TrainingLog).where(_between_losses())).rowcount
    with explained(engine.url), closing(engine.raw_connection()) as raw:
        raw.cursor().execute("VACUUM")
    return ThinReport(weights, rows)


def _on_the_way_beyond(table: type[HeadScore] | type[AttentionDifference]) -> ColumnElement[bool]:
    """Rows of finished runs from before the last step, at lengths beyond the transfer region of the run's main task."""
    longest = func.coalesce(RunTask.transfer_length, RunTask.training_length)
    of_run = select(Run.id).join(RunTask, (RunTask.run_id == Run.id) & (RunTask.role == "main"))
    beyond = of_run.where(
        Run.id == table.run_id, Run.state == RunState.DONE, table.step < Run.total_steps, table.length > longest
    )
    return beyond.correlate(table).exists()


def _between_losses() -> ColumnElement[bool]:
    """The rows of finished runs' training logs that lie between those which stay."""
    of_run: dict[str, Any] = {"partition_by": TrainingLog.run_id}
    place = (func.row_number().over(order_by=TrainingLog.step.desc(), **of_run) - 1).label("place")
    every = (func.count().over(**of_run) // LOSSES).label("every")
    finished = TrainingLog.run_id.in_(select(Run.id).where(Run.state == RunState.DONE))
    ranked = select(TrainingLog.run_id, TrainingLog.step, place, every).where(finished).subquery()
    between = select(ranked.c.run_id, ranked.c.step).where(ranked.c.every > 1, ranked.c.place % ranked.c.every != 0)
    return tuple_(TrainingLog.run_id, TrainingLog.step).in_(between)


def exemplary(engine: Engine) -> set[int]:
    """Runs whose weights are worth their room: of every task group as a preset has it, the co-trained run with the
    median transfer accuracy and the main task alone with the same seed and steps.

    With rotary positions, where the median run transfers, also the co-trained run with the lowest: a seed that fails
    where others do not.
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
