"""One run from claim to finish, and the loop of a pull worker that does this until it is no longer needed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import torch
from sqlalchemy import Engine

from lgt.core.config import RunConfig
from lgt.execution.ensemble_worker import claim_together, execute_together
from lgt.execution.log_tail import LogTail
from lgt.execution.run_session import ClaimedRun, StoreRecorder, beating, device_name, every
from lgt.model.checkpoint import CheckpointError
from lgt.store import blobs, queue
from lgt.store.errors import StoreBusy
from lgt.store.queries import RunRecord
from lgt.store.schema import RunState
from lgt.training.fused.library import library
from lgt.training.loop import Stopped, train
from lgt.training.recorder import Recorder

POLL_SECONDS = 1.0
logger = logging.getLogger(__name__)


def never() -> bool:
    """The answer of a process that nobody asks to leave."""
    return False


def execute(
    engine: Engine, run_id: int, attempt: int, config: RunConfig, *, device: str = "cpu",
    recorder: Recorder | None = None, leaving: Callable[[], bool] = never,
    left: Callable[[ClaimedRun], RunState] = lambda run: run.finish(Stopped()),
) -> RunState:  # fmt: skip
    """Train a started run and finish it in the store; returns the state it ended in.

    A run that an earlier attempt left unfinished goes on from its newest training state. A failure of the run (loss not
    finite, out of memory, refused config, anything unforeseen) is stored with its reason and does not raise, nor does a
    cancelled one. When ``leaving`` says yes the run's state is kept and ``left`` decides what becomes of it: it goes
    back to the queue. A second interrupt ends it as cancelled and is raised.
    """
    run = ClaimedRun(engine, run_id, attempt, LogTail([engine.url.password]))
    recorder = recorder or StoreRecorder(engine, run_id, attempt)
    cancelled = every(2.0, run.cancelled)
    with run.log:
        try:
            with beating([run]):
                _train(run, config, recorder, device, lambda: leaving() or cancelled())
        except KeyboardInterrupt:
            run.interrupted()
            raise
        except Stopped as error:
            return left(run) if leaving() else run.finish(error)
        except Exception as error:
            return run.finish(error)
        return run.finish(None)


def _train(
    run: ClaimedRun, config: RunConfig, recorder: Recorder, device: str, should_stop: Callable[[], bool]
) -> None:
    if device == "cpu":
        run.name_device(device_name(device, config))
    state = run.state()
    try:
        train(config, recorder, device=device, should_stop=should_stop, state=state)
    except CheckpointError as error:
        if state is None:
            raise
        logger.warning("run %s starts over: %s", run.run_id, error)
        run.start_over()
        train(config, recorder, device=device, should_stop=should_stop)


def work(
    engine: Engine, *, experiment: str | None = None, once: bool = False, threads: int = 1, device: str = "cpu",
    together: int = 1, idle_seconds: float = 0.0, leaving: Callable[[], bool] = never,
    report: Callable[[str], None] = print,
) -> int:  # fmt: skip
    """Execute queued runs until none is left (or one lot is done, with ``once``); returns how many it executed.

    A lot is one run, or up to ``together`` that differ only in their model seed and are trained as one. With an empty
    queue the worker waits ``idle_seconds`` for new runs, and in any case for a run whose worker seems to be lost.
    """
    torch.set_num_threads(threads)
    if device == "cpu":
        library()  # compiled, if it must be, before a run waits for it
    blobs.remove_orphans(engine)

    def say(record: RunRecord, word: str) -> None:
        report(f"run {record.id}: {record.label} {word}")

    done, needed = 0, time.monotonic()
    while not leaving():
        try:
            queue.requeue_expired(engine)
            claimed = claim_together(engine, experiment=experiment, device=device, most=together)
        except StoreBusy as error:
            logger.warning("%s", error)
            continue
        for record, _ in claimed:
            say(record, "started")
        if len(claimed) == 1:
            record, attempt = claimed[0]
            say(record, execute(engine, record.id, attempt, record.config, device=device, leaving=leaving).value)
        elif claimed:
            execute_together(engine, claimed, device=device, leaving=leaving, report=say)
        done += len(claimed)
        if once:
            break
        if claimed or queue.has_stale_run(engine, experiment):
            needed = time.monotonic()
        elif time.monotonic() - needed >= idle_seconds:
            break
        if not claimed:
            time.sleep(POLL_SECONDS)
    return done
