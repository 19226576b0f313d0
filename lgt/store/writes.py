"""Every change of a run: one short transaction each, each safe to send twice.

A run's measurements are written only by the attempt that owns it. The attempt number (a fencing token) travels with
every write; after a cancel, a takeover or the end of the run the write is refused with :class:`LeaseLost`.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, or_, select, update

from lgt.config import RunConfig
from lgt.records import AccuracyRow, AttentionDifferenceRow, HeadScoreRow, LogRow
from lgt.store.engine import read_connection, write_transaction
from lgt.store.errors import LeaseLost, StoreError
from lgt.store.schema import (
    Accuracy,
    AttentionDifference,
    Base,
    Checkpoint,
    HeadScore,
    Run,
    RunState,
    RunTask,
    TrainingLog,
)
from lgt.store.upserts import upsert

LEASE_SECONDS = 60.0
MAXIMUM_CHECKPOINT_BYTES = 8 * 1024 * 1024


def create_run(
    engine: Engine,
    config: RunConfig,
    *,
    label: str = "",
    experiment: str | None = None,
    code_version: str = "",
    state: str = "queued",
    token: str | None = None,
) -> int:
    """Store a new run of ``config`` and return its id; a ``token`` seen before returns the run it made.

    ``state`` is ``queued``, or ``running`` for a run that the caller starts itself with :func:`start_run`.
    """
    if RunState(state).terminal:
        raise ValueError(f"a new run is queued or running, not {state}")
    with write_transaction(engine) as connection:
        if token is not None:
            known = connection.scalar(select(Run.id).where(Run.token == token))
            if known is not None:
                return known
        values = run_values(config) | {
            "label": label, "experiment": experiment, "code_version": code_version, "state": state, "token": token,
        }  # fmt: skip
        # A foreground run whose process dies before start_run is reclaimed like any other when this lease ends.
        values["lease_until"] = time.time() + LEASE_SECONDS if state == RunState.RUNNING else None
        run_id = connection.execute(insert(Run).values(values).returning(Run.id)).scalar_one()
        upsert(connection, RunTask, task_values(config, run_id))
        return run_id


def run_values(config: RunConfig) -> dict[str, Any]:
    """The columns of ``runs`` that follow from ``config``, and the time of creation."""
    return {
        "task_group": config.group, "arm": config.arm, "preset": config.preset, "position": config.model.position,
        "config": config.canonical_json(), "config_hash": config.hash(), "total_steps": config.training.steps,
        "model_seed": config.model_seed, "data_seed": config.data_seed, "created_at": time.time(),
    }  # fmt: skip


def task_values(config: RunConfig, run_id: int) -> list[dict[str, Any]]:
    """The rows of ``run_tasks`` for ``config``. Where it names no La, La is the longest auxiliary's, by definition."""
    longest = max((spec.training_length for spec in config.others), default=None)
    transfer_length = config.transfer_length if config.transfer_length is not None else longest
    return [asdict(spec) | {"run_id": run_id, "transfer_length": transfer_length} for spec in config.tasks]


def start_run(
    engine: Engine,
    run_id: int,
    owner: str,
    device: str,
    lease_seconds: float = LEASE_SECONDS,
    *,
    code_version: str = "",
) -> int:
    """Make ``owner`` the one who trains run ``run_id``; return the attempt number that its writes carry.

    ``code_version`` replaces the one stored when the run was queued, if given: the code that trains makes the numbers.

    Raises StoreError when the run is missing, finished, or trained by somebody whose lease still holds.
    """
    now = time.time()
    free = or_(Run.state == RunState.QUEUED, Run.attempt == 0, Run.lease_until < now)
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


def taken_values(owner: str, device: str, lease_seconds: float, code_version: str = "") -> dict[Any, Any]:
    """The column values of a run that ``owner`` starts now."""
    now = time.time()
    return {
        Run.state: RunState.RUNNING, Run.attempt: Run.attempt + 1, Run.owner: owner, Run.device: device,
        Run.started_at: now, Run.finished_at: None, Run.error: None, Run.lease_until: now + lease_seconds,
        Run.code_version: code_version or Run.code_version,
    }  # fmt: skip


def _standing(connection: Connection, run_id: int) -> str:
    row = connection.execute(select(Run.state, Run.attempt, Run.owner).where(Run.id == run_id)).first()
    return "not in the store" if row is None else f"{row.state} (attempt {row.attempt}, owner {row.owner})"


def hold(connection: Connection, run_id: int, attempt: int) -> None:
    """Raise LeaseLost unless ``attempt`` owns the running run; it then keeps it until the transaction ends."""
    held = select(Run.state, Run.attempt).where(Run.id == run_id)
    held = held.with_for_update()  # for PostgreSQL; on SQLite the transaction already holds the only write lock
    if connection.execute(held).first() != (RunState.RUNNING, attempt):
        raise LeaseLost(f"run {run_id} is no longer attempt {attempt}'s: it is {_standing(connection, run_id)}")


def record_progress(
    engine: Engine,
    run_id: int,
    attempt: int,
    *,
    step: int,
    tokens: int,
    seconds: float,
    log_rows: Sequence[LogRow],
    lease_seconds: float = LEASE_SECONDS,
) -> None:
    """Store how far the run is (steps, tokens and seconds since its start), its log, and extend its lease."""
    values = {"step": step, "tokens": tokens, "seconds": seconds, "lease_until": time.time() + lease_seconds}
    with write_transaction(engine) as connection:
        hold(connection, run_id, attempt)
        connection.execute(update(Run).where(Run.id == run_id).values(values))
        upsert(connection, TrainingLog, _keyed(log_rows, run_id=run_id))


