"""Several stores read as one: the shipped results, the workspace, and any others.

A run keeps its number in its own store. In a library its id is that number plus the ``offset`` of its store, so that
ids of different stores never meet. The first store has offset 0. People read and write :meth:`Library.name`: the plain
number for the first store, ``workspace.3`` for run 3 of the store ``workspace``.

The functions of :mod:`lgt.store.queries` and :mod:`lgt.store.checkpoints` read an engine or a library: the decorators
of this module ask each store for its own runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import pandas as pd
from sqlalchemy import Engine

from lgt.store.engine import full_url
from lgt.store.errors import StoreError, store_name
from lgt.store.locations import SHIPPED, WORKSPACE

TITLES = {SHIPPED: "shipped results", WORKSPACE: "my workspace"}
STRIDE = 1_000_000_000
"""The distance between the offsets of two stores; no store has so many runs."""
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Member:
    """A store of a library. ``name`` is unique in the library; ``offset`` is added to the store's run numbers."""

    name: str
    engine: Engine
    offset: int

    @property
    def title(self) -> str:
        """The store in words."""
        return TITLES.get(self.name, self.name)


@dataclass(frozen=True)
class Library:
    """Stores that are read as one, in the order in which they count: of two equal runs that of the first store."""

    members: tuple[Member, ...]

    def of(self, run_id: int) -> tuple[Member, int]:
        """The store of a run and the run's number there. Raises StoreError when no store has this offset."""
        for member in self.members:
            if 0 <= run_id - member.offset < STRIDE:
                return member, run_id - member.offset
        raise StoreError(f"run {run_id}: no open store has it; open its store, or see `python -m lgt runs`")

    def name(self, run_id: int) -> str:
        """The name of a run: ``12`` in the first store, ``workspace.3`` in another one."""
        member, number = self.of(run_id)
        return f"{member.name}.{number}" if member.offset else str(number)

    def parse(self, text: str) -> int | None:
        """The id of the run with this name (see :meth:`name`); ``None`` if ``text`` is no name of a store's run.

        Whether the store has such a run is not asked.
        """
        store, dot, number = text.rpartition(".")
        if not (number.isascii() and number.isdecimal() and len(number) < 10):
            return None
        offset = next((member.offset for member in self.members if member.name == store), 0 if not dot else None)
        return None if offset is None else offset + int(number)

    @property
    def key(self) -> str:
        """A text that differs between libraries of different stores; for caches."""
        return "\n".join(f"{member.offset} {store_name(member.engine.url)}" for member in self.members)

    def chosen(self, names: Iterable[str]) -> Library:
        """The stores with these names. Run ids stay the same."""
        wanted = set(names)
        return Library(tuple(member for member in self.members if member.name in wanted))

    def groups(self, run_ids: Iterable[int]) -> list[tuple[Member, list[int]]]:
        """The numbers of these runs by store. Raises StoreError for a run of no store."""
        found: dict[Member, list[int]] = {}
        for run_id in run_ids:
            member, number = self.of(int(run_id))
            found.setdefault(member, []).append(number)
        return sorted(found.items(), key=lambda pair: pair[0].offset)


Source = Engine | Library
"""What is read: one store or several."""


def members(source: Source) -> tuple[Member, ...]:
    """The stores of ``source``. A single engine is a store with offset 0."""
    return source.members if isinstance(source, Library) else (Member(WORKSPACE, source, 0),)


def run_name(source: Source, run_id: int) -> str:
    """The name of a run: its number in a single store, else :meth:`Library.name`."""
    return source.name(run_id) if isinstance(source, Library) else str(run_id)


def library_of(stores: Sequence[tuple[str, Engine | None]]) -> Library:
    """A library of these stores, in this order. A name that is taken gets a number: ``results``, ``results-2``.

    The place of a store in ``stores`` decides its offset, also when another one is ``None`` (not there now): run ids
    stay the same when that store appears. A store that stands twice, under the same file or URL, is taken once.
    """
    found: list[Member] = []
    for place, (name, engine) in enumerate(stores):
        known = {full_url(member.engine) for member in found}
        if engine is None or full_url(engine) in known:
            continue
        found.append(Member(_unique(short_name(name), {member.name for member in found}), engine, STRIDE * place))
    return Library(tuple(found))


