"""The commands. Each reads its options, calls one floor below and prints; mistakes are one line and exit code 2.

torch and the training floors are imported inside the commands that need them: ``lgt tasks`` answers at once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.exceptions import TyperException

from lgt.cli import runs as cli_runs
from lgt.cli.bench import bench
from lgt.cli.dashboard import app as dashboard
from lgt.cli.options import AsJson, Database, open_database, show_rows, whole_number
from lgt.core import extensions
from lgt.core.checks import ConfigError, check_choice
from lgt.store.errors import StoreError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Length Transfer Lab: train task pairs, measure length generalization transfer, keep and show the results.",
)
for command in (
    cli_runs.train, cli_runs.submit, cli_runs.worker, cli_runs.experiment, cli_runs.claims, cli_runs.report,
    cli_runs.runs, cli_runs.show, cli_runs.attribute, cli_runs.cancel, cli_runs.retry, bench, dashboard,
):  # fmt: skip
    app.command()(command)

INTERRUPTED = 130  # the shell's exit code for Ctrl-C, which Typer turns the interrupt into


@app.command()
def tasks(as_json: AsJson = False) -> None:
    """List the 13 tasks."""
    from lgt.tasks import TASKS

    rows = [
        {"name": t.name, "family": t.family, "title": t.title, "summary": t.summary, "minimum_length": t.minimum_length}
        for t in TASKS.values()
    ]
    show_rows(rows, as_json, ["name", "family", "summary"])


@app.command()
def groups(as_json: AsJson = False) -> None:
    """List the task groups with the paper's training lengths and those of every preset."""
    from lgt.recipes.groups import GROUPS
    from lgt.recipes.presets import PRESETS

    rows = [
        {
            "key": g.key,
            "title": g.title,
            "main": g.main,
            "auxiliaries": list(g.auxiliaries),
            "control": g.control,
            "figures": g.figures,
            "lengths": {name: list(preset.lengths[g.key]) for name, preset in PRESETS.items()},
        }
        for g in GROUPS.values()
    ]
    show_rows(rows, as_json, ["key", "main", "auxiliaries", "lengths", "figures"])


@app.command()
def sample(
    task: str,
    length: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Task length n.")],
    count: Annotated[int, typer.Option(parser=whole_number, metavar="K")] = 5,
    seed: Annotated[int, typer.Option(parser=whole_number, metavar="S")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print examples of TASK: the prompt without its tag, the answer without the end token."""
    from lgt.tasks.sampling import sample_rows

    for row in sample_rows(task, length, count, seed):
        print(json.dumps(row) if as_json else f"{row['prompt']} {row['answer']}")


@app.command()
def export(
    directory: str,
    format_name: Annotated[str, typer.Option("--format", help="csv, parquet or json.")] = "csv",
    database: Database = None,
) -> None:
    """Write every table of the store to DIRECTORY."""
    from lgt.store import export as stores

    check_choice("--format", format_name, ("csv", "parquet", "json"))
    for path in stores.export(open_database(database, read_only=True), Path(directory), format_name):  # type: ignore[arg-type]
        print(path)


@app.command()
def merge(other: str, database: Database = None) -> None:
    """Add the finished runs of the store OTHER to this one; runs that are already here are skipped."""
    from lgt.store import merge as stores

    report = stores.merge(open_database(database), other)
    print(f"{report.added} runs added, {report.skipped} already here")


@app.command()
def thin(database: Database = None) -> None:
    """Remove most weights, maps that nothing shows, all but fifty losses; accuracies stay. See ARCHITECTURE.md."""
    from lgt.store import thinning

    gone = thinning.thin(open_database(database, create=False))
    print(f"the weights of {gone.weights} runs removed, and {gone.rows:,} rows of heads and losses during training")


@app.command()
def backup(path: str, database: Database = None) -> None:
    """Copy the whole store to the file PATH, also while runs are writing to it."""
    from lgt.store import backup as stores

    print(stores.backup(open_database(database, read_only=True), Path(path)))


@app.command()
def restore(path: str, database: Database = None) -> None:
    """Put the backup PATH in the store's place; what was there is kept beside it under a new name."""
    from lgt.store import backup as stores
    from lgt.store.engine import database_url

    kept = stores.restore(Path(path), database_url(database))
    print("restored" + (f"; the old file is {kept}" if kept else ""))


@app.command()
def doctor(database: Database = None) -> None:
    """Check versions, machine and store, and say what to do. Exit code 1 when something is wrong."""
    from lgt.cli.doctor import examine

    findings = examine(database)
    for finding in findings:
        print(f"{'ok  ' if finding.ok else 'FAIL'} {finding.subject}: {finding.text}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def fail(message: str, code: int = 2) -> NoReturn:
    """Print one line to standard error and exit."""
    print("lgt: " + " ".join(message.split()), file=sys.stderr)
    raise SystemExit(code)


def main(arguments: list[str] | None = None, command: Callable[..., Any] = app) -> None:
    """Run the command line. A user's mistake is one line on standard error and exit code 2, an interrupt 130."""
    try:
        extensions.load()
        code = command(arguments, standalone_mode=False)
    except TyperException as error:
        fail(error.format_message())
    except (ConfigError, StoreError) as error:
        fail(str(error))
    except (KeyboardInterrupt, typer.Abort):
        fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(0) from None
    if code == INTERRUPTED:
        fail("interrupted", INTERRUPTED)
    raise SystemExit(code if isinstance(code, int) else 0)
