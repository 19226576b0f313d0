"""Creating runs, what they report, and the names people give them: one short transaction each, safe to send twice.

A run's measurements are written only by the attempt that owns it (see :mod:`lgt.store.leases`); anybody else's are
refused with :class:`lgt.store.errors.LeaseLost`.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, select, text, update

from lgt.core.config import RunConfig
from lgt.core.records import AccuracyRow, AttentionDifferenceRow, HeadScoreRow, LogRow
from lgt.core.transfer_length import transfer_length
from lgt.recipes.limits import check_limits, limits, variable
from lgt.store import blobs, leases
from lgt.store.engine import write_transaction
from lgt.store.errors import StoreError
from lgt.store.leases import assert_lease
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

SUBMISSIONS = 0x4C475432  # the name of PostgreSQL's lock for submitting
MAXIMUM_ROW_BYTES = 8 * 1024 * 1024
"""Weights up to this size lie in the store itself, so that one file carries a playable model."""


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

    ``state`` is ``queued``, or ``running`` for a run that the caller starts itself with
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
    """Queue new runs, all or none, and return their ids; a ``token`` seen before returns the runs it made.

    Raises ConfigError for a config beyond the limits of this store (see :mod:`lgt.recipes.limits`), StoreError when the queue
    would grow longer than it may.
    """
    return _create(engine, configs, labels, experiment, code_version, RunState.QUEUED, token)


def _create(
    engine: Engine, configs: Sequence[RunConfig], labels: Sequence[str], experiment: str | None, code_version: str,
    state: str, token: str | None,
) -> list[int]:  # fmt: skip
    for config in configs:
        check_limits(config)
    with write_transaction(engine) as connection:
        submit_in_turn(connection)
        known = _made_by(connection, token, len(configs))
        if known:
            return known
        if state == RunState.QUEUED:
            check_queue(connection, len(configs))
        ids = []
        for number, (config, label) in enumerate(zip(configs, labels, strict=True)):
            values = run_values(config) | {
                "label": label, "experiment": experiment, "code_version": code_version, "state": state,
                "token": token and f"{token}/{number}",
            }  # fmt: skip
            if state == RunState.RUNNING:  # if its process dies before start_run it is reclaimed like any other
                values |= leases.alive()
            ids.append(connection.execute(insert(Run).values(values).returning(Run.id)).scalar_one())
            upsert(connection, RunTask, task_values(config, ids[-1]))
        return ids


def _made_by(connection: Connection, token: str | None, count: int) -> list[int]:
    """The ids of the runs that ``token`` made, in order."""
    if token is None:
        return []
    made = select(Run.id).where(Run.token.in_([f"{token}/{number}" for number in range(count)]))
    return list(connection.scalars(made.order_by(Run.id)))


def submit_in_turn(connection: Connection) -> None:
    """Let no other transaction submit until this one ends. On SQLite the writer is alone anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SUBMISSIONS})


def check_queue(connection: Connection, coming: int) -> None:
    """Raise StoreError when ``coming`` more waiting runs would be more than the queue may hold."""
    most = limits().queue
    waiting = connection.scalar(select(func.count()).select_from(Run).where(Run.state == RunState.QUEUED)) or 0
    if waiting + coming > most:
        raise StoreError(f"{waiting:,} runs are waiting and {coming:,} more would be above the {most:,} that may "
                         f"({variable('queue')} sets this limit); cancel some, or wait for workers")  # fmt: skip


def run_values(config: RunConfig) -> dict[str, Any]:
    """The columns of ``runs`` that follow from ``config``, and the time of creation."""
    return {
        "task_group": config.group, "arm": config.arm, "preset": config.preset, "position": config.model.position,
        "config": config.canonical_json(), "config_hash": config.hash(), "total_steps": config.training.steps,
        "model_seed": config.model_seed, "data_seed": config.data_seed, "created_at": time.time(),
    }  # fmt: skip


def task_values(config: RunConfig, run_id: int) -> list[dict[str, Any]]:
    """The rows of ``run_tasks`` for ``config``. Where it names no La, La is the longest auxiliary's, by definition."""
    length = config.transfer_length
    if length is None:
        length = transfer_length(config.main.training_length, (spec.training_length for spec in config.auxiliaries))
    return [asdict(spec) | {"run_id": run_id, "transfer_length": length} for spec in config.tasks]


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
    """Store how far the run is (steps, tokens and seconds since its start), its log, and extend its lease.

    Raises LeaseLost.
    """
    values = {"step": step, "tokens": tokens, "seconds": seconds, **leases.alive(lease_seconds)}
    with write_transaction(engine, results_changed=False) as connection:
        assert_lease(connection, run_id, attempt)
        connection.execute(update(Run).where(Run.id == run_id).values(values))
        upsert(connection, TrainingLog, _keyed(log_rows, run_id=run_id))


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


def record_later_attribution(
    engine: Engine,
    run_id: int,
    step: int,
    scores: Iterable[HeadScoreRow],
    differences: Iterable[AttentionDifferenceRow],
) -> None:
    """Store what was measured of the heads of a finished run after its end, both tables or neither.

    Raises StoreError when the run is not there or not finished.
    """
    with write_transaction(engine) as connection:
        refuse_unfinished(run_id, connection.scalar(select(Run.state).where(Run.id == run_id)))
        upsert(connection, HeadScore, _keyed(scores, run_id=run_id, step=step))
        upsert(connection, AttentionDifference, _keyed(differences, run_id=run_id, step=step))


def refuse_unfinished(run_id: int, state: str | None) -> None:
    """Raise StoreError unless ``state`` is that of a finished run."""
    if state != RunState.DONE:
        raise StoreError(f"run {run_id} is {state or 'gone'}; heads can only be measured of a finished run")


def _record(engine: Engine, table: type[Base], run_id: int, attempt: int, step: int, rows: Iterable[Any]) -> None:
    keyed = _keyed(rows, run_id=run_id, step=step)
    with write_transaction(engine) as connection:
        assert_lease(connection, run_id, attempt)
        upsert(connection, table, keyed)


def _keyed(rows: Iterable[Any], **key: int) -> list[dict[str, Any]]:
    return [key | {name: _number(value) for name, value in asdict(row).items()} for row in rows]


def _number(value: Any) -> Any:
    """NaN becomes missing: SQLite would do the same silently, PostgreSQL would not."""
    return None if isinstance(value, float) and math.isnan(value) else value


def record_checkpoint(engine: Engine, run_id: int, attempt: int, step: int, weights: bytes) -> None:
    """Store the safetensors bytes of the weights after ``step`` steps, with their SHA-256 and size.

    Above ``MAXIMUM_ROW_BYTES`` they become a file beside the store, which the row names. Raises LeaseLost like every
    write, and StoreError when the file cannot be written.
    """
    row = {"run_id": run_id, "step": step, "sha256": hashlib.sha256(weights).hexdigest(), "size": len(weights),
           "weights": weights, "uri": None}  # fmt: skip
    if len(weights) > MAXIMUM_ROW_BYTES:
        row |= {"weights": None, "uri": blobs.checkpoint_name(run_id, step)}
        blobs.write_file(blobs.folder(engine.url), str(row["uri"]), weights)
    with write_transaction(engine) as connection:
        assert_lease(connection, run_id, attempt)
        upsert(connection, Checkpoint, [row])


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
