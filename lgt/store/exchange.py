"""The format in which accuracies come from other programs and leave for them: one row per run, step, task and length.

A file is CSV, JSON (a list of objects) or Parquet. docs/IMPORT.md describes the columns. Reading checks everything
before anything is stored; an error is one line that names the file, the row, the column, the value and what is
accepted.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, get_args

from lgt.core import bounds
from lgt.core.checks import ConfigError
from lgt.core.config import MAXIMUM_LENGTH, Arm, Role, RunConfig, TaskSpec, TrainingConfig
from lgt.core.records import AccuracyRow
from lgt.core.transfer_length import transfer_length
from lgt.recipes.groups import GROUPS
from lgt.recipes.settings import IMPORTED
from lgt.store.errors import StoreError
from lgt.store.import_tables import read_table

REQUIRED = ("run", "task", "length", "correct", "total")
OPTIONAL = (
    "role", "training_length", "transfer_length", "seed", "step", "group", "arm", "label", "uuid",
)  # fmt: skip
FURTHER = ("accuracy", "accuracy_low", "accuracy_high", "task_title", "length_unit")
"""Columns that ``lgt export FILE`` adds for readers. They follow from the others and are not read."""
OF_THE_RUN = ("transfer_length", "seed", "group", "arm", "label", "uuid")
"""Columns with one value for each run."""
MOST_PROMPTS = 2**31 - 1
NAMESPACE = uuid.UUID("6f0c3f1e-0d53-4c1e-9a8b-6d7b0c6f2f11")
"""Names the identity of a run that comes without one: it follows from the run's rows."""


@dataclass(frozen=True)
class ImportedRun:
    """A run from elsewhere: its identity, a label, a config that says only what is known, and counts by step."""

    uuid: str
    label: str
    config: RunConfig
    rows: Mapping[int, Sequence[AccuracyRow]]


@dataclass(frozen=True)
class ImportedFile:
    """The runs of a file, in its order, and the names of its columns that were not read."""

    runs: tuple[ImportedRun, ...]
    ignored: tuple[str, ...]


def read_file(path: Path) -> ImportedFile:
    """The runs in a file. Raises StoreError for a file or a value that is not accepted."""
    table = read_table(path)
    missing = [name for name in REQUIRED if name not in table]
    if missing:
        found = ", ".join(map(str, table.columns)) or "none"
        raise StoreError(f"{path}: column {missing[0]!r} is missing; needed: {', '.join(REQUIRED)}; found: {found}")
    if table.empty:
        raise StoreError(f"{path}: no rows; needed: one row for each run, task and length")
    known = [name for name in (*REQUIRED, *OPTIONAL) if name in table]
    ignored = tuple(str(name) for name in table.columns if name not in known and name not in FURTHER)
    rows = [Row(path, number, values) for number, values in enumerate(table[known].to_dict("records"), start=1)]
    by_run: dict[str, list[Row]] = {}
    for row in rows:
        by_run.setdefault(row.text("run"), []).append(row)
    return ImportedFile(tuple(_run(name, own) for name, own in by_run.items()), ignored)


