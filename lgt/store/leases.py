"""Who trains a run: taking it, staying alive, giving it back, ending it.

The attempt number (a fencing token) grows with every start. Whoever took a run carries its number with every write;
after a cancel, a takeover or the end of the run the write is refused with :class:`LeaseLost`.
"""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection, Engine, delete, or_, select, update

from lgt.store import blobs
from lgt.store.engine import read_connection, refuse_if_read_only, write_transaction
from lgt.store.errors import LeaseLost, StoreError, store_name
from lgt.store.schema import MEASURED_TABLES, Run, RunState

HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 2 * HEARTBEAT_SECONDS
"""After so long without a heartbeat a run is shown as stale."""
LEASE_SECONDS = 45.0
"""After so long without a heartbeat anybody may take the run over."""


def start_run(
    engine: Engine,
    run_id: int,
    owner: str,
    device: str,
    lease_seconds: float | None = None,
    *,
    code_version: str = "",
) -> int:
    """Make ``owner`` the one who trains run ``run_id``; return the attempt number that its writes carry.

    ``code_version`` replaces the one stored when the run was queued, if given: the code that trains makes the numbers.

    Raises StoreError when the run is missing, finished, or trained by somebody whose lease still holds.
    """
    free = or_(Run.state == RunState.QUEUED, Run.attempt == 0, Run.lease_until < time.time())
    with write_transaction(engine) as connection:
        attempt = connection.execute(
            update(Run)
            .where(Run.id == run_id, Run.state.in_((RunState.QUEUED, RunState.RUNNING)), free)
            .values(taken_values(owner, device, lease_seconds, code_version))
            .returning(Run.attempt)
        ).scalar()
        if attempt is None:
            raise StoreError(f"run {run_id} cannot be started: it is {_standing(connection, run_id)}")
        return attempt


def taken_values(owner: str, device: str, lease_seconds: float | None, code_version: str = "") -> dict[Any, Any]:
    """The column values of a run that ``owner`` starts now."""
    life = alive(lease_seconds)
    return {
        Run.state: RunState.RUNNING, Run.attempt: Run.attempt + 1, Run.owner: owner, Run.device: device,
        Run.started_at: life["heartbeat_at"], Run.finished_at: None, Run.error: None, Run.log_tail: None,
        Run.lease_until: life["lease_until"], Run.heartbeat_at: life["heartbeat_at"],
        Run.code_version: code_version or Run.code_version,
    }  # fmt: skip


def _standing(connection: Connection, run_id: int) -> str:
    row = connection.execute(select(Run.state, Run.attempt, Run.owner).where(Run.id == run_id)).first()
    return "not in the store" if row is None else f"{row.state} (attempt {row.attempt}, owner {row.owner})"


def assert_lease(connection: Connection, run_id: int, attempt: int) -> None:
    """Raise LeaseLost unless ``attempt`` owns the running run; it then keeps it until the transaction ends."""
    held = select(Run.state, Run.attempt).where(Run.id == run_id)
    held = held.with_for_update()  # for PostgreSQL; on SQLite the transaction already holds the only write lock
    if connection.execute(held).first() != (RunState.RUNNING, attempt):
        raise LeaseLost(f"run {run_id} is no longer attempt {attempt}'s: it is {_standing(connection, run_id)}")


def alive(lease_seconds: float | None = None) -> dict[str, float]:
    """The column values of a run whose worker is alive now; its lease is ``LEASE_SECONDS`` unless given."""
    now = time.time()
    return {"heartbeat_at": now, "lease_until": now + (LEASE_SECONDS if lease_seconds is None else lease_seconds)}


def heartbeat(engine: Engine, run_id: int, attempt: int, lease_seconds: float | None = None) -> None:
    """Say that the worker is alive, and extend its lease. Raises LeaseLost."""
    with write_transaction(engine, results_changed=False) as connection:
        assert_lease(connection, run_id, attempt)
        connection.execute(update(Run).where(Run.id == run_id).values(alive(lease_seconds)))


