"""A file from another program as one table: CSV, JSON (a list of objects) or Parquet.

A small file can unpack to a table that fills the memory. Rows, columns and unpacked bytes are therefore counted before
the table is made (:mod:`lgt.core.bounds`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from lgt.core import bounds
from lgt.core.bounds import Bound
from lgt.store.errors import StoreError


def read_table(path: Path) -> pd.DataFrame:
    """The table in a file. Raises StoreError for a file that cannot be read, has no table, or is too large."""
    if path.suffix.lower() not in READERS:
        raise StoreError(f"{path}: its ending is not accepted; accepted: {', '.join(READERS)}")
    try:
        _check(path, path.stat().st_size, bounds.IMPORT_BYTES)
        return READERS[path.suffix.lower()](path)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, RecursionError, MemoryError, OverflowError, AttributeError) as error:
        raise _unreadable(path, error) from error
    except Exception as error:  # pyarrow and the CSV parser have error classes of their own
        if type(error).__module__.split(".")[0] not in ("pyarrow", "pandas"):
            raise
        raise _unreadable(path, error) from error


def _check(path: Path, size: int, most: Bound) -> None:
    if size > most.most:
        raise StoreError(f"{path}: {size:,} {most.unit}; accepted: {most.accepted}; split the file")


def _check_shape(path: Path, rows: int, columns: int) -> None:
    _check(path, rows, bounds.IMPORT_ROWS)
    _check(path, columns, bounds.IMPORT_COLUMNS)


def _read_csv(path: Path) -> pd.DataFrame:
    as_text: dict[str, Any] = {
        "dtype": str, "keep_default_na": False, "encoding": "utf-8-sig", "skipinitialspace": True,
    }  # fmt: skip
    _check_shape(path, 0, len(pd.read_csv(path, nrows=0, **as_text).columns))
    table: pd.DataFrame = pd.read_csv(path, nrows=bounds.IMPORT_ROWS.most + 1, **as_text)
    _check_shape(path, len(table), 0)
    return table.replace("^'('*[=+\\-@＝＋－＠])", r"\1", regex=True)  # see lgt.store.csv_files.FORMULA


def _read_json(path: Path) -> pd.DataFrame:
    found = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ValueError("a list of objects is needed")
    _check_shape(path, len(found), 0)
    names: set[str] = set()
    for one in found:  # stops early: a table of all names would have rows times names cells
        names.update(one)
        _check_shape(path, 0, len(names))
    return pd.DataFrame(found)


def _read_parquet(path: Path) -> pd.DataFrame:
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        of = file.metadata
        groups = [of.row_group(number) for number in range(of.num_row_groups)]
        values = [group.column(place).num_values for group in groups for place in range(of.num_columns)]
        _check_shape(path, max([of.num_rows, *values]), of.num_columns)
        _check(path, sum(group.total_byte_size for group in groups), bounds.IMPORT_BYTES)
        texts = [of.schema.column(place) for place in range(of.num_columns)]
        repeated = [column.path for column in texts if column.physical_type == "BYTE_ARRAY"]
    return pd.read_parquet(path, read_dictionary=repeated)  # a text that is repeated in every row is there once


def _unreadable(path: Path, error: Exception) -> StoreError:
    kind = path.suffix.lower().removeprefix(".")
    text = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
    return StoreError(f"{path} is not a {kind} file with one table ({text}); see docs/IMPORT.md")


READERS = {".csv": _read_csv, ".json": _read_json, ".parquet": _read_parquet}
"""What reads a file, by its ending."""
