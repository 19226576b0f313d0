"""The lease of a running run: start it, renew it by heartbeats, release it, finish the run.

Every start of a run increases its attempt number, which is a fencing token: each write of a worker carries it. When
the run was cancelled, taken over or finished, the write is refused with :class:`LeaseLost`.
"""

from __future__ import annotations

import math
import time
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, delete, func, or_, select, update

from lgt.recipes.settings import IMPORTED
from lgt.store import blobs, roles, server
from lgt.store.engine import read_connection, refuse_if_read_only, write_transaction
from lgt.store.errors import LeaseLost, StoreError, store_name
from lgt.store.measurements import pack_log
from lgt.store.schema import MEASURED_TABLES, PackedLog, Run, RunState, TrainingState

HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 2 * HEARTBEAT_SECONDS
"""A run without a heartbeat for this time is shown as stale."""
ABANDONED_SECONDS = 3600.0
"""A run that another program records (:mod:`lgt.store.record`) and that has got no numbers for this time is shown as
abandoned: its program may have been killed. Such programs may train long between two measurements."""
AND_THEN = "; then "
"""Joins the devices of a run that went on in a later attempt."""
LEASE_SECONDS = 45.0
"""A run without a heartbeat for this time may be taken over by any worker. It must be longer than ``HEARTBEAT_SECONDS``
and than the longest pause between two tries of a write (``lgt.store.patience.LONGEST_PAUSE``)."""


def is_stale(state: str, heartbeat_at: float | None, origin: str) -> bool:
    """Whether a run in ``state`` is running, but its worker has missed two heartbeats since ``heartbeat_at``.

    A run that another program records (``origin``) is stale after ``ABANDONED_SECONDS`` without numbers.
    """
    if state != RunState.RUNNING or heartbeat_at is None or math.isnan(heartbeat_at):
        return state == RunState.RUNNING
    silent = time.time() - heartbeat_at
    if origin == IMPORTED:
        return abs(silent) > ABANDONED_SECONDS  # a time far in the future says nothing either
    return silent > STALE_SECONDS


def shown_state(state: str, heartbeat_at: float | None, origin: str) -> str:
    """The state of a run in one word: ``stale`` or ``abandoned`` (a recorded run) if nobody reports on it any more."""
    if not is_stale(state, heartbeat_at, origin):
        return str(state)
    return "abandoned" if origin == IMPORTED else "stale"


def start_run(
    engine: Engine,
    run_id: int,
    owner: str,
    device: str,
    lease_seconds: float | None = None,
    *,
    code_version: str = "",
) -> int:
    """Start run ``run_id`` for ``owner``; returns the attempt number that the owner's writes must carry.

    ``code_version`` names the code that trains the run. If given, it replaces the version stored when the run was
    queued. Raises StoreError when the run is missing or finished, or when another owner's lease has not expired.
    """
    free = or_(Run.state == RunState.QUEUED, Run.attempt == 0, is_expired(engine))
    with write_transaction(engine) as connection:
        attempt = connection.execute(
            update(Run)
            .where(Run.id == run_id, Run.state.in_((RunState.QUEUED, RunState.RUNNING)), free)
            .values(start_values(connection, owner, device, lease_seconds, code_version))
            .returning(Run.attempt)
        ).scalar()
        if attempt is None:
            raise StoreError(f"run {run_id} cannot be started: it is {_description(connection, run_id)}")
        return attempt


def is_expired(where: Connection | Engine) -> ColumnElement[bool]:
    """Whether a run has a lease that has ended. While a server is away nobody can renew a lease, so there it counts
    from the last heartbeat or from the start of the server, whichever is later."""
    if where.dialect.name == "sqlite":
        return Run.lease_until < time.time()
    away = func.greatest(0.0, server.STARTED - Run.heartbeat_at)
    return Run.lease_until + away < server.CLOCK


def start_values(
    where: Connection | Engine, owner: str, device: str, lease_seconds: float | None, code_version: str = ""
) -> dict[Any, Any]:
    """The column values of a run that ``owner`` starts now. The devices of earlier attempts stay until the worker says
    its own (:func:`record_device`)."""
    lease = heartbeat_values(where, lease_seconds)
    return {
        Run.state: RunState.RUNNING, Run.attempt: Run.attempt + 1, Run.owner: owner,
        Run.device: func.coalesce(Run.device, device),
        Run.started_at: lease["heartbeat_at"], Run.finished_at: None, Run.error: None, Run.log_tail: None,
        Run.lease_until: lease["lease_until"], Run.heartbeat_at: lease["heartbeat_at"],
        Run.code_version: code_version or Run.code_version,
    }  # fmt: skip


def _description(connection: Connection, run_id: int) -> str:
    row = connection.execute(select(Run.state, Run.attempt, Run.owner).where(Run.id == run_id)).first()
    return "not in the store" if row is None else f"{row.state} (attempt {row.attempt}, owner {row.owner})"


def assert_lease(connection: Connection, run_id: int, attempt: int) -> None:
    """Raise LeaseLost unless ``attempt`` owns the running run. The row stays locked until the transaction ends."""
    owner = select(Run.state, Run.attempt).where(Run.id == run_id)
    owner = owner.with_for_update()  # for PostgreSQL; on SQLite the transaction already holds the only write lock
    if connection.execute(owner).first() != (RunState.RUNNING, attempt):
        raise LeaseLost(f"attempt {attempt} no longer owns run {run_id}: it is {_description(connection, run_id)}")


def heartbeat_values(where: Connection | Engine, lease_seconds: float | None = None) -> dict[str, Any]:
    """The column values of a heartbeat now, by the clock of the store (:func:`lgt.store.server.clock`). The lease lasts
    ``lease_seconds``, or ``LEASE_SECONDS`` if not given."""
    now = server.clock(where)
    return {"heartbeat_at": now, "lease_until": now + (LEASE_SECONDS if lease_seconds is None else lease_seconds)}


