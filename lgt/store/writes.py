"""Create runs, store their measurements, delete runs. Each write is one short transaction.

Only the attempt that owns a run may write its measurements (see :mod:`lgt.store.leases`). Other writes are refused with
:class:`lgt.store.errors.LeaseLost`. Sending the same measurements twice changes nothing.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, delete, func, insert, select, text, update

from lgt.core import bounds
from lgt.core.config import RunConfig
from lgt.core.records import AccuracyRow, AttentionDifferenceRow, HeadScoreRow, InterchangeRow, LogRow
from lgt.core.transfer_length import transfer_length
from lgt.recipes.limits import check_limits
from lgt.store import blobs, coding, leases, measurements, server
from lgt.store.configs import delete_unused, store_config
from lgt.store.engine import refuse_if_read_only, write_transaction
from lgt.store.errors import StoreError, store_name
from lgt.store.leases import assert_lease
from lgt.store.schema import (
    Checkpoint,
    DeletedRun,
    Run,
    RunState,
    RunTask,
    TrainingLogRow,
)
from lgt.store.upserts import upsert

SUBMISSIONS_LOCK = 0x4C475432  # key of PostgreSQL's advisory lock for submissions
MAXIMUM_ROW_BYTES = coding.MOST_BYTES
"""Weights up to this size are stored in the database itself, so that one file contains models that can be loaded."""


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
    """Store a new run of ``config`` and return its id; see :func:`create_runs`.

    ``state`` is ``queued``, or ``running`` when the caller starts the run itself by
    :func:`lgt.store.leases.start_run`.
    """
    if RunState(state).terminal:
        raise ValueError(f"a new run is queued or running, not {state}")
    (run_id,) = _create(engine, [config], [label], experiment, code_version, state, token)
    return run_id


def create_runs(
    engine: Engine,
    configs: Sequence[RunConfig],
    *,
    labels: Sequence[str],
    experiment: str | None = None,
    code_version: str = "",
    token: str | None = None,
) -> list[int]:
    """Queue new runs, all or none of them, and return their ids.

    ``token`` makes a submission idempotent: the same token again creates nothing and returns the ids from before.
    Raises ConfigError for a config above the limits (see :mod:`lgt.recipes.limits`), for too many runs at once
    and for a long label; StoreError when the queue would become longer than allowed.
    """
    return _create(engine, configs, labels, experiment, code_version, RunState.QUEUED, token)


def _create(
    engine: Engine, configs: Sequence[RunConfig], labels: Sequence[str], experiment: str | None, code_version: str,
    state: str, token: str | None,
) -> list[int]:  # fmt: skip
    bounds.REQUEST.check("runs", len(configs))
    for config in configs:
        check_limits(config)
    for name in (*labels, experiment or ""):
        bounds.NAME.check_text("name", name)
    with write_transaction(engine) as connection:
        lock_submissions(connection)
        existing = _runs_of_token(connection, token, len(configs))
        if existing:
            return existing
        if state == RunState.QUEUED:
            check_queue_length(connection, len(configs))
        ids = []
        for number, (config, label) in enumerate(zip(configs, labels, strict=True)):
            values = run_values(connection, config) | {
                "label": label, "experiment": experiment, "code_version": code_version, "state": state,
                "token": token and f"{token}/{number}",
            }  # fmt: skip
            if state == RunState.RUNNING:  # with a lease: if the process dies before start_run, a worker takes over
                values |= leases.heartbeat_values(connection)
            ids.append(connection.execute(insert(Run).values(values).returning(Run.id)).scalar_one())
            connection.execute(insert(RunTask), task_values(config, ids[-1]))
        return ids


def _runs_of_token(connection: Connection, token: str | None, count: int) -> list[int]:
    """The ids of the runs that were created with ``token``, in order."""
    if token is None:
        return []
    statement = select(Run.id).where(Run.token.in_([f"{token}/{number}" for number in range(count)]))
    return list(connection.scalars(statement.order_by(Run.id)))


def lock_submissions(connection: Connection) -> None:
    """Block other submissions until this transaction ends. SQLite needs no lock here: it has one writer at a time."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SUBMISSIONS_LOCK})


def check_queue_length(connection: Connection, new: int) -> None:
    """Raise StoreError when the queue with ``new`` more runs would be longer than its limit."""
    limit = bounds.QUEUE.most
    waiting = connection.scalar(select(func.count()).select_from(Run).where(Run.state == server.QUEUED)) or 0
    if waiting + new > limit:
        raise StoreError(f"{waiting:,} runs are waiting; {new:,} more would exceed the limit of {limit:,} "
                         f"({bounds.QUEUE.variable} sets this limit); cancel some, or wait for workers")  # fmt: skip


def run_values(connection: Connection, config: RunConfig) -> dict[str, Any]:
    """The columns of ``runs`` that are derived from ``config``, whose text is stored, and the time of creation."""
    return {
        "task_group": config.group, "arm": config.arm, "preset": config.preset, "position": config.model.position,
        "config_key": store_config(connection, config), "config_hash": config.hash(),
        "total_steps": config.training.steps,
        "model_seed": config.model_seed, "data_seed": config.data_seed, "created_at": time.time(),
    }  # fmt: skip


def task_values(config: RunConfig, run_id: int) -> list[dict[str, Any]]:
    """The rows of ``run_tasks`` for ``config``, the main task first. If ``config`` has no La, it is computed from the
    auxiliary lengths."""
    length = config.transfer_length
    if length is None:
        length = transfer_length(config.main.training_length, (spec.training_length for spec in config.auxiliaries))
    specs = enumerate((config.main, *config.auxiliaries))
    return [asdict(spec) | {"run_id": run_id, "slot": slot, "transfer_length": length} for slot, spec in specs]


