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
from lgt.store.patience import jittered, patiently, pauses, waiting
from lgt.store.queries import RunRecord
from lgt.store.schema import RunState
from lgt.training.loop import Stopped, train
from lgt.training.recorder import Recorder

POLL_SECONDS, LONGEST_POLL_SECONDS = 1.0, 10.0
"""How often an idle worker looks for a run in a SQLite file, and on a server after a few looks."""
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
    state = run.state()
    run.record_device(device_name(device, config), resumed=state is not None)
    try:
        train(config, recorder, device=device, should_stop=should_stop, state=state)
    except CheckpointError as error:
        if state is None:
            raise
        logger.warning("run %s starts over: %s", run.run_id, error)
        run.reset()
        run.record_device(device_name(device, config))
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
    patiently(lambda: remove_what_nobody_uses(engine))

    def say(record: RunRecord, word: str) -> None:
        report(f"run {record.id}: {for_terminal(record.label)} {word}")

    done, last_needed, waits = 0, time.monotonic(), Waits(engine)
    while not stop_requested():
        try:
            with waiting(False):  # it waits below, where it hears a stop signal
                claimed, expected = next_runs(engine, experiment, device, together)
        except StoreBusy as error:
            waits.busy(error, stop_requested)
            continue
        _execute_claimed(engine, claimed, device, stop_requested, say)
        done += len(claimed)
        if once:
            break
        if claimed or expected:
            last_needed = time.monotonic()
        elif time.monotonic() - last_needed >= idle_seconds:
            break
        if claimed:
            waits = Waits(engine)
        else:
            waits.idle(stop_requested)
    return done


def next_runs(
    engine: Engine, experiment: str | None, device: str, together: int
) -> tuple[list[tuple[RunRecord, int]], bool]:
    """Claim runs, and say whether a run may come back to the queue soon. Raises StoreBusy."""
    queue.requeue_expired(engine)
    claimed = claim_together(engine, experiment=experiment, device=device, most=together)
    return claimed, not claimed and queue.has_stale_run(engine, experiment)


class Waits:
    """The pauses of a worker without a run: longer and longer, as random as :func:`lgt.store.patience.jittered`, and
    over soon after a stop signal. A server has many workers that ask it, so there the pauses become longer."""

    def __init__(self, engine: Engine) -> None:
        self.longest = POLL_SECONDS if engine.dialect.name == "sqlite" else LONGEST_POLL_SECONDS
        self.pause, self.while_busy = POLL_SECONDS, pauses()

    def idle(self, stop_requested: Callable[[], bool]) -> None:
        """The queue is empty."""
        self.while_busy = pauses()
        sleep_until(stop_requested, jittered(self.pause) if self.longest > POLL_SECONDS else self.pause)
        self.pause = min(2 * self.pause, self.longest)

    def busy(self, error: StoreBusy, stop_requested: Callable[[], bool]) -> None:
        """The store is busy with ``error``, which is raised when it has been busy for minutes."""
        pause = next(self.while_busy, None)
        if pause is None:
            raise error
        logger.warning("%s; trying again in %.1f s", error, pause)
        sleep_until(stop_requested, pause)


def sleep_until(stop_requested: Callable[[], bool], seconds: float) -> None:
    """Sleep for ``seconds``, or until shortly after ``stop_requested`` returns True."""
    while seconds > 0 and not stop_requested():
        time.sleep(min(seconds, POLL_SECONDS))
        seconds -= POLL_SECONDS


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