def name_device(engine: Engine, run_id: int, attempt: int, device: str) -> None:
    """Keep what computes the run. Raises LeaseLost."""
    with write_transaction(engine, results_changed=False) as connection:
        assert_lease(connection, run_id, attempt)
        connection.execute(update(Run).where(Run.id == run_id).values(device=device))


def start_over(engine: Engine, run_id: int, attempt: int) -> None:
    """Remove what earlier attempts measured, so that no row of theirs stands among the new ones. Raises LeaseLost."""
    with write_transaction(engine) as connection:
        assert_lease(connection, run_id, attempt)
        for table in MEASURED_TABLES:
            connection.execute(delete(table).where(table.run_id == run_id))
        connection.execute(update(Run).where(Run.id == run_id).values(step=0, tokens=0, seconds=0.0))
        kept = blobs.forget_state(connection, run_id)
    blobs.remove(engine, kept)


def keep_state(engine: Engine, run_id: int, attempt: int, step: int, state: bytes, code_version: str) -> None:
    """Keep the training state after ``step`` steps as the newest of the run: file first, row last. Raises LeaseLost."""
    refuse_if_read_only(store_name(engine.url))  # before the file is written
    if cancel_requested(engine, run_id, attempt):
        raise LeaseLost(f"run {run_id} is no longer attempt {attempt}'s")
    row = blobs.write_state(engine, run_id, attempt, step, state)
    with write_transaction(engine, results_changed=False) as connection:
        assert_lease(connection, run_id, attempt)
        before = blobs.point_to_state(connection, run_id, row | {"step": step, "code_version": code_version})
    if before != row["file"]:
        blobs.remove(engine, before)


def give_back(engine: Engine, run_id: int, attempt: int) -> None:
    """Queue the run again for another worker, which goes on from its newest training state. Raises LeaseLost."""
    values = {"state": RunState.QUEUED, "owner": None, "lease_until": None, "heartbeat_at": None}
    with write_transaction(engine) as connection:
        assert_lease(connection, run_id, attempt)
        connection.execute(update(Run).where(Run.id == run_id).values(values))


def finish_run(
    engine: Engine, run_id: int, attempt: int, state: str, error: str | None = None, *, log_tail: str | None = None
) -> None:
    """End the run as ``done``, ``failed`` (with the reason and the last lines of its log) or ``cancelled``.

    A run that is done needs its training state no more. Raises LeaseLost.
    """
    if not RunState(state).terminal:
        raise ValueError(f"a run ends done, failed or cancelled, not {state}")
    values = {"state": state, "error": error, "log_tail": log_tail, "finished_at": time.time(), "lease_until": None,
              "heartbeat_at": None}  # fmt: skip
    kept = None
    with write_transaction(engine) as connection:
        assert_lease(connection, run_id, attempt)
        connection.execute(update(Run).where(Run.id == run_id).values(values))
        if state == RunState.DONE:
            kept = blobs.forget_state(connection, run_id)
    blobs.remove(engine, kept)


def cancel_run(engine: Engine, run_id: int) -> bool:
    """Cancel a queued or running run; its worker's next write is refused. False when it had already ended."""
    unfinished = Run.state.in_((RunState.QUEUED, RunState.RUNNING))
    values = {"state": RunState.CANCELLED, "finished_at": time.time(), "lease_until": None, "heartbeat_at": None}
    with write_transaction(engine) as connection:
        changed = update(Run).where(Run.id == run_id, unfinished).values(values)
        return connection.execute(changed).rowcount == 1


def cancel_requested(engine: Engine, run_id: int, attempt: int) -> bool:
    """Whether ``attempt`` should stop: its run was cancelled, deleted or taken over."""
    with read_connection(engine) as connection:
        row = connection.execute(select(Run.state, Run.attempt).where(Run.id == run_id)).first()
    return row != (RunState.RUNNING, attempt)
