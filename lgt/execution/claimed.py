"""A run that this process has claimed: what it writes to the store, and how it ends there."""

from __future__ import annotations

import logging
import os
import platform
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from sqlalchemy import Engine

from lgt.checks import ConfigError
from lgt.fused.library import library
from lgt.records import AccuracyRow, AttentionDifferenceRow, HeadScoreRow, LogRow
from lgt.store import queries, writes
from lgt.store.errors import LeaseLost, StoreError
from lgt.store.schema import RunState
from lgt.train import TrainingFailed

# Longer than the longest stretch without a write, which is the last evaluation with its ablation maps.
LEASE_SECONDS = 300.0
logger = logging.getLogger(__name__)


class StoreSink:
    """Writes what a run reports to the store, under the attempt number that claimed it."""

    def __init__(self, engine: Engine, run_id: int, attempt: int) -> None:
        self.engine, self.run_id, self.attempt = engine, run_id, attempt

    def progress(self, step: int, tokens: int, seconds: float, log: list[LogRow]) -> None:
        writes.record_progress(
            self.engine, self.run_id, self.attempt,
            step=step, tokens=tokens, seconds=seconds, log_rows=log, lease_seconds=LEASE_SECONDS,
        )  # fmt: skip

    def accuracy(self, step: int, rows: list[AccuracyRow]) -> None:
        writes.record_accuracy(self.engine, self.run_id, self.attempt, step, rows)

    def head_scores(self, step: int, rows: list[HeadScoreRow]) -> None:
        writes.record_head_scores(self.engine, self.run_id, self.attempt, step, rows)

    def attention_differences(self, step: int, rows: list[AttentionDifferenceRow]) -> None:
        writes.record_attention_differences(self.engine, self.run_id, self.attempt, step, rows)

    def checkpoint(self, step: int, weights: bytes) -> None:
        if len(weights) > writes.MAXIMUM_CHECKPOINT_BYTES:
            size = f"{len(weights):,} bytes, more than the {writes.MAXIMUM_CHECKPOINT_BYTES:,} a store takes"
            logger.warning("run %s: its weights are not kept (%s)", self.run_id, size)
            return
        writes.record_checkpoint(self.engine, self.run_id, self.attempt, step, weights)


@dataclass(frozen=True)
class ClaimedRun:
    """A run under the attempt number of this process."""

    engine: Engine
    run_id: int
    attempt: int

    def cancelled(self) -> bool:
        """Whether to stop: the run was cancelled, deleted or taken over."""
        return writes.cancel_requested(self.engine, self.run_id, self.attempt)

    def finish(self, error: Exception | None) -> RunState:
        """End the run as done, or failed with the reason of ``error``; returns the state it is in.

        A run that is no longer this attempt's stays as others left it.
        """
        try:
            if error is None:
                return self._end(RunState.DONE)
            if isinstance(error, LeaseLost):
                raise error
            return self._end(RunState.FAILED, self._reason(error))
        except LeaseLost:
            return self._standing()

    def interrupted(self) -> None:
        """End the run as cancelled by the user at the keyboard."""
        try:
            self._end(RunState.CANCELLED, "interrupted by the user")
        except LeaseLost:
            return

    def _end(self, state: RunState, reason: str | None = None) -> RunState:
        writes.finish_run(self.engine, self.run_id, self.attempt, state, reason)
        return state

    def _reason(self, error: Exception) -> str:
        if isinstance(error, TrainingFailed | ConfigError):
            return str(error)
        if isinstance(error, MemoryError | torch.OutOfMemoryError):
            return "out of memory; lower training.batch_size, the model's size or --together"
        # A bug or a broken installation must end this run only, and be findable.
        logger.error("run %s failed", self.run_id, exc_info=error)
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"

    def _standing(self) -> RunState:
        try:
            return queries.run(self.engine, self.run_id).state
        except StoreError:  # deleted
            return RunState.CANCELLED


def owner_name() -> str:
    """Host and process, to tell workers apart in the store."""
    return f"{socket.gethostname()}:{os.getpid()}"


def check_device(device: str) -> None:
    """Raise ConfigError when ``device`` is not there."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError("--device", device, "cpu (no CUDA device is visible here)")


def device_name(device: str) -> str:
    """What the numbers were computed on, such as ``cpu x86_64, 1 thread, fused step``; kept with the run.

    The fused step is named where this process has it (for runs in float32). It is compiled here if need be: before a
    run is claimed, so that the seconds of the run do not count it.
    """
    if device.startswith("cuda"):
        return f"{device} {torch.cuda.get_device_name(device)}"
    count = torch.get_num_threads()
    threads = f"{count} thread" + "s" * (count > 1)
    parts = [f"{device} {platform.machine()}", threads, *["fused step"] * bool(library()), f"torch {torch.__version__}"]
    return ", ".join(parts)


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
