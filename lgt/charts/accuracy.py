"""Exact match against length: the curve that the finding is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import altair as alt
import pandas as pd

from lgt.charts.marks import colour, grid_lines, line_key, text_width
from lgt.charts.palette import ROLE_DASHES, ROLE_WIDTHS, Theme, heading, message, styled
from lgt.charts.series import WILSON, BandChoice, band_note, labelled, latest, summarised
from lgt.metrics.zones import IN_DISTRIBUTION, OUT_OF_DISTRIBUTION, TRANSFER_REGION, ZONES, Zone, zone_lengths
from lgt.tasks import unit

__all__ = ["BandChoice", "length_accuracy"]

ZONE_NAMES = {IN_DISTRIBUTION: "trained", TRANSFER_REGION: "transfer region", OUT_OF_DISTRIBUTION: "beyond"}
NARROW = 280
"""Width of the plot on a phone, px: labels that stay apart here stay apart everywhere."""

LengthAxis = Callable[[str], alt.X]
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
    interval, and the chart says so. Sides of a comparison that share the chart become curves of their own. Zones are
    drawn when all main tasks agree on them. ``key_rows``: rows kept for the key, so that charts side by side line up.
    ``emphasis`` frames one of the zones. The axis ends at ``longest`` where no curve goes further: charts side by side
    then have the same.
    """
    if frame.empty:
        return message("No evaluated lengths yet: they appear after a run's first snapshot.", theme)
    rows = labelled(latest(frame), theme)
    curves = stacked(summarised(rows, band_choice))
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


def length_axis(rows: pd.DataFrame, longest: int | None = None) -> LengthAxis:
    """From a field to its x encoding: one length axis to ``longest`` or beyond, whole numbers, in the task's unit."""
    low, high = int(rows.length.min()), max(int(rows.length.max()), longest or 0)
    step = next((step for step in (1, 2, 4, 8, 16, 32, 64) if (high - low) / step <= 10), 128)
    ticks = [value for value in range(low, high + 1) if value % step == 0]
    scale = alt.Scale(domain=[low - 0.5, high + 0.5], nice=False, zero=False)
    axis = alt.Axis(
        title=f"Length ({unit(str(rows.task.iloc[0]))})", values=ticks, format="d", grid=False, labelOverlap=True
    )
    return lambda field: alt.X(f"{field}:Q", scale=scale, axis=axis)


# --- zones ------------------------------------------------------------------------------------------------------


def zone_layers(rows: pd.DataFrame, theme: Theme, axis: LengthAxis, emphasis: Zone | None = None) -> list[Any]:
    """Tints and names of the main task's zones, a frame around one, and labelled rules at the end of both trainings.

    Nothing where there is no main task, or where main tasks do not agree on their zones.
    """
    bounds = rows[rows.role == "main"][["training_length", "transfer_length"]].drop_duplicates()
    if len(bounds) != 1:
        return []
    main = int(bounds.training_length.iloc[0])
    transfer = None if pd.isna(bounds.transfer_length.iloc[0]) else int(bounds.transfer_length.iloc[0])
    lengths = rows.length.astype(int).tolist()
    zones = zone_table(lengths, main, transfer, theme)
    place: dict[str, Any] = {
        "x": axis("low"), "x2": "high:Q", "y": alt.value(0), "y2": alt.value("height")
    }  # fmt: skip
    tint = alt.Chart(zones).mark_rect(tooltip=None)
    framed = zones[zones.zone == emphasis]
    frame = alt.Chart(framed).mark_rect(filled=False, stroke=theme.text, strokeWidth=2.5, cornerRadius=3, tooltip=None)
    name = alt.Chart(zones[zones["name"] != ""]).mark_text(
        baseline="bottom", fontSize=theme.size, color=theme.muted, dy=-4, tooltip=None
    )
    return [
        tint.encode(**place, color=colour()),
        *([frame.encode(**place)] if len(framed) else []),
        name.encode(x=axis("middle"), y=alt.value(0), text="name:N"),
        *rule_layers(rule_table(lengths, main, transfer, other_role(rows), theme), theme, axis),
    ]


def zone_table(lengths: list[int], main: int, transfer: int | None, theme: Theme) -> pd.DataFrame:
    """One row per zone: where it lies, its name (empty when the zone is too narrow for it) and its tint."""
    scale = NARROW / (max(lengths) - min(lengths) + 1)
    zones = zone_lengths(lengths, main, transfer)
    tints = dict(zip(ZONES, theme.zones, strict=True))
    table = pd.DataFrame(
        {"zone": zone, "low": found[0] - 0.5, "high": found[-1] + 0.5, "name": ZONE_NAMES[zone], "colour": tints[zone]}
        for zone, found in zones.items()
    )
    fits = (table.high - table.low) * scale > 0.8 * table["name"].map(lambda name: text_width(name, theme.size))
    return table.assign(middle=(table.low + table.high) / 2, name=table["name"].where(fits, ""))


