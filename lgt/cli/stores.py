"""Commands about whole stores: export, merge, thin, backup, restore, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lgt.cli.shared_options import Also, Database, ReadDatabase, open_database
from lgt.core.checks import check_choice


def export(
    directory: str,
    format_name: Annotated[str, typer.Option("--format", help="File format: csv, parquet or json.")] = "csv",
    database: Database = None,
) -> None:
    """Write each table of the store to a file in DIRECTORY, and each checkpoint."""
    from lgt.store.export import export as write_files

    check_choice("--format", format_name, ("csv", "parquet", "json"))
    for path in write_files(open_database(database, read_only=True), Path(directory), format_name):  # type: ignore[arg-type]
        print(path)


def merge(other: str, database: Database = None) -> None:
    """Copy the finished runs of the store OTHER into this store. Runs that this store already has are skipped."""
    from lgt.store.merge import merge as copy_runs

    report = copy_runs(open_database(database), other)
    print(f"{report.added} runs added, {report.skipped} skipped (already in this store)")


def thin(database: Database = None) -> None:
    """Delete most weights, head rows that no page shows, and most logged losses; see ARCHITECTURE.md."""
    from lgt.store import thinning

    deleted = thinning.thin(open_database(database, create=False))
    print(f"{deleted.weights} checkpoints and {deleted.rows:,} rows of heads and losses deleted")


def backup(path: str, database: Database = None) -> None:
    """Copy the store to the file PATH. Runs may write to the store meanwhile."""
    from lgt.store.backup import backup as write_backup

    print(write_backup(open_database(database, read_only=True), Path(path)))


def restore(path: str, database: Database = None) -> None:
    """Replace the store by the backup PATH. The old store is renamed, not deleted."""
    from lgt.store.backup import restore as replace_store
    from lgt.store.engine import database_url

    old_store = replace_store(Path(path), database_url(database))
    print("restored" + (f"; the old file is {old_store}" if old_store else ""))


def doctor(database: ReadDatabase = None, also: Also = None) -> None:
    """Check versions, machine and stores, and print what to repair. Exit code 1 if something is wrong."""
    from lgt.cli.doctor import examine

    findings = examine(database, also or ())
    for finding in findings:
        print(f"{'ok  ' if finding.ok else 'FAIL'} {finding.subject}: {finding.text}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
