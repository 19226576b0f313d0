"""A run that this process has claimed: what it writes to the store, and how it ends there."""

from __future__ import annotations

import errno
import logging
import os
import platform
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from sqlalchemy import Engine

from lgt.core.checks import ConfigError
from lgt.core.config import RunConfig
from lgt.core.records import AccuracyRow, AttentionDifferenceRow, HeadScoreRow, LogRow
from lgt.core.version import code_version
from lgt.execution.log_tail import LogTail
from lgt.store import blobs, leases, queries, writes
from lgt.store.errors import DISK_FULL, LeaseLost, StoreBusy, StoreError
from lgt.store.schema import RunState
from lgt.training.fused.library import library
from lgt.training.loop import Stopped, TrainingFailed

PAUSES = (1.0, 2.0, 4.0, 8.0)  # seconds between attempts to write; together less than a lease
logger = logging.getLogger(__name__)
T = TypeVar("T")


class StoreRecorder:
    """Writes what a run reports to the store, under the attempt number that claimed it."""

    def __init__(self, engine: Engine, run_id: int, attempt: int) -> None:
        self.engine, self.run_id, self.attempt = engine, run_id, attempt

    def progress(self, step: int, tokens: int, seconds: float, log: list[LogRow]) -> None:
        self._write(writes.record_progress, step=step, tokens=tokens, seconds=seconds, log_rows=log)

    def accuracy(self, step: int, rows: list[AccuracyRow]) -> None:
        self._write(writes.record_accuracy, step, rows)

    def head_scores(self, step: int, rows: list[HeadScoreRow]) -> None:
        self._write(writes.record_head_scores, step, rows)

    def attention_differences(self, step: int, rows: list[AttentionDifferenceRow]) -> None:
        self._write(writes.record_attention_differences, step, rows)

    def checkpoint(self, step: int, weights: bytes) -> None:
        self._write(writes.record_checkpoint, step, weights)

    def training_state(self, step: int, state: bytes) -> None:
        self._write(leases.save_state, step, state, code_version())

    def _write(self, write: Callable[..., None], *arguments: Any, **named: Any) -> None:
        patiently(lambda: write(self.engine, self.run_id, self.attempt, *arguments, **named), StoreBusy)


