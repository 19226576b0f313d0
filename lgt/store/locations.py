"""Which stores there are: the shipped results, the workspace for new runs, and further stores to read.

``results.db`` is what the project ships. Pages and commands open it to read only. New runs go to the workspace.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from lgt.core import bounds, listed
from lgt.core.paths import NAME, home, temporary_folder
from lgt.store.errors import StoreError

SHIPPED_VARIABLE = "LGT_SHIPPED"
WORKSPACE_VARIABLE = "LGT_DATABASE_URL"
ALSO_VARIABLE = "LGT_ALSO"
SHIPPED, WORKSPACE = "shipped", "workspace"
"""The names of these two stores in a library."""
SHIPPED_FILE, WORKSPACE_FILE = "results.db", "workspace.db"


def checkout() -> Path | None:
    """The folder of the checkout that this code runs from; ``None`` for an installed copy."""
    folder = Path(__file__).parents[2]
    return folder if (folder / "pyproject.toml").is_file() else None


def shipped() -> str | None:
    """The shipped store: ``LGT_SHIPPED``, else ``results.db`` of the checkout or of the installed copy.

    ``None`` if there is none, or if ``LGT_SHIPPED`` is set to an empty text, which leaves the shipped results out.
    """
    named = os.environ.get(SHIPPED_VARIABLE)
    if named is not None:
        return named or None
    folder = checkout() or Path(sys.prefix) / "share" / NAME
    path = folder / SHIPPED_FILE
    return str(path) if path.is_file() else None


def workspace() -> str:
    """The store of new runs: ``LGT_DATABASE_URL``, else ``workspace.db`` in the checkout or the user's data folder.

    The data folder is used by an installed copy and in a checkout that this user cannot write.
    """
    named = os.environ.get(WORKSPACE_VARIABLE)
    if named:
        return named
    folder = checkout()
    if folder and ((folder / WORKSPACE_FILE).exists() or os.access(folder, os.W_OK)):
        return str(folder / WORKSPACE_FILE)
    return str(data_directory() / WORKSPACE_FILE)


def data_directory() -> Path:
    """The folder of this user for data of this program."""
    folder = home()
    if folder == temporary_folder():
        return folder
    return Path(platformdirs.user_data_dir(NAME, appauthor=False))


def to_read(database: str | None = None, further: Sequence[str] = ()) -> list[tuple[str, str]]:
    """The (name, path or URL) of the stores that pages and commands read, the one that counts most first.

    They are ``database`` if it is given, else the shipped store and the workspace; then ``further`` ones and those of
    ``LGT_ALSO``. Raises StoreError for too many.
    """
    if database:
        found = [(_file_name(database), database)]
    else:
        found = [(WORKSPACE, workspace())]
        shipped_store = shipped()
        if shipped_store and not _same_file(shipped_store, workspace()):
            found.insert(0, (SHIPPED, shipped_store))
    found += [(_file_name(name), name) for name in (*further, *also())]
    check_count(len(found))
    return found


def check_count(stores: int) -> None:
    """Raise StoreError if so many stores may not be read at once."""
    if stores > bounds.STORES.most:
        raise StoreError(f"{stores} stores are named; accepted: {bounds.STORES.accepted}")


def _same_file(first: str, second: str) -> bool:
    """Whether two paths name the same file. A URL is no path and equals none."""
    try:
        return os.path.samefile(first.removeprefix("sqlite:///"), second.removeprefix("sqlite:///"))
    except (OSError, ValueError):
        return False


def _file_name(store: str) -> str:
    """The last part of a path or URL without its ending."""
    return Path(store.rstrip("/").rsplit("/", 1)[-1]).stem


def also() -> list[str]:
    """Further stores to read: the paths and URLs in ``LGT_ALSO``, separated by semicolons.

    A path with a semicolon is in double quotes: ``"a;b.db";c.db``. A double quote in such a path is written twice.
    Raises StoreError for a quote that is not closed.
    """
    text = os.environ.get(ALSO_VARIABLE, "")
    try:
        return listed.split(text, ";")
    except ValueError as error:
        accepted = 'paths or URLs with ; between them, a path that has a semicolon in double quotes: "a;b.db";c.db'
        raise StoreError(f"{ALSO_VARIABLE}={text!r} is not accepted: {error}; accepted: {accepted}") from error


def as_also(names: Sequence[str]) -> str:
    """The value of ``LGT_ALSO`` that names these stores; :func:`also` reads it."""
    return listed.joined(names, ";")
