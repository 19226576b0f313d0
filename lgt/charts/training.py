"""What happened during training: exact match per zone of the main task, and the loss."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from lgt.charts.marks import colour, curve_points, grid_lines, line_key
from lgt.charts.series import CURVE, BandChoice, band_note, beside_counts, curve_tooltip, labelled, summarised
from lgt.charts.theme import ROLE_DASHES, ROLE_WIDTHS, Theme, heading, message, styled
from lgt.charts.zones import main_bounds
from lgt.metrics.zones import ZONE_TITLES, zone_lengths

PANEL = 1.42
"""From the zero of one panel to that of the next, where a panel's accuracy goes from 0 to 1."""


def training_curves(
    frame: pd.DataFrame, theme: Theme, *, title: str = "", subtitle: str = "", band_choice: BandChoice = "min-max",
    panel_height: int = 96, key_rows: int = 1,
) -> Any:  # fmt: skip
    """Exact match over optimizer steps, never smoothed: one panel per zone of the main task, one curve per task.

    ``frame`` has the columns of :func:`lgt.store.queries.accuracy` with every evaluated step. A point is the mean over
    the panel's lengths, which are the main task's zone for every task, so that a panel compares tasks at equal lengths.
    The panels lie in one view, which stretches to its container.
    """
    zones = main_zones(frame)
    if not zones:
        return message(
            "Nothing has been measured yet, or the runs differ in training lengths. Choose runs of one task group.",
            theme,
        )
    curves = zone_curves(labelled(frame, theme), zones, band_choice)
    for name in ("mean", "low", "high"):
        curves[f"{name}_y"] = curves[name] + PANEL * curves.panel
    note = band_note(curves) + " A point: mean over the panel's lengths, not smoothed."
    height = int(panel_height * (PANEL * (len(zones) - 1) + 1))
    layers = [*panel_layers(zones, theme), *step_layers(curves, len(zones)), *line_key(curves, theme, height, key_rows)]
    chart = alt.layer(*layers).properties(
        width="container", height=height, title=heading(theme, note, title, subtitle, offset=24),
        description=description(curves, zones, title, note),
    )  # fmt: skip
    return styled(chart, theme)


def main_zones(frame: pd.DataFrame) -> dict[str, list[int]]:
    """The main task's zones by their short names, with their evaluated lengths; empty when main tasks do not agree."""
    bounds = main_bounds(frame)
    if bounds is None:
        return {}
    found = zone_lengths(frame.length[frame.role == "main"].astype(int), *bounds)
    return {ZONE_TITLES[zone]: lengths for zone, lengths in found.items()}


def zone_curves(rows: pd.DataFrame, zones: dict[str, list[int]], band_choice: BandChoice) -> pd.DataFrame:
    """The points of every panel (see :func:`lgt.charts.series.summarised`), with the number of their ``panel``."""
    parts = zone_rows(rows, zones).groupby("panel")
    return pd.concat(
        [summarised(part, band_choice, over="step").assign(panel=panel) for panel, part in parts], ignore_index=True
    )


def with_zone_curves(frame: pd.DataFrame, theme: Theme, band_choice: BandChoice) -> pd.DataFrame:
    """The rows of ``frame`` that are drawn, each with the point of its curve: the mean over the lengths of its zone.

    ``frame``: see :func:`training_curves`. Where nothing is drawn, ``frame`` as it is.
    """
    zones = main_zones(frame)
    if not zones:
        return frame
    rows = labelled(frame, theme)
    curves = zone_curves(rows, zones, band_choice)
    drawn = rows.assign(panel=rows.length.map(panel_of(zones)))
    return beside_counts(drawn[drawn.panel.notna()], curves, ["panel", "step"])[[*frame.columns, *CURVE.values()]]


def panel_of(zones: dict[str, list[int]]) -> dict[int, int]:
    """The panel of each length; the first zone is on top."""
    return {length: len(zones) - 1 - i for i, lengths in enumerate(zones.values()) for length in lengths}


