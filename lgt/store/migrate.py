"""Migrate the schema of a store to this code's version. Migrations are numbered ``0001``, ``0002``, and so on."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from lgt.store.errors import RESTORE, StoreError, store_name
from lgt.store.schema import APPLICATION_ID, VERSION_TABLE

MIGRATIONS = Path(__file__).parent / "migrations"


@lru_cache
def _latest(folder: Path) -> int:
    return max(int(path.stem.removeprefix("revision_")) for path in (folder / "versions").glob("revision_*.py"))


def latest_schema() -> int:
    """The number of the newest schema that this code knows."""
    return _latest(MIGRATIONS)


def stored_schema(connection: Connection) -> int:
    """The schema number of the store behind ``connection``; 0 when the database has no store in it."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return 0
    revision = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    if re.fullmatch("[0-9]{1,9}", str(revision)) is None:
        raise StoreError(
            f"{store_name(connection.engine.url)} is damaged: schema version {ascii(revision)[:40]}; {RESTORE}"
        )
    return int(revision)


def upgrade(connection: Connection, to: int | None = None) -> None:
    """Migrate to the newest schema, or to an older one, inside the caller's transaction, which on SQLite already holds
    the write lock.

    A process that waited for the lock does nothing when another one has migrated meanwhile. On SQLite the application
    id and the schema number are written to the file's header in the same transaction: a kill leaves the old store.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({APPLICATION_ID})"))
    wanted = latest_schema() if to is None else to
    if stored_schema(connection) >= wanted:
        return
    # Imported here, because importing Alembic takes half a second and most pages and commands need no migration.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, f"{wanted:04}")
    except (ValueError, TypeError, KeyError) as error:  # a row that cannot be moved
        raise StoreError(f"{store_name(connection.engine.url)} is damaged ({error}); {RESTORE}") from error
    if connection.dialect.name == "sqlite":
        connection.execute(text(f"PRAGMA application_id = {APPLICATION_ID}"))
        connection.execute(text(f"PRAGMA user_version = {wanted}"))