def other_role(rows: pd.DataFrame) -> str:
    """What the pair's other tasks are called; empty when none is in the frame."""
    roles = [role for role in ("auxiliary", "control") if (rows.role == role).any()]
    return roles[0] if roles else ""


def rule_table(lengths: list[int], main: int, transfer: int | None, other: str, theme: Theme) -> pd.DataFrame:
    """One row per rule: ``x``, ``label``, the side it stands on (``align``) and ``row``, its line above the plot."""
    labels = {main: f"main trained to {main}"}
    if transfer is not None:
        labels[transfer] = f"{other} trained to {transfer}" if other else f"auxiliary of the pair: {transfer}"
    first, last = min(lengths), max(lengths)
    rows = []
    for row, (length, label) in enumerate(labels.items()):
        x = NARROW * (length + 1 - first) / (last + 1 - first)
        align = "right" if x >= text_width(label, theme.size - 1) else "left"
        rows.append({"x": length + 0.5, "label": label, "align": align, "row": row})
    table = pd.DataFrame(rows)
    return table[table.x.between(first, last + 0.5)]


def rule_layers(rules: pd.DataFrame, theme: Theme, axis: LengthAxis) -> list[Any]:
    """Each rule from the length axis up to its label above the zones' names, a line of text for each."""
    layers: list[Any] = []
    for rule in rules.to_dict(orient="records"):
        top = -(theme.size + 8) - rule["row"] * (theme.size + 3)
        base = alt.Chart(pd.DataFrame([rule]))
        line = base.mark_rule(color=theme.muted, strokeDash=[2, 2], strokeWidth=1, tooltip=None)
        text = base.mark_text(
            align=rule["align"], baseline="bottom", dx=-4 if rule["align"] == "right" else 4, tooltip=None,
            fontSize=theme.size - 1, color=theme.text,
        )  # fmt: skip
        layers.append(line.encode(x=axis("x"), y=alt.value(top - theme.size), y2=alt.value("height")))
        layers.append(text.encode(x=axis("x"), y=alt.value(top), text="label:N"))
    return layers


# --- curves -----------------------------------------------------------------------------------------------------


def band_layer(curves: pd.DataFrame, axis: LengthAxis) -> Any:
    """The bands, one area per curve; of single runs only the main task's, because three of them hide each other."""
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


def stacked(curves: pd.DataFrame) -> pd.DataFrame:
    """``curves`` with ``under``, how many curves of auxiliaries are drawn over each, and the ``size`` of its points.

    Where two coincide the lower one shows in the gaps of the other's dashes, and around its points.
    """
    others = curves[curves.role != "main"].sort_values("order", kind="stable").series.drop_duplicates()
    places = {series: place for place, series in enumerate(reversed(others.tolist()))}
    under = curves.series.map(places).fillna(0).astype(int)
    return curves.assign(under=under, size=POINT * (1 + under))


def point_layers(curves: pd.DataFrame, axis: LengthAxis) -> list[Any]:
    """A point per length, under a larger invisible one that tells its numbers."""
    points = alt.Chart(curves.sort_values("order", ascending=False, kind="stable"))
    place: dict[str, Any] = {"x": axis("length"), "y": alt.Y("mean:Q", axis=AXIS, scale=SCALE)}
    tooltip = [
        alt.Tooltip("series:N", title="task"),
        alt.Tooltip("length:Q"),
        alt.Tooltip("mean:Q", title="exact match, mean", format=".1%"),
        alt.Tooltip("low:Q", title="band from", format=".1%"),
        alt.Tooltip("high:Q", title="band to", format=".1%"),
        alt.Tooltip("band:N", title="band"),
        alt.Tooltip("runs:Q", title="seeds"),
        alt.Tooltip("prompts:Q", title="test prompts, all seeds", format=","),
    ]
    shown = points.mark_point(opacity=1, strokeWidth=1.5, tooltip=None).encode(
        **place, size=alt.Size("size:Q", scale=None, legend=None), shape=alt.Shape("shape:N", scale=None, legend=None),
        fill=alt.Fill("fill:N", scale=None, legend=None), stroke=alt.Stroke("colour:N", scale=None, legend=None),
    )  # fmt: skip
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
    bounds = rows[rows.role == "main"][["training_length", "transfer_length"]].drop_duplicates()
    parts = []
    for series, curve in rows.sort_values("order", kind="stable").groupby("series", sort=False):
        lengths = sorted(set(curve.length.astype(int)))
        zones = {"all": lengths}
        if len(bounds) == 1:
            transfer = bounds.transfer_length.iloc[0]
            found = zone_lengths(lengths, int(bounds.training_length.iloc[0]), None if pd.isna(transfer) else transfer)
            zones = {ZONE_NAMES[zone]: values for zone, values in found.items()}
        means = [
            f"{curve.ratio[curve.length.isin(found)].mean():.0%} at lengths {found[0]}–{found[-1]} ({name})"
            for name, found in zones.items()
        ]
        parts.append(f"{series}: {', '.join(means)}")
    return f"{title or 'Length-accuracy curves'}. Exact match, {'; '.join(parts)}. {note}"
