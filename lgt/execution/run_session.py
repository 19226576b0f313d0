"""A run that this process trains: how it writes to the store, sends heartbeats and ends."""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from sqlalchemy import Engine

from lgt.core.checks import ConfigError
from lgt.core.records import AccuracyRow, AttentionDifferenceRow, HeadScoreRow, InterchangeRow, LogRow
from lgt.core.version import code_version
from lgt.execution.log_tail import LogTail
from lgt.store import blobs, leases, queries, writes
from lgt.store.errors import DISK_FULL, LeaseLost, StoreBusy, StoreError
from lgt.store.patience import patiently, waiting
from lgt.store.schema import RunState
from lgt.training.loop import Stopped, TrainingFailed

logger = logging.getLogger(__name__)


class StoreRecorder:
    """A recorder that writes a run's measurements to the store, with the run's attempt number."""

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

    def interchanges(self, step: int, rows: list[InterchangeRow]) -> None:
        self._write(writes.record_interchanges, step, rows)

    def checkpoint(self, step: int, weights: bytes) -> None:
        self._write(writes.record_checkpoint, step, weights)

    def training_state(self, step: int, state: bytes) -> None:
        self._write(leases.save_state, step, state, code_version())

    def _write(self, write: Callable[..., None], *arguments: Any, **named: Any) -> None:
        patiently(lambda: write(self.engine, self.run_id, self.attempt, *arguments, **named))


@dataclass(frozen=True)
class ClaimedRun:
    """A run that this process started, with its attempt number. If the run fails, its row gets the text of ``log``."""

    engine: Engine
    run_id: int
    attempt: int
    log: LogTail

    def heartbeat(self) -> bool:
        """Write a heartbeat. False when this process no longer owns the run."""
        try:
            leases.heartbeat(self.engine, self.run_id, self.attempt)
        except LeaseLost:
            return False
        except StoreError as error:  # locked, or the disk is full; the next heartbeat may succeed
            logger.warning("run %s: no heartbeat: %s", self.run_id, error)
        return True

    def cancelled(self) -> bool:
        """Whether training must stop: the run was cancelled, deleted or taken over. False while the store is busy: the
        next write finds out."""
        try:
            with waiting(False):  # training must hear a signal to stop
                return leases.lease_lost(self.engine, self.run_id, self.attempt)
        except StoreBusy as error:
            logger.warning("run %s: not known whether it was cancelled: %s", self.run_id, error)
            return False

    def state(self) -> bytes | None:
        """The training state to resume from. Without a usable state, deletes earlier measurements; returns None."""
        if self.attempt == 1:
            return None
        state = patiently(lambda: blobs.newest_state(self.engine, self.run_id, code_version()))
        if state is None:
            self.reset()
        return state

    def reset(self) -> None:
        """Delete the measurements of earlier attempts. Raises LeaseLost."""
        patiently(lambda: leases.reset_run(self.engine, self.run_id, self.attempt))

    def record_device(self, device: str, resumed: bool = False) -> None:
        """Store the name of the device that trains the run, beside the earlier ones if it was ``resumed``. Raises
        LeaseLost."""
        patiently(lambda: leases.record_device(self.engine, self.run_id, self.attempt, device, resumed=resumed))

    def finish(self, error: Exception | None) -> RunState:
        """End the run as done, or as failed because of ``error``; returns the run's state.

        After Stopped, and after a store that stayed busy, the run goes back to the queue. After LeaseLost nothing is
        written. Raises StoreError if no retry can write to the store.
        """
        if error is None:
            return self._end(RunState.DONE)
        if isinstance(error, LeaseLost):
            return self._stored_state()
        if isinstance(error, Stopped | StoreBusy):
            return self._unless_lost(self._release)
        return self._end(RunState.FAILED, self._reason(error))

    def interrupt(self) -> RunState:
        """End the run as cancelled by the user with Ctrl-C. The command ``retry`` resumes it."""
        return self._end(RunState.CANCELLED, "interrupted by the user")

    def _end(self, state: RunState, reason: str | None = None) -> RunState:
        def write() -> RunState:
            log = self.log.text() if state is RunState.FAILED else None
            leases.finish_run(self.engine, self.run_id, self.attempt, state, reason, log_tail=log)
            return state

        return self._unless_lost(lambda: patiently(write, StoreError))

    def _release(self) -> RunState:
        patiently(lambda: leases.release_run(self.engine, self.run_id, self.attempt))
        return RunState.QUEUED

    def _unless_lost(self, write: Callable[[], RunState]) -> RunState:
        try:
            return write()
        except LeaseLost:
            return self._stored_state()

    def _reason(self, error: Exception) -> str:
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            reason = "out of memory; lower training.batch_size, the model's size or --together"
        elif DISK_FULL in str(error) or getattr(error, "errno", None) == errno.ENOSPC:
            reason = DISK_FULL
        elif isinstance(error, TrainingFailed | ConfigError | StoreError):
            reason = str(error)
        else:  # a bug or a broken installation: only this run fails, and its row says why
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        expected = isinstance(error, TrainingFailed | ConfigError)
        logger.error("run %s failed: %s", self.run_id, reason, exc_info=None if expected else error)
        return reason

    def _stored_state(self) -> RunState:
        try:
            return patiently(lambda: queries.run(self.engine, self.run_id)).state
        except StoreError:  # the run was deleted
            return RunState.CANCELLED


@contextmanager
def heartbeats(runs: Sequence[ClaimedRun]) -> Iterator[None]:
    """Inside the block a thread writes heartbeats for ``runs``, also during a long step or measurement."""
    over = threading.Event()

    def write_heartbeats() -> None:
        owned = list(runs)
        while owned and not over.wait(leases.HEARTBEAT_SECONDS):
            owned = [run for run in owned if run.heartbeat()]

    thread = threading.Thread(target=write_heartbeats, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def owner_name() -> str:
    """Host name and process id: the owner of a run in the store."""
    return f"{socket.gethostname()}:{os.getpid()}"


def at_most_every(seconds: float, condition: Callable[[], bool]) -> Callable[[], bool]:
    """A function that calls ``condition`` at most once in ``seconds``. It returns False in between."""
    last = time.monotonic()

    def check() -> bool:
        nonlocal last
        if time.monotonic() - last < seconds:
            return False
        last = time.monotonic()
        return condition()

    return check