def _unique(name: str, taken: set[str]) -> str:
    names = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 3)))
    return next(one for one in names if one not in taken)


def with_stores(library: Library, runs: pd.DataFrame) -> pd.DataFrame:
    """The rows of :func:`lgt.store.queries.runs` with two more columns: ``store``, the title of a run's store, and
    ``number``, its number there."""
    found = [library.of(run_id) for run_id in runs.id]
    return runs.assign(number=[number for _, number in found], store=[member.title for member, _ in found])


def short_name(text: str) -> str:
    """``text`` as the name of a store in addresses: lower-case letters, digits and hyphens."""
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-") or "store"


def frames_of_runs(
    read: Callable[Concatenate[Engine, Iterable[int], P], pd.DataFrame],
) -> Callable[Concatenate[Source, Iterable[int], P], pd.DataFrame]:
    """Let ``read``, which returns rows with ``run_id`` of the runs that it is given, read a library too."""

    @wraps(read)
    def of_each(source: Source, run_ids: Iterable[int], /, *args: P.args, **kwargs: P.kwargs) -> pd.DataFrame:
        if isinstance(source, Engine):
            return read(source, run_ids, *args, **kwargs)
        parts = [
            _moved(read(member.engine, numbers, *args, **kwargs), "run_id", member.offset)
            for member, numbers in source.groups(run_ids)
        ]
        return _joined(parts) if parts else read(source.members[0].engine, [], *args, **kwargs)

    return of_each


def frames(
    id_column: str,
) -> Callable[
    [Callable[Concatenate[Engine, P], pd.DataFrame]], Callable[Concatenate[Source, P], pd.DataFrame]
]:  # fmt: skip
    """Let a function, which returns one row for each run of a store, read a library too.

    ``id_column`` has the runs' ids. An argument ``ids`` or ``run_ids`` limits the runs.
    """

    def decorated(
        read: Callable[Concatenate[Engine, P], pd.DataFrame],
    ) -> Callable[Concatenate[Source, P], pd.DataFrame]:
        @wraps(read)
        def of_each(source: Source, /, *args: P.args, **kwargs: P.kwargs) -> pd.DataFrame:
            if isinstance(source, Engine):
                return read(source, *args, **kwargs)
            wanted = next((key for key in ("ids", "run_ids") if kwargs.get(key) is not None), None)
            asked = cast("Iterable[int]", kwargs[wanted]) if wanted else ()
            numbers = dict(source.groups(asked)) if wanted else {}
            parts = []
            for member in source.members:
                own = cast("Any", kwargs | {wanted: numbers.get(member, [])} if wanted else kwargs)
                rows = read(member.engine, *args, **own)
                parts.append(_moved(rows, id_column, member.offset))
            return _joined(parts)

        return of_each

    return decorated


def one_run(
    id_field: str,
) -> Callable[[Callable[Concatenate[Engine, int, P], R]], Callable[Concatenate[Source, int, P], R]]:
    """Let a function, which returns a record of one run, read a library too. ``id_field`` of the record has the id."""

    def decorated(read: Callable[Concatenate[Engine, int, P], R]) -> Callable[Concatenate[Source, int, P], R]:
        @wraps(read)
        def of_its_store(source: Source, run_id: int, /, *args: P.args, **kwargs: P.kwargs) -> R:
            if isinstance(source, Engine):
                return read(source, run_id, *args, **kwargs)
            member, number = source.of(run_id)
            return cast("R", replace(cast("Any", read(member.engine, number, *args, **kwargs)), **{id_field: run_id}))

        return of_its_store

    return decorated


def _moved(rows: pd.DataFrame, column: str, offset: int) -> pd.DataFrame:
    return rows.assign(**{column: rows[column] + offset}) if offset else rows


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """One frame of all rows; column types are those of the parts, which are equal."""
    full = [part for part in parts if len(part)] or parts[:1]
    return full[0] if len(full) == 1 else pd.concat(full, ignore_index=True)
