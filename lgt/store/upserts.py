"""Upsert: insert rows, or replace those with the same primary key. Works on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, Table, update
from sqlalchemy.dialects import postgresql, sqlite

from lgt.store.schema import Base, StoreState


def _insert(connection: Connection, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    return insert(cast(Table, table.__table__))


def upsert(connection: Connection, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert ``rows``; a row with an existing primary key is replaced. Sending the same rows again changes nothing."""
    if not rows:
        return
    statement = _insert(connection, table)
    keys = [column.name for column in cast(Table, table.__table__).primary_key]
    values = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values), list(rows))


def insert_missing(connection: Connection, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert those of ``rows`` whose primary key does not exist yet."""
    if rows:
        connection.execute(_insert(connection, table).on_conflict_do_nothing(), list(rows))


def bump_revision(connection: Connection) -> None:
    """Increase the store's revision number by one. Only the first time a row is inserted: most users of a server may
    only change it."""
    raised = update(StoreState).where(StoreState.id == 1).values(revision=StoreState.revision + 1)
    if connection.execute(raised).rowcount == 0:
        upsert(connection, StoreState, [{"id": 1, "revision": 1}])
