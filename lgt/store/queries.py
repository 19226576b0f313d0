"""Read runs and their measurements as DataFrames or frozen dataclasses.

Each function opens a connection, fetches all rows and closes it. Counts stay counts: ratios, zones and intervals are
derived in :mod:`lgt.metrics`. Weights are read in :mod:`lgt.store.checkpoints`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
from sqlalchemy import Engine, Select, and_, func, not_, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, aliased

from lgt.core.checks import ConfigError
from lgt.core.config import RunConfig
from lgt.store import leases
from lgt.store.configs import config_of
from lgt.store.dataframes import read_dataframe
from lgt.store.engine import read_connection
from lgt.store.errors import RESTORE, StoreError, store_name
from lgt.store.library import Source, frames, frames_of_runs, members, one_run
from lgt.store.measurements import (
    ACCURACY,
    ATTENTION_DIFFERENCES,
    HEAD_SCORES,
    INTERCHANGES,
    Packed,
    main_means,
    of_tasks,
    read_log,
    read_unpacked,
)
from lgt.store.schema import Config, Run, RunState, RunTask, column_names
from lgt.store.tags import not_deleted

Steps = Literal["final", "all"] | int
"""Which evaluated steps to read: the last one of each run, all of them, or the one with this number."""
NOT_MISSING = (RunState.QUEUED, RunState.RUNNING, RunState.DONE)
"""A run in one of these states need not be made again."""
HASHES_AT_ONCE = 1_000
"""How many configs are looked up by one query."""
Choice = str | Sequence[str] | None
"""A filter: one accepted value, several, or ``None`` for no filter."""

RUN_COLUMNS = (
    Run.id.label("run_id"), Run.task_group, Run.arm, Run.preset, Run.position, Run.model_seed, Run.data_seed,
)  # fmt: skip
OTHER = aliased(RunTask)
LENGTHS = (RunTask.training_length, RunTask.transfer_length)


@dataclass(frozen=True)
class RunTaskRecord:
    """A task of a run with the lengths that decide its zones. ``transfer_length`` is None without a comparison."""

    task: str
    role: str
    training_length: int
    transfer_length: int | None


@dataclass(frozen=True)
class RunRecord:
    """The row of one run. Times are UTC epoch seconds, ``seconds`` is training time, ``tags`` are sorted."""

    id: int
    uuid: str
    origin: str
    config: RunConfig
    tasks: tuple[RunTaskRecord, ...]
    state: RunState
    tags: tuple[str, ...]
    token: str | None
    label: str
    experiment: str | None
    task_group: str
    arm: str
    preset: str
    config_hash: str
    code_version: str
    model_seed: int
    data_seed: int
    position: str
    attempt: int
    owner: str | None
    lease_until: float | None
    heartbeat_at: float | None
    lost_workers: int
    step: int
    total_steps: int
    tokens: int
    seconds: float
    device: str | None
    error: str | None
    log_tail: str | None
    notes: str
    tags_at: float | None
    notes_at: float | None
    created_at: float
    started_at: float | None
    finished_at: float | None

    @property
    def stale(self) -> bool:
        """Whether the run's state is running but whoever trains it does not report."""
        return leases.is_stale(self.state, self.heartbeat_at, self.origin)

    @property
    def shown(self) -> str:
        """The state in one word, see :func:`lgt.store.leases.shown_state`."""
        return leases.shown_state(self.state, self.heartbeat_at, self.origin)


@frames("id")
def runs(
    engine: Engine,
    *,
    group: Choice = None,
    arm: Choice = None,
    preset: Choice = None,
    experiment: Choice = None,
    states: Choice = None,
    ids: Iterable[int] | None = None,
) -> pd.DataFrame:
    """The runs that pass every filter given, oldest first.

    Columns: all of the table except ``config_key`` and ``log_tail``; ``main_task``, ``main_length`` (Lm) and
    ``transfer_length`` (La, may be missing); and ``auxiliaries``: the task names joined by ``+``, missing if there are
    none.
    """
    columns = [getattr(Run, name) for name in column_names(Run) if name not in ("config_key", "log_tail")]
    main = (
        RunTask.task.label("main_task"), RunTask.training_length.label("main_length"), RunTask.transfer_length,
    )  # fmt: skip
    of_main = and_(RunTask.run_id == Run.id, RunTask.role == "main")
    names = func.aggregate_strings(OTHER.task, "+").label("auxiliaries")
    auxiliaries = select(OTHER.run_id, names).where(OTHER.role != "main").group_by(OTHER.run_id).subquery()
    statement = (
        select(*columns, *main, auxiliaries.c.auxiliaries)
        .join(RunTask, of_main, isouter=True)
        .join(auxiliaries, auxiliaries.c.run_id == Run.id, isouter=True)
        .order_by(Run.id)
    )
    filters: tuple[tuple[InstrumentedAttribute[Any], Choice], ...] = (
        (Run.task_group, group), (Run.arm, arm), (Run.preset, preset), (Run.experiment, experiment),
        (Run.state, states),
    )  # fmt: skip
    for column, choice in filters:
        if choice is not None:
            statement = statement.where(column.in_([choice] if isinstance(choice, str) else list(choice)))
    if ids is not None:
        statement = statement.where(Run.id.in_(sorted_ids(ids)))
    with read_connection(engine) as connection:
        return read_dataframe(connection, statement)


