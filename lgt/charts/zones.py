"""The length axis, and the zones of lengths behind a curve: tints, names, and rules at the training lengths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import altair as alt
import pandas as pd

from lgt.charts.marks import colour, text_width
from lgt.charts.theme import Theme
from lgt.metrics.zones import ZONE_TITLES, ZONES, Zone, zone_lengths
from lgt.tasks import unit

NARROW = 280
"""Width of the plot on a phone, px: labels that stay apart here stay apart everywhere."""
BESIDE = 50
"""How far a text above the plot may reach to the left of it, over the numbers of the axis, px."""

LengthAxis = Callable[[str], alt.X]


def length_axis(rows: pd.DataFrame, longest: int | None = None) -> LengthAxis:
    """The length axis, as a function from a field to its x encoding: whole numbers to ``longest`` or further, in the
    unit of the first task."""
    first = str(rows.task.iloc[0])
    low, high = int(rows.length.min()), max(int(rows.length.max()), longest or 0)
    step = next((step for step in (1, 2, 4, 8, 16, 32, 64) if (high - low) / step <= 10), 128)
    ticks = [value for value in range(low, high + 1) if value % step == 0]
    scale = alt.Scale(domain=[low - 0.5, high + 0.5], nice=False, zero=False)
    axis = alt.Axis(title=f"Length ({unit(first)})", values=ticks, format="d", grid=False, labelOverlap=True)
    return lambda field: alt.X(f"{field}:Q", scale=scale, axis=axis)


def zone_layers(rows: pd.DataFrame, theme: Theme, axis: LengthAxis, emphasis: Zone | None = None) -> list[Any]:
    """Tints and names of the main task's zones, a frame around one, and labelled rules at the end of both trainings.

    Nothing where there is no main task, or where main tasks do not agree on their zones.
    """
    bounds = main_bounds(rows)
    if bounds is None:
        return []
    lengths = rows.length.astype(int).tolist()
    rules = rule_table(lengths, *bounds, auxiliary_role(rows), theme)
    return [*tint_layers(zone_table(lengths, *bounds, theme), theme, axis, emphasis), *rule_layers(rules, theme, axis)]


def main_bounds(rows: pd.DataFrame) -> tuple[int, int | None] | None:
    """(Lm, La) of the main task, La ``None`` without a transfer region; ``None`` where main tasks differ in them."""
    bounds = rows[rows.role == "main"][["training_length", "transfer_length"]].drop_duplicates()
    if len(bounds) != 1:
        return None
    transfer = bounds.transfer_length.iloc[0]
    return int(bounds.training_length.iloc[0]), None if pd.isna(transfer) else int(transfer)


def tint_layers(zones: pd.DataFrame, theme: Theme, axis: LengthAxis, emphasis: Zone | None = None) -> list[Any]:
    """The zones of :func:`zone_table` as tints with their names, and a frame around one of them."""
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
    ]


def zone_table(lengths: list[int], main: int, transfer: int | None, theme: Theme) -> pd.DataFrame:
    """One row per zone: where it lies, its name (empty when the zone is too narrow for it) and its tint."""
    scale = NARROW / (max(lengths) - min(lengths) + 1)
    zones = zone_lengths(lengths, main, transfer)
    tints = dict(zip(ZONES, theme.zones, strict=True))
    table = pd.DataFrame(
        {"zone": zone, "low": found[0] - 0.5, "high": found[-1] + 0.5, "name": ZONE_TITLES[zone], "colour": tints[zone]}
        for zone, found in zones.items()
    )
    fits = (table.high - table.low) * scale > 0.8 * table["name"].map(lambda name: text_width(name, theme.size))
    return table.assign(middle=(table.low + table.high) / 2, name=table["name"].where(fits, ""))


def auxiliary_role(rows: pd.DataFrame) -> str:
    """The role of the auxiliary tasks in the frame, ``auxiliary`` or ``control``; empty when there is none."""
    roles = [role for role in ("auxiliary", "control") if (rows.role == role).any()]
    return roles[0] if roles else ""


def rule_table(lengths: list[int], main: int, transfer: int | None, role: str, theme: Theme) -> pd.DataFrame:
    """One row per rule: ``x``, ``label``, the side it stands on (``align``) and ``row``, its line above the plot."""
    labels = {main: f"main trained to {main}"}
    if transfer is not None:
        labels[transfer] = f"{role} trained to {transfer}" if role else f"longer task's training length: {transfer}"
    first, last = min(lengths), max(lengths)
    rows = []
    for row, (length, label) in enumerate(labels.items()):
        x = NARROW * (length + 1 - first) / (last + 1 - first)
        fits_left = x + BESIDE >= min(text_width(label, theme.size - 1), NARROW / 2)  # else the side with more room
        align = "right" if fits_left else "left"
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
