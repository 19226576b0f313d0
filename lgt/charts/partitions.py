"""Which heads each task may use, as small squares: for series whose tasks are confined to some heads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import altair as alt
import pandas as pd

from lgt.charts.theme import Theme, task_colour
from lgt.recipes.labels import task_title

STEP = 9  # px from one square to the next, in both directions
FIRST_AT = 0.08
"""Where in a row of the chart the first line of squares stands, as a share of the row."""
LINE = 0.14
"""From one line of squares to the next, as a share of the row."""


def head_squares(heads: pd.DataFrame, theme: Theme, y: Callable[[float], alt.Y]) -> list[Any]:
    """The layers of a chart with a row per series: a line of squares for each task at the right end of the row.

    ``heads``: one row per series, task and head, with ``series``, ``task``, ``head`` (from 0) and ``used``. ``y`` gives
    the place in a row. A head that the task may use is filled with the task's colour.
    """
    count, tasks = int(heads["head"].max()) + 1, list(dict.fromkeys(heads.task))
    rows = heads.assign(
        what=[task_title(task) for task in heads.task],
        said=[
            f"head {head + 1} of each layer: {'used' if used else 'not used'}"
            for head, used in zip(heads["head"], heads.used, strict=True)
        ],
    )
    tooltip = [alt.Tooltip("series:N"), alt.Tooltip("what:N", title="task"), alt.Tooltip("said:N", title="may use")]
    layers = []
    for place, task in enumerate(tasks):
        colour = task_colour(task, theme)
        squares = (
            alt.Chart(rows[rows.task == task])
            .transform_calculate(px=f"width - {STEP * count} + {STEP} * datum.head")
            .mark_point(shape="square", size=(STEP - 2) ** 2, strokeWidth=1, opacity=1)
        )
        layers.append(
            squares.encode(
                x=alt.X("px:Q", scale=None, axis=None), y=y(FIRST_AT + LINE * place), tooltip=tooltip,
                stroke=alt.condition("datum.used", alt.value(colour), alt.value(theme.grid)),
                fill=alt.condition("datum.used", alt.value(colour), alt.value("transparent")),
            )
        )  # fmt: skip
    return layers


def squares_note(heads: pd.DataFrame) -> str:
    """What the squares are, for the chart's heading."""
    tasks = ", ".join(task_title(task) for task in dict.fromkeys(heads.task))
    count = int(heads["head"].max()) + 1
    return f"Squares: which of the {count} heads of each layer a task may use; from top to bottom: {tasks}."