def sorted_ids(run_ids: Iterable[int]) -> list[int]:
    """Run ids as plain integers, each once, sorted."""
    return sorted({int(run_id) for run_id in run_ids})


@one_run("id")
def run(engine: Engine, run_id: int) -> RunRecord:
    """One run without its measurements. Raises StoreError when it is missing, or when its config cannot be read."""
    tasks = select(RunTask.task, RunTask.role, *LENGTHS).where(RunTask.run_id == run_id)
    with read_connection(engine) as connection:
        chosen = select(*Run.__table__.columns, Config.config).join(Config).where(Run.id == run_id)
        row = connection.execute(chosen).mappings().first()
        stored_tasks = [RunTaskRecord(*values) for values in connection.execute(tasks)]
    if row is None:
        raise StoreError(f"run {run_id}: not in the store {store_name(engine.url)}; see `python -m lgt runs`")
    try:
        config, state = config_of(row["config"], row["model_seed"], row["data_seed"]), RunState(row["state"])
    except (ConfigError, ValueError, TypeError) as error:
        raise StoreError(
            f"run {run_id}: this code cannot read its stored config ({error}); update the code, or {RESTORE}"
        ) from error
    order = [spec.task for spec in config.tasks]
    stored_tasks.sort(key=lambda record: order.index(record.task) if record.task in order else len(order))
    tags = tuple(tag for tag in str(row["tags"]).split(",") if tag)
    values = {name: value for name, value in row.items() if name != "config_key"}
    return RunRecord(**{**values, "config": config, "state": state, "tags": tags, "tasks": tuple(stored_tasks)})


def existing_with_hash(source: Source, config_hash: str, states: Iterable[str]) -> int | None:
    """The id of the newest run with this config hash that is in one of ``states``, if any; of the first store with
    such a run."""
    return existing_with_hashes(source, [config_hash], states).get(config_hash)


def existing_with_hashes(source: Source, hashes: Iterable[str], states: Iterable[str]) -> dict[str, int]:
    """What :func:`existing_with_hash` gives for each of ``hashes``, by hash; without those that no run has."""
    wanted, chosen = sorted(set(hashes)), Run.state.in_(list(states))
    found: dict[str, int] = {}
    for member in reversed(members(source)):
        with read_connection(member.engine) as connection:
            for start in range(0, len(wanted), HASHES_AT_ONCE):
                some = Run.config_hash.in_(wanted[start : start + HASHES_AT_ONCE])
                newest = select(Run.config_hash, func.max(Run.id)).where(some, chosen, not_deleted())
                rows = connection.execute(newest.group_by(Run.config_hash)).all()
                found |= {config_hash: number + member.offset for config_hash, number in rows}
    return found


def finished_by_hash(source: Source) -> dict[str, int]:
    """The id of the newest finished run of each config, by config hash. Merged runs keep their finishing time.

    Of equal configs in several stores the run of the first store counts.
    """
    done = select(Run.config_hash, Run.id).where(Run.state == RunState.DONE, not_deleted())
    found: dict[str, int] = {}
    for member in reversed(members(source)):
        with read_connection(member.engine) as connection:
            rows = connection.execute(done.order_by(Run.finished_at, Run.id)).all()
        found |= {config_hash: run_id + member.offset for config_hash, run_id in rows}
    return found


def unsuccessful_by_hash(source: Source) -> dict[str, str]:
    """The newest failed, cancelled or deleted run of each config, by config hash, as text: ``run 3 failed``."""
    bad = or_(Run.state.in_((RunState.FAILED, RunState.CANCELLED)), not_(not_deleted()))
    statement = select(Run.config_hash, Run.id, Run.state, not_deleted().label("present")).where(bad).order_by(Run.id)
    found: dict[str, str] = {}
    for member in reversed(members(source)):
        with read_connection(member.engine) as connection:
            rows = connection.execute(statement).all()
        where = f" in {member.title}" if member.offset else ""
        for row in rows:
            found[row.config_hash] = f"run {row.id}{where} {row.state if row.present else 'deleted'}"
    return found


def ended_seeds(source: Source) -> list[int]:
    """The model seeds of all runs that are done, failed or cancelled, in order."""
    ended = Run.state.in_((RunState.DONE, RunState.FAILED, RunState.CANCELLED))
    found: set[int] = set()
    for member in members(source):
        with read_connection(member.engine) as connection:
            found |= set(connection.scalars(select(Run.model_seed).where(ended).distinct()))
    return sorted(found)


