"""Colours and styles, decided once: colour is the task, dash is the role, the accent means shared.

Every pair of tasks that meets in one task group stays apart under simulated deuteranopia and protanopia (tested).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt

TASK_COLOURS = {
    "reverse_add": "#1F6FB2",
    "no_carry": "#E08A1E",
    "carry_only": "#12906F",
    "reverse_subtract": "#C8452E",
    "cot_multiply": "#C26BA5",
    "copy_first_operand": "#8A6D3B",
    "string_copy": "#5B57C2",
    "reverse": "#E08A1E",
    "capitalize": "#12906F",
    "capitalize_reverse": "#1F6FB2",
    "mqar": "#C8452E",
    "shortest_path": "#1F6FB2",
    "dfs_trace": "#E08A1E",
}
"""One colour per task. Tasks of different families never share a chart, so families may reuse a hue."""

ROLE_DASHES = {"main": [1, 0], "auxiliary": [6, 3], "control": [2, 3]}
ROLE_WIDTHS = {"main": 3.0, "auxiliary": 1.8, "control": 1.8}

FONT = "Source Sans, Source Sans Pro, Segoe UI, Helvetica, Arial, sans-serif"


@dataclass(frozen=True)
class Theme:
    """Colours of everything that is not data. ``zones``: tints of trained, transfer region and beyond."""

    text: str
    muted: str
    grid: str
    surface: str
    zones: tuple[str, str, str]
    shared: str
    unused: str
    task_lift: float
    """How far task colours are mixed towards white, so that they carry on a dark page."""


LIGHT = Theme("#1D2733", "#5F6B7A", "#E3E7EC", "#FFFFFF", ("#F1F3F6", "#FFF6E0", "#FAFAFB"), "#7A1FA2", "#B9C0C9", 0.0)
DARK = Theme("#EDF1F5", "#A5B0BD", "#333B46", "#0E1117", ("#1B212A", "#3A3115", "#12161D"), "#D79BF2", "#545E6B", 0.25)


def task_colour(task: str, theme: Theme) -> str:
    """The task's colour on this theme; tasks unknown to the palette are grey."""
    colour = TASK_COLOURS.get(task, theme.muted)
    channels = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    lifted = [round(channel + (255 - channel) * theme.task_lift) for channel in channels]
    return "#" + "".join(f"{channel:02X}" for channel in lifted)


def styled(chart: Any, theme: Theme) -> Any:
    """``chart`` with the house's axes, fonts and transparent background; call it last, on the outermost chart."""
    return (
        chart.configure(
            background="transparent", font=FONT, padding={"left": 4, "right": 8, "top": 4, "bottom": 4},
            # The height is the plot's own, so that plots side by side line up whatever stands around them.
            autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        )
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=theme.muted, titleColor=theme.text, domainColor=theme.muted, tickColor=theme.muted,
            gridColor=theme.grid, labelFontSize=12, titleFontSize=13, titleFontWeight="normal", titlePadding=8,
        )
        .configure_legend(labelColor=theme.text, titleColor=theme.muted, labelFontSize=12, labelLimit=280)
        .configure_title(color=theme.text, fontSize=15, anchor="start", fontWeight=600, subtitleColor=theme.muted,
                         subtitleFontSize=12)
    )  # fmt: skip


def message(text: str, theme: Theme, height: int = 120) -> Any:
    """A chart that only says ``text``: what an empty frame becomes."""
    mark = alt.Chart(alt.InlineData(values=[{}])).mark_text(text=text, color=theme.muted, fontSize=14)
    return styled(mark.properties(width="container", height=height, description=text), theme)
