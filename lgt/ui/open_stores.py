"""The stores that a viewer can read: the shipped results, the workspace, and those that the viewer has opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import streamlit as st

from lgt.store import locations, opening
from lgt.store.engine import Engine, reading_key
from lgt.store.errors import StoreError
from lgt.store.library import Library

FURTHER = "stores-further"
"""Where the session keeps the stores that the viewer opened."""


@st.cache_resource(show_spinner=False, max_entries=64)
def _engine(name: str, url: str, key: str) -> Engine:
    return opening.open_to_read(name, url)


_found: ContextVar[list[opening.Opened] | None] = ContextVar("_found", default=None)
"""Inside :func:`stores_looked_for_once`: what :func:`opened` has found, if it was asked already."""


@contextmanager
def stores_looked_for_once() -> Iterator[None]:
    """Within the block :func:`opened` looks for the stores once, until :func:`look_for_stores_again`.

    A page asks dozens of times, and each time would read the headers of all stores.
    """
    token = _found.set([])
    try:
        yield
    finally:
        _found.reset(token)


def look_for_stores_again() -> None:
    """Let :func:`opened` look again, because a store was created."""
    found = _found.get()
    if found is not None:
        found.clear()


def opened() -> opening.Opened:
    """The stores that this viewer can read, and one line for each that cannot be opened."""
    known = _found.get()
    if known:
        return known[0]
    found = _opened()
    if known is not None:
        known.append(found)
    return found


def _opened() -> opening.Opened:
    try:
        stores = [*locations.to_read(), *st.session_state.get(FURTHER, ())]
    except StoreError as error:  # LGT_ALSO cannot be read
        return opening.Opened(Library(()), (str(error),))
    return opening.open_library(stores, lambda name, url: _engine(name, url, reading_key(url)))


def open_to_read(url: str) -> None:
    """Open a store, so that a page can show it. Raises StoreError when that is not possible."""
    _engine("", url, reading_key(url))
