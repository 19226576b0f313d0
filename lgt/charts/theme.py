"""Colours and styles: colour is the task, dash is the role, the accent colour means shared.

The colours of the tasks stand in ``lgt/tasks/colours.py``.

Tasks of one task group differ also under simulated protanopia, deuteranopia and tritanopia; all tasks differ; and every
task colour has a contrast of at least 3:1 against the page (tested). A task has one hue with a shade for each theme,
because no single shade has enough contrast on white and on near-black.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import altair as alt

from lgt.core.plain_text import visible
from lgt.experiments.verdicts import Sense, sense_of
from lgt.metrics.failures import Kind
from lgt.tasks import TASKS

SPARE_COLOURS = (("#3E7C4F", "#7FC48F"), ("#7A5C3E", "#C9A27C"), ("#4A6FA5", "#93B4E3"), ("#8A4F6D", "#D89ABB"))
"""(light, dark) shades for tasks that this process does not know; which one is a function of the name alone."""

VERDICT_COLOURS: dict[Sense, tuple[str, str]] = {
    "holds": ("#177A4B", "#4CC38A"),
    "does not hold": ("#BD3124", "#FF8A7A"),
    "no premise": ("#9A5B00", "#F2A33A"),
}
"""(light, dark) shade of the verdicts that decide, by what they say about the claim; the same hues as the badges."""

ERROR_COLOURS: dict[Kind, tuple[str, str]] = {
    "right": ("#E4E9F0", "#252D38"),
    "stopped early": ("#04334F", "#88F0FC"),
    "did not stop": ("#2C9F69", "#0EAE6B"),
    "answered another task": ("#7A1FA2", "#A266BC"),
    "dropped carry": ("#A97F08", "#FEE186"),
    "shifted": ("#2A30F0", "#4C66F0"),
    "other error": ("#7A2413", "#DB2B1A"),
}
"""(light, dark) shade of each kind of answer. Wrong ones differ also for colour-blind readers, and from right ones
(tested)."""

SERIES_COLOURS = (
    ("#1420E0", "#6A4CFF"), ("#E0366F", "#E6677C"), ("#B97F0A", "#FFE94D"), ("#3A0A52", "#5CF2FF"),
    ("#7A1410", "#FF2E22"), ("#A667E6", "#B25CC4"),
)  # fmt: skip
"""(light, dark) shades of series on one axis, where several have the same main task. They differ also for colour-blind
readers (tested)."""

ROLE_DASHES = {"main": [1, 0], "auxiliary": [7, 4], "control": [2, 3]}
ROLE_WIDTHS = {"main": 3.0, "auxiliary": 2.0, "control": 2.0}
ROLES = tuple(ROLE_DASHES)

FONT = "Source Sans, Source Sans Pro, Segoe UI, Helvetica, Arial, sans-serif"
LINE_CHARACTERS = 52
"""Headings are broken into lines of this length, which a phone has room for."""
WIDER_LINES = (100, 150)
"""Longer lines, for plots that are wide enough."""
CHARACTER_WIDTH = 0.5
"""The mean width of a character, as a share of the text size."""


@dataclass(frozen=True)
class Theme:
    """Colours of everything that is not data. ``zones``: tints of trained, transfer region and beyond.

    ``shared`` is the accent, ``blue`` and ``amber`` are for what is no task. ``ramp`` runs from no drop to the largest.
    ``size`` is the text size in px: raise it for a projector.
    """

    name: str
    text: str
    muted: str
    grid: str
    surface: str
    zones: tuple[str, str, str]
    shared: str
    blue: str
    amber: str
    unused: str
    ramp: tuple[str, ...]
    size: int = 12

    @property
    def dark(self) -> bool:
        """Whether this is a dark theme."""
        return self.name == "dark"

    def verdict(self, outcome: str) -> str:
        """The colour of a verdict's words and marks; other verdicts are grey."""
        shades = VERDICT_COLOURS.get(sense_of(outcome))
        return shades[self.dark] if shades else self.muted


