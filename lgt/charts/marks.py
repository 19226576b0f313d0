"""Marks that several charts share: rows that explain line styles below a plot, and text that does not need a scale."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from lgt.charts.palette import ROLE_DASHES, ROLE_WIDTHS, ROLES, Theme

SAMPLE = 34
"""Width of a line sample, px."""
AXIS_ROOM = 58
"""From the plot's lower edge to the first row of the key: axis labels and title, px."""


def colour(field: str = "colour") -> alt.Color:
    """A field that holds the colours themselves."""
    return alt.Color(f"{field}:N", scale=None, legend=None)


def row_height(theme: Theme) -> int:
    """Height of one row of the key, px."""
    return theme.size + 8


def line_key(curves: pd.DataFrame, theme: Theme, height: int, rows: int = 0, markers: bool = True) -> list[Any]:
    """The key below a plot ``height`` px high: per curve a line sample with its dash and marker, and its name.

    ``rows`` keeps at least so many rows free, so that charts side by side end at the same height.
    """
    entries = curves.drop_duplicates("series").sort_values("order", kind="stable")
    entries = entries.assign(
        y=[height + AXIS_ROOM + i * row_height(theme) for i in range(len(entries))], left=0, middle=SAMPLE / 2,
        right=SAMPLE,
    )[["series", "role", "colour", "fill", "shape", "y", "left", "middle", "right"]]  # fmt: skip
    layers: list[Any] = []
    for role in ROLES:
        if (entries.role == role).any():
            mark = alt.Chart(entries[entries.role == role]).mark_rule(
                strokeWidth=ROLE_WIDTHS[role], strokeDash=ROLE_DASHES[role]
            )
            layers.append(mark.encode(x=_place("left", alt.X), x2="right:Q", y=_place("y", alt.Y), color=colour()))
    base = alt.Chart(entries)
    if markers:
        layers.append(base.mark_point(size=40, opacity=1).encode(
            x=_place("middle", alt.X), y=_place("y", alt.Y), shape=alt.Shape("shape:N", scale=None, legend=None),
            fill=alt.Fill("fill:N", scale=None, legend=None), stroke=alt.Stroke("colour:N", scale=None, legend=None),
        ))  # fmt: skip
    text = base.mark_text(align="left", baseline="middle", fontSize=theme.size, color=theme.text)
    layers.append(text.encode(x=alt.value(SAMPLE + 8), y=_place("y", alt.Y), text="series:N"))
    if len(entries) < rows:
        layers.append(_spacer(height + AXIS_ROOM + (rows - 1) * row_height(theme), theme))
    return layers


def _spacer(y: int, theme: Theme) -> Any:
    """An invisible row at ``y`` px."""
    mark = alt.Chart(alt.InlineData(values=[{}])).mark_text(text="·", opacity=0, fontSize=theme.size, baseline="middle")
    return mark.encode(x=alt.value(0), y=alt.value(y))


def _place(field: str, channel: Any) -> Any:
    """A field in px, outside every scale."""
    return channel(f"{field}:Q", scale=None, axis=None)


def text_width(text: str, size: int) -> float:
    """About how wide ``text`` is drawn, px: enough to keep labels apart."""
    return 0.54 * size * len(text)
