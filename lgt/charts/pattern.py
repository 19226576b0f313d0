"""The attention pattern of a head, averaged over prompts of one layout."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lgt.charts.marks import text_width
from lgt.charts.theme import Theme, heading, styled, task_colour
from lgt.recipes.labels import task_title
from lgt.tasks.base import BODY_START

SIGNS = {"<bos>": "●", "<eos>": "○"}
TAG_SIGN = "■"
LABEL = 11
"""Size of a token's label, px; where a position has less room than that the axes name only the parts."""
ROW = 11.5
"""Wanted height of a row, px."""
HEIGHTS = (300, 560)
"""The plot's least and greatest height, px."""
OPERATORS = {"+", "-", "*"}
QUERY = "#"


def attention_pattern(
    pattern: ArrayLike, tokens: Sequence[str], prompt: int, prompts: int, theme: Theme, *, task: str, head: str,
) -> Any:  # fmt: skip
    """One head's mean attention pattern for one task.

    ``pattern`` [T, T]: row i is the token that is read (there the model predicts token i + 1), column j is where the
    head looks; rows sum to one. ``tokens`` [T]: one prompt's, as labels of the positions. The first ``prompt`` of them
    are the prompt, the others the answer. ``prompts``: how many were averaged. Longer sequences have a higher plot;
    tokens are named where there is room, parts of the sequence always.
    """
    weights = np.asarray(pattern, dtype=float)
    count = len(weights)
    height = round(min(max(ROW * count, HEIGHTS[0]), HEIGHTS[1]))
    cells = pattern_cells(weights, tokens)
    widest = max(len(sign(token)) for token in tokens)
    x_axis = position_axis(tokens, "Token it looks at", f"width / {count} >= {text_width('0', LABEL) * widest + 3:.1f}")
    y_axis = position_axis(tokens, "Token that is read", "true" if height / count >= LABEL - 0.5 else "false")
    across, down = (alt.Scale(domain=ends, nice=False) for ends in ([0, count], [count, 0]))
    x, y = alt.X("column:Q", scale=across, axis=x_axis), alt.Y("row:Q", scale=down, axis=y_axis)
    ramp = alt.Scale(
        domain=[0, 1], range=[theme.grid, task_colour(task, theme)], clamp=True, nice=False, interpolate="rgb"
    )
    legend = alt.Legend(title="share of the attention", orient="bottom", direction="horizontal", format="%",
                        gradientLength=120, gradientThickness=9, tickCount=2)  # fmt: skip
    tooltip = [alt.Tooltip("read:N", title="read"), alt.Tooltip("seen:N", title="looks at"),
               alt.Tooltip("weight:Q", title="attention, mean", format=".1%")]  # fmt: skip
    shade = alt.Color("weight:Q", scale=ramp, legend=legend)
    rect = alt.Chart(cells).mark_rect().encode(x=x, x2="right:Q", y=y, y2="bottom:Q", color=shade, tooltip=tooltip)
    note = f"Mean over {prompts} prompts of one layout."
    parts = group_table(part_names(tokens, prompt), theme)
    chart = alt.layer(rect, *boundary_layers(parts, prompt, count, theme, x, y, height)).properties(
        width="container", height=height, title=heading(theme, note, task_title(task), offset=22),
        description=description(cells, task, head, note),
    )  # fmt: skip
    return styled(chart, theme)


def sign(token: str) -> str:
    """A token as an axis names it: one sign for the start and one for the task's tag."""
    return SIGNS.get(token, TAG_SIGN if token.startswith("<") else token.strip("[]"))


def part_names(tokens: Sequence[str], prompt: int) -> list[str]:
    """To which part of the sequence each token belongs; the first ``prompt`` of them are the prompt.

    >>> part_names(["<bos>", "<reverse_add>", "4", "7", "+", "8", "=", "2"], 7)[2:]
    ['first number', 'first number', 'prompt', 'second number', 'prompt', 'answer']
    """
    body = list(tokens[BODY_START:prompt])
    names = ["prompt"] * len(body)
    operator = next((place for place, token in enumerate(body) if token in OPERATORS), None)
    if QUERY in body:
        cut = body.index(QUERY)
        names = ["maze"] * cut + ["question"] * (len(body) - cut)
    elif operator is not None:
        names[:operator] = ["first number"] * operator
        names[operator + 1 : -1] = ["second number"] * (len(body) - operator - 2)
    return ["begin token", "task tag", *names, *["answer"] * (len(tokens) - prompt)]


