"""How a store is named: a path of a SQLite file, or a URL of a database server."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from lgt.store import locations
from lgt.store.errors import StoreError, store_name

SCHEME = re.compile(r"[\w+.-]*://")
"""What a URL begins with; any other name of a store is a path."""
ALMOST_URL = re.compile(r"(?!\w[\w+.-]*://)(postgres\w*|mysql|mariadb)[\w+.-]*:?/*[^/:@]*:[^@]*@", re.IGNORECASE)
"""A URL of a database server with a slip in its beginning. As a path it would be shown, with its password."""


def database_url(option: str | None = None) -> str:
    """The URL of the store that new runs go to: ``option``, else :func:`lgt.store.locations.workspace`.

    For a SQLite store it is the absolute path, never a URL: a path is taken as it is, while a URL is decoded when it is
    read, so that ``?``, ``#`` and ``%41`` in a name would open another file. Raises StoreError for a bad URL.
    """
    return as_text(parsed(option or locations.workspace()))


def as_text(url: URL) -> str:
    """The text that :func:`parsed` reads as ``url``: the path of a SQLite file, else the URL with its password."""
    return str(url.database) if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=False)


def parsed(text: str) -> URL:
    """The store that ``text`` (URL or path) names; of a SQLite file the absolute path. Raises StoreError."""
    if ALMOST_URL.match(text):
        raise StoreError("a store is named by something between a path and a database URL (it is not shown, because it "
                         "may contain a password); give a path, sqlite:///PATH or postgresql://...")  # fmt: skip
    if not SCHEME.match(text):
        return _sqlite_url(URL.create("sqlite", database=text))
    if "?" in text and text.startswith("sqlite"):
        raise StoreError(
            f"{text!r} has a question mark, which a SQLite URL cannot have; give the path without sqlite:///"
        )
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise StoreError(f"{text!r} is not a database URL; give a path, sqlite:///PATH or postgresql://...") from error
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(f"{url.drivername} stores are not supported; give a path, sqlite:///PATH or postgresql://...")
    return _sqlite_url(url) if url.get_backend_name() == "sqlite" else url


def _sqlite_url(url: URL) -> URL:
    if url.drivername not in ("sqlite", "sqlite+pysqlite") or url.host:
        raise StoreError(f"{url.render_as_string()!r} is not a plain SQLite file; give its path or sqlite:///PATH")
    if not url.database or url.database == ":memory:" or "\0" in url.database:
        raise StoreError("a store must be a file that several processes can open; give its path")
    path = Path(url.database)
    if url.database.startswith("~"):  # not Path("./~"), which is a file
        with suppress(RuntimeError):  # no user has this name
            path = path.expanduser()
    return url.set(database=str(path.absolute()))


def is_server(url: str) -> bool:
    """Whether the store at ``url`` (URL or path) is on a database server. Raises StoreError for a bad URL."""
    return parsed(url).get_backend_name() != "sqlite"


def full_url(engine: Engine) -> str:
    """The path or URL of an open store, with its password. Pass it on only through the environment, never show it."""
    return as_text(engine.url)


def database_file(url: str) -> Path:
    """The file of the SQLite store at ``url`` (URL or path). Raises StoreError when it is not a SQLite store."""
    named = parsed(url)
    if named.get_backend_name() != "sqlite":
        raise StoreError(f"{store_name(named)} is not a SQLite file; use the server's own tools, such as pg_dump")
    return Path(str(named.database))
