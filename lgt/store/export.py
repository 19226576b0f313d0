"""Export the tables of a store as CSV, Parquet or JSON files, with its checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import pandas as pd
from sqlalchemy import Connection, Engine, select

from lgt.store import blobs
from lgt.store.atomic_files import write_atomically
from lgt.store.dataframes import read_dataframe
from lgt.store.engine import read_connection
from lgt.store.errors import StoreError
from lgt.store.schema import RUN_TABLES, Base, Checkpoint, Run, column_names

Format = Literal["csv", "parquet", "json"]


def export(engine: Engine, directory: Path, format: Format = "csv") -> list[Path]:
    """Write one file per table into ``directory``, each checkpoint as a file, and a ``README.txt``; return the paths.

    Counts stay counts. Each file is written atomically. In CSV files a text that a spreadsheet would run as a formula
    gets a leading apostrophe. Raises StoreError when the directory cannot be written.
    """
    if format not in get_args(Format):
        raise StoreError(f"export format {format!r} is not known; choose csv, parquet or json")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with read_connection(engine) as connection:  # one snapshot for all tables
            paths = [_export_table(connection, table, directory, format) for table in (Run, *RUN_TABLES)]
            paths += _export_checkpoints(connection, directory / "checkpoints")
    except OSError as error:
        raise StoreError(f"{directory} cannot be written: {error.strerror or error}; choose another folder") from error
    readme = partial(Path.write_text, data=_readme(paths), encoding="utf-8")
    return [*paths, write_atomically(directory / "README.txt", readme)]


def write_rows(path: Path, rows: pd.DataFrame) -> None:
    """Write ``rows`` to ``path`` in the format of its ending: .csv, .json or .parquet. Raises StoreError."""
    write: Mapping[str, Callable[[Path], object]] = {
        ".csv": lambda temporary: _escaped(rows).to_csv(temporary, index=False, encoding="utf-8-sig"),
        ".parquet": lambda temporary: rows.to_parquet(temporary, index=False),
        ".json": lambda temporary: rows.to_json(temporary, orient="records", indent=1, force_ascii=False),
    }
    try:
        write_atomically(path, write[path.suffix.lower()])
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}; choose another place") from error


def _export_table(connection: Connection, table: type[Base], directory: Path, format: Format) -> Path:
    columns = [getattr(table, name) for name in column_names(table) if name != "weights"]
    rows = read_dataframe(connection, select(*columns).order_by(*table.__table__.primary_key))
    path = directory / f"{table.__tablename__}.{format}"
    write: Mapping[str, Callable[[Path], object]] = {
        "csv": lambda temporary: _escaped(rows).to_csv(temporary, index=False, encoding="utf-8-sig"),
        "parquet": lambda temporary: rows.to_parquet(temporary, index=False),
        "json": lambda temporary: rows.to_json(temporary, orient="records", double_precision=15, indent=1),
    }
    return write_atomically(path, write[format])


FORMULA = r"'*[=+\-@\t\r\n＝＋－＠]"
"""The beginning of a text that a spreadsheet would run, also behind apostrophes: reading a file takes one off again."""


def _escaped(rows: pd.DataFrame) -> pd.DataFrame:
    """``rows`` with an apostrophe before each text that starts like a formula (OWASP, CSV injection)."""
    escaped = rows.copy()
    texts: list[str] = list(rows.select_dtypes("str").columns)
    for name in texts:
        formulas = rows[name].str.match(FORMULA, na=False)
        escaped.loc[formulas, name] = "'" + rows.loc[formulas, name]
    return escaped


def _export_checkpoints(connection: Connection, folder: Path) -> list[Path]:
    stored = connection.execute(select(Checkpoint.run_id, Checkpoint.step)).all()
    if stored:
        folder.mkdir(exist_ok=True)
    paths = []
    for run_id, step in stored:
        columns = (Checkpoint.weights, Checkpoint.uri, Checkpoint.size, Checkpoint.sha256)
        row = connection.execute(select(*columns).where(Checkpoint.run_id == run_id, Checkpoint.step == step)).one()
        weights = row.weights or blobs.read_file(
            blobs.files_folder(connection.engine.url), row.uri, row.size, row.sha256
        )
        path = folder / f"run-{run_id}-step-{step}.safetensors"
        paths.append(write_atomically(path, partial(Path.write_bytes, data=weights)))
    return paths


def _readme(paths: list[Path]) -> str:
    about = (f"{path.name}: {', '.join(column_names(table))}"
             for path, table in zip(paths, (Run, *RUN_TABLES), strict=False))  # fmt: skip
    return "\n\n".join((
        "Length Transfer Lab: runs and their measurements. One file per table, joined by run_id (in runs: id).",
        "Times are UTC epoch seconds, lengths are in task units, accuracy is correct / total (exact match),\n"
        "accuracy_drop is a fraction, loss_rise is in nats per answer token, layers and heads count from 0.",
        "Weights are in checkpoints/ as safetensors; sha256 and size are in the table.",
        "In CSV files a text that begins with = + - @ carries a leading apostrophe; remove it when reading.",
        *about,
    )) + "\n"  # fmt: skip