def heartbeat(engine: Engine, run_id: int, attempt: int, lease_seconds: float | None = None) -> None:
    """Record that the worker is alive, and extend its lease. Raises LeaseLost."""
    with write_transaction(engine, results_changed=False) as connection:
        assert_lease(connection, run_id, attempt)
        connection.execute(update(Run).where(Run.id == run_id).values(heartbeat_values(connection, lease_seconds)))


def record_device(engine: Engine, run_id: int, attempt: int, device: str, *, resumed: bool = False) -> None:
    """Store which device trains the run, such as the processor and its threads. Raises LeaseLost.

    A run that was ``resumed`` from a training state keeps the devices of its earlier attempts, joined by
    ``AND_THEN``: its numbers come from all of them.
    """
    with write_transaction(engine, results_changed=False) as connection:
        assert_lease(connection, run_id, attempt)
        if resumed:
            before = connection.scalar(select(Run.device).where(Run.id == run_id)) or ""
            names = before.split(AND_THEN) if before else []
            device = AND_THEN.join([*names, device] if device not in names else names)
        connection.execute(update(Run).where(Run.id == run_id).values(device=device))


def reset_run(engine: Engine, run_id: int, attempt: int) -> None:
    """Delete the measurements and the training state of earlier attempts. Raises LeaseLost."""
    with write_transaction(engine) as connection:
        assert_lease(connection, run_id, attempt)
        for table in MEASURED_TABLES:
            connection.execute(delete(table).where(table.run_id == run_id))
        connection.execute(update(Run).where(Run.id == run_id).values(step=0, tokens=0, seconds=0.0))
        state_file = blobs.delete_state_row(connection, run_id)
    blobs.remove_file(engine, state_file)


def save_state(engine: Engine, run_id: int, attempt: int, step: int, state: bytes, code_version: str) -> None:
    """Store the training state after ``step`` steps, in place of the one before. Raises LeaseLost.

    The file is written before the row, and the old file is removed after it. A state of a later step than the one
    before forgets the lost workers: a run that gets on is not failed for them.
    """
    refuse_if_read_only(store_name(engine.url))  # before the file is written
    if lease_lost(engine, run_id, attempt):
        raise LeaseLost(f"attempt {attempt} no longer owns run {run_id}")
    row = blobs.write_state(engine, run_id, attempt, step, state)
    with write_transaction(engine, results_changed=False) as connection:
        assert_lease(connection, run_id, attempt)
        _forget_lost_workers(connection, run_id, step)
        old_file = blobs.replace_state_row(connection, run_id, row | {"step": step, "code_version": code_version})
    if old_file != row["file"]:
        blobs.remove_file(engine, old_file)


def _forget_lost_workers(connection: Connection, run_id: int, step: int) -> None:
    reached = select(TrainingState.step).where(TrainingState.run_id == run_id, TrainingState.step >= step).exists()
    chosen = update(Run).where(Run.id == run_id, Run.lost_workers > 0, ~reached)
    connection.execute(chosen.values(lost_workers=0))


def release_run(engine: Engine, run_id: int, attempt: int) -> None:
    """Put the run back in the queue. The next worker continues from its newest training state. Raises LeaseLost."""
    values = {"state": RunState.QUEUED, "owner": None, "lease_until": None, "heartbeat_at": None}
    with write_transaction(engine) as connection:
        assert_lease(connection, run_id, attempt)
        connection.execute(update(Run).where(Run.id == run_id).values(values))


def finish_run(
    engine: Engine, run_id: int, attempt: int, state: str, error: str | None = None, *, log_tail: str | None = None
) -> None:
    """End the run as ``done``, ``failed`` (``error`` is the reason, ``log_tail`` its last log lines) or ``cancelled``.

    The training state of a run that is done is deleted. Raises LeaseLost.
    """
    if not RunState(state).terminal:
        raise ValueError(f"a run ends done, failed or cancelled, not {state}")
    values = {"state": state, "error": error, "log_tail": log_tail, "finished_at": time.time(), "lease_until": None,
              "heartbeat_at": None}  # fmt: skip
    state_file = None
    with write_transaction(engine) as connection:
        assert_lease(connection, run_id, attempt)
        connection.execute(update(Run).where(Run.id == run_id).values(values))
        pack_log(connection, run_id)
        if state == RunState.DONE:
            state_file = blobs.delete_state_row(connection, run_id)
    blobs.remove_file(engine, state_file)


def cancel_run(engine: Engine, run_id: int) -> bool:
    """Cancel a queued or running run. Its worker's next write is refused. False when the run has already ended."""
    unfinished = Run.state.in_((RunState.QUEUED, RunState.RUNNING))
    values = {"state": RunState.CANCELLED, "finished_at": time.time(), "lease_until": None, "heartbeat_at": None}
    with write_transaction(engine) as connection:
        changed = update(Run).where(Run.id == run_id, unfinished).values(values)
        cancelled = connection.execute(changed).rowcount == 1
        if cancelled and roles.may(connection, "INSERT", PackedLog):  # else the lines stay, and are read as they are
            pack_log(connection, run_id)
        return cancelled


def lease_lost(engine: Engine, run_id: int, attempt: int) -> bool:
    """Whether ``attempt`` no longer owns the run: it was cancelled, deleted, taken over or finished."""
    with read_connection(engine) as connection:
        row = connection.execute(select(Run.state, Run.attempt).where(Run.id == run_id)).first()
    return row != (RunState.RUNNING, attempt)
