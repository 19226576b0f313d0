"""Schema 4: interchanges of head outputs. The table ``interventions``, which nothing wrote, goes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from lgt.store.migrations import schema_4_views as views

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table and its view, and drop the unused table."""
    op.drop_table("interventions")
    op.create_table(
        "interchange_maps",
        *(_integer(name) for name in ("run_id", "step", "slot", "source_slot")),
        sa.Column("source_input", sa.Text(), nullable=False),
        sa.Column("lengths", sa.Text(), nullable=False),
        *(_integer(name) for name in ("layers", "heads")),
        sa.Column("examples", sa.Text(), nullable=False),
        *(sa.Column(name, sa.LargeBinary(), nullable=True) for name in ("lost", "drops")),
        sa.Column("loss_rises", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_interchange_maps_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint(
            "run_id", "step", "slot", "source_slot", "source_input", name="pk_interchange_maps"
        ),
    )  # fmt: skip
    op.execute(views.create_view(op.get_bind().dialect.name))


def _integer(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), autoincrement=False, nullable=False)
