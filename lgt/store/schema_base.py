"""What all tables of a store share: the base class, the kinds of columns, the states of a run."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Double, ForeignKey, Integer, LargeBinary, MetaData, Text
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


def run_key() -> Mapped[int]:
    """A column with the id of a run, part of the primary key. The row is deleted with the run."""
    return mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)


def key() -> Mapped[int]:
    """A whole number that is part of the primary key."""
    return mapped_column(primary_key=True, autoincrement=False)


def text_key() -> Mapped[str]:
    """A text that is part of the primary key."""
    return mapped_column(primary_key=True)
