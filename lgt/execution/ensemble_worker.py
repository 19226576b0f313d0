"""Runs that differ only in their model seed, claimed and trained together; each ends for itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlalchemy import Engine

from lgt.core.version import code_version
from lgt.execution.log_tail import LogTail
from lgt.execution.run_session import ClaimedRun, StoreRecorder, beating, device_name, every, owner_name
from lgt.store import leases, queries, queue
from lgt.store.errors import StoreBusy, StoreError
from lgt.store.queries import RunRecord
from lgt.store.schema import RunState
from lgt.training.ensemble import Member, differ_only_in_seed, train_together


def claim_together(
    engine: Engine, *, experiment: str | None = None, device: str = "cpu", most: int = 1
) -> list[tuple[RunRecord, int]]:
    """Claim the oldest queued run (of ``experiment``) and up to ``most`` - 1 that may be trained with it.

    Returns each run with its attempt number; nothing when the queue is empty. The others are of the first one's
    experiment and differ from it only in their model seed.
    """
    owner, machine = owner_name(), device_name(device) + (f", up to {most} runs together" if most > 1 else "")
    first = claim_oldest_readable(engine, owner, machine, experiment)
    if first is None:
        return []
    claimed = [first]
    for record in queued_with_other_seeds(engine, claimed[0][0]) if most > 1 else ():
        if len(claimed) == most:
            break
        try:
            attempt = leases.start_run(engine, record.id, owner, machine, code_version=code_version())
        except StoreError:  # another worker was first
            continue
        claimed.append((record, attempt))
    return claimed


def claim_oldest_readable(
    engine: Engine, owner: str, machine: str, experiment: str | None
) -> tuple[RunRecord, int] | None:  # fmt: skip
    """Claim the oldest queued run that this code can read; those before it end as failed, with what is wrong with them.

    Raises StoreBusy, after giving the run back, when the store stays locked.
    """
    while True:
        taken = queue.claim(engine, owner, machine, experiment=experiment, code_version=code_version())
        if taken is None:
            return None
        run_id, attempt = taken
        try:
            return queries.run(engine, run_id), attempt
        except StoreBusy:
            leases.release_run(engine, run_id, attempt)
            raise
        except StoreError as error:
            leases.finish_run(engine, run_id, attempt, RunState.FAILED, str(error))


def queued_with_other_seeds(engine: Engine, first: RunRecord) -> Iterator[RunRecord]:
    """Queued runs of the experiment of ``first`` that may be trained with it, oldest first."""
    rows = queries.runs(
        engine, group=first.task_group, arm=first.arm, preset=first.preset, experiment=first.experiment,
        states=RunState.QUEUED,
    )  # fmt: skip
    for run_id in rows.id.tolist():
        try:
            record = queries.run(engine, run_id)
        except StoreError:  # unreadable, or deleted just now: whoever claims it alone will say so
            continue
        if record.experiment == first.experiment and differ_only_in_seed(first.config, record.config):
            yield record


def execute_together(
    engine: Engine, claimed: list[tuple[RunRecord, int]], *, device: str = "cpu",
    leaving: Callable[[], bool] = lambda: False,
    report: Callable[[RunRecord, str], None] = lambda record, state: None,
) -> None:  # fmt: skip
    """Train started runs together and finish each in the store as soon as it is over; ``report`` hears of each end.

    Failures and cancellations are stored with their run and do not raise. When ``leaving`` says yes all go back to the
    queue; an ensemble keeps no training states, so they will start over. An interrupt ends all as cancelled and is
    raised again. Raises StoreError when the store cannot be written for a while.
    """
    log = LogTail([engine.url.password])
    left = {record.id: (record, ClaimedRun(engine, record.id, attempt, log)) for record, attempt in claimed}

    def start_over(run: ClaimedRun) -> None:
        try:
            run.start_over()
        except Exception as error:  # its own: the others train without it
            end(run.run_id, error)

    def end(run_id: int, error: Exception | None) -> None:
        record, run = left[run_id]
        state = run.finish(error)
        del left[run_id]
        report(record, state.value)

    with log:
        try:
            runs = [run for _, run in left.values()]
            with beating(runs):
                for run in runs:
                    if run.attempt > 1:
                        start_over(run)
                train_together([_member(record, run, end, leaving) for record, run in left.values()], device=device)
        except KeyboardInterrupt:
            for _, run in left.values():
                run.interrupted()
            raise
        except Exception as error:  # of what they share
            for run_id in list(left):
                end(run_id, error)


def _member(
    record: RunRecord, run: ClaimedRun, end: Callable[[int, Exception | None], None], leaving: Callable[[], bool]
) -> Member:
    cancelled = every(2.0, run.cancelled)
    return Member(
        record.config,
        StoreRecorder(run.engine, run.run_id, run.attempt),
        should_stop=lambda: leaving() or cancelled(),
        ended=lambda error: end(run.run_id, error),
    )
