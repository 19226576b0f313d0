"""The effect of knocking out heads: curves with and without them, and one choice of heads compared with others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from lgt.charts.accuracy import AXIS, SCALE
from lgt.charts.marks import AXIS_ROOM, colour, curve_points, grid_lines, line_key, px, row_height, spacer
from lgt.charts.theme import ROLE_DASHES, ROLE_WIDTHS, Theme, heading, message, styled, task_colour
from lgt.charts.zones import LengthAxis, length_axis, rule_layers, tint_layers, zone_layers, zone_table
from lgt.metrics.intervals import wilson_interval
from lgt.recipes.labels import task_title

INTACT, WITHOUT = "the whole model", "without"
BINS = 40
"""The axis from 0 to 1 has this number of bins; the dots of one bin are stacked."""
UPRIGHT = "M0,-0.8L0,0.8"
"""A short upright line as a symbol."""
DOT = 9
"""From a dot to the one on it, px."""


def knocked_out_curve(frame: pd.DataFrame, theme: Theme, *, task: str, without: str, height: int = 220) -> Any:
    """Exact match of one task against length, with all heads and without some of them.

    ``frame``: one row per (task, length, heads) of one run with the columns ``task``, ``role``, ``training_length``,
    ``transfer_length``, ``length``, ``heads`` (empty: none is knocked out), ``correct`` and ``total``. All its tasks
    decide the length axis. The zones are those of the task: an auxiliary task has trained lengths and beyond only.
    ``without`` names the heads for readers.
    """
    rows = frame[frame.task == task]
    if rows.empty:
        return message(f"No test prompts of {task_title(task)}.", theme)
    points = marked_points(rows, theme, without)
    axis, y = length_axis(frame), alt.Y("mean:Q", axis=AXIS, scale=SCALE)
    both = points.pivot(index="length", columns="out", values="mean").reset_index()
    both = both.rename(columns={False: "mean", True: "without"}).assign(colour=task_colour(task, theme))
    role = str(rows.role.iloc[0])
    line = alt.Chart(points).mark_line(strokeWidth=ROLE_WIDTHS[role], strokeDash=ROLE_DASHES[role], tooltip=None)
    layers = [
        *(zone_layers(frame, theme, axis) if role == "main" else own_zones(rows, theme, axis)),
        grid_lines([0.25, 0.5, 0.75, 1], theme, alt.Y("at:Q", axis=AXIS, scale=SCALE)),
        alt.Chart(both).mark_area(opacity=0.16, tooltip=None).encode(
            x=axis("length"), y=y, y2="without:Q", color=colour()
        ),
        alt.Chart(points).mark_rule(opacity=0.4, strokeWidth=1.5, tooltip=None).encode(
            x=axis("length"), y=alt.Y("low:Q", axis=AXIS, scale=SCALE), y2="high:Q", color=colour()
        ),
        line.encode(x=axis("length"), y=y, color=colour(), detail="series:N"),
        point_layer(points, axis("length"), y),
        *line_key(points, theme, height, 2),
    ]  # fmt: skip
    note = f"One run, {prompt_words(rows)} a length. Shaded: what is lost. Bars: 95% Wilson interval."
    chart = alt.layer(*layers).properties(
        width="container", height=height, title=heading(theme, note, task_title(task)),
        description=curve_words(points, task, note),
    )  # fmt: skip
    return styled(chart, theme)


def own_zones(rows: pd.DataFrame, theme: Theme, axis: LengthAxis) -> list[Any]:
    """Tints and names of the zones of an auxiliary task, and a labelled rule at the end of its training.

    The label has the height that it has in the main task's chart, so that the plots stand side by side.
    """
    trained, lengths = int(rows.training_length.iloc[0]), sorted(set(rows.length.astype(int)))
    zones = zone_table(lengths, trained, None, theme)
    end = {"x": trained + 0.5, "label": f"trained to {trained}", "align": "right", "row": 1}
    rules = pd.DataFrame([end] if lengths[0] <= trained <= lengths[-1] else [])
    return [*tint_layers(zones, theme, axis), *rule_layers(rules, theme, axis)]


def marked_points(rows: pd.DataFrame, theme: Theme, without: str) -> pd.DataFrame:
    """One row per (length, with or without) with its share, interval and marks."""
    limits = [wilson_interval(int(c), int(t)) for c, t in zip(rows.correct, rows.total, strict=True)]
    shade, out = task_colour(str(rows.task.iloc[0]), theme), rows.heads != ""
    points = rows.assign(
        mean=rows.correct / rows.total,
        low=[low for low, _ in limits],
        high=[high for _, high in limits],
        out=out,
        order=out.astype(int),
        series=[f"{WITHOUT} {without}" if gone else INTACT for gone in out],
        colour=shade,
        shape=["diamond" if gone else "circle" for gone in out],
        fill=[theme.surface if gone else shade for gone in out],
    )
    return points.drop(columns=["task", "heads", "correct", "training_length", "transfer_length"])


def point_layer(points: pd.DataFrame, x: alt.X, y: alt.Y) -> Any:
    """A point per length with its numbers."""
    tooltip = [
        alt.Tooltip("series:N", title="heads"),
        alt.Tooltip("length:Q"),
        alt.Tooltip("mean:Q", title="exact match", format=".1%"),
        alt.Tooltip("low:Q", title="95% from", format=".1%"),
        alt.Tooltip("high:Q", title="95% to", format=".1%"),
        alt.Tooltip("total:Q", title="test prompts"),
    ]
    return curve_points(alt.Chart(points), size=44, strokeWidth=1.5).encode(x=x, y=y, tooltip=tooltip)


def prompt_words(rows: pd.DataFrame) -> str:
    """How many prompts a point counts, such as ``128 prompts`` or ``13 to 128 prompts``."""
    low, high = int(rows.total.min()), int(rows.total.max())
    return f"{high} prompts" if low == high else f"{low} to {high} prompts"


def curve_words(points: pd.DataFrame, task: str, note: str) -> str:
    """The two curves in words: their means over all lengths."""
    means = points.groupby("series", sort=False)["mean"].mean()
    spoken = ", ".join(f"{series} {mean:.0%}" for series, mean in means.items())
    return f"Exact match of {task_title(task)}, mean over lengths: {spoken}. {note}"


def knock_out_strip(
    others: Sequence[float], chosen: float, intact: float, theme: Theme, *, main: str, other: str, names: str,
    height: int = 130,
) -> Any:  # fmt: skip
    """The main task's exact match without the heads that come first for ``other`` (``chosen``), beside as many other
    heads of the same layers (``others``, a dot each) and the whole model (``intact``). ``names``: the chosen heads."""
    dots = stacked_dots(others).assign(colour=theme.muted)
    x = alt.X("x:Q", scale=alt.Scale(domain=[-0.02, 1.02], nice=False), axis=alt.Axis(
        title=f"Exact match of {task_title(main)} without the heads", format="%", values=[0, 0.25, 0.5, 0.75, 1],
        grid=False,
    ))  # fmt: skip
    y = alt.Y("y:Q", scale=alt.Scale(domain=[0, height], nice=False), axis=None)
    rule = pd.DataFrame([{"x": intact, "colour": task_colour(main, theme)}])
    mark = pd.DataFrame([{"x": chosen, "y": 12, "colour": task_colour(other, theme)}])
    shown = alt.Tooltip("x:Q", title="exact match", format=".1%")
    layers = [
        alt.Chart(rule).mark_rule(strokeWidth=3).encode(x=x, color=colour(), tooltip=[shown]),
        alt.Chart(dots).mark_circle(size=46, opacity=0.75).encode(x=x, y=y, color=colour(), tooltip=[shown]),
        alt.Chart(mark).mark_point(
            shape="diamond", size=240, filled=True, opacity=1, stroke=theme.surface, strokeWidth=1.5
        ).encode(x=x, y=y, color=colour(), tooltip=[shown]),
        *strip_key(theme, height, mark.colour[0], rule.colour[0], len(dots), task_title(other), names),
    ]  # fmt: skip
    note = f"One run. Mean over lengths. {len(dots)} other choices of heads."
    spoken = f"{intact:.0%} with all heads, {chosen:.0%} without {names}"
    if others:
        spoken += f", {min(others):.0%} to {max(others):.0%} without other choices"
    chart = alt.layer(*layers).properties(
        width="container", height=height, title=heading(theme, note),
        description=f"Exact match of {task_title(main)}: {spoken}. {note}",
    )  # fmt: skip
    return styled(chart, theme)


def stacked_dots(values: Sequence[float]) -> pd.DataFrame:
    """A dot per value: ``x`` its value, ``y`` in px, on those before it in its bin; from left to right.

    >>> stacked_dots([0.5, 0.9, 0.5]).y.tolist()
    [32, 41, 32]
    """
    dots = pd.DataFrame({"x": sorted(values)}, dtype=float)
    return dots.assign(y=32 + DOT * dots.groupby((dots.x * BINS).round()).cumcount())


def strip_key(theme: Theme, height: int, chosen: str, intact: str, count: int, other: str, names: str) -> list[Any]:
    """The key below the axis: diamond, dots and line."""
    top, step = height + AXIS_ROOM, row_height(theme)
    entries = [("diamond", chosen, f"without {names} (the first for {other})"),
               ("circle", theme.muted, f"without as many other heads of the same layers ({count})"),
               (UPRIGHT, intact, INTACT)]  # fmt: skip
    rows = pd.DataFrame(
        {"shape": shape, "colour": shade, "text": text, "y": top + step * i}
        for i, (shape, shade, text) in enumerate(entries)
    )
    symbol = alt.Chart(rows).mark_point(size=90, filled=True, opacity=1, strokeWidth=2, tooltip=None)
    text = alt.Chart(rows).mark_text(align="left", fontSize=theme.size, color=theme.text, tooltip=None, limit=340)
    return [
        symbol.encode(x=alt.value(8), y=px("y", alt.Y), shape=alt.Shape("shape:N", scale=None, legend=None),
                      color=colour(), stroke=alt.Stroke("colour:N", scale=None, legend=None)),
        text.encode(x=alt.value(22), y=px("y", alt.Y), text="text:N"),
        spacer(top + 3 * step, theme),
    ]  # fmt: skip
