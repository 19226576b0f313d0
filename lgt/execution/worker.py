"""The training of one run until its final state is stored, and the loop in which a worker does this."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import torch
from sqlalchemy import Engine

from lgt.core.config import RunConfig
from lgt.core.paths import cache_directory
from lgt.core.plain_text import for_terminal
from lgt.execution.device import device_name, prepare_device
from lgt.execution.ensemble_worker import claim_together, execute_together
from lgt.execution.log_tail import LogTail
from lgt.execution.run_session import ClaimedRun, StoreRecorder, at_most_every, heartbeats
from lgt.model.checkpoint import CheckpointError
from lgt.store import atomic_files, blobs, dropped, queue, reading_copies
from lgt.store.errors import StoreBusy
from lgt.store.queries import RunRecord
from lgt.store.schema import RunState
from lgt.training.loop import Stopped, train
from lgt.training.recorder import Recorder

POLL_SECONDS = 1.0
logger = logging.getLogger(__name__)


def never() -> bool:
    """The stop condition of a process that gets no stop signals: always False."""
    return False


def execute(
    engine: Engine, run_id: int, attempt: int, config: RunConfig, *, device: str = "cpu",
    recorder: Recorder | None = None, stop_requested: Callable[[], bool] = never,
    on_stop: Callable[[ClaimedRun], RunState] = lambda run: run.finish(Stopped()),
) -> RunState:  # fmt: skip
    """Train a started run and store its final state, which is returned.

    A run with a training state from an earlier attempt resumes from it. A failure of the run (loss not finite, out of
    memory, refused config, any other error) is stored with its reason and not raised. A cancellation is not raised
    either. When
    ``stop_requested`` returns True, the training state is stored and ``on_stop`` is called; by default the run goes
    back to the queue. A second interrupt ends the run as cancelled and is raised.
    """
    run = ClaimedRun(engine, run_id, attempt, LogTail([engine.url.password]))
    recorder = recorder or StoreRecorder(engine, run_id, attempt)
    cancelled = at_most_every(2.0, run.cancelled)
    with run.log:
        try:
            with heartbeats([run]):
                _train(run, config, recorder, device, lambda: stop_requested() or cancelled())
        except KeyboardInterrupt:
            run.interrupt()
            raise
        except Stopped as error:
            return on_stop(run) if stop_requested() else run.finish(error)
        except Exception as error:
            return run.finish(error)
        return run.finish(None)


def _train(
    run: ClaimedRun, config: RunConfig, recorder: Recorder, device: str, should_stop: Callable[[], bool]
) -> None:
    run.record_device(device_name(device, config))
    state = run.state()
    try:
        train(config, recorder, device=device, should_stop=should_stop, state=state)
    except CheckpointError as error:
        if state is None:
            raise
        logger.warning("run %s starts over: %s", run.run_id, error)
        run.reset()
        train(config, recorder, device=device, should_stop=should_stop)


def remove_what_nobody_uses(engine: Engine) -> None:
    """Remove files without a row, what killed processes left, and the stores in the cache that nobody has read long."""
    blobs.remove_orphans(engine)
    for module in (dropped, reading_copies):
        atomic_files.remove_old(cache_directory() / module.FOLDER, module.KEPT_SECONDS)


def work(
    engine: Engine, *, experiment: str | None = None, once: bool = False, threads: int = 1, device: str = "cpu",
    together: int = 1, idle_seconds: float = 0.0, stop_requested: Callable[[], bool] = never,
    report: Callable[[str], None] = print,
) -> int:  # fmt: skip
    """Execute queued runs until the queue is empty; returns how many runs it executed.

    It trains one run at a time, or as one ensemble up to ``together`` runs that differ only in their model seed. With
    ``once`` it stops after the first of these. With an empty queue it waits ``idle_seconds`` for new runs. It also
    waits while a run is stale, because that run may come back to the queue.
    """
    torch.set_num_threads(threads)
    prepare_device(device)
    remove_what_nobody_uses(engine)

    def say(record: RunRecord, word: str) -> None:
        report(f"run {record.id}: {for_terminal(record.label)} {word}")

    done, last_needed = 0, time.monotonic()
    while not stop_requested():
        try:
            queue.requeue_expired(engine)
            claimed = claim_together(engine, experiment=experiment, device=device, most=together)
        except StoreBusy as error:
            logger.warning("%s", error)
            continue
        _execute_claimed(engine, claimed, device, stop_requested, say)
        done += len(claimed)
        if once:
            break
        if claimed or queue.has_stale_run(engine, experiment):
            last_needed = time.monotonic()
        elif time.monotonic() - last_needed >= idle_seconds:
            break
        if not claimed:
            time.sleep(POLL_SECONDS)
    return done


def _execute_claimed(
    engine: Engine, claimed: list[tuple[RunRecord, int]], device: str, stop_requested: Callable[[], bool],
    say: Callable[[RunRecord, str], None],
) -> None:  # fmt: skip
    for record, _ in claimed:
        say(record, "started")
    if len(claimed) == 1:
        record, attempt = claimed[0]
        state = execute(engine, record.id, attempt, record.config, device=device, stop_requested=stop_requested)
        say(record, state.value)
    elif claimed:
        execute_together(engine, claimed, device=device, stop_requested=stop_requested, report=say)
