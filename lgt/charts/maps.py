"""Mean-ablation maps: layers x heads per task, side by side on one colour scale.

The panels lie in one view, so that the picture stretches to its container as a whole.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from lgt.charts.marks import colour, px
from lgt.charts.theme import Theme, heading, message, styled, task_colour
from lgt.recipes.labels import head_name, task_title

NARROW = 325
"""Width of the maps on a phone, px."""
READABLE = 20
"""A cell of at least this width on a phone carries its value as text, px."""
ROW = 30
"""Height of a cell, px."""
PANEL_HEADING = 38
PANEL_GAP = 1.0
"""Between panels of one row, in cells."""


def ablation_maps(
    frame: pd.DataFrame, theme: Theme, *, tasks: Sequence[str] | None = None, maximum: float | None = None,
    columns: int | None = None, title: str = "", subtitle: str = "", chosen: str = "",
) -> Any:  # fmt: skip
    """One map per task: the drop of exact match, in percentage points, when a head is knocked out.

    ``frame``: one row per (task, layer, head) with ``accuracy_drop`` (a share of prompts), layers and heads counted
    from 0, shown from 1, layer 1 at the bottom. ``tasks`` chooses and orders the panels (default: as they come),
    ``columns`` of them stand in a row (default: up to three, as many as leave room for the values). ``maximum``: the
    drop of the strongest colour (default: the largest drop shown, at least 10 points), the same for all panels; rises
    of accuracy keep their value and have the colour of no drop. ``chosen`` names a head to mark in every panel (such as
    ``L2·H1``).
    """
    names = list(tasks) if tasks is not None else list(dict.fromkeys(frame.task))
    frame = frame[frame.task.isin(names)]
    if frame.empty:
        return message("There is no ablation map at these lengths.", theme)
    heads = int(frame["head"].max()) + 1
    cells = map_cells(frame, names, columns or readable_columns(heads, len(names)))
    top = maximum or strongest_drop(frame)
    height = float(cells.y.max()) + ROW
    width = float(cells.x.max()) + 1
    scale = alt.Scale(domain=[0, width], nice=False, zero=False)
    layers = [*cell_layers(cells, theme, top, scale, width), *name_layers(cells, theme, scale)]
    if chosen:
        layers.append(frame_layer(cells[cells["name"] == chosen], theme, scale))
    note = "Drop of exact match in percentage points when the head is knocked out."
    chart = alt.layer(*layers).properties(
        width="container", height=height, title=heading(theme, note, title, subtitle, offset=4),
        description=description(cells, title),
    )  # fmt: skip
    return styled(chart.resolve_scale(color="independent"), theme)  # cells have a ramp, texts their own colours


def strongest_drop(frame: pd.DataFrame) -> float:
    """The drop of the strongest colour: the largest one, at least 10 points, so that noise does not look important."""
    return max(0.1, float(frame.accuracy_drop.max()))


def row_width(heads: int, columns: int) -> float:
    """Width of a row of panels with the layers' names, in cells."""
    return 0.5 + columns * heads + (columns - 1) * PANEL_GAP


def readable_columns(heads: int, panels: int) -> int:
    """How many panels, at most three, fit in a row whose cells can carry text on a phone; at least one."""
    fitting = [count for count in (3, 2) if NARROW / row_width(heads, count) >= READABLE]
    return min(panels, fitting[0]) if fitting else 1