@dataclass(frozen=True)
class Row:
    """One row of a file; ``number`` counts from 1 below the header."""

    path: Path
    number: int
    values: Mapping[Any, Any]

    def refuse(self, column: str, accepted: str) -> NoReturn:
        """Raise StoreError about the value in ``column``."""
        place = f"{self.path}, row {self.number}, column {column}"
        raise StoreError(f"{place}: {repr(self.values.get(column))[:80]} is not accepted; accepted: {accepted}")

    def given(self, column: str) -> bool:
        """Whether the row has a value in ``column``."""
        value = self.values.get(column)
        return value is not None and value != "" and not (isinstance(value, float) and math.isnan(value))

    def text(self, column: str, default: str | None = None) -> str:
        """A short text. Numbers count as text. Without a default the text is needed."""
        accepted = f"a text of 1 to {bounds.NAME.most} characters"
        if not self.given(column):
            return default if default is not None else self.refuse(column, accepted)
        value = self.values[column]
        text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
        if not isinstance(value, str | int | float) or not 1 <= len(text.strip()) <= bounds.NAME.most or "\0" in text:
            self.refuse(column, accepted)
        return " ".join(text.split())

    def number_in(self, column: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number from ``low`` to ``high``."""
        accepted = f"a whole number from {low} to {high}"
        if not self.given(column):
            return default if default is not None else self.refuse(column, accepted)
        value = self.values[column]
        if isinstance(value, bool):
            self.refuse(column, accepted)
        try:
            number = int(value) if isinstance(value, str) else int(float(value)) if float(value).is_integer() else None
        except (ValueError, TypeError, OverflowError):
            number = None
        if number is None or not low <= number <= high:
            self.refuse(column, accepted)
        return number

    def choice(self, column: str, choices: Sequence[str], default: str) -> str:
        """One of ``choices``."""
        text = self.text(column, default)
        if text not in choices:
            self.refuse(column, ", ".join(choices))
        return text


def _run(name: str, rows: list[Row]) -> ImportedRun:
    first = rows[0]
    for column in OF_THE_RUN:
        for row in rows:
            if row.values.get(column) != first.values.get(column) and (row.given(column) or first.given(column)):
                row.refuse(column, f"the same value in all rows of run {name!r}: {first.values.get(column)!r}")
    specs = _tasks(name, rows)
    counts = _counts(rows)
    main = next(spec for spec in specs if spec.role == "main")
    usual = "co-trained" if len(specs) > 1 else "alone-same-steps"
    arm = first.choice("arm", get_args(Arm), usual)
    if (arm == "co-trained") != (len(specs) > 1):
        first.refuse("arm", "co-trained for a run with auxiliary tasks, one of the others for the main task alone")
    longest = transfer_length(main.training_length, (spec.training_length for spec in specs if spec != main))
    reached = first.number_in("transfer_length", 1, MAXIMUM_LENGTH, longest or 0) or None
    try:
        config = RunConfig(
            tasks=tuple(specs), group=_group(first), arm=arm, preset=IMPORTED,  # type: ignore[arg-type]
            transfer_length=reached, training=TrainingConfig(steps=1),
            model_seed=first.number_in("seed", 0, 2**63 - 1, 0),
        )  # fmt: skip
    except ConfigError as error:
        raise StoreError(f"{first.path}, run {name!r}: {error}") from error
    identity = _identity(first, name, config, counts)
    return ImportedRun(identity, first.text("label", name), config, counts)


def _group(row: Row) -> str:
    """The group's name; one of this project's groups is marked, because its title would say more than is known."""
    group = row.text("group", IMPORTED)[:80]
    return f"{group} ({IMPORTED})" if group in GROUPS else group


def _tasks(name: str, rows: list[Row]) -> list[TaskSpec]:
    """The tasks of a run, the main task first. Without roles the first task is the main one."""
    own: dict[str, list[Row]] = {}
    for row in rows:
        own.setdefault(row.text("task"), []).append(row)
    specs: list[TaskSpec] = []
    for task, of in own.items():
        usual = "main" if not any(row.given("role") for row in rows) and not specs else "auxiliary"
        role = of[0].choice("role", get_args(Role), usual)
        longest = max(row.number_in("length", 1, MAXIMUM_LENGTH) for row in of)
        trained = of[0].number_in("training_length", 1, MAXIMUM_LENGTH, longest)
        for row in of:
            if row.choice("role", get_args(Role), usual) != role:
                row.refuse("role", f"the same role in all rows of task {task!r} of run {name!r}: {role}")
            if row.number_in("training_length", 1, MAXIMUM_LENGTH, longest) != trained:
                row.refuse("training_length", f"the same in all rows of task {task!r} of run {name!r}: {trained}")
        specs.append(TaskSpec(task, role, trained))  # type: ignore[arg-type]
    mains = [spec.task for spec in specs if spec.role == "main"]
    if len(mains) != 1:
        rows[0].refuse("role", f"exactly one task with role main in run {name!r}, not {len(mains)}")
    return sorted(specs, key=lambda spec: spec.role != "main")


def _counts(rows: list[Row]) -> dict[int, list[AccuracyRow]]:
    """The counts by step. Each (step, task, length) of a run stands once."""
    found: dict[int, list[AccuracyRow]] = {}
    seen: set[tuple[int, str, int]] = set()
    for row in rows:
        total = row.number_in("total", 1, MOST_PROMPTS)
        counts = AccuracyRow(
            row.text("task"), row.number_in("length", 1, MAXIMUM_LENGTH), row.number_in("correct", 0, total), total
        )
        step = row.number_in("step", 0, 2**31 - 1, 1)
        key = (step, counts.task, counts.length)
        if key in seen:
            row.refuse("length", f"each length once for each run, step and task ({counts.task}, step {step})")
        seen.add(key)
        found.setdefault(step, []).append(counts)
    if max(found) == 0:
        rows[0].refuse("step", f"a step above 0 in some row of run {rows[0].text('run')!r}")
    return dict(sorted(found.items()))


def _identity(row: Row, name: str, config: RunConfig, counts: Mapping[int, Iterable[AccuracyRow]]) -> str:
    """The UUID in the file, else one that follows from everything in the run's rows."""
    if row.given("uuid"):
        try:
            return str(uuid.UUID(row.text("uuid")))
        except ValueError:
            row.refuse("uuid", "a UUID such as 6f0c3f1e-0d53-4c1e-9a8b-6d7b0c6f2f11, or nothing")
    rows = sorted((step, one.task, one.length, one.correct, one.total) for step, of in counts.items() for one in of)
    return str(uuid.uuid5(NAMESPACE, f"{name}\n{config.canonical_json()}\n{rows}"))
