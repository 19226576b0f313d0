"""Options that several commands share, and the function that opens their store."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lgt.cli import tables as cli_tables
from lgt.store.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from lgt.store.library import Library


def whole_number(text: str) -> int:
    """Parse an option as a whole number. Raises BadParameter, which has the text, if it is not a whole number."""
    try:
        return int(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not accepted; accepted: a whole number") from error


Database = Annotated[
    str | None,
    typer.Option(help="The store: a file or a SQLAlchemy URL. Default: LGT_DATABASE_URL, else your workspace.db."),
]
ReadDatabase = Annotated[
    str | None,
    typer.Option("--database", help="Read only this store. Default: the shipped results and your workspace."),
]
Evidence = Annotated[
    str | None,
    typer.Option("--database", help="Read this store. Default: the shipped results alone."),
]
Also = Annotated[
    list[str] | None,
    typer.Option(help='Read this store too: a file or a URL; may be repeated. LGT_ALSO names more: a.db;"b;c.db".'),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]


def open_database(option: str | None, *, create: bool = True, read_only: bool = False) -> Engine:
    """Open the store that ``--database`` names. Raises StoreError with a message that says what to do."""
    from lgt.store.engine import database_url, open_store

    return open_store(database_url(option), create=create, read_only=read_only)


def open_to_read(database: str | None, also: Sequence[str] | None = None, *, evidence: bool = False) -> Library:
    """The stores that a command reads: ``--database``, else the shipped results and the workspace, and ``--also``.

    ``evidence``: without ``--database``, the workspace does not count if there are shipped results. A line on standard
    error names each store that cannot be opened. Raises StoreError when no store is left, or when a store that an
    option names cannot be opened.
    """
    from lgt.store import locations
    from lgt.store.opening import open_library

    stores = locations.to_read(database, also or ())
    if evidence and not database and stores[0][0] == locations.SHIPPED:
        stores = [one for one in stores if one[0] != locations.WORKSPACE]
    opened = open_library(stores)
    if opened.problems and (database or also or not opened.library.members):
        raise StoreError(opened.problems[0])
    for problem in opened.problems:
        print(f"lgt: a store is left out: {problem}", file=sys.stderr)
    if not opened.library.members:
        where = locations.workspace()
        raise StoreError(f"{where} does not exist; train a run to create it, or name a store with --database")
    return opened.library


def run_id_of(library: Library, text: str) -> int:
    """The id of the run that ``text`` names: ``12``, or ``workspace.12`` where several stores are open.

    Raises StoreError when no store has the run, or when several have a run with this number.
    """
    from lgt.store import queries

    if text.rpartition(".")[1]:
        run_id = library.parse(text)
        if run_id is None:
            names = ", ".join(f"{member.name}.1" for member in library.members)
            raise StoreError(f"run {text!r} is not accepted; accepted: a number, or a store and a number: {names}")
        return run_id
    number = whole_number(text)
    ids = [member.offset + number for member in library.members]
    found = list(queries.runs(library, ids=ids).id) if number > 0 else []
    if len(found) > 1:
        names = " or ".join(f"{library.of(run_id)[0].name}.{number}" for run_id in found)
        raise StoreError(f"run {number} is in several stores; write {names}")
    return int(found[0]) if found else ids[0]


def show_rows(rows: list[dict[str, Any]], as_json: bool, columns: list[str]) -> None:
    """Print rows as JSON with all fields, or as a table with only ``columns``."""
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        cli_tables.print_rows(rows, columns)