def map_cells(frame: pd.DataFrame, names: Sequence[str], columns: int) -> pd.DataFrame:
    """One row per cell: ``x`` in cells from the left, ``y`` in px from the top, ``points``, and names for tooltips."""
    layers, heads = int(frame.layer.max()) + 1, int(frame["head"].max()) + 1
    panels = frame.task.map({name: place for place, name in enumerate(names)})
    panel_height = PANEL_HEADING + layers * ROW + 28
    return frame.assign(
        panel=panels,
        x=0.5 + (panels % columns) * (heads + PANEL_GAP) + frame["head"],
        y=(panels // columns) * panel_height + PANEL_HEADING + (layers - 1 - frame.layer) * ROW,
        points=100 * frame.accuracy_drop,
        title=[task_title(task) for task in frame.task],
        name=[head_name(layer, head) for layer, head in zip(frame.layer, frame["head"], strict=True)],
    )[["task", "title", "panel", "layer", "head", "name", "x", "y", "points"]].sort_values(["panel", "layer", "head"])


def cell_layers(cells: pd.DataFrame, theme: Theme, top: float, scale: alt.Scale, width: float) -> list[Any]:
    """The cells with their values. Where cells are too narrow for text, only the tooltips have the values."""
    boxes = cells.assign(
        left=cells.x + 0.03, right=cells.x + 0.97, middle=cells.x + 0.5, bottom=cells.y + ROW - 2,
        centre=cells.y + ROW / 2 - 1, text=[cell_text(points) for points in cells.points],
        ink=[ink(points / (100 * top), theme) for points in cells.points],
    )  # fmt: skip
    ramp = alt.Scale(domain=[0, 100 * top], range=list(theme.ramp), clamp=True, nice=False, interpolate="lab")
    legend = alt.Legend(
        title="drop, points", orient="bottom", direction="horizontal", gradientLength=140, gradientThickness=9,
        tickCount=3, offset=26,
    )  # fmt: skip
    tooltip = [
        alt.Tooltip("title:N", title="task"),
        alt.Tooltip("name:N", title="head"),
        alt.Tooltip("points:Q", title="drop, points", format=".1f"),
    ]
    rect = alt.Chart(boxes).mark_rect(cornerRadius=3).encode(
        x=alt.X("left:Q", scale=scale, axis=None), x2="right:Q", y=px("y", alt.Y), y2="bottom:Q",
        color=alt.Color("points:Q", scale=ramp, legend=legend), tooltip=tooltip,
    )  # fmt: skip
    layers = [rect]
    if NARROW / width >= READABLE:
        text = alt.Chart(boxes).mark_text(fontSize=theme.size - 1, tooltip=None)
        layers.append(text.encode(
            x=alt.X("middle:Q", scale=scale, axis=None), y=px("centre", alt.Y), text="text:N", color=colour("ink")
        ))  # fmt: skip
    return layers


def frame_layer(cells: pd.DataFrame, theme: Theme, scale: alt.Scale) -> Any:
    """A frame around the chosen head's cell in every panel."""
    table = cells.assign(right=cells.x + 1, bottom=cells.y + ROW - 1, top=cells.y - 1)
    mark = alt.Chart(table).mark_rect(
        cornerRadius=4, fill=None, fillOpacity=0, stroke=theme.text, strokeWidth=2.5, tooltip=None
    )
    x = alt.X("x:Q", scale=scale, axis=None)
    return mark.encode(x=x, x2="right:Q", y=px("top", alt.Y), y2="bottom:Q")


def cell_text(points: float) -> str:
    """A drop in a cell: whole points, with a real minus sign."""
    return f"{round(points)}".replace("-", "−")


def ramp_colour(share: float, theme: Theme) -> str:
    """The colour at ``share`` of the ramp, as the hexadecimal text of a colour."""
    return "#" + "".join(f"{round(255 * channel):02X}" for channel in _ramp_channels(share, theme))


def _ramp_channels(share: float, theme: Theme) -> list[float]:
    stops = np.array([_channels(stop) for stop in theme.ramp])
    place = min(max(share, 0.0), 1.0) * (len(stops) - 1)
    return [float(np.interp(place, range(len(stops)), stops[:, channel])) for channel in range(3)]


def ink(share: float, theme: Theme) -> str:
    """The text colour with the better contrast on the colour at ``share`` of the ramp: that of text or of the page."""
    behind = _light(_ramp_channels(share, theme))

    def contrast(colour: str) -> float:
        lights = sorted((behind, _light(_channels(colour))))
        return (lights[1] + 0.05) / (lights[0] + 0.05)

    return max((theme.text, theme.surface), key=contrast)


def _channels(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def _light(channels: list[float]) -> float:
    """Relative luminance in [0, 1], with sRGB's curve as a power of 2.2."""
    return float(sum(weight * value**2.2 for weight, value in zip((0.2126, 0.7152, 0.0722), channels, strict=True)))


def name_layers(cells: pd.DataFrame, theme: Theme, scale: alt.Scale) -> list[Any]:
    """Task names above the panels, head numbers below them, layer numbers at the left of the first column."""
    tops = cells.groupby("panel", as_index=False).agg(
        x=("x", "min"), y=("y", "min"), title=("title", "first"), task=("task", "first")
    )
    room = int((cells["head"].max() + 1 + PANEL_GAP / 2) * NARROW / (cells.x.max() + 1) / (0.56 * theme.size))
    lines = [textwrap.wrap(title, max(8, room)) for title in tops.title]
    above = [10 + (len(texts) - 1) * (theme.size + 2) for texts in lines]
    tops = tops.assign(
        y=tops.y - above, text=["\n".join(texts) for texts in lines],
        colour=[task_colour(task, theme) for task in tops.task],
    )  # fmt: skip
    heads = cells[cells.layer == 0].assign(
        x=lambda f: f.x + 0.5, y=lambda f: f.y + ROW + 9, label=lambda f: [f"H{head + 1}" for head in f["head"]]
    )
    first = cells[(cells["head"] == 0) & (cells.x == cells.x.min())]
    layers = first.assign(x=0.4, y=first.y + ROW / 2, label=[f"L{layer + 1}" for layer in first.layer])
    x = alt.X("x:Q", scale=scale, axis=None)
    style: dict[str, Any] = {"color": theme.muted, "fontSize": theme.size - 1, "tooltip": None}
    titles = alt.Chart(tops).mark_text(align="left", lineBreak="\n", fontSize=theme.size, fontWeight=600, tooltip=None)
    return [
        titles.encode(x=x, y=px("y", alt.Y), text="text:N", color=colour()),
        alt.Chart(heads).mark_text(**style).encode(x=x, y=px("y", alt.Y), text="label:N"),
        alt.Chart(layers).mark_text(align="right", **style).encode(x=x, y=px("y", alt.Y), text="label:N"),
    ]


def description(cells: pd.DataFrame, title: str) -> str:
    """The maps in words: each task's most important head."""
    best = cells.sort_values("points", ascending=False, kind="stable").drop_duplicates("panel").sort_values("panel")
    parts = [
        f"{row['title']}: largest drop {row['points']:.0f} percentage points at {row['name']}"
        for row in best.to_dict(orient="records")
    ]
    layers, heads = cells.layer.max() + 1, cells["head"].max() + 1
    return f"{title or 'Ablation maps'}, {layers} layers x {heads} heads. {'; '.join(parts)}."
