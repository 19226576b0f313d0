"""The first schema: runs, their measurements, and the revision counter."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _measurements(name: str, *columns: sa.schema.SchemaItem, keys: list[str], compact: bool = True) -> None:
    op.create_table(
        name,
        sa.Column("run_id", sa.Integer(), autoincrement=False, nullable=False),
        *columns,
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=f"fk_{name}_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", *keys, name=f"pk_{name}"),
        sqlite_with_rowid=not compact,
    )


def _integer(name: str, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), autoincrement=False, nullable=nullable)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _text(name: str, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _real(name: str, nullable: bool = True) -> sa.Column[float]:
    return sa.Column(name, sa.Double(), nullable=nullable)


def _counts(table: str) -> sa.CheckConstraint:
    return sa.CheckConstraint("correct >= 0 AND correct <= total", name=op.f(f"ck_{table}_counts"))


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False),
        _text("token", nullable=True),
        _text("label"),
        _text("experiment", nullable=True),
        *(_text(name) for name in ("task_group", "arm", "preset", "config", "config_hash", "code_version")),
        _big("model_seed"),
        _big("data_seed"),
        _text("position"),
        _text("state"),
        _integer("attempt"),
        _text("owner", nullable=True),
        _real("lease_until"),
        _integer("step"),
        _integer("total_steps"),
        _big("tokens"),
        _real("seconds", nullable=False),
        *(_text(name, nullable=True) for name in ("device", "error")),
        *(_text(name) for name in ("notes", "tags")),
        _real("created_at", nullable=False),
        _real("started_at"),
        _real("finished_at"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.UniqueConstraint("token", name="uq_runs_token"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_runs_config_hash", "runs", ["config_hash"])
    op.create_index("ix_runs_state", "runs", ["state"])
    op.create_index("ix_runs_task_group_arm_preset", "runs", ["task_group", "arm", "preset"])


def _create_measurements() -> None:
    _measurements(
        "run_tasks",
        *(_text("task"), _text("role"), _integer("training_length"), _integer("transfer_length", nullable=True)),
        keys=["task"],
    )
    _measurements(
        "accuracy",
        *(_integer("step"), _text("task"), _integer("length"), _integer("correct"), _integer("total")),
        _counts("accuracy"),
        keys=["step", "task", "length"],
    )
    _measurements(
        "head_scores",
        _integer("step"),
        _text("task"),
        *(_integer(name) for name in ("length", "layer", "head")),
        *(_real("accuracy_drop"), _real("loss_rise"), _integer("examples")),
        keys=["step", "task", "length", "layer", "head"],
    )
    _measurements(
        "attention_differences",
        _integer("step"),
        _text("task_a"),
        _text("task_b"),
        *(_integer(name) for name in ("length", "layer", "head")),
        _real("difference"),
        keys=["step", "task_a", "task_b", "length", "layer", "head"],
    )
    _measurements(
        "training_log",
        *(_integer("step"), _real("loss"), _real("learning_rate"), _real("tokens_per_second")),
        keys=["step"],
    )
    _measurements(
        "checkpoints",
        _integer("step"),
        _text("sha256"),
        _big("size"),
        sa.Column("weights", sa.LargeBinary(), nullable=True),
        _text("uri", nullable=True),
        keys=["step"],
        compact=False,
    )
    _measurements(
        "interventions",
        _integer("step"),
        *(_text(name) for name in ("kind", "task", "zone", "heads")),
        _integer("draw"),
        *(_integer("correct"), _integer("total"), _counts("interventions")),
        keys=["step", "kind", "task", "zone", "heads", "draw"],
    )


def upgrade() -> None:
    """Create every table of the first schema."""
    _create_runs()
    _create_measurements()
    op.create_table(
        "store_state",
        _integer("id"),
        _big("revision"),
        sa.PrimaryKeyConstraint("id", name="pk_store_state"),
    )


def downgrade() -> None:
    """Not possible, because there is no schema before the first."""
    raise NotImplementedError("the first schema has no predecessor")
