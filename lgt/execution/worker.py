"""One run from claim to finish, and the loop of a pull worker that does this until the queue is empty."""

from __future__ import annotations

from collections.abc import Callable

import torch
from sqlalchemy import Engine

from lgt.config import RunConfig
from lgt.execution.claimed import ClaimedRun, StoreSink, every
from lgt.execution.together import claim_together, execute_together
from lgt.sinks import Sink
from lgt.store import queue
from lgt.store.queries import RunRecord
from lgt.store.schema import RunState
from lgt.train import train


def execute(
    engine: Engine, run_id: int, attempt: int, config: RunConfig, *, device: str = "cpu",
    sink: Sink | None = None,
) -> RunState:  # fmt: skip
    """Train a started run and finish it in the store; returns the state it ended in.

    A failure of the run (loss not finite, out of memory, refused config, anything unforeseen) is stored with its reason
    and does not raise, nor does a cancelled one. An interrupt ends the run as cancelled and is raised again.
    """
    run = ClaimedRun(engine, run_id, attempt)
    sink = sink or StoreSink(engine, run_id, attempt)
    try:
        train(config, sink, device=device, should_stop=every(2.0, run.cancelled))
    except KeyboardInterrupt:
        run.interrupted()
        raise
    except Exception as error:
        return run.finish(error)
    return run.finish(None)


def work(
    engine: Engine, *, experiment: str | None = None, once: bool = False, threads: int = 1, device: str = "cpu",
    together: int = 1, report: Callable[[str], None] = print,
) -> int:  # fmt: skip
    """Execute queued runs until none is left (or one lot is done, with ``once``); returns how many it executed.

    A lot is one run, or up to ``together`` that differ only in their model seed and are trained as one.
    """
    torch.set_num_threads(threads)

    def say(record: RunRecord, word: str) -> None:
        report(f"run {record.id}: {record.label} {word}")

    done = 0
    while True:
        queue.requeue_expired(engine)
        claimed = claim_together(engine, experiment=experiment, device=device, most=together)
        for record, _ in claimed:
            say(record, "started")
        if len(claimed) == 1:
            record, attempt = claimed[0]
            say(record, execute(engine, record.id, attempt, record.config, device=device).value)
        elif claimed:
            execute_together(engine, claimed, device=device, report=say)
        done += len(claimed)
        if once or not claimed:
            return done
