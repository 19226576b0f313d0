"""Train one run in the foreground, with a progress bar, and show its accuracy table at the end."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy import Engine

from lgt.core.config import RunConfig
from lgt.core.plain_text import for_terminal
from lgt.core.records import AccuracyRow, LogRow
from lgt.core.terminal import console
from lgt.core.version import code_version
from lgt.execution.device import check_device, prepare_device
from lgt.execution.run_session import ClaimedRun, StoreRecorder, owner_name
from lgt.execution.stop_signal import StopSignal
from lgt.execution.worker import execute
from lgt.recipes.labels import run_label
from lgt.store import leases, queries, writes
from lgt.store.schema import RunState


class ProgressRecorder(StoreRecorder):
    """A store recorder that also updates a progress bar."""

    def __init__(self, engine: Engine, run_id: int, attempt: int, bar: Progress, steps: int, main: str) -> None:
        super().__init__(engine, run_id, attempt)
        self.bar, self.main = bar, main
        self.task = bar.add_task("training", total=steps, loss="", speed="")

    def progress(self, step: int, tokens: int, seconds: float, log: list[LogRow]) -> None:
        super().progress(step, tokens, seconds, log)
        if log:
            speed = f"{log[-1].tokens_per_second:,.0f} tokens/s"
            self.bar.update(self.task, loss=f"loss {log[-1].loss:.3f}", speed=speed)
        self.bar.update(self.task, completed=step)

    def accuracy(self, step: int, rows: list[AccuracyRow]) -> None:
        super().accuracy(step, rows)
        curve = " ".join(f"{100 * row.correct / row.total:.0f}" for row in rows if row.task == self.main)
        self.bar.console.print(f"step {step:>6}  {self.main} exact match % by length: {curve}", highlight=False)


def progress_bar() -> Progress:
    """A bar with percentage, loss, speed and remaining time, which disappears at the end."""
    text = TextColumn("{task.percentage:3.0f}%  {task.fields[loss]}  {task.fields[speed]}")
    return Progress(BarColumn(), text, TimeRemainingColumn(), console=console(), transient=True)


def run_in_foreground(
    engine: Engine, config: RunConfig, *, threads: int | None, device: str, show: Callable[[pd.DataFrame], None]
) -> None:
    """Train ``config`` now, write it to the store and ``show`` its accuracy table.

    Raises SystemExit with code 1 when the run fails. After Ctrl-C the run is cancelled and KeyboardInterrupt is raised.
    """
    check_device(device)
    if threads is not None:
        torch.set_num_threads(threads)
    prepare_device(device)
    label = run_label(config)
    run_id = writes.create_run(engine, config, label=label, code_version=code_version(), state=RunState.RUNNING)
    attempt = leases.start_run(engine, run_id, owner_name(), device)
    print(f"run {run_id}: {label}")
    with StopSignal() as stop_requested, progress_bar() as bar:
        recorder = ProgressRecorder(engine, run_id, attempt, bar, config.training.steps, config.main.task)
        state = execute(
            engine,
            run_id,
            attempt,
            config,
            device=device,
            recorder=recorder,
            stop_requested=stop_requested,
            on_stop=ClaimedRun.interrupt,
        )
    if stop_requested() and state is RunState.CANCELLED:
        print(f"run {run_id}: interrupted; `python -m lgt retry {run_id}` queues it again and a worker resumes it")
        raise KeyboardInterrupt
    record = queries.run(engine, run_id)
    print(f"run {run_id}: {state.value}" + (f": {for_terminal(record.error)}" if record.error else ""))
    show(queries.accuracy(engine, [run_id]))
    if state is not RunState.DONE:
        raise SystemExit(1)
