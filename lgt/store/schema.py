"""The tables of a store. Every change here needs a new file in ``migrations/versions``.

Times are UTC epoch seconds. Tables with a primary key of several columns have no rowid on SQLite, which keeps
``results.db`` small. Ratios and zones are derived when reading, never stored.
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    inspect,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

APPLICATION_ID = 0x4C475431
"""``LGT1`` in the header of every SQLite store, which distinguishes it from the files of other programs."""
VERSION_TABLE = "lgt_schema_version"
"""Alembic's table under another name, because a PostgreSQL database may be shared with other programs."""


class RunState(StrEnum):
    """The state of a run."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """True for done, failed and cancelled: no worker changes these states, only the command ``retry`` does."""
        return self in (RunState.DONE, RunState.FAILED, RunState.CANCELLED)


class Base(DeclarativeBase):
    """Base of all tables: names for constraints, which later migrations need, and column types for Python types."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {int: Integer, float: Double, str: Text, bytes: LargeBinary}  # noqa: RUF012


WITHOUT_ROWID = {"sqlite_with_rowid": False}


def _run_key() -> Mapped[int]:
    return mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)


def _key() -> Mapped[int]:
    return mapped_column(primary_key=True, autoincrement=False)


def _text_key() -> Mapped[str]:
    return mapped_column(primary_key=True)


class Run(Base):
    """One run: its config, state and provenance. Ids are never reused."""

    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str | None] = mapped_column(unique=True)
    """Given by the submitter: two submissions with one token create one run."""
    label: Mapped[str] = mapped_column(default="")
    experiment: Mapped[str | None]
    task_group: Mapped[str]
    arm: Mapped[str]
    preset: Mapped[str]
    config: Mapped[str]
    """Canonical JSON of the :class:`lgt.core.config.RunConfig`."""
    config_hash: Mapped[str] = mapped_column(index=True)
    code_version: Mapped[str] = mapped_column(default="")
    model_seed: Mapped[int] = mapped_column(BigInteger)
    data_seed: Mapped[int] = mapped_column(BigInteger)
    position: Mapped[str]
    state: Mapped[str] = mapped_column(index=True)
    attempt: Mapped[int] = mapped_column(default=0)
    """How many times the run was started. It is a fencing token: every write of a worker carries it."""
    owner: Mapped[str | None]
    lease_until: Mapped[float | None]
    heartbeat_at: Mapped[float | None]
    """Time of the worker's last heartbeat."""
    lost_workers: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """How many workers stopped during this run since it was submitted or retried. Three of them fail the run."""
    step: Mapped[int] = mapped_column(default=0)
    total_steps: Mapped[int]
    tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    seconds: Mapped[float] = mapped_column(default=0.0)
    device: Mapped[str | None]
    error: Mapped[str | None]
    log_tail: Mapped[str | None]
    """The last log lines of the worker before the run failed."""
    notes: Mapped[str] = mapped_column(default="")
    tags: Mapped[str] = mapped_column(default="")
    """Comma-separated."""
    created_at: Mapped[float]
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]

    __table_args__ = (Index(None, "task_group", "arm", "preset"), {"sqlite_autoincrement": True})


class RunTask(Base):
    """A task of a run. ``training_length`` and ``transfer_length`` (La of the comparison) decide the task's zones."""

    __tablename__ = "run_tasks"
    __table_args__ = WITHOUT_ROWID

    run_id: Mapped[int] = _run_key()
    task: Mapped[str] = _text_key()
    role: Mapped[str]
    training_length: Mapped[int]
    transfer_length: Mapped[int | None]


class Accuracy(Base):
    """Exact-match counts per (run, step, task, length)."""

    __tablename__ = "accuracy"
    __table_args__ = (CheckConstraint("correct >= 0 AND correct <= total", name="counts"), WITHOUT_ROWID)

    run_id: Mapped[int] = _run_key()
    step: Mapped[int] = _key()
    task: Mapped[str] = _text_key()
    length: Mapped[int] = _key()
    correct: Mapped[int]
    total: Mapped[int]


