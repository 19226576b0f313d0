"""The current state of queued and running runs. These reads are never cached."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Engine, select

from lgt.recipes.settings import IMPORTED
from lgt.store.engine import read_connection
from lgt.store.leases import shown_state
from lgt.store.library import Source, members
from lgt.store.measurements import read_log
from lgt.store.schema import Run, RunState


@dataclass(frozen=True)
class LiveRun:
    """A queued or running run. ``loss`` (nats) and ``tokens_per_second`` are the last logged values.

    ``shown``: see :func:`lgt.store.leases.shown_state`. ``recorded``: another program trains it.

    ``seconds_left`` is the remaining steps times the mean seconds per step so far, measuring included; None at step 0.
    """

    id: int
    label: str
    state: RunState
    shown: str
    attempt: int
    owner: str | None
    step: int
    total_steps: int
    seconds: float
    seconds_left: float | None
    loss: float | None
    tokens_per_second: float | None
    recorded: bool

    @property
    def stale(self) -> bool:
        """Whether its worker has missed two heartbeats, so that another worker may take over."""
        return self.shown == "stale"


def live_runs(source: Source) -> list[LiveRun]:
    """The running runs of each store, then its queued ones, each oldest first."""
    return [replace(run, id=run.id + member.offset) for member in members(source) for run in _live_runs(member.engine)]


def _live_runs(engine: Engine) -> list[LiveRun]:
    active = Run.state.in_((RunState.RUNNING, RunState.QUEUED))
    statement = select(Run).where(active).order_by(Run.state.desc(), Run.id)
    with read_connection(engine) as connection:
        rows = connection.execute(statement).all()
        if not rows:
            return []
        log = read_log(connection, [Run.id.label("run_id")], active).drop_duplicates("run_id", keep="last")
    last = {line.run_id: (_known(line.loss), _known(line.tokens_per_second)) for line in log.itertuples()}
    return [
        LiveRun(
            row.id, row.label, RunState(row.state), shown_state(row.state, row.heartbeat_at, row.origin),
            row.attempt, row.owner, row.step, row.total_steps, row.seconds,
            row.seconds / row.step * (row.total_steps - row.step) if row.step else None,
            *last.get(row.id, (None, None)), row.origin == IMPORTED,
        )
        for row in rows
    ]  # fmt: skip


def _known(value: Any) -> float | None:
    return None if math.isnan(value) else float(value)
