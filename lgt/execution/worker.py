"""One run from claim to finish, and the loop of a pull worker that does this until the queue is empty."""

from __future__ import annotations

import logging
import os
import platform
import socket
import time
from collections.abc import Callable

import torch
from sqlalchemy import Engine

from lgt.checks import ConfigError
from lgt.config import RunConfig
from lgt.records import AccuracyRow, AttentionDifferenceRow, HeadScoreRow, LogRow
from lgt.sinks import Sink
from lgt.store import queries, queue, writes
from lgt.store.errors import LeaseLost
from lgt.store.schema import RunState
from lgt.train import TrainingFailed, train
from lgt.version import code_version

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


def owner_name() -> str:
    """Host and process, to tell workers apart in the store."""
    return f"{socket.gethostname()}:{os.getpid()}"


def device_name(device: str) -> str:
    """What the numbers were computed on, such as ``cpu x86_64, 1 thread``; kept with the run."""
    if device.startswith("cuda"):
        return f"{device} {torch.cuda.get_device_name(device)}"
    threads = torch.get_num_threads()
    return f"{device} {platform.machine()}, {threads} thread{'s' if threads > 1 else ''}, torch {torch.__version__}"


def execute(
    engine: Engine, run_id: int, attempt: int, config: RunConfig, *, device: str = "cpu",
    sink: Sink | None = None,
) -> RunState:  # fmt: skip
    """Train a started run and finish it in the store; returns the state it ended in.

    A failure of the run (loss not finite, out of memory, refused config, anything unforeseen) is stored with its reason
    and does not raise, nor does a cancelled one. An interrupt ends the run as cancelled and is raised again.
    """

    def cancelled() -> bool:
        return writes.cancel_requested(engine, run_id, attempt)

    try:
        train(config, sink or StoreSink(engine, run_id, attempt), device=device, should_stop=every(2.0, cancelled))
        if cancelled():
            return RunState.CANCELLED
    except LeaseLost:
        return queries.run(engine, run_id).state
    except KeyboardInterrupt:
        writes.finish_run(engine, run_id, attempt, RunState.CANCELLED, "interrupted by the user")
        raise
    except (TrainingFailed, ConfigError) as error:
        return _failed(engine, run_id, attempt, str(error))
    except (MemoryError, torch.OutOfMemoryError):
        return _failed(engine, run_id, attempt, "out of memory; lower training.batch_size or the model's size")
    except Exception as error:  # a bug or a broken installation must end this run only, and be findable
        logger.exception("run %s failed", run_id)
        return _failed(engine, run_id, attempt, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
    writes.finish_run(engine, run_id, attempt, RunState.DONE)
    return RunState.DONE


def _failed(engine: Engine, run_id: int, attempt: int, reason: str) -> RunState:
    writes.finish_run(engine, run_id, attempt, RunState.FAILED, reason)
    return RunState.FAILED


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


def work(
    engine: Engine, *, experiment: str | None = None, once: bool = False, threads: int = 1, device: str = "cpu",
    report: Callable[[str], None] = print,
) -> int:  # fmt: skip
    """Execute queued runs until none is left (or one is done, with ``once``); returns how many it executed."""
    torch.set_num_threads(threads)
    done = 0
    while True:
        queue.requeue_expired(engine)
        claimed = queue.claim(
            engine,
            owner_name(),
            device_name(device),
            experiment=experiment,
            lease_seconds=LEASE_SECONDS,
            code_version=code_version(),
        )
        if claimed is None:
            return done
        run_id, attempt = claimed
        record = queries.run(engine, run_id)
        report(f"run {run_id}: {record.label} started")
        state = execute(engine, run_id, attempt, record.config, device=device)
        report(f"run {run_id}: {record.label} {state.value}")
        done += 1
        if once:
            return done