@dataclass(frozen=True)
class ClaimedRun:
    """A run under the attempt number of this process. ``log`` collects what is kept with the run if it fails."""

    engine: Engine
    run_id: int
    attempt: int
    log: LogTail

    def beat(self) -> bool:
        """Say that this process is alive; False when the run is no longer its own."""
        try:
            leases.heartbeat(self.engine, self.run_id, self.attempt)
        except LeaseLost:
            return False
        except StoreError as error:  # locked, or the disk is full: perhaps not at the next beat
            logger.warning("run %s: no heartbeat: %s", self.run_id, error)
        return True

    def cancelled(self) -> bool:
        """Whether to stop: the run was cancelled, deleted or taken over."""
        return leases.lease_lost(self.engine, self.run_id, self.attempt)

    def state(self) -> bytes | None:
        """From where to go on. Without a usable state the run starts over, without the rows of earlier attempts."""
        if self.attempt == 1:
            return None
        kept = blobs.newest_state(self.engine, self.run_id, code_version())
        if kept is None:
            self.start_over()
        return kept

    def start_over(self) -> None:
        """Remove what earlier attempts left. Raises LeaseLost."""
        patiently(lambda: leases.reset_run(self.engine, self.run_id, self.attempt), StoreBusy)

    def name_device(self, device: str) -> None:
        """Keep with the run what computes it. Raises LeaseLost."""
        patiently(lambda: leases.record_device(self.engine, self.run_id, self.attempt, device), StoreBusy)

    def finish(self, error: Exception | None) -> RunState:
        """End the run as done, or failed with the reason of ``error``; returns the state it is in.

        A run that was Stopped goes back to the queue; one that is no longer this attempt's stays as others left it.
        Raises StoreError when the store cannot be written for a while.
        """
        if error is None:
            return self._end(RunState.DONE)
        if isinstance(error, LeaseLost):
            return self._standing()
        if isinstance(error, Stopped):
            return self._unless_lost(self._give_back)
        return self._end(RunState.FAILED, self._reason(error))

    def interrupted(self) -> RunState:
        """End the run as cancelled by the user at the keyboard; ``retry`` goes on with it."""
        return self._end(RunState.CANCELLED, "interrupted by the user")

    def _end(self, state: RunState, reason: str | None = None) -> RunState:
        def write() -> RunState:
            log = self.log.text() if state is RunState.FAILED else None
            leases.finish_run(self.engine, self.run_id, self.attempt, state, reason, log_tail=log)
            return state

        return self._unless_lost(lambda: patiently(write))

    def _give_back(self) -> RunState:
        leases.release_run(self.engine, self.run_id, self.attempt)
        return RunState.QUEUED

    def _unless_lost(self, write: Callable[[], RunState]) -> RunState:
        try:
            return write()
        except LeaseLost:
            return self._standing()

    def _reason(self, error: Exception) -> str:
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            reason = "out of memory; lower training.batch_size, the model's size or --together"
        elif DISK_FULL in str(error) or getattr(error, "errno", None) == errno.ENOSPC:
            reason = DISK_FULL
        elif isinstance(error, TrainingFailed | ConfigError | StoreError):
            reason = str(error)
        else:  # a bug or a broken installation must end this run only, and be findable
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        foreseen = isinstance(error, TrainingFailed | ConfigError)
        logger.error("run %s failed: %s", self.run_id, reason, exc_info=None if foreseen else error)
        return reason

    def _standing(self) -> RunState:
        try:
            return queries.run(self.engine, self.run_id).state
        except StoreError:  # deleted
            return RunState.CANCELLED


@contextmanager
def beating(runs: Sequence[ClaimedRun]) -> Iterator[None]:
    """Inside the block a thread beats for ``runs``, however long a step or a measurement takes."""
    over = threading.Event()

    def beat() -> None:
        held = list(runs)
        while held and not over.wait(leases.HEARTBEAT_SECONDS):
            held = [run for run in held if run.beat()]

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def patiently(write: Callable[[], T], refusal: type[StoreError] = StoreError) -> T:
    """``write``, again after a pause while the store gives this kind of ``refusal``; LeaseLost is final."""
    for pause in PAUSES:
        try:
            return write()
        except LeaseLost:
            raise
        except refusal as error:
            logger.warning("%s; trying again in %g s", error, pause)
            time.sleep(pause)
    return write()


def owner_name() -> str:
    """Host and process, to tell workers apart in the store."""
    return f"{socket.gethostname()}:{os.getpid()}"


def check_device(device: str) -> None:
    """Raise ConfigError when ``device`` is not there."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError("--device", device, "cpu (no CUDA device is visible here)")


def device_name(device: str, config: RunConfig | None = None) -> str:
    """What the numbers were computed on, such as ``cpu Intel(R) Xeon(R) Processor, 1 thread, fused step``.

    Of a run's ``config`` the fused step is named if it trains with it. It is compiled here if need be: before a run is
    claimed, so that the seconds of the run do not count it.
    """
    if device.startswith("cuda"):
        return f"{device} {torch.cuda.get_device_name(device)}"
    count = torch.get_num_threads()
    threads = f"{count} thread" + "s" * (count > 1)
    fused = library() is not None and (config is None or config.training.precision == "float32")
    parts = [f"{device} {processor_name()}", threads, *["fused step"] * fused, f"torch {torch.__version__}"]
    return ", ".join(parts)


def processor_name() -> str:
    """The processor's model where the system names it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def every(seconds: float, question: Callable[[], bool]) -> Callable[[], bool]:
    """``question``, asked at most once in ``seconds``; in between the answer is no."""
    last = time.monotonic()

    def ask() -> bool:
        nonlocal last
        if time.monotonic() - last < seconds:
            return False
        last = time.monotonic()
        return question()

    return ask
