"""Commands that train runs: train, submit, worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated
from uuid import uuid4

import typer

from lgt.cli import tables as cli_tables
from lgt.cli.pretrained import from_start
from lgt.cli.shared_options import Database, Device, open_database, whole_number
from lgt.core import bounds
from lgt.core.checks import ConfigError, check_choice, check_integer
from lgt.core.choices import POSITIONS
from lgt.core.config import Arm, RunConfig, TaskSpec, check_transfers, pair_of, with_settings

Group = Annotated[str | None, typer.Option(help="Task group; `groups` lists them.")]
MainTask = Annotated[str | None, typer.Option("--main", metavar="TASK:LEN", help="Main task of your own task group.")]
Auxiliaries = Annotated[list[str] | None, typer.Option(metavar="TASK:LEN", help="Auxiliary task; may be repeated.")]
Controls = Annotated[
    list[str] | None, typer.Option("--control", metavar="TASK:LEN", help="Control task; may be repeated.")
]
PresetName = Annotated[str, typer.Option(help="Preset, such as demo, small, long or paper.")]
ENCODINGS = ", ".join(f"{name} ({POSITIONS.title(name)})" for name in POSITIONS)
PositionName = Annotated[str, typer.Option(help=f"Positional encoding: {ENCODINGS}.")]
MainOnly = Annotated[bool, typer.Option("--main-only", help="Train the main task alone, for the same steps.")]
SameExamples = Annotated[
    bool, typer.Option("--same-examples", help="With --main-only: for the same number of main-task examples.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change a field of the config, such as training.steps=500."),
]
Start = Annotated[
    str, typer.Option("--start", metavar="SOURCE", help="Start from a pretrained network; `pretrained` explains it.")
]


def train(
    group: Group = None,
    main_task: MainTask = None,
    aux: Auxiliaries = None,
    control: Controls = None,
    preset: PresetName = "demo",
    seed: Annotated[int, typer.Option(parser=whole_number, metavar="S", help="Model seed.")] = 0,
    position: PositionName = "rope",
    main_only: MainOnly = False,
    same_examples: SameExamples = False,
    settings: Settings = None,
    start: Start = "",
    threads: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="Number of CPU threads; default: all cores.")
    ] = None,
    device: Device = "cpu",
    database: Database = None,
) -> None:  # fmt: skip
    """Train one run in the foreground, write it to the store and print its accuracy table."""
    config = chosen_config(
        group, main_task, aux or [], preset, seed, position, main_only, same_examples, settings or [], control or [],
        start,
    )  # fmt: skip
    check_choice("--device", device, ("cpu", "cuda"))
    if threads is not None:
        check_integer("--threads", threads, 1, bounds.THREADS.most)
    engine = open_database(database)
    from lgt.execution.foreground import run_in_foreground

    run_in_foreground(engine, config, threads=threads, device=device, show=cli_tables.print_accuracy)


def submit(
    group: Group = None,
    main_task: MainTask = None,
    aux: Auxiliaries = None,
    control: Controls = None,
    preset: PresetName = "demo",
    seeds: Annotated[str, typer.Option(help="Model seeds, such as 0-4 or 0,2,5.")] = "0",
    position: PositionName = "rope",
    main_only: MainOnly = False,
    same_examples: SameExamples = False,
    settings: Settings = None,
    start: Start = "",
    database: Database = None,
) -> None:  # fmt: skip
    """Queue one run for each seed and print their numbers. `worker` executes them."""
    from lgt.experiments.seeds import parse_seeds
    from lgt.recipes.labels import run_label
    from lgt.store import writes
    from lgt.store.patience import patiently

    first, *others = parse_seeds(seeds)
    chosen = chosen_config(
        group, main_task, aux or [], preset, first, position, main_only, same_examples, settings or [], control or [],
        start,
    )  # fmt: skip
    configs = [chosen, *(replace(chosen, model_seed=seed) for seed in others)]
    labels, engine, token = [run_label(config) for config in configs], open_database(database), str(uuid4())
    ids = patiently(lambda: writes.create_runs(engine, configs, labels=labels, token=token))  # a second try queues none
    for run_id, label in zip(ids, labels, strict=True):
        print(f"run {run_id}: {label} queued")


def chosen_config(
    group: str | None, main_task: str | None, aux: list[str], preset: str, seed: int, position: str,
    main_only: bool, same_examples: bool, settings: list[str], control: Sequence[str] = (), start: str = "",
) -> RunConfig:  # fmt: skip
    """The config that the options of ``train`` describe. Raises ConfigError with the name of the wrong option."""
    from lgt.recipes.presets import baseline, custom_config, group_config
    from lgt.tasks import check_run, task_named

    POSITIONS.check(position, "--position")
    if same_examples and not main_only:
        raise ConfigError("--same-examples", True, "together with --main-only")
    arm: Arm = "co-trained"
    if main_only:
        arm = "alone-same-examples" if same_examples else "alone-same-steps"
    if (group is None) == (main_task is None):
        raise ConfigError("--group", group, "either --group KEY or --main TASK:LEN")
    if group is not None:
        for option, texts in (("--aux", aux), ("--control", control)):
            if texts:
                raise ConfigError(option, texts[0], "only together with --main; a group has its own auxiliary tasks")
        config = group_config(group, preset, position=position, seed=seed)
    else:
        assert main_task is not None
        specs = [task_spec("--main", main_task), *(task_spec("--aux", text) for text in aux)]
        specs += [task_spec("--control", text) for text in control]
        config = custom_config(specs, preset, task_named(specs[0].task).family, position=position, seed=seed)
    if start and position != "rope":
        raise ConfigError("--position", position, "rope together with --start, as the pretrained network has it")
    config = from_start(config, start)
    for setting in settings:
        if "=" not in setting:
            raise ConfigError("--set", setting, "PATH=VALUE, such as training.steps=500")
    config = with_settings(config, [pair_of(setting) for setting in settings])
    check_transfers(config)
    check_run(config)  # before a run is stored; `train` checks again, because a queued config comes from a store
    return baseline(config, arm)


def task_spec(option: str, text: str) -> TaskSpec:
    """Parse ``TASK:LEN``. Raises ConfigError with the name of ``option``."""
    from lgt.recipes.commands import TASK_OPTIONS
    from lgt.tasks import task_named

    name, _, length = text.partition(":")
    if not length.isdecimal() or len(length) > 9:
        raise ConfigError(option, text, "TASK:LEN, such as reverse_add:6")
    role = next(role for role, known in TASK_OPTIONS.items() if known == option)
    return TaskSpec(task_named(name).name, role, int(length))


def worker(
    once: Annotated[
        bool, typer.Option("--once", help="Stop after one run, or after one ensemble (see --together).")
    ] = False,
    count: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Number of worker processes.")] = 1,
    idle: Annotated[
        int, typer.Option(parser=whole_number, metavar="SECONDS", help="How long to wait for runs when there are none.")
    ] = 0,
    experiment_name: Annotated[str | None, typer.Option("--experiment", help="Only runs of this experiment.")] = None,
    threads: Annotated[
        int, typer.Option(parser=whole_number, metavar="N", help="Number of CPU threads of each worker.")
    ] = 1,
    device: Device = "cpu",
    together: Annotated[
        int,
        typer.Option(parser=whole_number, metavar="K", help="On a GPU: train up to K seeds of one config together."),
    ] = 1,
    slot: Annotated[
        bool, typer.Option("--slot", help="Start only if fewer than LGT_MAX_WORKERS workers with --slot are running.")
    ] = False,
    database: Database = None,
) -> None:
    """Execute queued runs until the queue is empty. SIGTERM or Ctrl-C stores the run's state, requeues it and exits."""
    check_worker_options(threads, together, count, idle, device)
    engine = open_database(database)
    from lgt.execution import worker_processes
    from lgt.store.engine import full_url

    if count > 1:
        options = ["--threads", str(threads), "--device", device, "--together", str(together), "--idle", str(idle)]
        options += ["--once"] * once + ["--slot"] * slot
        options += ["--experiment", experiment_name] if experiment_name else []
        workers = worker_processes.start_workers(full_url(engine), count, *options)
        raise typer.Exit(worker_processes.wait_for_workers(workers))
    locked_slot = worker_processes.take_slot(full_url(engine)) if slot else None
    if slot and locked_slot is None:
        print("all worker slots of this machine are taken (LGT_MAX_WORKERS)")
        return
    from lgt.execution.log_tail import log_in_utc, print_in_utc
    from lgt.execution.stop_signal import StopSignal
    from lgt.execution.worker import work

    log_in_utc()
    with StopSignal() as stop_requested:
        work(
            engine, experiment=experiment_name, once=once, threads=threads, device=device, together=together,
            idle_seconds=idle, stop_requested=stop_requested, report=print_in_utc if slot else print,
        )  # fmt: skip


def check_worker_options(threads: int, together: int, count: int, idle: int, device: str) -> None:
    """Raise ConfigError with the name of the first option of ``worker`` that is not accepted."""
    check_choice("--device", device, ("cpu", "cuda"))
    check_integer("--threads", threads, 1, bounds.THREADS.most)
    check_integer("--together", together, 1, bounds.TOGETHER.most)
    check_integer("--count", count, 1, bounds.PROCESSES.most)
    check_integer("--idle", idle, 0, 10**6)
    if together > 1 and device == "cpu":
        raise ConfigError("--together", together, "1 on a CPU, where one worker per core is faster")
    if device != "cpu":
        from lgt.execution.device import check_device

        check_device(device)
