"""Functions that the fault tests run in other processes, which are forked from a process that has loaded torch."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

from sqlalchemy import event

from lgt.core.config import RunConfig
from lgt.core.records import AccuracyRow, LogRow
from lgt.store import blobs, leases, queries, queue, writes
from lgt.store.engine import open_store
from tests.conftest import tiny

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tests.faults.processes", "lgt.execution.worker"])


def config(steps: int = 60, **changes: Any) -> RunConfig:
    """A run of about a second, with four evaluations."""
    run = tiny(steps=steps, **changes)
    return replace(run, evaluation=replace(run.evaluation, snapshots=4))


def started(target: Callable[..., None], *arguments: Any) -> Any:
    """Start ``target`` in another process."""
    process = SERVER.Process(target=target, args=arguments)
    # AppTest leaves a page's script as the main module, which the new process would run.
    with patch.dict(sys.modules, {"__main__": ModuleType("__main__")}):
        process.start()
    return process


def ended(process: Any) -> int:
    """Wait for the process; its exit code, negative for a signal."""
    process.join()
    code: int = process.exitcode
    return code


def write_steadily(path: str, number: int, seconds: float, pause: float) -> None:
    """Report of one run, ``1 / pause`` times a second; exits 1 at the first error."""
    engine = open_store(path)
    run_id = writes.create_run(engine, config(model_seed=number), label=f"writer {number}")
    attempt = leases.start_run(engine, run_id, f"writer {number}", "cpu")
    step, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        step += 1
        row = LogRow(step, 1.0, 0.1, 1.0)
        writes.record_progress(engine, run_id, attempt, step=step, tokens=step, seconds=step, log_rows=[row])
        writes.record_accuracy(engine, run_id, attempt, step, accuracy_rows(step))
        time.sleep(pause)
    leases.finish_run(engine, run_id, attempt, "done")


def accuracy_rows(step: int) -> list[AccuracyRow]:
    """What ``write_steadily`` reports at a step."""
    return [AccuracyRow("capitalize_reverse", length, step % 40, 40) for length in range(1, 8)]


def write_hot(path: str, number: int, count: int) -> None:
    """``count`` transactions that read before they write, one after the other."""
    os.environ["LGT_MAX_QUEUE"] = "1000000"
    engine = open_store(path)
    for n in range(count):
        writes.create_run(engine, config(), token=f"{number}-{n}")


def poll(path: str, until: str) -> None:
    """Read as a page does until the file ``until`` appears."""
    engine = open_store(path, read_only=True)
    while not Path(until).exists():
        frame = queries.runs(engine)
        queries.accuracy(engine, frame.id.tolist()[-8:])
        time.sleep(0.05)


def claim_all(url: str, owner: str, results: Any) -> None:
    """Claim until the queue is empty; what was claimed goes to ``results``."""
    engine = open_store(url)
    taken = []
    while (claimed := queue.claim(engine, owner, "cpu")) is not None:
        taken.append(claimed[0])
    results.put(taken)


def work(path: str, idle: float = 0.0, heartbeat: float = 5.0, lease: float = 45.0) -> None:
    """A worker that stores a training state at every step, with the given heartbeat and lease times."""
    from lgt.execution import worker
    from lgt.execution.stop_signal import SIGNALS, StopSignal
    from lgt.training import loop

    for number in SIGNALS:  # the process that started the tests may ignore some signals, and children inherit that
        signal.signal(number, signal.SIG_DFL)
    loop.KEEP_SECONDS = 0.0
    leases.HEARTBEAT_SECONDS, leases.STALE_SECONDS, leases.LEASE_SECONDS = heartbeat, 2 * heartbeat, lease
    with StopSignal() as stop_requested:
        worker.work(open_store(path), idle_seconds=idle, stop_requested=stop_requested, report=lambda line: None)


def work_through_restarts(url: str, until: str) -> None:
    """A worker of a server that is stopped and started again and again; it waits for runs until the file ``until``
    appears. Its pauses are short."""
    from lgt.execution import worker
    from lgt.store import patience
    from lgt.training import loop

    patience.FIRST_PAUSE, patience.LONGEST_PAUSE = 0.1, 0.5
    worker.LONGEST_POLL_SECONDS = worker.POLL_SECONDS = 0.2
    loop.KEEP_SECONDS = 0.2
    leases.HEARTBEAT_SECONDS, leases.LEASE_SECONDS = 1.0, 20.0
    with patience.waiting():
        engine = open_store(url)
        worker.work(engine, idle_seconds=1e6, stop_requested=Path(until).exists, report=lambda line: None)


def work_and_die(path: str, kind: str, number: int, acknowledged: str) -> None:
    """A worker that kills itself with SIGKILL at the ``number``-th point of a ``kind``.

    ``statement``: before an SQL statement; ``commit``: before a commit; ``committed``: after one; ``file``: within the
    writing of a file, after half of its bytes. Every accuracy row whose write returned is noted in the file
    ``acknowledged`` first.
    """
    left = number

    def count(*_: object, **__: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    engine = open_store(path)
    if kind == "statement":
        event.listen(engine, "before_cursor_execute", count)
    elif kind == "commit":
        event.listen(engine, "commit", count)
    elif kind == "committed":
        event.listen(engine, "checkin", count)
    else:
        real = blobs.write_file

        def write_half(place: Path, name: str, data: bytes) -> None:
            if left == 0:
                place.mkdir(exist_ok=True)
                (place / f".{name}.{os.getpid()}.new").write_bytes(data[: len(data) // 2])
            count()
            real(place, name, data)

        blobs.write_file = write_half
    from lgt.execution import worker
    from lgt.training import loop

    record = writes.record_accuracy

    def record_and_note(engine: Any, run_id: int, attempt: int, step: int, rows: Any) -> None:
        record(engine, run_id, attempt, step, rows)
        with open(acknowledged, "a") as notes:
            notes.write(f"{step}\n")

    writes.record_accuracy = record_and_note
    loop.KEEP_SECONDS = 0.0
    worker.work(engine, report=lambda line: None)
