"""The queue of runs: workers pull, a claim is one conditional update that loses when somebody was first."""

from __future__ import annotations

import time

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import aliased

from lgt.store import leases
from lgt.store.engine import read_connection, write_transaction
from lgt.store.leases import taken_values
from lgt.store.schema import Run, RunState
from lgt.store.writes import check_queue, submit_in_turn

MOST_LOST_WORKERS = 3


def claim(
    engine: Engine,
    owner: str,
    device: str,
    *,
    experiment: str | None = None,
    lease_seconds: float | None = None,
    code_version: str = "",
) -> tuple[int, int] | None:
    """Take the oldest queued run (of ``experiment``): its id and the attempt number that writes carry, or None.

    ``code_version`` names the code that will train it, as in :func:`lgt.store.leases.start_run`.
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


def requeue_expired(engine: Engine, most_lost: int = MOST_LOST_WORKERS) -> list[int]:
    """Return runs whose lease has expired to the queue, or fail those that lost their ``most_lost``-th worker by that.

    Returns the ids of the runs it moved. A worker that wakes up afterwards is refused by its attempt number.
    """
    now = time.time()
    expired = (Run.state == RunState.RUNNING, Run.lease_until < now)
    with read_connection(engine) as connection:
        if connection.scalar(select(Run.id).where(*expired).limit(1)) is None:
            return []
    reason = f"its worker stopped reporting {most_lost} times; perhaps it was killed for memory"
    lost = {"lost_workers": Run.lost_workers + 1, "lease_until": None, "heartbeat_at": None}
    failed = lost | {"state": RunState.FAILED, "error": reason, "finished_at": now}
    queued = lost | {"state": RunState.QUEUED, "owner": None}
    with write_transaction(engine) as connection:
        given_up = update(Run).where(*expired, Run.lost_workers >= most_lost - 1).values(failed).returning(Run.id)
        moved = list(connection.scalars(given_up))
        moved += connection.scalars(update(Run).where(*expired).values(queued).returning(Run.id))
    return sorted(moved)


def somebody_is_late(engine: Engine, experiment: str | None = None) -> bool:
    """Whether a run (of ``experiment``) is stale: within a lease it will be the queue's, or its worker's again."""
    late = select(Run.id).where(Run.state == RunState.RUNNING, Run.heartbeat_at < time.time() - leases.STALE_SECONDS)
    if experiment is not None:
        late = late.where(Run.experiment == experiment)
    with read_connection(engine) as connection:
        return connection.scalar(late.limit(1)) is not None


def retry(engine: Engine, run_id: int) -> bool:
    """Queue a failed or cancelled run again; it goes on from its training state where it left one. False when it is
    neither. Raises StoreError when the queue is full."""
    ended = Run.state.in_((RunState.FAILED, RunState.CANCELLED))
    values = {"state": RunState.QUEUED, "error": None, "owner": None, "lease_until": None, "finished_at": None,
              "lost_workers": 0, "log_tail": None}  # fmt: skip
    with write_transaction(engine) as connection:
        submit_in_turn(connection)
        check_queue(connection, 1)
        return connection.execute(update(Run).where(Run.id == run_id, ended).values(values)).rowcount == 1
