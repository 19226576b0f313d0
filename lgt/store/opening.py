"""Open the stores of a library to read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import Engine

from lgt.store.engine import database_file, is_server, open_store
from lgt.store.errors import StoreError
from lgt.store.library import Library, library_of
from lgt.store.locations import SHIPPED, WORKSPACE
from lgt.store.stored_runs import check_store


@dataclass(frozen=True)
class Opened:
    """A library, and one line for each store that could not be opened."""

    library: Library
    problems: tuple[str, ...]


def open_to_read(name: str, url: str) -> Engine:
    """Open one store of a library to read. Raises StoreError.

    The rows of a store that is neither shipped nor the user's own are checked first.
    """
    engine = open_store(url, read_only=True)
    if name not in (SHIPPED, WORKSPACE):
        check_store(engine)
    return engine


def open_library(stores: Iterable[tuple[str, str]], opened: Callable[[str, str], Engine] = open_to_read) -> Opened:
    """Open stores, given as (name, path or URL), to read. A workspace that does not exist yet is left out.

    A store that cannot be opened does not stop the others. ``opened`` opens one store.
    """
    engines: list[tuple[str, Engine | None]] = []
    problems = []
    for name, url in stores:
        try:
            engines.append((name, None if name == WORKSPACE and is_missing(url) else opened(name, url)))
        except StoreError as error:
            engines.append((name, None))
            problems.append(str(error))
    return Opened(library_of(engines), tuple(problems))


def is_missing(url: str) -> bool:
    """Whether ``url`` (URL or path) is a SQLite file that does not exist. Raises StoreError for a bad URL."""
    return not is_server(url) and not os.path.exists(database_file(url))
