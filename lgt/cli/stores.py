"""Commands about whole stores: export, merge, thin, backup, restore, roles, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lgt.cli.shared_options import Also, Database, ReadDatabase, open_database, open_to_read, run_id_of
from lgt.core.checks import check_choice
from lgt.core.plain_text import for_terminal
from lgt.store.errors import StoreError

if TYPE_CHECKING:
    from lgt.store.library import Library


def import_runs(files: list[str], database: Database = None) -> None:
    """Store accuracies that other programs measured, from CSV, JSON or Parquet FILES; docs/IMPORT.md has the format."""
    from lgt.store import exchange, imports

    read = [(Path(name), exchange.read_file(Path(name))) for name in files]  # all are checked before one is stored
    engine = open_database(database)
    for path, found in read:
        report = imports.import_runs(engine, found.runs)
        ignored = for_terminal(f"; columns that were not read: {', '.join(found.ignored)}") if found.ignored else ""
        print(f"{path}: {report.added} runs added, {report.updated} updated, {report.unchanged} unchanged{ignored}")


def export(
    target: str,
    format_name: Annotated[str, typer.Option("--format", help="File format: csv, parquet or json.")] = "csv",
    run: Annotated[list[str] | None, typer.Option(help="Only this run; may be repeated. For a file.")] = None,
    group: Annotated[str | None, typer.Option(help="Only runs of this task group. For a file.")] = None,
    database: Database = None,
    also: Also = None,
) -> None:
    """Write every table of your workspace, and each checkpoint, into the folder TARGET, or accuracies into one file.

    If TARGET ends in .csv, .json or .parquet, the accuracies of the chosen runs of all stores are written to it, in the
    format that `import` reads.
    """
    if Path(target).suffix.lower() in (".csv", ".json", ".parquet"):
        export_rows(Path(target), run or [], group, open_to_read(database, also))
        return
    if run or group or also:
        raise StoreError(f"{target}: --run, --group and --also need a file that ends in .csv, .json or .parquet")
    from lgt.store.export import export as write_files

    check_choice("--format", format_name, ("csv", "parquet", "json"))
    for path in write_files(open_database(database, read_only=True), Path(target), format_name):  # type: ignore[arg-type]
        print(path)


def export_rows(path: Path, runs: list[str], group: str | None, library: Library) -> None:
    """Write the accuracies of runs, all of them or those that were named, to ``path`` and print how many there are."""
    from lgt.recipes.labels import task_title
    from lgt.store import queries
    from lgt.store.export import write_rows
    from lgt.store.imports import exchange_rows
    from lgt.store.readable import with_lengths, with_shares

    ids = [run_id_of(library, text) for text in runs] or None
    chosen = queries.runs(library, group=group, ids=ids)
    rows = exchange_rows(library, chosen.id.tolist())
    write_rows(path, with_lengths(with_shares(rows)).assign(task_title=rows.task.map(task_title)))
    print(f"{path}: {len(rows):,} rows of {rows.run.nunique():,} runs")


def merge(other: str, database: Database = None) -> None:
    """Take over from the store OTHER its finished runs, measurements, weights, tags, notes and deletions.

    OTHER is only read. Stores that merge each other end with the same runs, in any order; docs/STORE.md has the rules.
    """
    from lgt.store.merge import merge as take_over

    report = take_over(open_database(database), other)
    words = ("added", "updated", "unchanged", "skipped", "deleted")
    print("runs: " + ", ".join(f"{getattr(report, word):,} {word}" for word in words))
    for line in (*report.reasons, *report.now_counting):
        print(f"  {for_terminal(line)}")


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


def roles() -> None:
    """Print the SQL that gives a PostgreSQL store roles for reading, submitting and working; see docs/STORE.md."""
    from lgt.store.roles import script

    print(script())


def doctor(database: ReadDatabase = None, also: Also = None) -> None:
    """Check versions, machine and stores, and print what to repair. Exit code 1 if something is wrong."""
    from lgt.cli.doctor import examine

    findings = examine(database, also or ())
    for finding in findings:
        print(f"{finding.word:<4} {finding.subject}: {for_terminal(finding.text)}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