def extend_lease(engine: Engine, run_id: int, attempt: int, lease_seconds: float = LEASE_SECONDS) -> None:
    """Say that the worker is alive, without any news. Raises LeaseLost."""
    with write_transaction(engine) as connection:
        hold(connection, run_id, attempt)
        connection.execute(update(Run).where(Run.id == run_id).values(lease_until=time.time() + lease_seconds))


def record_accuracy(engine: Engine, run_id: int, attempt: int, step: int, rows: Iterable[AccuracyRow]) -> None:
    """Store exact-match counts after ``step`` steps. Raises LeaseLost."""
    _record(engine, Accuracy, run_id, attempt, step, rows)


def record_head_scores(engine: Engine, run_id: int, attempt: int, step: int, rows: Iterable[HeadScoreRow]) -> None:
    """Store mean-ablation map entries after ``step`` steps. Raises LeaseLost."""
    _record(engine, HeadScore, run_id, attempt, step, rows)


def record_attention_differences(
    engine: Engine, run_id: int, attempt: int, step: int, rows: Iterable[AttentionDifferenceRow]
) -> None:
    """Store attention-matrix differences after ``step`` steps. Raises LeaseLost."""
    _record(engine, AttentionDifference, run_id, attempt, step, rows)


def _record(engine: Engine, table: type[Base], run_id: int, attempt: int, step: int, rows: Iterable[Any]) -> None:
    keyed = _keyed(rows, run_id=run_id, step=step)
    with write_transaction(engine) as connection:
        hold(connection, run_id, attempt)
        upsert(connection, table, keyed)


def _keyed(rows: Iterable[Any], **key: int) -> list[dict[str, Any]]:
    return [key | {name: _number(value) for name, value in asdict(row).items()} for row in rows]


def _number(value: Any) -> Any:
    """NaN becomes missing: SQLite would do the same silently, PostgreSQL would not."""
    return None if isinstance(value, float) and math.isnan(value) else value


def record_checkpoint(engine: Engine, run_id: int, attempt: int, step: int, weights: bytes) -> None:
    """Store the safetensors bytes of the weights after ``step`` steps, with their SHA-256 and size.

    Raises StoreError above 8 MB, LeaseLost like every write.
    """
    if len(weights) > MAXIMUM_CHECKPOINT_BYTES:
        raise StoreError(f"run {run_id}: a checkpoint of {len(weights):,} bytes is more than the "
                         f"{MAXIMUM_CHECKPOINT_BYTES:,} that a store takes; choose a smaller model")  # fmt: skip
    row = {"run_id": run_id, "step": step, "sha256": hashlib.sha256(weights).hexdigest(), "size": len(weights),
           "weights": weights, "uri": None}  # fmt: skip
    with write_transaction(engine) as connection:
        hold(connection, run_id, attempt)
        upsert(connection, Checkpoint, [row])


def finish_run(engine: Engine, run_id: int, attempt: int, state: str, error: str | None = None) -> None:
    """End the run as ``done``, ``failed`` (with the reason) or ``cancelled``. Raises LeaseLost."""
    if not RunState(state).terminal:
        raise ValueError(f"a run ends done, failed or cancelled, not {state}")
    values = {"state": state, "error": error, "finished_at": time.time(), "lease_until": None}
    with write_transaction(engine) as connection:
        hold(connection, run_id, attempt)
        connection.execute(update(Run).where(Run.id == run_id).values(values))


def cancel_run(engine: Engine, run_id: int) -> bool:
    """Cancel a queued or running run; its worker's next write is refused. False when it had already ended."""
    unfinished = Run.state.in_((RunState.QUEUED, RunState.RUNNING))
    values = {"state": RunState.CANCELLED, "finished_at": time.time(), "lease_until": None}
    with write_transaction(engine) as connection:
        changed = update(Run).where(Run.id == run_id, unfinished).values(values)
        return connection.execute(changed).rowcount == 1


def cancel_requested(engine: Engine, run_id: int, attempt: int) -> bool:
    """Whether ``attempt`` should stop: its run was cancelled, deleted or taken over."""
    with read_connection(engine) as connection:
        row = connection.execute(select(Run.state, Run.attempt).where(Run.id == run_id)).first()
    return row != (RunState.RUNNING, attempt)


def describe_run(
    engine: Engine,
    run_id: int,
    *,
    label: str | None = None,
    notes: str | None = None,
    tags: Iterable[str] | None = None,
) -> None:
    """Change the names people give a run; ``None`` leaves a field as it is. Raises StoreError for a missing run."""
    given: Mapping[str, str | None] = {
        "label": label, "notes": notes, "tags": None if tags is None else joined_tags(tags),
    }  # fmt: skip
    values = {name: value for name, value in given.items() if value is not None}
    if not values:
        return
    with write_transaction(engine) as connection:
        if connection.execute(update(Run).where(Run.id == run_id).values(values)).rowcount != 1:
            raise StoreError(f"run {run_id}: not in the store; see `python -m lgt runs`")


def joined_tags(tags: Iterable[str]) -> str:
    """Tags as they are stored: each once, sorted, comma-separated; a comma within a tag becomes a space."""
    return ",".join(sorted({" ".join(tag.replace(",", " ").split()) for tag in tags} - {""}))


def delete_runs(engine: Engine, run_ids: Iterable[int]) -> int:
    """Delete runs with everything they measured; return how many there were. Running ones are fenced by that too."""
    with write_transaction(engine) as connection:
        return connection.execute(delete(Run).where(Run.id.in_(list(run_ids)))).rowcount
