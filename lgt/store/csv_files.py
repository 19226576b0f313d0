"""CSV that spreadsheets open as it is meant: the exit for text in CSV (:mod:`lgt.core.plain_text` has the others)."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
"""The beginning of a text that a spreadsheet would run, also behind apostrophes: reading a file takes one off again."""
RETURN = re.compile(r"\r\n?")


def escaped(rows: pd.DataFrame) -> pd.DataFrame:
    """``rows`` with an apostrophe before each text that starts like a formula (OWASP, CSV injection), column names too.

    A carriage return becomes a line feed, because readers take it for the end of a row where it is not quoted.
    """
    safe = rows.copy()
    for place, kind in enumerate(rows.dtypes):
        if is_text(kind):
            safe.isetitem(place, _safe_column(rows.iloc[:, place]).array)
    return safe.rename(columns=_safe)


def is_text(kind: Any) -> bool:
    """Whether a column of this type can have texts."""
    return isinstance(kind, pd.CategoricalDtype | pd.StringDtype) or pd.api.types.is_object_dtype(kind)


def _safe_column(column: pd.Series) -> pd.Series:
    if pd.api.types.is_object_dtype(column.dtype):  # any values
        return pd.Series([_safe(value) for value in column], column.index, object)
    places, texts = pd.factorize(column)
    changed = [_safe(text) for text in texts]
    if all(new is old for new, old in zip(changed, texts, strict=True)):
        return column
    return pd.Series([changed[place] if place >= 0 else None for place in places], column.index, object)


def _safe(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = RETURN.sub("\n", value) if "\r" in value else value
    return f"'{text}" if FORMULA.match(text) else text


def as_csv(rows: pd.DataFrame) -> bytes:
    """``rows`` as CSV, safe for spreadsheets (see :func:`escaped`).

    It begins with a byte-order mark, without which spreadsheets misread the signs ä, · and ←.
    """
    return escaped(rows).to_csv(index=False).encode("utf-8-sig")
