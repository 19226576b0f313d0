"""Claim and train several runs together that differ only in their model seed. Each run ends separately."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from sqlalchemy import Engine

from lgt.core.checks import ConfigError
from lgt.core.version import code_version
from lgt.execution.device import device_name
from lgt.execution.log_tail import LogTail
from lgt.execution.run_session import ClaimedRun, StoreRecorder, at_most_every, heartbeats, owner_name
from lgt.recipes.limits import check_limits
from lgt.store import leases, queries, queue
from lgt.store.errors import StoreBusy, StoreError
from lgt.store.queries import RunRecord
from lgt.store.schema import RunState
from lgt.training.ensemble import Member, differ_only_in_seed, train_together


def claim_together(
    engine: Engine, *, experiment: str | None = None, device: str = "cpu", most: int = 1
) -> list[tuple[RunRecord, int]]:
    """Claim the oldest queued run (of ``experiment``) and up to ``most`` - 1 runs that can be trained with it.

    The other runs are of the same experiment and differ only in their model seed. Returns each run with its attempt
    number; an empty list when the queue is empty.
    """
    owner = owner_name()
    first = claim_oldest_readable(engine, owner, device, experiment)
    if first is None:
        return []
    claimed = [first]
    with suppress(StoreBusy):  # then those that are claimed already are trained
        for record in queued_with_other_seeds(engine, claimed[0][0]) if most > 1 else ():
            if len(claimed) == most:
                break
            try:
                attempt = leases.start_run(engine, record.id, owner, device, code_version=code_version())
            except StoreError:  # another worker claimed it
                continue
            claimed.append((record, attempt))
    return claimed


def claim_oldest_readable(
    engine: Engine, owner: str, device: str, experiment: str | None
) -> tuple[RunRecord, int] | None:  # fmt: skip
    """Claim the oldest queued run that this code can read and that is within this machine's limits. Other older runs
    end as failed.

    Raises StoreBusy, after releasing the run if it can, when the store is busy.
    """
    while True:
        claimed = queue.claim(engine, owner, device, experiment=experiment, code_version=code_version())
        if claimed is None:
            return None
        run_id, attempt = claimed
        try:
            record = queries.run(engine, run_id)
            check_limits(record.config)  # somebody else may have queued it, under other limits
            return record, attempt
        except StoreBusy:
            with suppress(StoreBusy):  # then the run waits for the end of its lease
                leases.release_run(engine, run_id, attempt)
            raise
        except (StoreError, ConfigError) as error:
            leases.finish_run(engine, run_id, attempt, RunState.FAILED, str(error))


def queued_with_other_seeds(engine: Engine, first: RunRecord) -> Iterator[RunRecord]:
    """Queued runs of the experiment of ``first`` that differ from it only in the model seed, oldest first."""
    rows = queries.runs(
        engine, group=first.task_group, arm=first.arm, preset=first.preset, experiment=first.experiment,
        states=RunState.QUEUED,
    )  # fmt: skip
    for run_id in rows.id.tolist():
        try:
            record = queries.run(engine, run_id)
        except StoreError:  # unreadable or deleted; a worker that claims it alone stores the error
            continue
        if record.experiment == first.experiment and differ_only_in_seed(first.config, record.config):
            yield record


def execute_together(
    engine: Engine, claimed: list[tuple[RunRecord, int]], *, device: str = "cpu",
    stop_requested: Callable[[], bool] = lambda: False,
    report: Callable[[RunRecord, str], None] = lambda record, state: None,
) -> None:  # fmt: skip
    """Train started runs together. When a run ends, store its final state and call ``report``.

    Failures and cancellations are stored with their run and not raised. When ``stop_requested`` returns True, all runs
    go back to the queue; they will start over, because an ensemble stores no training states. An interrupt ends all
    runs as cancelled and is raised. Raises StoreError if no retry can write to the store.
    """
    log = LogTail([engine.url.password])
    unfinished = {record.id: (record, ClaimedRun(engine, record.id, attempt, log)) for record, attempt in claimed}

    def prepare(record: RunRecord, run: ClaimedRun) -> None:
        try:
            run.record_device(device_name(device, record.config, len(claimed)))
            if run.attempt > 1:
                run.reset()
        except Exception as error:  # only this run ends; the others continue
            end(run.run_id, error)

    def end(run_id: int, error: Exception | None) -> None:
        record, run = unfinished[run_id]
        state = run.finish(error)
        del unfinished[run_id]
        report(record, state.value)

    with log:
        try:
            with heartbeats([run for _, run in unfinished.values()]):
                for record, run in list(unfinished.values()):
                    prepare(record, run)
                members = [_member(record, run, end, stop_requested) for record, run in unfinished.values()]
                train_together(members, device=device)
        except KeyboardInterrupt:
            for _, run in unfinished.values():
                run.interrupt()
            raise
        except Exception as error:  # an error of the shared training step ends all runs
            for run_id in list(unfinished):
                end(run_id, error)


def _member(
    record: RunRecord,
    run: ClaimedRun,
    end: Callable[[int, Exception | None], None],
    stop_requested: Callable[[], bool],
) -> Member:
    cancelled = at_most_every(2.0, run.cancelled)
    return Member(
        record.config,
        StoreRecorder(run.engine, run.run_id, run.attempt),
        should_stop=lambda: stop_requested() or cancelled(),
        ended=lambda error: end(run.run_id, error),
    )