class HeadScore(Base):
    """Mean-ablation map entries per length, so that two tasks can be compared at the same lengths."""

    __tablename__ = "head_scores"
    __table_args__ = WITHOUT_ROWID

    run_id: Mapped[int] = _run_key()
    step: Mapped[int] = _key()
    task: Mapped[str] = _text_key()
    length: Mapped[int] = _key()
    layer: Mapped[int] = _key()
    head: Mapped[int] = _key()
    accuracy_drop: Mapped[float | None]
    loss_rise: Mapped[float | None]
    examples: Mapped[int]


class AttentionDifference(Base):
    """Attention-matrix differences of two tasks per head."""

    __tablename__ = "attention_differences"
    __table_args__ = WITHOUT_ROWID

    run_id: Mapped[int] = _run_key()
    step: Mapped[int] = _key()
    task_a: Mapped[str] = _text_key()
    task_b: Mapped[str] = _text_key()
    length: Mapped[int] = _key()
    layer: Mapped[int] = _key()
    head: Mapped[int] = _key()
    difference: Mapped[float | None]


class TrainingLog(Base):
    """Loss (missing if it was not a number), learning rate and speed over steps."""

    __tablename__ = "training_log"
    __table_args__ = WITHOUT_ROWID

    run_id: Mapped[int] = _run_key()
    step: Mapped[int] = _key()
    loss: Mapped[float | None]
    learning_rate: Mapped[float | None]
    tokens_per_second: Mapped[float | None]


class Checkpoint(Base):
    """Weights after a step: safetensors bytes, or ``uri``, a file name (see :mod:`lgt.store.blobs`).

    This table has a rowid, which is faster for rows with large values.
    """

    __tablename__ = "checkpoints"

    run_id: Mapped[int] = _run_key()
    step: Mapped[int] = _key()
    sha256: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    weights: Mapped[bytes | None]
    uri: Mapped[str | None]


class TrainingState(Base):
    """The newest training state of a run, from which it can resume: a file (see :mod:`lgt.store.blobs`)."""

    __tablename__ = "training_states"
    __table_args__ = WITHOUT_ROWID

    run_id: Mapped[int] = _run_key()
    step: Mapped[int]
    file: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    code_version: Mapped[str]


class Intervention(Base):
    """Exact-match counts of a model whose ``heads`` were edited. Nothing writes this table yet.

    The Heads page computes knock-outs when they are asked for. ``draw`` numbers random choices of heads.
    """

    __tablename__ = "interventions"
    __table_args__ = (CheckConstraint("correct >= 0 AND correct <= total", name="counts"), WITHOUT_ROWID)

    run_id: Mapped[int] = _run_key()
    step: Mapped[int] = _key()
    kind: Mapped[str] = _text_key()
    task: Mapped[str] = _text_key()
    zone: Mapped[str] = _text_key()
    heads: Mapped[str] = _text_key()
    draw: Mapped[int] = _key()
    correct: Mapped[int]
    total: Mapped[int]


class StoreState(Base):
    """One row. Its ``revision`` increases with every write that changes cached pages, so readers can check it cheaply.

    Heartbeats and progress of a running run do not increase it: pages read those values every time.
    """

    __tablename__ = "store_state"

    id: Mapped[int] = _key()
    revision: Mapped[int] = mapped_column(BigInteger)


MEASURED_TABLES = (Accuracy, HeadScore, AttentionDifference, TrainingLog, Checkpoint, Intervention)
"""The tables that training a run fills. Their rows are deleted when the run starts over."""
RUN_TABLES = (RunTask, *MEASURED_TABLES)
"""The tables whose rows belong to a run, in an order in which they can be inserted."""


def column_names(table: type[Base]) -> list[str]:
    """The column names of ``table`` in order."""
    return [column.name for column in inspect(table).local_table.columns]
