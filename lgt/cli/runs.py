"""Commands that make runs and look after them: train, submit, worker, experiment, runs, show,
attribute, cancel, retry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, get_args

import typer

from lgt.cli import tables as cli_tables
from lgt.cli.options import AsJson, Database, Device, open_database, whole_number
from lgt.core.checks import ConfigError, check_choice, check_integer
from lgt.core.config import Arm, Position, RunConfig, TaskSpec, check_transfers, with_setting
from lgt.store.errors import StoreError

Group = Annotated[str | None, typer.Option(help="A task group, see `groups`.")]
MainTask = Annotated[str | None, typer.Option("--main", metavar="TASK:LEN", help="Main task of a pair.")]
Auxiliaries = Annotated[list[str] | None, typer.Option(metavar="TASK:LEN", help="Auxiliary task; may be repeated.")]
PresetName = Annotated[str, typer.Option(help="demo, small or paper.")]
PositionName = Annotated[str, typer.Option(help="rope or nope.")]
MainOnly = Annotated[bool, typer.Option("--main-only", help="Without auxiliary, for the same steps.")]
SameExamples = Annotated[
    bool, typer.Option("--same-examples", help="With --main-only: for the same number of main-task examples.")
]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Such as training.steps=500.")]


def train(
    group: Group = None,
    main_task: MainTask = None,
    aux: Auxiliaries = None,
    preset: PresetName = "demo",
    seed: Annotated[int, typer.Option(parser=whole_number, metavar="S", help="Model seed.")] = 0,
    position: PositionName = "rope",
    main_only: MainOnly = False,
    same_examples: SameExamples = False,
    settings: Settings = None,
    threads: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="CPU threads; default: all cores.")
    ] = None,
    device: Device = "cpu",
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


def submit(
    group: Group = None,
    main_task: MainTask = None,
    aux: Auxiliaries = None,
    preset: PresetName = "demo",
    seeds: Annotated[str, typer.Option(help="Model seeds, such as 0-4 or 0,2,5.")] = "0",
    position: PositionName = "rope",
    main_only: MainOnly = False,
    same_examples: SameExamples = False,
    settings: Settings = None,
    database: Database = None,
) -> None:  # fmt: skip
    """Queue one run for each seed; `worker` executes them. Prints their numbers."""
    from lgt.experiments.seeds import parse_seeds
    from lgt.recipes.labels import run_label
    from lgt.store import writes

    configs = [
        chosen_config(group, main_task, aux or [], preset, seed, position, main_only, same_examples, settings or [])
        for seed in parse_seeds(seeds)
    ]
    labels = [run_label(config) for config in configs]
    for run_id, label in zip(writes.create_runs(open_database(database), configs, labels=labels), labels, strict=True):
        print(f"run {run_id}: {label} queued")


def chosen_config(
    group: str | None, main_task: str | None, aux: list[str], preset: str, seed: int, position: str,
    main_only: bool, same_examples: bool, settings: list[str],
) -> RunConfig:  # fmt: skip
    """The config that the options of ``train`` describe. Raises ConfigError naming the option that is off."""
    from lgt.recipes.presets import baseline, custom_config, group_config
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
    check_transfers(config)
    check_run(config)
    return baseline(config, arm)


def task_spec(option: str, text: str) -> TaskSpec:
    """A task from ``TASK:LEN``. Raises ConfigError naming ``option``."""
    from lgt.tasks import task_named

    name, _, length = text.partition(":")
    if not length.isdecimal() or len(length) > 9:
        raise ConfigError(option, text, "TASK:LEN, such as reverse_add:6")
    return TaskSpec(task_named(name).name, "main" if option == "--main" else "auxiliary", int(length))


def experiment(
    name: str,
    seeds: Annotated[str, typer.Option(help="Such as 0-4 or 0,2,5.")] = "0-4",
    workers: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Single-thread worker processes.")] = 2,
    status: Annotated[bool, typer.Option("--status", help="Only say what is done and what is missing.")] = False,
    database: Database = None,
) -> None:
    """Make the runs of experiment NAME that the store does not have yet. Interrupt and repeat as you like."""
    from lgt.experiments.entries import experiment_named
    from lgt.experiments.seeds import parse_seeds

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


def claims(
    as_json: AsJson = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
    database: Database = None,
) -> None:
    """Print the verdict on every figure of the paper that has an experiment, from the finished runs of the store."""
    from lgt.experiments.claims import CLAIMS, verdict_counts
    from lgt.experiments.judging import judge_all
    from lgt.experiments.words import replaced_sentence, scale_sentence

    engine = open_database(database, read_only=True)
    found = judge_all(engine)
    if as_markdown:
        from lgt.experiments.tables import markdown_table
        from lgt.store import queries

        runs = queries.runs(engine)
        print("\n".join(markdown_table(found, dict(zip(runs.id, runs.seconds, strict=True)))))
        return
    if as_json:
        print(json.dumps([judgement.as_dict() for judgement in found], indent=2, ensure_ascii=False))
        return
    for number, text in CLAIMS.items():
        print(f"\n{number}. {text} So far: {counted(verdict_counts(found, number))}.")
        for judgement in (one for one in found if one.experiment.claim == number):
            entry = judgement.experiment
            where = f"{entry.name} (figure {entry.figures}, preset {entry.preset})"
            print(f"   {judgement.verdict:<16} {where}: {entry.statement}")
            print(f"   {'':<16} {judgement.sentence()}")
            print(f"   {'':<16} {scale_sentence(entry)}")
            if entry.replaced_by:
                print(f"   {'':<16} {replaced_sentence(entry)}")


def counted(verdicts: Mapping[str, int]) -> str:
    """Such as ``2 reproduced, 1 not run yet``."""
    return ", ".join(f"{number} {outcome}" for outcome, number in verdicts.items())


def report(path: str, database: Database = None) -> None:
    """Write all figures, verdicts and where they come from to the HTML file PATH, which opens without a server."""
    from lgt.report.html import write_report

    print(write_report(open_database(database, read_only=True), Path(path)))


def worker(
    once: Annotated[bool, typer.Option("--once", help="Stop after one run (or one lot, see --together).")] = False,
    count: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="So many worker processes.")] = 1,
    idle: Annotated[
        int, typer.Option(parser=whole_number, metavar="SECONDS", help="With an empty queue, wait so long for runs.")
    ] = 0,
    experiment_name: Annotated[str | None, typer.Option("--experiment", help="Only runs of this experiment.")] = None,
    threads: Annotated[int, typer.Option(parser=whole_number, metavar="N")] = 1,
    device: Device = "cpu",
    together: Annotated[
        int, typer.Option(parser=whole_number, metavar="K", help="Train up to K seeds of one config as one, on a GPU.")
    ] = 1,
    slot: Annotated[
        bool, typer.Option("--slot", help="Only if fewer than LGT_MAX_WORKERS workers with this option are running.")
    ] = False,
    database: Database = None,
) -> None:
    """Execute queued runs until none is left. SIGTERM or Ctrl-C: keep the state of the run, give it back, and exit."""
    check_choice("--device", device, ("cpu", "cuda"))
    check_integer("--threads", threads, 1, 1024)
    check_integer("--together", together, 1, 64)
    check_integer("--count", count, 1, 256)
    check_integer("--idle", idle, 0, 10**6)
    if together > 1 and device == "cpu":
        raise ConfigError("--together", together, "1 on a CPU, where one worker per core is faster")
    from lgt.execution import local

    if device != "cpu":
        from lgt.execution.run_session import check_device

        check_device(device)
    engine = open_database(database)
    url = engine.url.render_as_string(hide_password=False)
    if count > 1:
        options = ["--threads", str(threads), "--device", device, "--together", str(together), "--idle", str(idle)]
        options += ["--once"] * once + ["--slot"] * slot
        options += ["--experiment", experiment_name] if experiment_name else []
        raise typer.Exit(local.wait_for(local.start_workers(url, count, *options)))
    if slot:
        held = local.take_slot(url)
        if held is None:
            print("as many workers are running as this machine may carry (LGT_MAX_WORKERS)")
            return
    from lgt.execution.stop_signal import StopSignal
    from lgt.execution.worker import work

    with StopSignal() as leaving:
        work(
            engine, experiment=experiment_name, once=once, threads=threads, device=device, together=together,
            idle_seconds=idle, leaving=leaving,
        )  # fmt: skip


def runs(as_json: AsJson = False, database: Database = None) -> None:
    """List the runs of the store."""
    from lgt.store import live, queries

    engine = open_database(database, read_only=True)
    rows = json.loads(queries.runs(engine).to_json(orient="records"))
    for row in rows:
        row["stale"] = row["state"] == "running" and queries.is_stale(row["heartbeat_at"])
        row["shown"] = "stale" if row["stale"] else row["state"]
    left = {run.id: run.seconds_left for run in live.live_runs(engine)}
    for row in rows:
        seconds = left.get(row["id"])
        row["seconds_left"] = None if seconds is None else round(seconds)
    if as_json:
        print(json.dumps([{name: value for name, value in row.items() if name != "shown"} for row in rows], indent=2))
        return
    columns = [
        "id",
        "label",
        "shown",
        "preset",
        "model_seed",
        "step",
        "total_steps",
        "seconds",
        "seconds_left",
        "device",
    ]
    cli_tables.print_rows(rows, columns)


def cancel(run: str, database: Database = None) -> None:
    """Cancel a queued or running run; its worker stops within seconds. `retry` goes on with it."""
    from lgt.store import leases, queries

    engine = open_database(database)
    record = queries.run(engine, whole_number(run))
    if not leases.cancel_run(engine, record.id):
        raise StoreError(f"run {record.id} cannot be cancelled: it is {record.state}")
    print(f"run {record.id}: cancelled")


def retry(run: str, database: Database = None) -> None:
    """Queue a failed or cancelled run again; it goes on from where it was kept."""
    from lgt.store import queries, queue

    engine = open_database(database)
    record = queries.run(engine, whole_number(run))
    if not queue.retry(engine, record.id):
        raise StoreError(f"run {record.id} cannot be retried: it is {record.state}; failed and cancelled runs can")
    print(f"run {record.id}: queued again; `python -m lgt worker` executes it")


def attribute(run: str, database: Database = None) -> None:
    """Measure what each head of a finished run is needed for, from its stored weights; store and print it."""
    number = whole_number(run)
    engine = open_database(database, create=False)
    from lgt.execution.reattribute import attribute
    from lgt.model.checkpoint import CheckpointError
    from lgt.store import queries

    try:
        attribute(engine, number)
    except CheckpointError as error:
        raise StoreError(f"run {number}: {error}") from error
    cli_tables.print_heads(queries.head_scores(engine, [number]), queries.run(engine, number).config)


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
