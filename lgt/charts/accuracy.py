"""Exact match against length: the curve that the finding is about."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from lgt.charts.marks import colour, curve_points, grid_lines, line_key
from lgt.charts.series import WILSON, BandChoice, band_note, curve_tooltip, labelled, latest, summarised
from lgt.charts.theme import ROLE_DASHES, ROLE_WIDTHS, Theme, heading, message, styled
from lgt.charts.zones import LengthAxis, length_axis, main_bounds, zone_layers
from lgt.metrics.zones import ZONE_TITLES, Zone, zone_lengths

__all__ = ["BandChoice", "length_accuracy"]

SCALE = alt.Scale(domain=[0, 1])
POINT = 26
"""Area of a point, px²."""
AXIS = alt.Axis(title="Exact match", format="%", values=[0, 0.25, 0.5, 0.75, 1], grid=False, domain=False, ticks=False)


def length_accuracy(
    frame: pd.DataFrame, theme: Theme, *, title: str = "", subtitle: str = "", band_choice: BandChoice = "min-max",
    single_seeds: bool = False, height: int = 300, key_rows: int = 3, emphasis: Zone | None = None,
    longest: int | None = None,
) -> Any:  # fmt: skip
    """Curves of every task in ``frame``: the mean over seeds with a named band, over the zones of the main task.

    ``frame`` has the columns of :func:`lgt.store.queries.accuracy`, one row per (run, task, length); of several steps
    each run's last counts. A band over seeds needs two of them; for a single run it is each point's 95% Wilson
    interval, and the chart says so. Every arm in the frame has its own curves. Zones are
    drawn when all main tasks agree on them. ``key_rows``: rows kept for the key, so that charts side by side line up.
    ``emphasis`` frames one of the zones. The axis reaches at least to ``longest``, so that charts side by side have the
    same axis.
    """
    if frame.empty:
        return message("Nothing has been measured yet. The first measurements appear during training.", theme)
    rows = labelled(latest(frame), theme)
    curves = with_overlaps(summarised(rows, band_choice))
    axis = length_axis(rows, longest)
    note = band_note(curves) + (" Thin lines: single runs of the main task." if single_seeds else "")
    grid = grid_lines([0.25, 0.5, 0.75, 1], theme, alt.Y("at:Q", axis=AXIS, scale=SCALE))
    layers = [*zone_layers(rows, theme, axis, emphasis), grid, band_layer(curves, axis)]
    if single_seeds:
        layers.append(seed_layer(rows, axis))
    layers += [*line_layers(curves, axis), *point_layers(curves, axis), *line_key(curves, theme, height, key_rows)]
    chart = alt.layer(*layers).properties(
        width="container", height=height, title=heading(theme, note, title, subtitle),
        description=description(rows, title, note),
    )  # fmt: skip
    return styled(chart, theme)


# --- curves -----------------------------------------------------------------------------------------------------


def band_layer(curves: pd.DataFrame, axis: LengthAxis) -> Any:
    """The bands, one area per curve; of single runs only the main task's, because several bands would overlap."""
    return (
        alt.Chart(curves[curves.low.notna() & ((curves.role == "main") | (curves.band != WILSON))])
        .mark_area(opacity=0.18, tooltip=None)
        .encode(
            x=axis("length"), y=alt.Y("low:Q", axis=AXIS, scale=SCALE), y2="high:Q", color=colour(),
            detail="series:N",
        )
    )  # fmt: skip


def line_layers(curves: pd.DataFrame, axis: LengthAxis) -> list[Any]:
    """The means, auxiliaries first, so that the main task's line lies on top."""
    layers: list[Any] = []
    for role in ("control", "auxiliary", "main"):
        rows = curves[curves.role == role]
        for under in sorted(rows.under.unique(), reverse=True):
            mark = alt.Chart(rows[rows.under == under]).mark_line(
                strokeWidth=ROLE_WIDTHS[role], strokeDash=ROLE_DASHES[role],
                strokeDashOffset=float(under) * sum(ROLE_DASHES[role]) / 2, tooltip=None,
            )  # fmt: skip
            layers.append(mark.encode(
                x=axis("length"), y=alt.Y("mean:Q", axis=AXIS, scale=SCALE), color=colour(), detail="series:N"
            ))  # fmt: skip
    return layers


def with_overlaps(curves: pd.DataFrame) -> pd.DataFrame:
    """``curves`` with ``under``, how many curves of auxiliaries are drawn over each, and the ``size`` of its points.

    Where two curves coincide, the lower one is visible in the gaps between the dashes and as a ring around the points.
    """
    others = curves[curves.role != "main"].sort_values("order", kind="stable").series.drop_duplicates()
    places = {series: place for place, series in enumerate(reversed(others.tolist()))}
    under = curves.series.map(places).fillna(0).astype(int)
    return curves.assign(under=under, size=POINT * (1 + under))


def point_layers(curves: pd.DataFrame, axis: LengthAxis) -> list[Any]:
    """A point per length, under a larger invisible one with the tooltip."""
    points = alt.Chart(curves.sort_values("order", ascending=False, kind="stable"))
    place: dict[str, Any] = {"x": axis("length"), "y": alt.Y("mean:Q", axis=AXIS, scale=SCALE)}
    shown = curve_points(points, strokeWidth=1.5, tooltip=None).encode(
        **place, size=alt.Size("size:Q", scale=None, legend=None)
    )
    tooltip = curve_tooltip(alt.Tooltip("length:Q"))
    return [shown, points.mark_circle(size=260, opacity=0).encode(**place, color=colour(), tooltip=tooltip)]


def seed_layer(rows: pd.DataFrame, axis: LengthAxis) -> Any:
    """One thin line per run of the main task."""
    return (
        alt.Chart(rows[rows.role == "main"][["run_id", "model_seed", "length", "ratio", "colour"]])
        .mark_line(strokeWidth=1, opacity=0.6)
        .encode(
            x=axis("length"),
            y=alt.Y("ratio:Q", axis=AXIS, scale=SCALE),
            detail="run_id:N",
            color=colour(),
            tooltip=[alt.Tooltip("model_seed:Q", title="seed"), alt.Tooltip("run_id:Q", title="run")],
        )
    )


def description(rows: pd.DataFrame, title: str, note: str) -> str:
    """The chart in a sentence per curve, for readers who do not see it: mean exact match per zone of the main task."""
    bounds, parts = main_bounds(rows), []
    for series, curve in rows.sort_values("order", kind="stable").groupby("series", sort=False):
        lengths = sorted(set(curve.length.astype(int)))
        zones = {"all": lengths}
        if bounds:
            zones = {ZONE_TITLES[zone]: values for zone, values in zone_lengths(lengths, *bounds).items()}
        means = [
            f"{curve.ratio[curve.length.isin(found)].mean():.0%} at lengths {found[0]}–{found[-1]} ({name})"
            for name, found in zones.items()
        ]
        parts.append(f"{series}: {', '.join(means)}")
    return f"{title or 'Length-accuracy curves'}. Exact match, {'; '.join(parts)}. {note}"
