"""The queue of runs: workers pull, a claim is one conditional update that loses when somebody was first."""

from __future__ import annotations

import time

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import aliased

from lgt.store.engine import read_connection, write_transaction
from lgt.store.schema import Run, RunState
from lgt.store.writes import LEASE_SECONDS, taken_values


def claim(
    engine: Engine,
    owner: str,
    device: str,
    *,
    experiment: str | None = None,
    lease_seconds: float = LEASE_SECONDS,
    code_version: str = "",
) -> tuple[int, int] | None:
    """Take the oldest queued run (of ``experiment``): its id and the attempt number that writes carry, or None.

    ``code_version`` names the code that will train it, as in :func:`lgt.store.writes.start_run`.
    """
    waiting = aliased(Run)
    oldest = select(waiting.id).where(waiting.state == RunState.QUEUED)
    if experiment is not None:
        oldest = oldest.where(waiting.experiment == experiment)
    oldest = oldest.order_by(waiting.id).limit(1)
    with read_connection(engine) as connection:  # an idle worker's polling writes nothing
        if connection.scalar(oldest) is None:
            return None
    locked = oldest.with_for_update(skip_locked=True)  # PostgreSQL; SQLite's writer is alone
    taken = (
        update(Run)
        .where(Run.id == locked.scalar_subquery(), Run.state == RunState.QUEUED)
        .values(taken_values(owner, device, lease_seconds, code_version))
        .returning(Run.id, Run.attempt)
    )
    with write_transaction(engine) as connection:
        row = connection.execute(taken).first()
    return None if row is None else (row.id, row.attempt)


def requeue_expired(engine: Engine, maximum_attempts: int = 3) -> list[int]:
    """Return runs whose lease has expired to the queue, or fail those already tried ``maximum_attempts`` times.

    Returns the ids of the runs it moved. A worker that wakes up afterwards is refused by its attempt number.
    """
    now = time.time()
    expired = (Run.state == RunState.RUNNING, Run.lease_until < now)
    with read_connection(engine) as connection:
        if connection.scalar(select(Run.id).where(*expired).limit(1)) is None:
            return []
    reason = f"its worker stopped reporting {maximum_attempts} times"
    failed = {"state": RunState.FAILED, "error": reason, "finished_at": now, "lease_until": None}
    queued = {"state": RunState.QUEUED, "owner": None, "lease_until": None}
    with write_transaction(engine) as connection:
        given_up = update(Run).where(*expired, Run.attempt >= maximum_attempts).values(failed).returning(Run.id)
        moved = list(connection.scalars(given_up))
        moved += connection.scalars(update(Run).where(*expired).values(queued).returning(Run.id))
    return sorted(moved)


def retry(engine: Engine, run_id: int) -> bool:
    """Queue a failed or cancelled run again. False when it is neither."""
    ended = Run.state.in_((RunState.FAILED, RunState.CANCELLED))
    values = {"state": RunState.QUEUED, "error": None, "owner": None, "lease_until": None, "finished_at": None}
    with write_transaction(engine) as connection:
        return connection.execute(update(Run).where(Run.id == run_id, ended).values(values)).rowcount == 1
