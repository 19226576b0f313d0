"""The queue of runs. A worker claims a run by one conditional update, so only one of several workers can succeed."""

from __future__ import annotations

import time

from sqlalchemy import Engine, and_, select, update
from sqlalchemy.orm import aliased

from lgt.recipes.limits import check_limits
from lgt.recipes.settings import IMPORTED
from lgt.store import leases, server
from lgt.store.configs import config_of
from lgt.store.engine import read_connection, write_transaction
from lgt.store.leases import start_values
from lgt.store.schema import Config, Run, RunState
from lgt.store.writes import check_queue_length, lock_submissions

MAXIMUM_LOST_WORKERS = 3


def claim(
    engine: Engine,
    owner: str,
    device: str,
    *,
    experiment: str | None = None,
    lease_seconds: float | None = None,
    code_version: str = "",
) -> tuple[int, int] | None:
    """Claim the oldest queued run (of ``experiment``): its id and attempt number, or None when there is none.

    ``code_version`` names the code that will train it, as in :func:`lgt.store.leases.start_run`.
    """
    waiting = aliased(Run)
    oldest = select(waiting.id).where(waiting.state == server.QUEUED)
    if experiment is not None:
        oldest = oldest.where(waiting.experiment == experiment)
    oldest = oldest.order_by(waiting.id).limit(1)
    with read_connection(engine) as connection:  # an idle worker polls without writing
        if connection.scalar(oldest) is None:
            return None
    locked = oldest.with_for_update(skip_locked=True)  # for PostgreSQL; SQLite has one writer at a time
    claimed = (
        update(Run)
        .where(Run.id == locked.scalar_subquery(), Run.state == RunState.QUEUED)
        .values(start_values(engine, owner, device, lease_seconds, code_version))
        .returning(Run.id, Run.attempt)
    )
    with write_transaction(engine) as connection:
        row = connection.execute(claimed).first()
    return None if row is None else (row.id, row.attempt)


def requeue_expired(engine: Engine, maximum_lost: int = MAXIMUM_LOST_WORKERS) -> list[int]:
    """Put runs whose lease has expired back in the queue. A run that has now lost ``maximum_lost`` workers without
    storing a later training state in between fails.

    Returns the ids of all these runs. If a lost worker wakes up later, its writes carry an old attempt number and are
    refused.
    """
    expired = (Run.state == RunState.RUNNING, leases.is_expired(engine))
    with read_connection(engine) as connection:
        if connection.scalar(select(Run.id).where(*expired).limit(1)) is None:
            return []
    reason = f"its worker stopped reporting {maximum_lost} times; perhaps it ran out of memory"
    lost = {"lost_workers": Run.lost_workers + 1, "lease_until": None, "heartbeat_at": None}
    failed = lost | {"state": RunState.FAILED, "error": reason, "finished_at": time.time()}
    queued = lost | {"state": RunState.QUEUED, "owner": None}
    with write_transaction(engine) as connection:
        too_often = update(Run).where(*expired, Run.lost_workers >= maximum_lost - 1).values(failed).returning(Run.id)
        moved = list(connection.scalars(too_often))
        moved += connection.scalars(update(Run).where(*expired).values(queued).returning(Run.id))
    return sorted(moved)


def has_stale_run(engine: Engine, experiment: str | None = None) -> bool:
    """Whether a run (of ``experiment``) is stale. Its lease may expire soon, which puts it back in the queue.

    A run that another program records never comes to the queue.
    """
    trained = and_(Run.state == RunState.RUNNING, Run.origin != IMPORTED)
    stale = select(Run.id).where(trained, Run.heartbeat_at < server.clock(engine) - leases.STALE_SECONDS)
    if experiment is not None:
        stale = stale.where(Run.experiment == experiment)
    with read_connection(engine) as connection:
        return connection.scalar(stale.limit(1)) is not None


def retry(engine: Engine, run_id: int) -> bool:
    """Queue a failed or cancelled run again. It continues from its training state, if it has one.

    False when the run is neither failed nor cancelled, or was made by another program. Raises ConfigError when its
    config cannot be read or is above the limits, StoreError when the queue is full; the run then stays as it was.
    """
    ended = and_(Run.state.in_((RunState.FAILED, RunState.CANCELLED)), Run.preset != IMPORTED)
    values = {"state": RunState.QUEUED, "error": None, "owner": None, "lease_until": None, "finished_at": None,
              "lost_workers": 0, "log_tail": None}  # fmt: skip
    with write_transaction(engine) as connection:
        lock_submissions(connection)
        asked = select(Config.config, Run.model_seed, Run.data_seed).join(Config, Config.key == Run.config_key)
        stored = connection.execute(asked.where(Run.id == run_id, ended)).first()
        if stored is None:
            return False
        check_limits(config_of(*stored))  # somebody else may have queued it, under other limits
        check_queue_length(connection, 1)
        return connection.execute(update(Run).where(Run.id == run_id, ended).values(values)).rowcount == 1