def zone_rows(rows: pd.DataFrame, zones: dict[str, list[int]]) -> pd.DataFrame:
    """One row per (curve, run, step, panel): the mean ``ratio`` over the panel's lengths; the first zone on top."""
    places = panel_of(zones)
    rows = rows[rows.length.isin(list(places))].assign(panel=lambda f: f.length.map(places))
    marks = ["series", "task", "role", "order", "colour", "shape", "fill"]
    return rows.groupby([*marks, "run_id", "step", "panel"], as_index=False, sort=False).agg(
        ratio=("ratio", "mean"), correct=("correct", "sum"), total=("total", "sum")
    )


def panel_y(field: str, panels: int) -> alt.Y:
    """The stacked panels' y encoding: every panel has its own 0% and 100%."""
    ticks = [round(value + PANEL * panel, 3) for panel in range(panels) for value in (0.0, 0.5, 1.0)]
    label = f"format(round(100 * (datum.value - {PANEL} * floor((datum.value + 0.01) / {PANEL}))) / 100, '.0%')"
    axis = alt.Axis(title="Exact match", values=ticks, labelExpr=label, grid=False, domain=False, ticks=False)
    return alt.Y(f"{field}:Q", scale=alt.Scale(domain=[0, PANEL * (panels - 1) + 1], nice=False), axis=axis)


def panel_layers(zones: dict[str, list[int]], theme: Theme) -> list[Any]:
    """Grid lines, and above each panel its zone with its lengths."""
    panels = len(zones)
    lines = [value + PANEL * panel for panel in range(panels) for value in (0.0, 0.5, 1.0)]
    names = pd.DataFrame(
        {"label": f"{name} · lengths {lengths[0]}–{lengths[-1]}", "y": PANEL * (panels - 1 - i) + 1}
        for i, (name, lengths) in enumerate(zones.items())
    )
    text = alt.Chart(names).mark_text(
        align="left", baseline="bottom", dy=-5, color=theme.muted, fontSize=theme.size, tooltip=None
    )
    return [
        grid_lines(lines, theme, panel_y("at", panels)),
        text.encode(x=alt.value(0), y=panel_y("y", panels), text="label:N"),
    ]


STEP = alt.X("step:Q", axis=alt.Axis(title="Optimizer steps", grid=False, tickCount=6, format=",d"),
             scale=alt.Scale(zero=True, nice=False))  # fmt: skip


def step_layers(curves: pd.DataFrame, panels: int) -> list[Any]:
    """Bands, lines (the main task's last, on top) and points with their numbers; one line per curve and panel."""
    curves = curves.assign(line=curves.series + " " + curves.panel.astype(str))
    area = alt.Chart(curves[curves.low.notna()]).mark_area(opacity=0.18, tooltip=None)
    layers: list[Any] = [
        area.encode(x=STEP, y=panel_y("low_y", panels), y2="high_y:Q", color=colour(), detail="line:N")
    ]
    for role in ("control", "auxiliary", "main"):
        if (curves.role == role).any():
            mark = alt.Chart(curves[curves.role == role]).mark_line(
                strokeWidth=ROLE_WIDTHS[role] - 0.5, strokeDash=ROLE_DASHES[role], tooltip=None
            )
            layers.append(mark.encode(x=STEP, y=panel_y("mean_y", panels), color=colour(), detail="line:N"))
    tooltip = curve_tooltip(alt.Tooltip("step:Q", format=",d"))
    points = alt.Chart(curves.sort_values("order", ascending=False, kind="stable"))
    shown = curve_points(points, size=20, tooltip=None).encode(x=STEP, y=panel_y("mean_y", panels))
    target = points.mark_circle(size=200, opacity=0)
    return [*layers, shown, target.encode(x=STEP, y=panel_y("mean_y", panels), color=colour(), tooltip=tooltip)]


