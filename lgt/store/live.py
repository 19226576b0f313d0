"""The current state of queued and running runs. These reads are never cached."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Engine, and_, func, select

from lgt.store.engine import read_connection
from lgt.store.library import Source, members
from lgt.store.queries import is_stale
from lgt.store.schema import Run, RunState, TrainingLog


@dataclass(frozen=True)
class LiveRun:
    """A queued or running run. ``loss`` (nats) and ``tokens_per_second`` are the last logged values.

    ``seconds_left`` is the remaining steps times the mean seconds per step so far, measuring included; None at step 0.
    """

    id: int
    label: str
    state: RunState
    stale: bool
    attempt: int
    owner: str | None
    step: int
    total_steps: int
    seconds: float
    seconds_left: float | None
    loss: float | None
    tokens_per_second: float | None


def live_runs(source: Source) -> list[LiveRun]:
    """The running runs of each store, then its queued ones, each oldest first."""
    return [replace(run, id=run.id + member.offset) for member in members(source) for run in _live_runs(member.engine)]


def _live_runs(engine: Engine) -> list[LiveRun]:
    newest = select(TrainingLog.run_id, func.max(TrainingLog.step).label("step")).group_by(TrainingLog.run_id)
    active = select(Run.id).where(Run.state.in_((RunState.RUNNING, RunState.QUEUED)))
    last = newest.where(TrainingLog.run_id.in_(active)).subquery()
    log = and_(TrainingLog.run_id == last.c.run_id, TrainingLog.step == last.c.step)
    statement = (
        select(
            Run.id, Run.label, Run.state, Run.heartbeat_at, Run.attempt, Run.owner, Run.step, Run.total_steps,
            Run.seconds, TrainingLog.loss, TrainingLog.tokens_per_second,
        )
        .join(last, last.c.run_id == Run.id, isouter=True)
        .join(TrainingLog, log, isouter=True)
        .where(Run.id.in_(active))
        .order_by(Run.state.desc(), Run.id)
    )  # fmt: skip
    with read_connection(engine) as connection:
        rows = connection.execute(statement).all()
    return [
        LiveRun(
            row.id, row.label, RunState(row.state), is_stale(row.state, row.heartbeat_at),
            row.attempt, row.owner, row.step, row.total_steps, row.seconds,
            row.seconds / row.step * (row.total_steps - row.step) if row.step else None,
            row.loss, row.tokens_per_second,
        )
        for row in rows
    ]  # fmt: skip