def group_table(parts: Sequence[str], theme: Theme) -> pd.DataFrame:
    """One row per part of more than one token: its ``name``, ``start``, ``end`` and ``middle`` in positions, and the
    ``room`` that the name takes, px."""
    rows, start = [], 0
    for name, tokens in groupby(parts):
        end = start + len(list(tokens))
        if end - start > 1:
            rows.append({"name": name, "start": start, "end": end, "middle": (start + end) / 2,
                         "room": text_width(name, theme.size)})  # fmt: skip
        start = end
    return pd.DataFrame(rows, columns=["name", "start", "end", "middle", "room"])


def shown_if_it_fits(positions: float, size: str = "width") -> alt.ExprRef:
    """The opacity of a part's name: none where the part is narrower than it, in a plot of ``positions``."""
    return alt.ExprRef(expr=f"(datum.end - datum.start) * {size} / {positions:g} >= datum.room ? 1 : 0")


def pattern_cells(weights: np.ndarray, tokens: Sequence[str]) -> pd.DataFrame:
    """One row per cell at or below the diagonal (what comes later cannot be seen), edges in positions."""
    row, column = np.tril_indices(len(weights))
    names = [f"{sign(token)} (position {place + 1})" for place, token in enumerate(tokens)]
    return pd.DataFrame(
        {"row": row, "bottom": row + 1, "column": column, "right": column + 1, "weight": weights[row, column],
         "read": [names[i] for i in row], "seen": [names[j] for j in column]}
    )  # fmt: skip


def position_axis(tokens: Sequence[str], title: str, fits: str) -> alt.Axis:
    """An axis whose labels are the tokens, each in the middle of its position; none unless ``fits``, an expression."""
    signs = json.dumps([sign(token) for token in tokens], ensure_ascii=False)
    return alt.Axis(
        title=title, values=[place + 0.5 for place in range(len(tokens))], labelFontSize=LABEL, labelAngle=0,
        labelExpr=f"{fits} ? {signs}[floor(datum.value)] : ''", labelOverlap=False, labelPadding=2, ticks=False,
        grid=False, domain=False,
    )  # fmt: skip


def boundary_layers(
    parts: pd.DataFrame, prompt: int, count: int, theme: Theme, x: alt.X, y: alt.Y, height: int
) -> list[Any]:
    """Lines between parts, a stronger one before the answer; their names above the columns and beside the rows."""
    edges = pd.DataFrame({"column": parts.start[parts.start > 0]}).assign(row=lambda rows: rows.column)
    places = parts.assign(column=parts.middle, row=parts.middle)
    words: dict[str, Any] = {"fontSize": theme.size - 1, "color": theme.muted, "tooltip": None}
    across = alt.Chart(places).mark_text(**words, baseline="bottom", opacity=shown_if_it_fits(count))
    down = alt.Chart(places).mark_text(
        **words, angle=270, baseline="top", dy=5, opacity=shown_if_it_fits(count, f"{height}")
    )
    layers: list[Any] = [across.encode(x=x, y=alt.value(-4), text="name:N")]
    layers.append(down.encode(x=alt.value("width"), y=y, text="name:N"))
    for strong, rows in edges.groupby(edges.column == prompt):
        mark: dict[str, Any] = {"color": theme.text, "strokeDash": [3, 3], "strokeWidth": 1, "tooltip": None}
        rule = alt.Chart(rows).mark_rule(**mark, opacity=1 if strong else 0.35)
        layers += [rule.encode(x=x), rule.encode(y=y)]
    return layers


def description(cells: pd.DataFrame, task: str, head: str, note: str) -> str:
    """The pattern in words: the places that get most attention, over all rows."""
    strongest = cells.sort_values("weight", ascending=False, kind="stable").head(3)
    spoken = "; ".join(
        f"reading {row['read']} it looks at {row['seen']} with {row['weight']:.0%}"
        for row in strongest.to_dict(orient="records")
    )
    return f"Attention of {head} for {task_title(task)}. {spoken}. {note}"
