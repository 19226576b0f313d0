"""The curve that a viewer guesses, before the measured one is shown and together with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from lgt.charts.accuracy import AXIS, SCALE, band_layer, line_layers, point_layers, with_overlaps
from lgt.charts.marks import axis_room, grid_lines, line_key, row_height
from lgt.charts.series import band_note, labelled, latest, summarised
from lgt.charts.theme import Theme, heading, message, styled
from lgt.charts.zones import LengthAxis, length_axis, zone_layers

GUESS = "your guess"
GUESS_DASH = [3, 4]


def guess_curve(
    frame: pd.DataFrame, theme: Theme, guess: Mapping[int, float], *, revealed: bool, height: int = 300,
    key_rows: int = 3,
) -> Any:  # fmt: skip
    """The guess over the zones of the main task, and the measured main task beside it once it is ``revealed``.

    ``frame`` as for :func:`lgt.charts.length_accuracy`; before the reveal only its lengths and zones are drawn, and no
    measured number is in the chart. ``guess`` maps lengths to expected shares of exact match.
    """
    rows = labelled(latest(frame[frame.role == "main"]), theme) if len(frame) else frame
    if rows.empty or not guess:
        return message("Nothing has been measured yet, so there is nothing to guess.", theme)
    axis = length_axis(rows)
    grid = grid_lines([0.25, 0.5, 0.75, 1], theme, alt.Y("at:Q", axis=AXIS, scale=SCALE))
    layers = [*zone_layers(rows, theme, axis), grid]
    note = "The measured curve is hidden until you reveal it."
    if revealed:
        curves = with_overlaps(summarised(rows, "min-max"))
        note = band_note(curves)
        layers += [band_layer(curves, axis), *line_layers(curves, axis), *point_layers(curves, axis)]
        layers += line_key(curves, theme, height, key_rows)
    layers += [*guess_layers(guess, theme, axis), *guess_key(theme, height, int(revealed))]
    chart = alt.layer(*layers).properties(
        width="container", height=height, title=heading(theme, note), description=description(guess, note)
    )
    return styled(chart, theme)


def guess_layers(guess: Mapping[int, float], theme: Theme, axis: LengthAxis) -> list[Any]:
    """The guessed points and the line between them, in the colour of text, because colours of tasks mean measured
    values."""
    points = alt.Chart(pd.DataFrame({"length": sorted(guess), "guess": [guess[length] for length in sorted(guess)]}))
    place: dict[str, Any] = {"x": axis("length"), "y": alt.Y("guess:Q", axis=AXIS, scale=SCALE)}
    tooltip = [alt.Tooltip("length:Q"), alt.Tooltip("guess:Q", title=GUESS, format=".0%")]
    line = points.mark_line(strokeDash=GUESS_DASH, strokeWidth=2.5, color=theme.text, tooltip=None)
    mark = points.mark_point(size=90, filled=False, fill=theme.surface, stroke=theme.text, strokeWidth=2, opacity=1)
    return [line.encode(**place), mark.encode(**place, tooltip=tooltip)]


def guess_key(theme: Theme, height: int, above: int) -> list[Any]:
    """The row of the guess in the key; ``above`` is the number of rows above it."""
    y = height + axis_room(theme) + above * row_height(theme)
    base = alt.Chart(alt.InlineData(values=[{}]))
    line = base.mark_rule(strokeDash=GUESS_DASH, strokeWidth=2.5, color=theme.text, tooltip=None)
    text = base.mark_text(
        text=GUESS, align="left", baseline="top", dy=-theme.size / 2, fontSize=theme.size, color=theme.text,
        tooltip=None,
    )  # fmt: skip
    return [
        line.encode(x=alt.value(0), x2=alt.value(34), y=alt.value(y)),
        text.encode(x=alt.value(42), y=alt.value(y)),
    ]


def description(guess: Mapping[int, float], note: str) -> str:
    """The guess in words."""
    points = ", ".join(f"{guess[length]:.0%} at length {length}" for length in sorted(guess))
    return f"Expected exact match of the main task: {points}. {note}"
