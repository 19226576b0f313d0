"""A run as rows, and whether these rows can be those of a run.

Rows of a store that somebody else made are checked here before they are used or copied: SQLite keeps any value in any
column. A run passes if this code could have written its rows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, get_args
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Engine, select, true

from lgt.core import bounds
from lgt.core.checks import ConfigError
from lgt.core.config import MAXIMUM_LENGTH, Role, RunConfig
from lgt.core.records import SOURCE_INPUTS
from lgt.store.checkpoints import DamagedWeights, checked_weights
from lgt.store.configs import config_of, key_of
from lgt.store.engine import read_connection
from lgt.store.errors import RESTORE, StoreError, store_name
from lgt.store.measurements import PACKED, Packed
from lgt.store.schema import (
    RUN_TABLES,
    Annotation,
    Checkpoint,
    Config,
    DeletedRun,
    InterchangeMap,
    Run,
    RunState,
    RunTask,
)

Row = Mapping[str, Any]
LONGEST_TEXT = bounds.STORED_TEXT.most
"""The longest text of a run, in characters; a log has about 2,000. Packed lists may be longer."""
AHEAD_SECONDS = 24 * 3600.0
"""How far the clock of the computer that made a run may be ahead."""
AT_ONCE = 50
"""How many runs are read at once."""
CHECKING_SECONDS = 60.0
"""How long the check of a whole store may take."""


class Wrong(ValueError):
    """A value that a run cannot have."""


@dataclass(frozen=True)
class StoredRun:
    """All rows of a run. ``measured`` has the rows of every table of ``RUN_TABLES``."""

    run: dict[str, Any]
    configs: list[dict[str, Any]]
    measured: dict[Any, list[dict[str, Any]]]

    @property
    def uuid(self) -> str:
        """The run's uuid."""
        return str(self.run["uuid"])

    @property
    def tasks(self) -> dict[int, str]:
        """The task of each slot."""
        return {row["slot"]: row["task"] for row in self.measured[RunTask]}

    def same_as(self, other: StoredRun) -> bool:
        """Whether both have the same values, except their numbers and what only their own store needs."""
        local = ("id", "token")
        if any(value != other.run[name] for name, value in self.run.items() if name not in local):
            return False
        return all(_comparable(rows) == _comparable(other.measured[table]) for table, rows in self.measured.items())

    def problem(self) -> str:
        """What a run cannot have, as one line; empty if the rows are in order. Weights are not looked at.

        A config that this code does not know is no problem: an extension is not loaded, or newer code made the run.
        """
        try:
            check_columns(Run, self.run)
            self._check_run()
            self._check_tasks()
            if not self.unknown():
                self._check_against(self._config())
            for packed in PACKED:
                for row in self.measured[packed.table]:
                    self._check_measured(packed, row)
            for row in self.measured[InterchangeMap]:
                self._check_interchange(row)
            for table in RUN_TABLES:
                for row in self.measured[table]:
                    check_columns(table, row)
        except (Wrong, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            return str(error) or type(error).__name__
        return ""

    def unknown(self) -> str:
        """Why this code cannot read the config of the run; empty if it can."""
        try:
            self._config()
        except ConfigError as error:
            return str(error)
        return ""

    def _config(self) -> RunConfig:
        return config_of(self.configs[0]["config"], self.run["model_seed"], self.run["data_seed"])

    def _check_against(self, config: RunConfig) -> None:
        derived = {
            "task_group": config.group, "arm": config.arm, "preset": config.preset, "position": config.model.position,
            "config_hash": config.hash(), "model_seed": config.model_seed, "data_seed": config.data_seed,
        }  # fmt: skip
        for name, value in derived.items():
            if self.run[name] != value:
                raise Wrong(f"{name}: {_shown(self.run[name])} does not belong to its config, which has {value!r}")
        found = sorted(
            (row["slot"], row["task"], row["role"], row["training_length"]) for row in self.measured[RunTask]
        )
        specs = enumerate((config.main, *config.auxiliaries))
        named = [(slot, spec.task, spec.role, spec.training_length) for slot, spec in specs]
        if found != named:
            raise Wrong(f"tasks: {found} do not belong to its config, which has {named}")

    def _check_run(self) -> None:
        if len(self.configs) != 1:
            raise Wrong("it has no config")
        check_columns(Config, self.configs[0])
        if key_of(self.configs[0]["config"]) != self.configs[0]["key"]:
            raise Wrong("its config is not the one that its key names")
        if self.run["state"] not in list(RunState):
            raise Wrong(f"state: {_shown(self.run['state'])}")
        if str(UUID(self.uuid)) != self.uuid:
            raise Wrong(f"uuid: {_shown(self.uuid)}")
        check_times(self.run, "created_at", "started_at", "finished_at", "tags_at", "notes_at")
        if self.run["state"] == RunState.DONE and self.run["finished_at"] is None:
            raise Wrong("finished_at: missing")

    def _check_tasks(self) -> None:
        for row in self.measured[RunTask]:
            check_columns(RunTask, row)
            if not 1 <= row["training_length"] <= MAXIMUM_LENGTH or row["role"] not in get_args(Role):
                raise Wrong(f"task {row['task']!r}: {row['role']!r} to length {row['training_length']!r}")
            if row["transfer_length"] is not None and not 1 <= row["transfer_length"] <= MAXIMUM_LENGTH:
                raise Wrong(f"task {row['task']!r}: transfer length {row['transfer_length']!r}")

    def _check_measured(self, packed: Packed, row: Row) -> None:
        where = packed.table.__tablename__
        check_columns(packed.table, row)
        if any(row[slot] not in self.tasks for slot in packed.slots.values()):
            raise Wrong(f"{where}: a task that the run does not have")
        try:
            columns = packed.kind.unpack({name: row[name] for name in packed.kind.stored})
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise Wrong(f"{where}: {error}") from error
        keys = list(zip(*(columns[name].tolist() for name in packed.kind.keys), strict=True))
        if len(set(keys)) < len(keys):
            raise Wrong(f"{where}: a value that is there twice")
        if "length" in columns and not ((columns["length"] >= 1) & (columns["length"] <= MAXIMUM_LENGTH)).all():
            raise Wrong(f"{where}: a length that is not from 1 to {MAXIMUM_LENGTH}")
        if "total" in columns and not ((columns["total"] >= 1) & (columns["correct"] <= columns["total"])).all():
            raise Wrong(f"{where}: more right answers than prompts, or no prompt")

    def _check_interchange(self, row: Row) -> None:
        """An interchange has one layer and one head more than the network, which stand for all of them."""
        how, alone = row["source_input"], row["slot"] == row["source_slot"]
        if how not in SOURCE_INPUTS or (how == "mean") != alone:
            raise Wrong(f"interchange_maps: source_input {_shown(how)} from slot {row['source_slot']} to {row['slot']}")
        if self.unknown():
            return
        model = self._config().model
        if (row["layers"], row["heads"]) != (model.layers + 1, model.heads + 1):
            raise Wrong(f"interchange_maps: {row['layers']} x {row['heads']} places do not belong to its network")

    def with_intact_weights(self, store: Engine) -> tuple[StoredRun, list[str]]:
        """This run without weights that are damaged or whose file is missing, and what was left out."""
        kept, left_out = [], []
        for row in self.measured[Checkpoint]:
            try:
                checked_weights(store.url, SimpleNamespace(**row))
                kept.append(row)
            except DamagedWeights:
                left_out.append(f"the damaged weights of step {row['step']} were left out")
            except StoreError as error:
                left_out.append(f"the weights of step {row['step']} were left out ({error})")
        return replace(self, measured={**self.measured, Checkpoint: kept}), left_out


def check_columns(table: Any, row: Row) -> None:
    """Raise Wrong unless every value is of its column's type, no number is negative and no text is very long."""
    for column in table.__table__.columns:
        value, kind = row[column.name], column.type.python_type
        where = f"{table.__tablename__}.{column.name}"
        if value is None:
            if not column.nullable:
                raise Wrong(f"{where}: missing")
        elif isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
            raise Wrong(f"{where}: {_shown(value)} is no {kind.__name__}")
        elif kind is float and not math.isfinite(value):
            raise Wrong(f"{where}: {value!r} is no number")
        elif kind is int and not 0 <= value < 2**63:
            raise Wrong(f"{where}: {value!r} is negative")
        elif isinstance(value, str) and len(value) > LONGEST_TEXT and not _is_list(table, column.name):
            raise Wrong(f"{where}: a text of {len(value):,} characters; accepted: at most {LONGEST_TEXT:,}")


def check_times(row: Row, *names: str) -> None:
    """Raise Wrong unless these times are missing or in the past."""
    latest = time.time() + AHEAD_SECONDS
    for name in names:
        if row[name] is not None and not 0 <= row[name] <= latest:
            raise Wrong(f"{name}: {row[name]!r} is no time in the past")


def problem_of_remark(row: Row) -> str:
    """What a row of ``annotations`` cannot have; empty if it is in order."""
    return _problem(Annotation, row, "tags_at", "notes_at")


def problem_of_deletion(row: Row) -> str:
    """What a row of ``deleted_runs`` cannot have; empty if it is in order."""
    return _problem(DeletedRun, row, "deleted_at")


def _problem(table: Any, row: Row, *times: str) -> str:
    try:
        check_columns(table, row)
        check_times(row, *times)
    except Wrong as error:
        return str(error)
    return ""


def _is_list(table: Any, name: str) -> bool:
    return any(packed.table is table and name in packed.kind.lists for packed in PACKED)


def _shown(value: object) -> str:
    return ascii(value)[:40]


def _comparable(rows: Sequence[Row]) -> list[list[tuple[str, Any]]]:
    plain = [sorted((name, value) for name, value in row.items() if name not in ("run_id", "uri")) for row in rows]
    return sorted(plain, key=repr)


def read(connection: Connection, chosen: ColumnElement[bool]) -> list[StoredRun]:
    """The rows of the chosen runs."""
    runs = _rows(connection, Run, chosen)
    configs: dict[str, list[dict[str, Any]]] = {}
    for row in _rows(connection, Config, Config.key.in_({row["config_key"] for row in runs})):
        configs.setdefault(row["key"], []).append(row)
    measured: dict[int, dict[Any, list[dict[str, Any]]]] = {row["id"]: {of: [] for of in RUN_TABLES} for row in runs}
    for table in RUN_TABLES:
        for row in _rows(connection, table, table.run_id.in_(list(measured))):
            measured[row["run_id"]][table].append(row)
    return [StoredRun(run, configs.get(run["config_key"], []), measured[run["id"]]) for run in runs]


def _rows(connection: Connection, table: Any, chosen: ColumnElement[bool]) -> list[dict[str, Any]]:
    statement = select(*table.__table__.columns).where(chosen)
    return [dict(row) for row in connection.execute(statement).mappings()]


def check_store(engine: Engine) -> None:
    """Raise StoreError, which names the first problem, unless all runs of a store are in order.

    Weights are not looked at; they are checked when they are read.
    """
    ends = time.monotonic() + CHECKING_SECONDS
    name = store_name(engine.url)
    for problem in _problems(engine):
        if problem:
            raise StoreError(f"{name} is damaged: {problem}; {RESTORE}")
        if time.monotonic() > ends:
            raise StoreError(f"{name} is not opened: to check it takes more than {CHECKING_SECONDS:.0f} seconds")


def _problems(engine: Engine) -> Iterator[str]:
    with read_connection(engine) as connection:
        numbers = list(connection.scalars(select(Run.id).order_by(Run.id)))
        yield from map(problem_of_remark, _rows(connection, Annotation, true()))
        yield from map(problem_of_deletion, _rows(connection, DeletedRun, true()))
    for at in range(0, len(numbers), AT_ONCE):
        with read_connection(engine) as connection:
            found = read(connection, Run.id.in_(numbers[at : at + AT_ONCE]))
        yield from (problem and f"run {run.run['id']}: {problem}" for run in found for problem in [run.problem()])
