"""Marks that several charts share: points, grid lines, the key below a plot, and fields in px."""

from __future__ import annotations

import textwrap
from typing import Any

import altair as alt
import pandas as pd

from lgt.charts.theme import ROLE_DASHES, ROLE_WIDTHS, ROLES, Theme

SAMPLE = 34
"""Width of a line sample, px."""
KEY_CHARACTERS = 46
"""Longer names in the key are broken into lines, for a phone."""
AXIS_ROOM = 58
"""From the plot's lower edge to the first row of the key at a text size of 12: axis labels and title, px."""


def colour(field: str = "colour") -> alt.Color:
    """A field that holds the colours themselves."""
    return alt.Color(f"{field}:N", scale=None, legend=None)


def curve_points(points: Any, **mark: Any) -> Any:
    """The chart ``points`` as point marks whose ``shape``, ``fill`` and ``colour`` are columns of its table."""
    return points.mark_point(opacity=1, **mark).encode(
        shape=alt.Shape("shape:N", scale=None, legend=None), fill=alt.Fill("fill:N", scale=None, legend=None),
        stroke=alt.Stroke("colour:N", scale=None, legend=None),
    )  # fmt: skip


def grid_lines(values: list[float], theme: Theme, y: alt.Y) -> Any:
    """Horizontal lines at ``values``, above tints (an axis draws its own below them); ``y`` encodes ``at``."""
    return alt.Chart(pd.DataFrame({"at": values})).mark_rule(color=theme.grid, strokeWidth=1, tooltip=None).encode(y=y)


def row_height(theme: Theme) -> int:
    """Height of one row of the key, px."""
    return theme.size + 8


def axis_room(theme: Theme) -> int:
    """From the plot's lower edge to the first row of the key, px; it grows with the axis labels and the title."""
    return AXIS_ROOM + 3 * (theme.size - 12)


def line_key(curves: pd.DataFrame, theme: Theme, height: int, rows: int = 0, markers: bool = True) -> list[Any]:
    """The key below a plot ``height`` px high: per curve a line sample with its dash and marker, and its name.

    At least ``rows`` rows are kept free, so that charts side by side end at the same height.
    """
    entries = key_table(curves, theme, height)
    layers: list[Any] = []
    for role in ROLES:
        if (entries.role == role).any():
            mark = alt.Chart(entries[entries.role == role]).mark_rule(
                strokeWidth=ROLE_WIDTHS[role], strokeDash=ROLE_DASHES[role], tooltip=None
            )
            layers.append(mark.encode(x=px("left", alt.X), x2="right:Q", y=px("y", alt.Y), color=colour()))
    base = alt.Chart(entries)
    if markers:
        layers.append(curve_points(base, size=40, tooltip=None).encode(x=px("middle", alt.X), y=px("y", alt.Y)))
    text = base.mark_text(
        align="left",
        baseline="top",
        dy=-theme.size / 2,
        lineBreak="\n",
        fontSize=theme.size,
        color=theme.text,
        tooltip=None,
    )
    layers.append(text.encode(x=alt.value(SAMPLE + 8), y=px("y", alt.Y), text="text:N"))
    layers.append(spacer(height + axis_room(theme) + (rows - 1) * row_height(theme), theme))
    return layers


def key_table(curves: pd.DataFrame, theme: Theme, height: int) -> pd.DataFrame:
    """One row per entry of the key: its marks, its name in lines (``text``) and its place in px below the plot."""
    entries = curves.drop_duplicates("series").sort_values("order", kind="stable")
    lines = [textwrap.wrap(series, KEY_CHARACTERS) for series in entries.series]
    above = [
        sum(row_height(theme) + (len(earlier) - 1) * theme.size for earlier in lines[:i]) for i in range(len(lines))
    ]
    columns = [name for name in ("role", "colour", "fill", "shape", "series") if name in entries]
    return entries[columns].assign(
        text=["\n".join(texts) for texts in lines],
        y=[height + axis_room(theme) + y for y in above],
        left=0,
        middle=SAMPLE / 2,
        right=SAMPLE,
    )


def spacer(y: float, theme: Theme) -> Any:
    """An invisible row at ``y`` px."""
    mark = alt.Chart(alt.InlineData(values=[{}])).mark_text(text="·", opacity=0, fontSize=theme.size, baseline="middle")
    return mark.encode(x=alt.value(0), y=alt.value(y))


def px(field: str, channel: Any) -> Any:
    """A field in px, outside every scale."""
    return channel(f"{field}:Q", scale=None, axis=None)


def text_width(text: str, size: int) -> float:
    """The approximate width of ``text``, px; enough to keep labels apart."""
    return 0.54 * size * len(text)
