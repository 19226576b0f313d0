"""The tables of a store. Every change here needs a new file in ``migrations/versions``.

Times are UTC epoch seconds. Tables with a primary key of several columns have no rowid on SQLite, which keeps
``results.db`` small. Ratios and zones are derived when reading, never stored.
"""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import BigInteger, ForeignKey, Index, inspect, text
from sqlalchemy.orm import Mapped, mapped_column

from lgt.store.schema_base import (
    APPLICATION_ID,
    VERSION_TABLE,
    WITHOUT_ROWID,
    Base,
    RunState,
    key,
    run_key,
    text_key,
)
from lgt.store.schema_measured import (
    AccuracyCounts,
    AttentionMap,
    HeadMap,
    InterchangeMap,
    Number,
    NumberList,
    PackedLog,
    TrainingLogRow,
)

__all__ = [
    "APPLICATION_ID",
    "MEASURED_TABLES",
    "RUN_TABLES",
    "VERSION_TABLE",
    "VIEWS",
    "AccuracyCounts",
    "Annotation",
    "AttentionMap",
    "Base",
    "Checkpoint",
    "Config",
    "DeletedRun",
    "HeadMap",
    "InterchangeMap",
    "Number",
    "NumberList",
    "PackedLog",
    "Run",
    "RunState",
    "RunTask",
    "StoreState",
    "TrainingLogRow",
    "TrainingState",
    "column_names",
]  # fmt: skip


class Run(Base):
    """One run: its config, state and provenance. Ids are never reused."""

    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(unique=True, default=lambda: str(uuid4()))
    """The same in every store to which the run is copied."""
    origin: Mapped[str] = mapped_column(default="trained", server_default=text("'trained'"))
    """``trained``, or ``imported`` if another program made the run."""
    token: Mapped[str | None] = mapped_column(unique=True)
    """Given by the submitter: two submissions with one token create one run."""
    label: Mapped[str] = mapped_column(default="")
    experiment: Mapped[str | None]
    task_group: Mapped[str]
    arm: Mapped[str]
    preset: Mapped[str]
    config_key: Mapped[str] = mapped_column(ForeignKey("configs.key"))
    """Names the row of ``configs`` with the run's config."""
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
    """How many workers stopped during this run since it was submitted or retried, or stored a training state of a later
    step. Three of them fail the run."""
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
    tags_at: Mapped[float | None]
    """When the tags last changed. In a merge the later change counts; missing counts as the earliest."""
    notes_at: Mapped[float | None]
    """When the notes last changed."""
    created_at: Mapped[float]
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]

    __table_args__ = (Index(None, "task_group", "arm", "preset"), {"sqlite_autoincrement": True})


class Config(Base):
    """The config of runs that differ only in their seeds: canonical JSON without them (:mod:`lgt.store.configs`)."""

    __tablename__ = "configs"
    __table_args__ = WITHOUT_ROWID

    key: Mapped[str] = text_key()
    config: Mapped[str]


class RunTask(Base):
    """A task of a run. ``slot`` 0 is the main task, then the others in the order of the config.

    ``training_length`` and ``transfer_length`` (La of the comparison) decide the task's zones.
    """

    __tablename__ = "run_tasks"
    __table_args__ = WITHOUT_ROWID

    run_id: Mapped[int] = run_key()
    slot: Mapped[int] = key()
    task: Mapped[str]
    role: Mapped[str]
    training_length: Mapped[int]
    transfer_length: Mapped[int | None]


class Checkpoint(Base):
    """Weights after a step: safetensors bytes, or ``uri``, a file name (see :mod:`lgt.store.blobs`).

    ``coding`` says how the bytes in ``weights`` are stored (:mod:`lgt.store.coding`). ``size`` and ``sha256`` are those
    of the safetensors bytes.
    This table has a rowid, which is faster for rows with large values.
    """

    __tablename__ = "checkpoints"

    run_id: Mapped[int] = run_key()
    step: Mapped[int] = key()
    sha256: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    coding: Mapped[str] = mapped_column(default="", server_default=text("''"))
    weights: Mapped[bytes | None]
    uri: Mapped[str | None]


class TrainingState(Base):
    """The newest training state of a run, from which it can resume: a file (see :mod:`lgt.store.blobs`)."""

    __tablename__ = "training_states"
    __table_args__ = WITHOUT_ROWID

    run_id: Mapped[int] = run_key()
    step: Mapped[int]
    file: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    code_version: Mapped[str]


class StoreState(Base):
    """One row. Its ``revision`` increases with every write that changes cached pages, so readers can check it cheaply.

    Heartbeats and progress of a running run do not increase it: pages read those values every time.
    """

    __tablename__ = "store_state"

    id: Mapped[int] = key()
    revision: Mapped[int] = mapped_column(BigInteger)


class Annotation(Base):
    """Tags and notes of a viewer about a run of another store, by its uuid. Where a time is missing the run's own
    tags or notes count."""

    __tablename__ = "annotations"
    __table_args__ = WITHOUT_ROWID

    run_uuid: Mapped[str] = text_key()
    tags: Mapped[str] = mapped_column(default="")
    notes: Mapped[str] = mapped_column(default="")
    tags_at: Mapped[float | None]
    notes_at: Mapped[float | None]


class DeletedRun(Base):
    """A run that was deleted, so that copies of this store can learn it: every run with this uuid that was created
    before ``deleted_at``."""

    __tablename__ = "deleted_runs"
    __table_args__ = WITHOUT_ROWID

    uuid: Mapped[str] = text_key()
    deleted_at: Mapped[float]


MEASURED_TABLES = (AccuracyCounts, HeadMap, AttentionMap, TrainingLogRow, PackedLog, Checkpoint, InterchangeMap)
"""The tables that training a run fills. Their rows are deleted when the run starts over."""
RUN_TABLES = (RunTask, *MEASURED_TABLES)
"""The tables whose rows belong to a run, in an order in which they can be inserted."""
VIEWS = ("accuracy", "head_scores", "attention_differences", "interchanges", "training_log")
"""The views that show the packed tables one value per row. All but ``interchanges`` have the names of tables before
schema 3."""


def column_names(table: type[Base]) -> list[str]:
    """The column names of ``table`` in order."""
    return [column.name for column in inspect(table).local_table.columns]