@frames("run_id")
def final_accuracy(engine: Engine) -> pd.DataFrame:
    """The main task's mean exact match over lengths (a fraction) at the last step of each finished run.

    Columns: ``run_id``, ``trained`` (lengths up to Lm) and ``transfer`` (Lm < length <= La; missing without La, or if
    one of these lengths was not measured); equal to :class:`lgt.metrics.run_curves.RunCurves`.
    """
    counts = ACCURACY.table
    last = and_(counts.run_id == Run.id, counts.step == Run.total_steps, counts.slot == RunTask.slot)
    statement = (
        select(Run.id.label("run_id"), *LENGTHS, *ACCURACY.packed_columns)
        .join(RunTask, and_(RunTask.run_id == Run.id, RunTask.role == "main"))
        .join(counts, last)
        .where(Run.state == RunState.DONE)
        .order_by(Run.id)
    )
    with read_connection(engine) as connection:
        return main_means(read_unpacked(connection, statement, ACCURACY))


@frames_of_runs
def accuracy(engine: Engine, run_ids: Iterable[int], step: Steps = "final") -> pd.DataFrame:
    """Exact-match counts of the runs' tasks, one row per (run, step, task, length).

    Columns: ``run_id``, ``task_group``, ``arm``, ``preset``, ``position``, ``model_seed``, ``data_seed``, ``step``,
    ``task``, ``role``, ``training_length``, ``transfer_length``, ``length``, ``correct``, ``total``.
    """
    return _measured(engine, of_tasks(ACCURACY, RUN_COLUMNS, (RunTask.role, *LENGTHS)), ACCURACY, run_ids, step)


@frames_of_runs
def head_scores(engine: Engine, run_ids: Iterable[int], step: Steps = "final") -> pd.DataFrame:
    """Mean-ablation map entries, one row per (run, step, task, length, layer, head).

    Columns: those of :func:`accuracy` up to ``length``, then ``layer``, ``head``, ``accuracy_drop``, ``loss_rise``
    and ``examples``.
    """
    return _measured(engine, of_tasks(HEAD_SCORES, RUN_COLUMNS, (RunTask.role, *LENGTHS)), HEAD_SCORES, run_ids, step)


@frames_of_runs
def attention_differences(engine: Engine, run_ids: Iterable[int], step: Steps = "final") -> pd.DataFrame:
    """Attention-matrix differences, one row per (run, step, task_a, task_b, length, layer, head).

    Columns: those of the run as in :func:`accuracy`, ``step``, ``task_a``, ``task_b``, the main task's
    ``training_length`` and ``transfer_length``, ``length``, ``layer``, ``head``, ``difference``.
    """
    measured = ATTENTION_DIFFERENCES
    of_main = and_(RunTask.run_id == measured.table.run_id, RunTask.role == "main")
    statement = of_tasks(measured, RUN_COLUMNS, LENGTHS).join(RunTask, of_main)
    return _measured(engine, statement, measured, run_ids, step)


@frames_of_runs
def interchanges(engine: Engine, run_ids: Iterable[int], step: Steps = "final") -> pd.DataFrame:
    """Interchanges of head outputs (:class:`lgt.core.records.InterchangeRow`), one row per value.

    Columns: those of the run as in :func:`accuracy`, ``step``, ``task``, ``source_task``, ``source_input``, the main
    task's ``training_length`` and ``transfer_length``, ``length``, ``layer``, ``head``, ``accuracy_drop``,
    ``loss_rise`` and ``examples``.
    """
    of_main = and_(RunTask.run_id == INTERCHANGES.table.run_id, RunTask.role == "main")
    statement = of_tasks(INTERCHANGES, RUN_COLUMNS, LENGTHS).join(RunTask, of_main)
    return _measured(engine, statement, INTERCHANGES, run_ids, step)


def _measured(
    engine: Engine, statement: Select[*tuple[Any, ...]], measured: Packed, run_ids: Iterable[int], step: Steps
) -> pd.DataFrame:
    ids, table = sorted_ids(run_ids), measured.table
    statement = statement.where(Run.id.in_(ids))
    if step == "final":
        last = select(table.run_id, func.max(table.step)).where(table.run_id.in_(ids)).group_by(table.run_id)
        statement = statement.where(tuple_(table.run_id, table.step).in_(last))
    elif step != "all":
        statement = statement.where(table.step == step)
    with read_connection(engine) as connection:
        return read_unpacked(connection, statement, measured)


@frames_of_runs
def training_log(engine: Engine, run_ids: Iterable[int]) -> pd.DataFrame:
    """The runs' training logs: the columns of the run, ``step``, ``loss``, ``learning_rate``, ``tokens_per_second``.

    ``loss`` is missing (NaN) if it was not a number.
    """
    chosen = Run.id.in_(sorted_ids(run_ids))
    with read_connection(engine) as connection:
        return read_log(connection, RUN_COLUMNS, chosen)
