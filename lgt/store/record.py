"""Record the accuracies of any training loop: ``with lgt.record(main="my_task:16") as run: run.accuracy(...)``."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, update

from lgt.core.checks import ConfigError, check_integer
from lgt.core.config import MAXIMUM_LENGTH, Arm, RunConfig, TaskSpec, TrainingConfig
from lgt.core.records import AccuracyRow
from lgt.core.transfer_length import transfer_length as longest_auxiliary
from lgt.recipes.settings import IMPORTED
from lgt.store import imports
from lgt.store.engine import database_url, open_store, write_transaction
from lgt.store.errors import LeaseLost
from lgt.store.patience import patiently
from lgt.store.schema import Run, RunState


class Recording:
    """A run that another program trains. ``id`` is its number in the store."""

    def __init__(self, engine: Engine, run_id: int, config: RunConfig) -> None:
        self.engine, self.id, self.config = engine, run_id, config

    def accuracy(self, step: int, task: str, counts: Mapping[int, tuple[int, int]]) -> None:
        """Store ``{length: (correct, total)}`` of a task after ``step`` steps; the same step again replaces them.

        It also shows that this program runs: a run without a new call for an hour is shown as abandoned, until the
        next call. Raises ConfigError for a task that was not named at the start, or for a count that is not accepted,
        and StoreError when the run was cancelled or deleted. A busy store is waited for, at most five minutes.
        """
        names = [spec.task for spec in self.config.tasks]
        if task not in names:
            raise ConfigError("task", task, "one of " + ", ".join(names))
        check_integer("step", step, 0, 2**31 - 1)
        rows = []
        for length, (correct, total) in counts.items():
            check_integer("length", length, 1, MAXIMUM_LENGTH)
            check_integer("total", total, 1, 2**31 - 1)
            check_integer("correct", correct, 0, total)
            rows.append(AccuracyRow(task, length, correct, total))
        patiently(lambda: self._write(step, rows))

    def _write(self, step: int, rows: list[AccuracyRow]) -> None:
        with write_transaction(self.engine) as connection:
            if not _renewed(connection, self.id):
                raise LeaseLost(f"run {self.id} was cancelled or deleted; no more numbers can be recorded in it")
            imports.record(connection, self.id, step, rows)


def _renewed(connection: Connection, run_id: int) -> bool:
    """Note that the program of a run is there; False if the run does not run any more."""
    running = update(Run).where(Run.id == run_id, Run.origin == IMPORTED, Run.state == RunState.RUNNING)
    return connection.execute(running.values(heartbeat_at=time.time())).rowcount == 1


@contextmanager
def record(
    main: str,
    auxiliaries: Mapping[str, int] | None = None,
    seed: int = 0,
    *,
    arm: Arm | None = None,
    transfer_length: int | None = None,
    group: str = IMPORTED,
    label: str = "",
    database: str | None = None,
) -> Iterator[Recording]:
    """A run in the workspace (or in ``database``) that ends when the block ends, as failed if the block raises.

    ``main``: the main task and its training length, ``my_task:16``. ``auxiliaries``: training length by task. A run of
    the main task alone (``arm`` is then ``alone-same-steps`` unless given) has the ``transfer_length`` of the
    co-trained runs that it is compared with. Any task names are accepted. Raises ConfigError for a value that is not
    accepted, StoreError when the store cannot be written.
    """
    name, colon, length = main.rpartition(":")
    if not colon or not name or not length.isdecimal():
        raise ConfigError("main", main, "a task and its training length, such as my_task:16")
    specs = [TaskSpec(name, "main", int(length))]
    specs += [TaskSpec(task, "auxiliary", trained) for task, trained in (auxiliaries or {}).items()]
    reached = longest_auxiliary(int(length), (auxiliaries or {}).values()) if auxiliaries else transfer_length
    config = RunConfig(
        tasks=tuple(specs), group=group, arm=arm or ("co-trained" if auxiliaries else "alone-same-steps"),
        preset=IMPORTED, transfer_length=reached, training=TrainingConfig(steps=1), model_seed=seed,
    )  # fmt: skip
    engine = open_store(database_url(database))
    with write_transaction(engine) as connection:
        run_id = imports.start(connection, config, label or main, str(uuid.uuid4()))
        _renewed(connection, run_id)
    try:
        yield Recording(engine, run_id, config)
    except BaseException as error:
        reason = f"{type(error).__name__}: {error}"[:500]
        patiently(lambda: _end(engine, run_id, RunState.FAILED, reason))
        raise
    patiently(lambda: _end(engine, run_id, RunState.DONE))


def _end(engine: Engine, run_id: int, state: RunState, error: str | None = None) -> None:
    """End the run, unless it was cancelled or deleted before."""
    with write_transaction(engine) as connection:
        if _renewed(connection, run_id):
            imports.finish(connection, run_id, state, error)
