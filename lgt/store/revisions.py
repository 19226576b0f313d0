"""The revision of a store: a number that changes with every write that changes what pages show."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, select

from lgt.store import raw_bytes
from lgt.store.engine import read_connection
from lgt.store.library import Source, members
from lgt.store.schema import StoreState


def revision(source: Source) -> str:
    """A short text that changes with every write except heartbeats and progress. Cheap enough for every page view."""
    return " ".join(_revision(member.engine) for member in members(source))


def _revision(engine: Engine) -> str:
    if engine.dialect.name != "sqlite":
        return str(_stored_revision(engine))
    path = Path(str(engine.url.database))
    mark = raw_bytes.change_mark(path)  # before the query: a write between the two is seen the next time
    known = _revisions.get(path)
    if known is not None and known[0] == mark:
        return known[1]
    found = f"{_stored_revision(engine)}-{mark[1]}"  # the inode: the file may be replaced
    if raw_bytes.change_mark(path) == mark:
        _revisions[path] = mark, found
    return found


_revisions: dict[Path, tuple[tuple[int, ...], str]] = {}
"""The revision of each SQLite store, and the state of its file. It saves a query for every cached read of a page."""


def _stored_revision(engine: Engine) -> int:
    with read_connection(engine) as connection:
        return connection.scalar(select(StoreState.revision)) or 0
