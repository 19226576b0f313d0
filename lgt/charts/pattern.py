"""Where a head looks: its attention pattern, averaged over prompts of one layout."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lgt.charts.palette import Theme, heading, styled, task_colour, task_title

SIGNS = {"<bos>": "●", "<eos>": "○"}
TAG_SIGN = "■"
MOST_LABELS = 48
"""With more positions than this the axes name only prompt and answer."""


def attention_pattern(
    pattern: ArrayLike, tokens: Sequence[str], prompt: int, prompts: int, theme: Theme, *, task: str, head: str,
    height: int = 320,
) -> Any:  # fmt: skip
    """One head's mean attention pattern for one task.

    ``pattern`` [T, T]: row i is the token that is read (the model predicts token i + 1 there), column j where the head
    looks, rows sum to one. ``tokens`` [T]: one prompt's, as labels of the positions. The first ``prompt`` of them are
    the prompt, the others the answer. ``prompts``: how many were averaged.
    """
    weights = np.asarray(pattern, dtype=float)
    count = len(weights)
    cells = pattern_cells(weights, tokens)
    x_axis, y_axis = (position_axis(tokens, title) for title in ("Token it looks at", "Token that is read"))
    across, down = (alt.Scale(domain=ends, nice=False) for ends in ([0, count], [count, 0]))
    x, y = alt.X("column:Q", scale=across, axis=x_axis), alt.Y("row:Q", scale=down, axis=y_axis)
    ramp = alt.Scale(
        domain=[0, 1], range=[theme.grid, task_colour(task, theme)], clamp=True, nice=False, interpolate="rgb"
    )
    legend = alt.Legend(title="attention", orient="bottom", direction="horizontal", gradientLength=120,
                        gradientThickness=9, tickCount=2)  # fmt: skip
    tooltip = [alt.Tooltip("read:N", title="read"), alt.Tooltip("seen:N", title="looks at"),
               alt.Tooltip("weight:Q", title="attention, mean", format=".2f")]  # fmt: skip
    rect = (
        alt.Chart(cells)
        .mark_rect()
        .encode(
            x=x,
            x2="right:Q",
            y=y,
            y2="bottom:Q",
            color=alt.Color("weight:Q", scale=ramp, legend=legend),
            tooltip=tooltip,
        )
    )
    note = f"Mean over {prompts} prompts of one layout."
    chart = alt.layer(rect, *boundary_layers(prompt, count, theme, x, y)).properties(
        width="container", height=height, title=heading(theme, note, task_title(task), offset=22),
        description=description(cells, task, head, note),
    )  # fmt: skip
    return styled(chart, theme)


def sign(token: str) -> str:
    """A token as an axis names it: one sign for the start and one for the task's tag."""
    return SIGNS.get(token, TAG_SIGN if token.startswith("<") else token.strip("[]"))


def pattern_cells(weights: np.ndarray, tokens: Sequence[str]) -> pd.DataFrame:
    """One row per cell at or below the diagonal (what comes later cannot be seen), edges in positions."""
    row, column = np.tril_indices(len(weights))
    names = [f"{sign(token)} (position {place + 1})" for place, token in enumerate(tokens)]
    return pd.DataFrame(
        {"row": row, "bottom": row + 1, "column": column, "right": column + 1, "weight": weights[row, column],
         "read": [names[i] for i in row], "seen": [names[j] for j in column]}
    )  # fmt: skip


def position_axis(tokens: Sequence[str], title: str) -> alt.Axis:
    """An axis whose labels are the tokens, each in the middle of its position; none when there are too many."""
    signs = json.dumps([sign(token) for token in tokens], ensure_ascii=False)
    shown = [place + 0.5 for place in range(len(tokens))] if len(tokens) <= MOST_LABELS else []
    return alt.Axis(
        title=title, values=shown, labelExpr=f"{signs}[floor(datum.value)]", labelFontSize=9, labelAngle=0,
        labelOverlap=False, labelPadding=2, ticks=False, grid=False, domain=False,
    )  # fmt: skip


def boundary_layers(prompt: int, count: int, theme: Theme, x: alt.X, y: alt.Y) -> list[Any]:
    """Lines between prompt and answer, and these words above the columns."""
    edge = pd.DataFrame([{"column": prompt, "row": prompt}])
    rule: dict[str, Any] = {"color": theme.text, "strokeDash": [3, 3], "strokeWidth": 1, "tooltip": None}
    words = pd.DataFrame([{"column": prompt / 2, "word": "prompt"}, {"column": (prompt + count) / 2, "word": "answer"}])
    text = alt.Chart(words).mark_text(fontSize=theme.size - 1, color=theme.muted, baseline="bottom", tooltip=None)
    return [
        alt.Chart(edge).mark_rule(**rule).encode(x=x),
        alt.Chart(edge).mark_rule(**rule).encode(y=y),
        text.encode(x=x, y=alt.value(-4), text="word:N"),
    ]


def description(cells: pd.DataFrame, task: str, head: str, note: str) -> str:
    """The pattern in words: the places that get most attention, over all rows."""
    strongest = cells.sort_values("weight", ascending=False, kind="stable").head(3)
    spoken = "; ".join(
        f"reading {row['read']} it looks at {row['seen']} with {row['weight']:.2f}"
        for row in strongest.to_dict(orient="records")
    )
    return f"Attention of {head} for {task_title(task)}. {spoken}. {note}"
