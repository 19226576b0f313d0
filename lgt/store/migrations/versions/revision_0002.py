"""Columns and a table for resuming and watching runs: heartbeats, lost workers, failure logs, training states."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add three columns to runs, and the table of training states."""
    op.add_column("runs", sa.Column("heartbeat_at", sa.Double(), nullable=True))
    op.add_column("runs", sa.Column("lost_workers", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("runs", sa.Column("log_tail", sa.Text(), nullable=True))
    op.create_table(
        "training_states",
        sa.Column("run_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_training_states_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", name="pk_training_states"),
        sqlite_with_rowid=False,
    )