def description(curves: pd.DataFrame, zones: dict[str, list[int]], title: str, note: str) -> str:
    """The last step's numbers in words."""
    names = list(reversed(zones))
    parts = []
    for series, rows in curves.groupby("series", sort=False):
        last = rows[rows.step == rows.step.max()].sort_values("panel", ascending=False)
        values = ", ".join(f"{mean:.0%} {names[panel]}" for mean, panel in zip(last["mean"], last.panel, strict=True))
        parts.append(f"{series} after {int(rows.step.max()):,} steps: {values}")
    return f"{title or 'Exact match during training'}. {'; '.join(parts)}. {note}"


# --- loss -------------------------------------------------------------------------------------------------------


def loss_curve(
    frame: pd.DataFrame, theme: Theme, *, window: int = 0, title: str = "", subtitle: str = "", height: int = 220
) -> Any:
    """Training loss over optimizer steps on a logarithmic axis, one line per run.

    ``frame`` has the columns of :func:`lgt.store.queries.training_log`. With ``window`` (in logged points) a line
    is a centred moving geometric mean; the raw values stay visible behind it, and the chart says so. Only the loss may
    be smoothed. Values that are no positive number cannot be drawn and are counted.
    """
    if frame.empty:
        return message("No training log yet.", theme)
    rows = frame[np.isfinite(frame.loss) & (frame.loss > 0)].sort_values(["run_id", "step"])
    if rows.empty:
        return message("The loss was never a positive number: the training diverged.", theme)
    note = loss_note(rows, len(frame) - len(rows), window)
    powers = np.arange(np.floor(np.log10(rows.loss.min())), np.ceil(np.log10(rows.loss.max())) + 1)
    axis = alt.Axis(title="Training loss (nats per token)", values=(10.0**powers).tolist(), format="~g", domain=False)
    scale = alt.Scale(type="log", domain=[10.0 ** powers[0], 10.0 ** powers[-1]])
    y = alt.Y("loss:Q", scale=scale, axis=axis)
    base = alt.Chart(rows)
    tooltip = [alt.Tooltip("model_seed:Q", title="seed"), alt.Tooltip("run_id:Q", title="run"),
               alt.Tooltip("step:Q", format=",d"), alt.Tooltip("loss:Q", format=".4f")]  # fmt: skip
    raw = base.mark_line(strokeWidth=1 if window else 1.6, opacity=0.25 if window else 0.8, color=theme.blue).encode(
        x=STEP, y=y, detail="run_id:N", tooltip=tooltip
    )
    layers: list[Any] = [raw]
    if window:
        smooth = rows.assign(loss=smoothed(rows, window))
        line = alt.Chart(smooth).mark_line(strokeWidth=2, color=theme.blue)
        layers.append(line.encode(x=STEP, y=y, detail="run_id:N", tooltip=tooltip))
    chart = alt.layer(*layers).properties(
        width="container",
        height=height,
        title=heading(theme, note, title, subtitle),
        description=loss_words(rows, note),
    )
    return styled(chart, theme)


def smoothed(rows: pd.DataFrame, window: int) -> pd.Series:
    """Centred moving geometric mean of each run's loss over ``window`` logged points, fewer at both ends.

    Centred and on the logarithm, as the axis is: a falling loss is neither delayed nor pulled towards its spikes.
    """
    return rows.groupby("run_id").loss.transform(
        lambda loss: np.exp(np.log(loss).rolling(window, center=True, min_periods=1).mean())
    )


def loss_note(rows: pd.DataFrame, left_out: int, window: int) -> str:
    """What the lines are, with n, the smoothing and what could not be drawn."""
    runs = rows.run_id.nunique()
    note = f"One line per run, n = {runs}." if runs > 1 else "One run."
    if window:
        note += f" Thick: smoothed, moving geometric mean over {window} logged points. Thin: raw values."
    return note + (
        f" {left_out} of {left_out + len(rows)} values are not positive numbers and not drawn." if left_out else ""
    )


def loss_words(rows: pd.DataFrame, note: str) -> str:
    """The curve in words."""
    last = rows.groupby("run_id").loss.last()
    return f"Training loss to step {int(rows.step.max()):,}: last value {last.mean():.3f}, mean over runs. {note}"
