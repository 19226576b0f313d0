"""Options that several commands share, and the function that opens their store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lgt.cli import tables as cli_tables

if TYPE_CHECKING:
    from sqlalchemy import Engine


def whole_number(text: str) -> int:
    """Parse an option as a whole number. Raises BadParameter with the text that is none."""
    try:
        return int(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not accepted; accepted: a whole number") from error


Database = Annotated[
    str | None,
    typer.Option(help="The store: a file or a SQLAlchemy URL. Default: LGT_DATABASE_URL, else results.db."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]


def open_database(option: str | None, *, create: bool = True, read_only: bool = False) -> Engine:
    """Open the store that ``--database`` names. Raises StoreError with a message that says what to do."""
    from lgt.store.engine import database_url, open_store

    return open_store(database_url(option), create=create, read_only=read_only)


def show_rows(rows: list[dict[str, Any]], as_json: bool, columns: list[str]) -> None:
    """Print rows as JSON with all fields, or as a table with only ``columns``."""
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        cli_tables.print_rows(rows, columns)
