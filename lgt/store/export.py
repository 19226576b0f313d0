"""Export the tables of a store as CSV, Parquet or JSON files, with its checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import pandas as pd
from sqlalchemy import Connection, Engine, select, true

from lgt.store.archive_readme import readme, title_of
from lgt.store.atomic_files import write_atomically
from lgt.store.checkpoints import checked_weights
from lgt.store.configs import whole_text
from lgt.store.csv_files import as_csv
from lgt.store.dataframes import read_dataframe
from lgt.store.engine import read_connection
from lgt.store.errors import StoreError
from lgt.store.measurements import (
    ACCURACY,
    ATTENTION_DIFFERENCES,
    HEAD_SCORES,
    INTERCHANGES,
    Packed,
    of_tasks,
    read_log,
    read_unpacked,
)
from lgt.store.readable import command_of_text, group_titles, readable
from lgt.store.schema import Base, Checkpoint, Config, Run, RunTask, column_names

Format = Literal["csv", "parquet", "json"]


def export(engine: Engine, directory: Path, format: Format = "csv") -> list[Path]:
    """Write one file per table into ``directory``, each checkpoint as a file, and a ``README.txt``; return the paths.

    The tables have the columns that :mod:`lgt.store.columns` describes, and are joined by ``run``. Each file is written
    atomically. In CSV files a text that a spreadsheet would run as a formula gets a leading apostrophe. Raises
    StoreError when the directory cannot be written.
    """
    if format not in get_args(Format):
        raise StoreError(f"export format {format!r} is not known; choose csv, parquet or json")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with read_connection(engine) as connection:  # one snapshot for all tables
            tables = readable_tables({name: read(connection) for name, read in TABLES.items()})
            paths = [_write_table(rows, directory / f"{name}.{format}", format) for name, rows in tables.items()]
            paths += _export_checkpoints(connection, directory / "checkpoints")
    except OSError as error:
        raise StoreError(f"{directory} cannot be written: {error.strerror or error}; choose another folder") from error
    files = {f"{name}.{format}": list(rows.columns) for name, rows in tables.items()}
    text = readme(ABOUT, title_of(engine), datetime.now(UTC), files, NOTES, tables["runs"].command.tolist())
    write = partial(Path.write_text, data=text, encoding="utf-8")
    return [*paths, write_atomically(directory / "README.txt", write)]


ABOUT = "runs and their measurements."
NOTES = (
    "One file for each table. They are joined by `run`, which is the run's number in its store.",
    "runs has one row for each run, with its configuration; run_tasks has its tasks and their training lengths.",
    "checkpoints/ has the stored weights as safetensors files; the table checkpoints has their digests.",
)
WITH_ZONES = ("accuracy", "head_scores", "attention_differences", "interchanges")
"""The tables whose rows have a length, and with it a zone."""


def readable_tables(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Exported tables as people read them (:func:`lgt.store.readable.readable`), by name; the same rows."""
    tasks = tables["run_tasks"]
    of_runs = _tasks_of_runs(tasks)
    lengths, roles = of_runs[["main_length", "transfer_length"]], tasks.set_index(["run_id", "task"])
    found = {}
    for name, rows in tables.items():
        table = rows.join(lengths, on="run_id") if name in WITH_ZONES else rows
        if name in WITH_ZONES and "task" in rows:
            table = table.join(roles[["role", "training_length"]], on=["run_id", "task"])
        found[name] = table.rename(columns={"id": "run", "run_id": "run", "token": "submission"})
    runs = found["runs"].join(of_runs, on="run")
    commands = [command_of_text(*of) for of in zip(runs.config, runs.experiment, strict=True)]
    texts = {"task_group_title": group_titles(runs), "command": commands}
    found["runs"] = runs.assign(**{name: pd.Series(of, runs.index, "str") for name, of in texts.items()})
    return {name: readable(table) for name, table in found.items()}


def _tasks_of_runs(tasks: pd.DataFrame) -> pd.DataFrame:
    """By run id: ``main_task``, ``main_length``, ``transfer_length`` and ``auxiliaries``, the names joined by ``+``."""
    main = tasks[tasks.role == "main"].set_index("run_id")
    others = tasks[tasks.role != "main"].groupby("run_id").task.agg("+".join)
    columns = {"task": "main_task", "training_length": "main_length"}
    return main[[*columns, "transfer_length"]].rename(columns=columns).join(others.rename("auxiliaries"))


def _runs(connection: Connection) -> pd.DataFrame:
    names = ["config" if name == "config_key" else name for name in column_names(Run)]
    columns = [Config.config if name == "config" else getattr(Run, name) for name in names]
    rows = read_dataframe(connection, select(*columns).join(Config).order_by(Run.id))
    of_runs = zip(rows.config, rows.model_seed, rows.data_seed, strict=True)
    return rows.assign(config=pd.Series([whole_text(*of_run) for of_run in of_runs], rows.index, "str"))


def _table(table: type[Base], *left_out: str) -> Callable[[Connection], pd.DataFrame]:
    columns = [getattr(table, name) for name in column_names(table) if name not in left_out]
    return lambda connection: read_dataframe(connection, select(*columns).order_by(*table.__table__.primary_key))


def _measured(packed: Packed) -> Callable[[Connection], pd.DataFrame]:
    return lambda connection: read_unpacked(connection, of_tasks(packed, [RUN_ID]), packed)


RUN_ID = Run.id.label("run_id")
TABLES: Mapping[str, Callable[[Connection], pd.DataFrame]] = {
    "runs": _runs,
    "run_tasks": _table(RunTask, "slot"),
    "accuracy": _measured(ACCURACY),
    "head_scores": _measured(HEAD_SCORES),
    "attention_differences": _measured(ATTENTION_DIFFERENCES),
    "training_log": lambda connection: read_log(connection, [RUN_ID], true()),
    "checkpoints": _table(Checkpoint, "weights", "coding"),
    "interchanges": _measured(INTERCHANGES),
}
"""The exported tables, in which each value is a row."""


def write_rows(path: Path, rows: pd.DataFrame) -> None:
    """Write ``rows`` to ``path`` in the format of its ending: .csv, .json or .parquet. Raises StoreError."""
    write: Mapping[str, Callable[[Path], object]] = {
        ".csv": lambda temporary: temporary.write_bytes(as_csv(rows)),
        ".parquet": lambda temporary: rows.to_parquet(temporary, index=False),
        ".json": lambda temporary: rows.to_json(temporary, orient="records", indent=1, force_ascii=False),
    }
    try:
        write_atomically(path, write[path.suffix.lower()])
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}; choose another place") from error


def _write_table(rows: pd.DataFrame, path: Path, format: Format) -> Path:
    write: Mapping[str, Callable[[Path], object]] = {
        "csv": lambda temporary: temporary.write_bytes(as_csv(rows)),
        "parquet": lambda temporary: rows.to_parquet(temporary, index=False),
        "json": lambda temporary: rows.to_json(temporary, orient="records", double_precision=15, indent=1),
    }
    return write_atomically(path, write[format])


def _export_checkpoints(connection: Connection, folder: Path) -> list[Path]:
    stored = connection.execute(select(Checkpoint.run_id, Checkpoint.step)).all()
    if stored:
        folder.mkdir(exist_ok=True)
    paths = []
    for run_id, step in stored:
        one = select(Checkpoint).where(Checkpoint.run_id == run_id, Checkpoint.step == step)
        weights = checked_weights(connection.engine.url, connection.execute(one).one())
        path = folder / f"run-{run_id}-step-{step}.safetensors"
        paths.append(write_atomically(path, partial(Path.write_bytes, data=weights)))
    return paths