def record_progress(
    engine: Engine,
    run_id: int,
    attempt: int,
    *,
    step: int,
    tokens: int,
    seconds: float,
    log_rows: Sequence[LogRow],
    lease_seconds: float | None = None,
) -> None:
    """Store the run's progress (steps, tokens and seconds since its start) and log rows, and extend its lease.

    Raises LeaseLost.
    """
    with write_transaction(engine, results_changed=False) as connection:
        lease = leases.heartbeat_values(connection, lease_seconds)
        values = {"step": step, "tokens": tokens, "seconds": seconds, **lease}
        assert_lease(connection, run_id, attempt)
        connection.execute(update(Run).where(Run.id == run_id).values(values))
        rows = [{name: measurements.number(value) for name, value in asdict(row).items()} for row in log_rows]
        upsert(connection, TrainingLogRow, [{"run_id": run_id, **row} for row in rows])


def record_accuracy(engine: Engine, run_id: int, attempt: int, step: int, rows: Iterable[AccuracyRow]) -> None:
    """Store exact-match counts after ``step`` steps. Raises LeaseLost."""
    _record(engine, measurements.ACCURACY, run_id, attempt, step, rows)


def record_head_scores(engine: Engine, run_id: int, attempt: int, step: int, rows: Iterable[HeadScoreRow]) -> None:
    """Store mean-ablation map entries after ``step`` steps. Raises LeaseLost."""
    _record(engine, measurements.HEAD_SCORES, run_id, attempt, step, rows)


def record_attention_differences(
    engine: Engine, run_id: int, attempt: int, step: int, rows: Iterable[AttentionDifferenceRow]
) -> None:
    """Store attention-matrix differences after ``step`` steps. Raises LeaseLost."""
    _record(engine, measurements.ATTENTION_DIFFERENCES, run_id, attempt, step, rows)


def record_interchanges(
    engine: Engine, run_id: int, attempt: int, step: int, rows: Iterable[InterchangeRow]
) -> None:  # fmt: skip
    """Store interchanges of head outputs after ``step`` steps. Raises LeaseLost."""
    _record(engine, measurements.INTERCHANGES, run_id, attempt, step, rows)


def record_attribution(
    engine: Engine,
    run_id: int,
    step: int,
    scores: Iterable[HeadScoreRow],
    differences: Iterable[AttentionDifferenceRow],
) -> None:
    """Store head scores and attention differences that were measured after the run's end, in one transaction.

    Raises StoreError when the run is missing or not done.
    """
    with write_transaction(engine) as connection:
        check_finished(run_id, connection.scalar(select(Run.state).where(Run.id == run_id)))
        measurements.put(connection, measurements.HEAD_SCORES, run_id, step, scores)
        measurements.put(connection, measurements.ATTENTION_DIFFERENCES, run_id, step, differences)


def check_finished(run_id: int, state: str | None) -> None:
    """Raise StoreError unless ``state`` is ``done``. ``None`` means that the run is missing."""
    if state != RunState.DONE:
        raise StoreError(f"run {run_id} is {state or 'not in the store'}; heads can only be measured of a finished run")


def put_accuracy(connection: Connection, run_id: int, step: int, rows: Iterable[AccuracyRow]) -> None:
    """Store exact-match counts after ``step`` steps inside the caller's transaction, whoever owns the run."""
    measurements.put(connection, measurements.ACCURACY, run_id, step, rows)


def _record(
    engine: Engine, into: measurements.Packed, run_id: int, attempt: int, step: int, rows: Iterable[Any]
) -> None:
    rows = list(rows)
    with write_transaction(engine) as connection:
        assert_lease(connection, run_id, attempt)
        measurements.put(connection, into, run_id, step, rows)


def record_checkpoint(engine: Engine, run_id: int, attempt: int, step: int, weights: bytes) -> None:
    """Store the safetensors bytes of the weights after ``step`` steps, with their SHA-256 and size.

    Weights above ``MAXIMUM_ROW_BYTES`` are written to a file in the store's folder of files, and the row has its name.
    Raises LeaseLost, and StoreError when the file cannot be written.
    """
    large = len(weights) > MAXIMUM_ROW_BYTES
    how, stored = (coding.PLAIN, None) if large else coding.encoded(weights)
    row = {"run_id": run_id, "step": step, "sha256": hashlib.sha256(weights).hexdigest(), "size": len(weights),
           "coding": how, "weights": stored, "uri": None}  # fmt: skip
    if large:
        refuse_if_read_only(store_name(engine.url))  # before the file is written
        row |= {"uri": blobs.checkpoint_name(run_id, step)}
        blobs.write_file(blobs.files_folder(engine.url), str(row["uri"]), weights)
    with write_transaction(engine) as connection:
        assert_lease(connection, run_id, attempt)
        upsert(connection, Checkpoint, [row])


def delete_runs(engine: Engine, run_ids: Iterable[int]) -> int:
    """Delete runs and their measurements; returns how many existed. The next write of a running run is refused.

    The uuids of the runs stay in ``deleted_runs``.
    """
    with write_transaction(engine) as connection:
        return remove_runs(connection, Run.id.in_(list(run_ids)))


def remove_runs(connection: Connection, chosen: ColumnElement[bool]) -> int:
    """Delete the chosen runs, and the configs that no other run has, inside the caller's transaction."""
    gone = connection.execute(delete(Run).where(chosen).returning(Run.uuid, Run.config_key, Run.created_at)).all()
    now = time.time()  # the clock of the computer that created a run may be ahead of this one
    upsert(connection, DeletedRun, [{"uuid": row.uuid, "deleted_at": max(now, row.created_at)} for row in gone])
    delete_unused(connection, [row.config_key for row in gone])
    return len(gone)
