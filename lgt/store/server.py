"""What only a store on a PostgreSQL server needs: its engine, its clock, its identity, and the index of the queue."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Engine,
    cast,
    create_engine,
    extract,
    func,
    literal_column,
    text,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from lgt.store.errors import StoreError
from lgt.store.schema import APPLICATION_ID

KEPT_CONNECTIONS, MORE_CONNECTIONS = 1, 9
"""Connections that a process keeps open, and how many more it may open for a moment, each for one thread. A worker has
two threads that write: training and heartbeats."""
CONNECT_SECONDS = 10
CLOCK = cast(extract("epoch", func.statement_timestamp()), Double)
"""The server's time when a statement begins, in UTC epoch seconds."""
STARTED = cast(extract("epoch", func.pg_postmaster_start_time()), Double)
"""When the server started, in UTC epoch seconds."""
QUEUED: ColumnElement[str] = literal_column("'queued'")
"""The state of waiting runs. As a parameter it would keep a prepared statement from using the index of the queue."""
QUEUE_INDEX = "ix_runs_queued"
MAKE_QUEUE_INDEX = f"CREATE INDEX IF NOT EXISTS {QUEUE_INDEX} ON runs (id) WHERE state = 'queued'"
IDENTITIES: dict[str, str] = {}
"""The identity of each store that this process has opened, by its URL without user and password."""


def server_engine(url: URL, read_only: bool) -> Engine:
    """An engine for the store at ``url``. It does not connect yet. Raises StoreError when the driver is missing."""
    try:
        engine = create_engine(
            url, pool_pre_ping=True, pool_size=KEPT_CONNECTIONS, max_overflow=MORE_CONNECTIONS,
            connect_args=_limits(url),
        )  # fmt: skip
    except ModuleNotFoundError as error:
        raise StoreError(
            f"the driver {error.name} is not installed; install it with pip, e.g. psycopg[binary]"
        ) from error
    except ArgumentError as error:
        raise StoreError(f"{url.drivername} is no driver that is known here; give postgresql+psycopg://...") from error
    return engine.execution_options(postgresql_readonly=True) if read_only else engine


def _limits(url: URL) -> dict[str, int]:
    """How long one try to connect may take. The driver's own limit is two minutes for a host that does not answer."""
    known = url.get_driver_name() in ("psycopg", "psycopg2") and "connect_timeout" not in url.query
    return {"connect_timeout": CONNECT_SECONDS} if known else {}


def lacks_queue_index(connection: Connection) -> bool:
    """Whether the index of the queue is missing and this user may make it, because the table is the user's."""
    asked = f"SELECT to_regclass('{QUEUE_INDEX}') IS NULL AND pg_has_role(relowner, 'USAGE') FROM pg_class"
    return bool(connection.scalar(text(f"{asked} WHERE oid = 'runs'::regclass")))


def make_queue_index(connection: Connection) -> None:
    """Make the index with which a claim does not read finished runs.

    It is no part of the schema: a store without it works, and a SQLite file finds waiting runs without it.
    """
    connection.execute(text(f"SELECT pg_advisory_xact_lock({APPLICATION_ID})"))  # one process makes it, others wait
    connection.execute(text(MAKE_QUEUE_INDEX))


def remember_identity(connection: Connection) -> None:
    """Note which store is behind ``connection``, however its host is spelled: the server's system identifier, the
    database and the table. Nothing is noted where the server does not tell its identifier."""
    if not connection.scalar(text("SELECT has_function_privilege('pg_control_system()', 'EXECUTE')")):
        return
    asked = (
        "SELECT concat_ws(' ', system_identifier, (SELECT oid FROM pg_database WHERE datname = current_database()), "
        "'store_state'::regclass::oid) FROM pg_control_system()"
    )
    IDENTITIES[_address(connection.engine.url)] = str(connection.scalar(text(asked)))


def identity(url: URL) -> str | None:
    """What :func:`remember_identity` has noted of the store at ``url``; None before it was opened."""
    return IDENTITIES.get(_address(url))


def _address(url: URL) -> str:
    return f"{url.host} {url.port} {url.database} {sorted(url.query.items())}"


def clock(where: Connection | Engine) -> Any:
    """The time now for leases, in UTC epoch seconds: on a server an expression of its clock, because the clocks of
    workers on several machines may differ."""
    return time.time() if where.dialect.name == "sqlite" else CLOCK