SHARED, BLUE, AMBER = "#7A1FA2", "#2C51C6", "#B0780F"
LIGHT = Theme(
    "light", "#1D2733", "#5F6B7A", "#E6E9EE", "#FFFFFF", ("#F2F5FA", "#FFF9EA", "#FFFFFF"),
    SHARED, BLUE, AMBER, "#C3C9D1",
    ("#F3F4F7", "#D9D3EA", "#B59AD6", "#8B55B8", "#5B1680"),
)  # fmt: skip
DARK = Theme(
    "dark", "#EDF1F5", "#A5B0BD", "#2A313B", "#0E1117", ("#161C26", "#242016", "#0E1117"),
    "#D79BF2", "#7F8CFF", "#F2A33A", "#4C5663",
    ("#1B212A", "#3A2D50", "#67458A", "#A06CC6", "#E9C4FF"),
)  # fmt: skip


def task_colour(task: str, theme: Theme) -> str:
    """The task's colour on this theme, the same in every chart; an unknown task gets one by its name."""
    shades = TASKS[task].colour if task in TASKS else SPARE_COLOURS[crc32(task.encode()) % len(SPARE_COLOURS)]
    return shades[theme.dark]


def wrapped(text: str) -> list[str]:
    """``text`` in lines that fit a narrow container."""
    return _lines([text], LINE_CHARACTERS)


def heading(theme: Theme, note: str, title: str = "", subtitle: str = "", offset: int = 8) -> Any:
    """A chart's heading: ``title`` in bold if there is one, ``subtitle``, then ``note`` (what is drawn, with n).

    Without a title, the lines are as long as the plot is wide, in three steps. The browser chooses, because only it
    knows the width. Vega-Lite cannot do this for the small lines below a title.
    """
    paragraphs = [visible(text) for text in (subtitle, note) if text]
    small: Any = _lines(paragraphs, LINE_CHARACTERS) if title else alt.ExprRef(_by_width(paragraphs, theme))
    if title:
        return alt.TitleParams(wrapped(title), subtitle=small, subtitlePadding=4, offset=offset)
    return alt.TitleParams(small, fontSize=theme.size, fontWeight="normal", color=theme.muted, offset=offset)


def _by_width(paragraphs: Sequence[str], theme: Theme) -> str:
    """A Vega expression for the lines of ``paragraphs`` in a plot that is ``width`` px wide."""
    found = json.dumps(_lines(paragraphs, LINE_CHARACTERS))
    for characters in WIDER_LINES:
        wide = round(characters * CHARACTER_WIDTH * theme.size)
        found = f"width >= {wide} ? {json.dumps(_lines(paragraphs, characters))} : {found}"
    return found


def _lines(paragraphs: Sequence[str], characters: int) -> list[str]:
    return [line for text in paragraphs for line in textwrap.wrap(text, characters)] or [""]


def styled(chart: Any, theme: Theme) -> Any:
    """``chart`` with the project's axes, fonts and transparent background; call it last, on the outermost chart."""
    # The height is the plot's own, so that plots side by side line up whatever stands around them. It must stand on the
    # chart itself: where only the config says so, Streamlit squeezes plot, key and titles into the height together.
    chart = chart.properties(autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
    return (
        chart.configure(
            background="transparent", font=FONT, padding={"left": 4, "right": 8, "top": 4, "bottom": 4},
        )
        .configure_view(stroke=None)
        .configure_mark(aria=False)  # a screen reader gets the chart's description, not a list of nameless marks
        .configure_axis(
            labelColor=theme.muted, titleColor=theme.text, domainColor=theme.muted, tickColor=theme.muted,
            gridColor=theme.grid, labelFontSize=theme.size, titleFontSize=theme.size + 1, titleFontWeight="normal",
            titlePadding=8,
        )
        .configure_legend(
            labelColor=theme.text, titleColor=theme.muted, labelFontSize=theme.size, titleFontSize=theme.size,
            titleFontWeight="normal", labelLimit=280,
        )
        .configure_title(
            color=theme.text, fontSize=theme.size + 3, anchor="start", frame="group", fontWeight=600,
            subtitleColor=theme.muted, subtitleFontSize=theme.size,
        )
    )  # fmt: skip


def message(text: str, theme: Theme, height: int = 120) -> Any:
    """A chart that only shows ``text``, for an empty frame."""
    mark = alt.Chart(alt.InlineData(values=[{}])).mark_text(
        text=wrapped(text), color=theme.muted, fontSize=theme.size + 2, lineBreak="\n"
    )
    return styled(mark.properties(width="container", height=height, description=text), theme)
