"""Errors of a store. Each message is one line."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from lgt.core.plain_text import visible
from lgt.store.roles import missing_right

LONGEST_LINE = 2_000
"""The longest message in characters: a store may contain any text, and a path has at most 500."""
PASSWORD = re.compile(r"(//[^/\s:@]*:)[^\s@]*(?:\s[^\s@]*)?@")
"""A user name and a password in a URL, also in one that is no URL: a slip of the keys must not show the password."""


def without_passwords(text: str) -> str:
    """``text`` with ``***`` in place of passwords in URLs.

    >>> without_passwords("postgresql://lgt:secret@host:notaport/db")
    'postgresql://lgt:***@host:notaport/db'
    """
    return PASSWORD.sub(r"\1***@", text)


class StoreError(RuntimeError):
    """A store cannot do what was asked. ``str()`` is one line, without passwords: which store, what is wrong, what to
    do."""

    def __init__(self, message: str) -> None:
        line = without_passwords(" ".join(visible(message).split()))
        super().__init__(line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} ...")


class StoreBusy(StoreError):
    """A later try may succeed: another process kept the store locked for longer than the timeout, or a server restarts,
    cannot be reached, has no free connection, or undid a transaction because of another one."""


class LeaseLost(StoreError):
    """The attempt that writes no longer owns the run: the run was cancelled, taken over or finished."""


BUSY_SERVER = re.compile(r"08...|53300|57P0[1235]|40001|40P01")
"""PostgreSQL's codes (SQLSTATE) of a lost connection, too many connections, a stop or start of the server, and a
transaction that another one undid."""
NOT_WORTH_WAITING = re.compile(
    r"does not exist|password|authentication|pg_hba|not permitted to log in|certificate|Name or service not known"
    r"|does not support SSL",
    re.IGNORECASE,
)
"""Why a connection is refused for good. The driver gives no code for a connection that could not be made."""
NO_RIGHT = "42501"
"""PostgreSQL's code for a right that the user lacks."""
DISK_FULL = "disk full; free some space, then try again"
RESTORE = "restore a backup (`python -m lgt restore`) or move the file away to start a new store"

# Primary SQLite result codes (https://www.sqlite.org/rescode.html) -> what is wrong, what to do.
_SQLITE = {
    sqlite3.SQLITE_BUSY: ("is locked by another process", "wait for it to finish, then try again"),
    sqlite3.SQLITE_LOCKED: ("is locked by another connection", "wait for it to finish, then try again"),
    sqlite3.SQLITE_READONLY: ("cannot be written", "make the file and its folder writable, or choose --database"),
    sqlite3.SQLITE_IOERR: ("could not be read or written by the disk", "check the disk, then " + RESTORE),
    sqlite3.SQLITE_CORRUPT: ("is damaged", RESTORE),
    sqlite3.SQLITE_NOTADB: ("is not a SQLite database", "choose another file with --database, or " + RESTORE),
    sqlite3.SQLITE_FULL: ("could not grow", DISK_FULL),
    sqlite3.SQLITE_INTERRUPT: ("has a query that takes too long, which was ended", RESTORE),
    sqlite3.SQLITE_TOOBIG: ("has a value that is too long", RESTORE),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "check that the file exists and that you may read and write it"),
}


def error_message(
    name: str, error: BaseException | None, statement: str | None = None, *, busy: bool = False
) -> str:  # fmt: skip
    """One line about an ``error`` that the database driver raised for the store ``name``, because of ``statement``.

    ``busy``: a later try may succeed (:func:`is_busy`).
    """
    code = getattr(error, "sqlite_errorcode", None)
    detail = (str(error).strip().splitlines() or ["unknown error"])[0][:160]
    if isinstance(error, UnicodeDecodeError) or "decode to UTF-8" in detail:
        code = sqlite3.SQLITE_CORRUPT
    if getattr(error, "sqlstate", None) == NO_RIGHT:
        return f"{name} refused its user ({detail}); {missing_right(statement, detail)}; see Roles in docs/STORE.md"
    unknown = ("is busy or cannot be reached", "see whether its server runs") if busy else (
        "refused the request", "see `python -m lgt doctor`"
    )  # fmt: skip
    wrong, remedy = _SQLITE.get((code or 0) & 0xFF, unknown)
    return f"{name} {wrong} ({detail}); {remedy}"


def is_busy(error: DBAPIError) -> bool:
    """Whether the same request may succeed later, without any change."""
    sqlite_code = getattr(error.orig, "sqlite_errorcode", None)
    if sqlite_code is not None or isinstance(error.orig, sqlite3.Error):
        return ((sqlite_code or 0) & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    code = getattr(error.orig, "sqlstate", None)
    if code is not None:
        return BUSY_SERVER.fullmatch(code) is not None
    lost = error.connection_invalidated or isinstance(error, OperationalError)
    return lost and NOT_WORTH_WAITING.search(str(error.orig)) is None


def store_name(url: URL) -> str:
    """The name of the store at ``url`` in messages: its file path, or its URL without the password."""
    if url.get_backend_name() == "sqlite":
        return visible(url.database)
    return url.render_as_string(hide_password=True)


@contextmanager
def translate_errors(url: URL) -> Iterator[None]:
    """Turn errors of the database driver in the block into :class:`StoreError`. Other errors pass unchanged."""
    try:
        yield
    except DBAPIError as error:
        raise (StoreBusy if is_busy(error) else StoreError)(
            error_message(store_name(url), error.orig, error.statement, busy=is_busy(error))
        ) from error
    except NoFreeConnection as error:
        raise StoreBusy(f"{store_name(url)} is used by too many threads of this process; try again") from error
    except (sqlite3.Error, UnicodeError, OverflowError) as error:  # the driver could not convert a value
        raise StoreError(error_message(store_name(url), error)) from error
