"""Several series on one axis: the main task's curve of each, and the difference from one of them."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Collection, Mapping
from typing import Any

import altair as alt
import pandas as pd

from lgt.charts.accuracy import AXIS, SCALE
from lgt.charts.marks import KEY_CHARACTERS, grid_lines
from lgt.charts.series import BandChoice, band_note, curve_tooltip, latest, summarised
from lgt.charts.theme import SERIES_COLOURS, Theme, heading, message, styled
from lgt.charts.zones import length_axis, zone_layers

FOCUS = "focus"
"""The selection of a series in the legend; a second click on it takes it back."""
PALE = 0.12
"""The opacity of series that are not in focus."""


def series_overlay(
    frame: pd.DataFrame, theme: Theme, *, names: Mapping[str, str], band_choice: BandChoice = "min-max",
    height: int = 380, longest: int | None = None,
) -> Any:  # fmt: skip
    """The main task's exact match by length, one curve per series: mean over seeds with a named band.

    ``frame`` has the columns of :func:`lgt.store.queries.accuracy` and ``series``, the name of the row's series; a run
    of two series has its rows twice. ``names``: all series, in the order of their colours, each with what the legend
    says below its name. Zones are drawn where all main tasks agree on them.
    """
    rows = latest(frame[frame.role == "main"]) if len(frame) else frame
    if rows.empty:
        return message("Nothing has been measured yet.", theme)
    curves = overlay_curves(rows, band_choice)
    axis = length_axis(rows, longest)
    place: dict[str, Any] = {"x": axis("length"), "y": alt.Y("mean:Q", axis=AXIS, scale=SCALE)}
    base = alt.Chart(curves)
    grid = grid_lines([0.25, 0.5, 0.75, 1], theme, alt.Y("at:Q", axis=AXIS, scale=SCALE))
    area = alt.Chart(curves[curves.low.notna()]).mark_area(tooltip=None).encode(
        x=axis("length"), y=alt.Y("low:Q", axis=AXIS, scale=SCALE), y2="high:Q",
        color=in_colours(names, theme, set(curves.series)),
        opacity=alt.condition(focus(), alt.value(0.13), alt.value(0.02)),
    )  # fmt: skip
    note = band_note(curves) + " Click a name below the plot to bring out its curve."
    points = base.mark_circle(size=240, opacity=0).encode(**place, tooltip=curve_tooltip(alt.Tooltip("length:Q")))
    series = alt.layer(area, *focused_lines(base, place, names, theme), points)
    chart = over(series, [*zone_layers(rows, theme, axis), grid]).properties(
        width="container", height=height, title=heading(theme, note), description=description(curves, "Exact match"),
    )  # fmt: skip
    return styled(chart, theme)


def series_differences(
    table: pd.DataFrame,
    theme: Theme,
    *,
    names: Mapping[str, str],
    reference: str,
    zones: pd.DataFrame,
    height: int = 220,
    longest: int | None = None,
) -> Any:
    """By how much the exact match of each series is above that of ``reference``, by length, with a 95 % t interval.

    ``table``: the rows of :func:`lgt.metrics.differences.differences_by_length` of every other series, with ``series``,
    its name. ``names``: see :func:`series_overlay`. ``zones``: the rows of the overlay, for the zones and the length
    axis.
    """
    if table.empty:
        return message("No seed was measured in two of these series, so there is no difference by seed.", theme)
    rows = latest(zones[zones.role == "main"])
    axis = length_axis(rows, longest)
    lowest = min(-0.05, float(table[["difference", "low"]].min().min()))
    highest = max(0.05, float(table[["difference", "high"]].max().max()))
    scale = alt.Scale(domain=[lowest, highest], nice=False)
    ticks = alt.Axis(title="Difference, points", labelExpr="round(datum.value * 100)", domain=False, ticks=False)
    place: dict[str, Any] = {"x": axis("length"), "y": alt.Y("difference:Q", axis=ticks, scale=scale)}
    base = alt.Chart(table)
    zero = alt.Chart(pd.DataFrame({"at": [0.0]})).mark_rule(color=theme.muted, strokeWidth=1, tooltip=None).encode(
        y=alt.Y("at:Q", axis=ticks, scale=scale)
    )  # fmt: skip
    area = alt.Chart(table[table.low.notna()]).mark_area(tooltip=None).encode(
        x=axis("length"), y=alt.Y("low:Q", axis=ticks, scale=scale), y2="high:Q",
        color=in_colours(names, theme, set(table.series)),
        opacity=alt.condition(focus(), alt.value(0.18), alt.value(0.02)),
    )  # fmt: skip
    points = base.mark_circle(size=240, opacity=0).encode(**place, tooltip=[
        alt.Tooltip("series:N"), alt.Tooltip("length:Q"),
        alt.Tooltip("difference:Q", title="difference, mean", format="+.1%"),
        alt.Tooltip("low:Q", title="95% t interval from", format="+.1%"),
        alt.Tooltip("high:Q", title="to", format="+.1%"), alt.Tooltip("n:Q", title="seeds in both"),
    ])  # fmt: skip
    note = f"Exact match minus that of: {reference}. Line: mean over {seeds_note(table)}. Band: 95% t interval."
    series = alt.layer(area, *focused_lines(base, place, names, theme), points)
    chart = over(series, [*zone_layers(rows, theme, axis)[:1], zero]).properties(
        width="container", height=height, title=heading(theme, note),
        description=description(table.assign(mean=table.difference), f"Exact match minus that of {reference}"),
    )  # fmt: skip
    return styled(chart, theme)


def overlay_curves(rows: pd.DataFrame, band_choice: BandChoice) -> pd.DataFrame:
    """The points of the curves (:func:`lgt.charts.series.summarised`) of main-task rows with a column ``series``."""
    marked = rows.assign(
        ratio=rows.correct / rows.total, order=pd.factorize(rows.series)[0], colour="", shape="", fill=""
    )
    return summarised(marked, band_choice).drop(columns=["colour", "shape", "fill"])


def focus() -> Any:
    """The selection of series by the legend."""
    return alt.selection_point(FOCUS, fields=["series"], bind="legend")


def scale_of(names: Mapping[str, str], theme: Theme) -> alt.Scale:
    """The colours of the series, in their order."""
    shades = [SERIES_COLOURS[place % len(SERIES_COLOURS)][theme.dark] for place in range(len(names))]
    return alt.Scale(domain=list(names), range=shades)


def in_colours(names: Mapping[str, str], theme: Theme, shown: Collection[str]) -> alt.Color:
    """The colour of a series, with a legend of the series in ``shown`` below the plot."""
    legend = alt.Legend(
        orient="bottom", direction="vertical", columns=1, title=None, symbolType="stroke", symbolStrokeWidth=3,
        symbolSize=320, symbolOpacity=1, labelLimit=900, labelExpr=label_lines(names),
        values=[name for name in names if name in shown],
    )  # fmt: skip
    return alt.Color("series:N", scale=scale_of(names, theme), legend=legend)


def label_lines(names: Mapping[str, str]) -> str:
    """A Vega expression for the label of a series: its name and its note in lines, so that a phone has room."""
    found = "datum.label"
    for name, note in names.items():
        lines = [*textwrap.wrap(name, KEY_CHARACTERS), *([note] if note else [])]
        found = f"datum.label == {json.dumps(name)} ? {json.dumps(lines)} : {found}"
    return found


def focused_lines(base: Any, place: dict[str, Any], names: Mapping[str, str], theme: Theme) -> list[Any]:
    """Lines and small points of all series; those out of focus are pale."""
    chosen = focus()
    shown: dict[str, Any] = place | {
        "color": in_colours(names, theme, set(base.data.series)),
        "opacity": alt.condition(chosen, alt.value(1), alt.value(PALE)),
    }
    line = base.mark_line(strokeWidth=2.5, tooltip=None).encode(**shown).add_params(chosen)
    return [line, base.mark_circle(size=26, tooltip=None).encode(**shown)]


def over(series: Any, ground: list[Any]) -> Any:
    """``series`` over the layers of ``ground``. These have no legend, so the colours are not shared: layers that share
    a channel have one legend or none."""
    return alt.layer(*ground, series).resolve_scale(color="independent")


def seeds_note(table: pd.DataFrame) -> str:
    """How many seeds the differences are paired by, such as ``the 20 seeds of both``."""
    low, high = int(table.n.min()), int(table.n.max())
    return f"the {high} seeds of both" if low == high else f"the {low} to {high} seeds of both"


def description(curves: pd.DataFrame, quantity: str) -> str:
    """The chart in a sentence per series, for readers who do not see it."""
    parts = []
    for series, of in curves.groupby("series", sort=False):
        ends = of.sort_values("length").iloc[[0, len(of) // 2, -1]]
        values = ", ".join(f"{row['mean']:.0%} at length {row.length:.0f}" for _, row in ends.iterrows())
        parts.append(f"{series}: {values}")
    return f"{quantity} by length. {'; '.join(parts)}."
