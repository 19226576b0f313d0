"""The commands. Each reads its options, calls one floor below and prints; mistakes are one line and exit code 2.

torch and the training floors are imported inside the commands that need them: ``lgt tasks`` answers at once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, get_args

import typer
from typer.exceptions import TyperException

from lgt import cli_tables
from lgt.checks import ConfigError, check_choice, check_integer
from lgt.cli_bench import bench
from lgt.config import Arm, Position, RunConfig, TaskSpec, with_setting
from lgt.store.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Engine

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Length Transfer Lab: train task pairs, measure length generalization transfer, keep and show the results.",
)
app.command()(bench)

INTERRUPTED = 130  # the shell's exit code for Ctrl-C, which Typer turns the interrupt into


def whole_number(text: str) -> int:
    """Parse an option as a whole number. Raises BadParameter naming the text."""
    try:
        return int(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not accepted; accepted: a whole number") from error


Database = Annotated[
    str | None,
    typer.Option(help="Store to use: a file or a SQLAlchemy URL. Default: LGT_DATABASE_URL, else results.db."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


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
    from lgt.groups import GROUPS
    from lgt.presets import PRESETS

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
def train(
    group: Annotated[str | None, typer.Option(help="A task group, see `groups`.")] = None,
    main_task: Annotated[str | None, typer.Option("--main", metavar="TASK:LEN", help="Main task of a pair.")] = None,
    aux: Annotated[list[str] | None, typer.Option(metavar="TASK:LEN", help="Auxiliary task; may be repeated.")] = None,
    preset: Annotated[str, typer.Option(help="demo, small or paper.")] = "demo",
    seed: Annotated[int, typer.Option(parser=whole_number, metavar="S", help="Model seed.")] = 0,
    position: Annotated[str, typer.Option(help="rope or nope.")] = "rope",
    main_only: Annotated[bool, typer.Option("--main-only", help="Without auxiliary, for the same steps.")] = False,
    same_examples: Annotated[
        bool, typer.Option("--same-examples", help="With --main-only: for the same number of main-task examples.")
    ] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Such as training.steps=500.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="CPU threads; default: all cores.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda where there is one.")] = "cpu",
    database: Database = None,
) -> None:  # fmt: skip
    """Train one run in the foreground, write it to the store and print its accuracy table."""
    config = chosen_config(
        group, main_task, aux or [], preset, seed, position, main_only, same_examples, settings or []
    )
    check_choice("--device", device, ("cpu", "cuda"))
    if threads is not None:
        check_integer("--threads", threads, 1, 1024)
    engine = open_database(database)
    from lgt.execution.foreground import run_in_foreground

    run_in_foreground(engine, config, threads=threads, device=device, show=cli_tables.print_accuracy)


def chosen_config(
    group: str | None, main_task: str | None, aux: list[str], preset: str, seed: int, position: str,
    main_only: bool, same_examples: bool, settings: list[str],
) -> RunConfig:  # fmt: skip
    """The config that the options of ``train`` describe. Raises ConfigError naming the option that is off."""
    from lgt.presets import baseline, custom_config, group_config
    from lgt.tasks import check_run, task_named

    check_choice("--position", position, get_args(Position))
    if same_examples and not main_only:
        raise ConfigError("--same-examples", True, "together with --main-only")
    arm: Arm = "co-trained"
    if main_only:
        arm = "alone-same-examples" if same_examples else "alone-same-steps"
    if (group is None) == (main_task is None):
        raise ConfigError("--group", group, "either --group KEY or --main TASK:LEN")
    if group is not None:
        if aux:
            raise ConfigError("--aux", aux[0], "only together with --main; a group brings its auxiliaries")
        config = group_config(group, preset, position=position, seed=seed)  # type: ignore[arg-type]
    else:
        assert main_task is not None
        specs = [task_spec("--main", main_task), *(task_spec("--aux", text) for text in aux)]
        config = custom_config(specs, preset, task_named(specs[0].task).family, position=position, seed=seed)  # type: ignore[arg-type]
    for setting in settings:
        path, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError("--set", setting, "PATH=VALUE, such as training.steps=500")
        config = with_setting(config, path, value)
    check_run(config)
    return baseline(config, arm)


def task_spec(option: str, text: str) -> TaskSpec:
    """A task from ``TASK:LEN``. Raises ConfigError naming ``option``."""
    from lgt.tasks import task_named

    name, _, length = text.partition(":")
    if not length.isdecimal() or len(length) > 9:
        raise ConfigError(option, text, "TASK:LEN, such as reverse_add:6")
    return TaskSpec(task_named(name).name, "main" if option == "--main" else "auxiliary", int(length))


@app.command()
def experiment(
    name: str,
    seeds: Annotated[str, typer.Option(help="Such as 0-4 or 0,2,5.")] = "0-4",
    workers: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Single-thread worker processes.")] = 2,
    status: Annotated[bool, typer.Option("--status", help="Only say what is done and what is missing.")] = False,
    database: Database = None,
) -> None:
    """Make the runs of experiment NAME that the store does not have yet. Interrupt and repeat as you like."""
    from lgt.experiments import experiment_named, parse_seeds

    chosen, wanted = experiment_named(name), parse_seeds(seeds)
    check_integer("--workers", workers, 1, 256)
    engine = open_database(database)
    from lgt.execution.campaign import campaign_status, run_campaign

    if not status:
        run_campaign(engine, chosen, wanted, workers=workers)
    lines, complete = campaign_status(engine, chosen, wanted)
    for line in lines:
        print(line)
    if not complete and not status:
        raise typer.Exit(1)


@app.command()
def worker(
    once: Annotated[bool, typer.Option("--once", help="Stop after one run (or one lot, see --together).")] = False,
    experiment_name: Annotated[str | None, typer.Option("--experiment", help="Only runs of this experiment.")] = None,
    threads: Annotated[int, typer.Option(parser=whole_number, metavar="N")] = 1,
    device: Annotated[str, typer.Option(help="cpu, or cuda where there is one.")] = "cpu",
    together: Annotated[
        int, typer.Option(parser=whole_number, metavar="K", help="Train up to K seeds of one config as one, on a GPU.")
    ] = 1,
    database: Database = None,
) -> None:
    """Execute queued runs until none is left."""
    check_choice("--device", device, ("cpu", "cuda"))
    check_integer("--threads", threads, 1, 1024)
    check_integer("--together", together, 1, 64)
    if together > 1 and device == "cpu":
        raise ConfigError("--together", together, "1 on a CPU, where one worker per core is faster")
    from lgt.execution.claimed import check_device
    from lgt.execution.worker import work

    check_device(device)
    engine = open_database(database)
    work(engine, experiment=experiment_name, once=once, threads=threads, device=device, together=together)


@app.command()
def runs(as_json: AsJson = False, database: Database = None) -> None:
    """List the runs of the store."""
    from lgt.store import queries

    frame = queries.runs(open_database(database, read_only=True))
    columns = ["id", "label", "state", "preset", "arm", "model_seed", "step", "total_steps", "seconds", "device"]
    show_rows(json.loads(frame.to_json(orient="records")), as_json, columns)


@app.command()
def show(run: str, as_json: AsJson = False, database: Database = None) -> None:
    """Show one run: its state, provenance, config and accuracy table."""
    number = whole_number(run)
    engine = open_database(database, read_only=True)
    from lgt.store import queries

    record, accuracy = queries.run(engine, number), queries.accuracy(engine, [number])
    if as_json:
        print(json.dumps(cli_tables.run_as_dict(record, accuracy), indent=2))
    else:
        cli_tables.print_run(record, accuracy)


@app.command()
def export(
    directory: str,
    format_name: Annotated[str, typer.Option("--format", help="csv, parquet or json.")] = "csv",
    database: Database = None,
) -> None:
    """Write every table of the store to DIRECTORY."""
    from lgt.store import transfer

    check_choice("--format", format_name, ("csv", "parquet", "json"))
    for path in transfer.export(open_database(database, read_only=True), Path(directory), format_name):  # type: ignore[arg-type]
        print(path)


@app.command()
def merge(other: str, database: Database = None) -> None:
    """Add the finished runs of the store OTHER to this one; runs that are already here are skipped."""
    from lgt.store import transfer

    report = transfer.merge(open_database(database), other)
    print(f"{report.added} runs added, {report.skipped} already here")


@app.command()
def backup(path: str, database: Database = None) -> None:
    """Copy the whole store to the file PATH, also while runs are writing to it."""
    from lgt.store import transfer

    print(transfer.backup(open_database(database, create=False), Path(path)))


@app.command()
def restore(path: str, database: Database = None) -> None:
    """Put the backup PATH in the store's place; what was there is kept beside it under a new name."""
    from lgt.store import transfer
    from lgt.store.engine import database_url

    kept = transfer.restore(Path(path), database_url(database))
    print("restored" + (f"; the old file is {kept}" if kept else ""))


@app.command()
def doctor(database: Database = None) -> None:
    """Check versions, machine and store, and say what to do. Exit code 1 when something is wrong."""
    from lgt.doctor import examine

    findings = examine(database)
    for finding in findings:
        print(f"{'ok  ' if finding.ok else 'FAIL'} {finding.subject}: {finding.text}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def open_database(option: str | None, *, create: bool = True, read_only: bool = False) -> Engine:
    """The engine of the chosen store. Raises StoreError with what to do."""
    from lgt.store.engine import database_url, open_store

    return open_store(database_url(option), create=create, read_only=read_only)


def show_rows(rows: list[dict[str, Any]], as_json: bool, columns: list[str]) -> None:
    """Print rows as JSON (all fields) or as a table of ``columns``."""
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        cli_tables.print_rows(rows, columns)


def fail(message: str, code: int = 2) -> NoReturn:
    """Print one line to standard error and exit."""
    print("lgt: " + " ".join(message.split()), file=sys.stderr)
    raise SystemExit(code)


def main(arguments: list[str] | None = None, command: Callable[..., Any] = app) -> None:
    """Run the command line. A user's mistake is one line on standard error and exit code 2, an interrupt 130."""
    try:
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
