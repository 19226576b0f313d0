"""Turn the rows of a query into a DataFrame whose column types do not depend on the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Double, Integer, Select
from sqlalchemy.types import TypeEngine

from lgt.store.errors import RESTORE, StoreError, store_name

NULLABLE_INTEGERS = ("transfer_length", "main_length")


def read_dataframe(connection: Connection, statement: Select[*tuple[Any, ...]]) -> pd.DataFrame:
    """All rows of ``statement``: integers as int64 (Int64 if they may be missing), reals as float64, else str.

    Raises StoreError when a stored value is not of its column's type; only a damaged store has such values.
    """
    return frame_of(connection, list(statement.selected_columns), connection.execute(statement).all())


def frame_of(connection: Connection, columns: Sequence[Any], rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """Rows as a DataFrame, as in :func:`read_dataframe`; ``columns`` have names and types."""
    values: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) or [()] * len(columns)
    series = {}
    for (name, kind), column in zip(((one.name, one.type) for one in columns), values, strict=True):
        try:
            series[name] = pd.Series(column, dtype=_dtype(name, kind))
        except (TypeError, ValueError, OverflowError) as error:
            store = store_name(connection.engine.url)
            raise StoreError(f"{store} is damaged: the column {name} has a value of a wrong type; {RESTORE}") from error
    return pd.DataFrame(series)


def _dtype(name: str, kind: TypeEngine[Any]) -> str:
    if isinstance(kind, Integer):
        return "Int64" if name in NULLABLE_INTEGERS else "int64"
    return "float64" if isinstance(kind, Double) else "str"
