"""A model's answer beside the truth, token by token.

Letters grow and shrink with the picture, from a phone to a projector.
"""

from __future__ import annotations

import json
from typing import Any

import altair as alt
import pandas as pd

from lgt.charts.marks import colour, px
from lgt.charts.theme import Theme, heading, message, styled

COLUMNS = 24
"""Longer answers continue in the next line."""
FEWEST_COLUMNS = 16
"""Shorter answers leave room at the right, so that their cells are not too wide."""
HEIGHTS = {"aid": 26, "model": 68, "truth": 42}
"""Height of a row by its kind, px."""
LINE_GAP = 22
WRONG = ("#C0341D", "#FF8B6B")
"""(light, dark): the colour of wrong tokens, which also have a mark."""
TINTS = {"right": ("#EDF1F6", "#1B222C"), "wrong": ("#FBE3DC", "#43231B"), "other": ("#FFFFFF", "#0E1117")}
MARKS = {"right": "✓", "wrong": "✗", "missing": "✗"}


def answer_row(frame: pd.DataFrame, theme: Theme, *, step: int, title: str = "", note: str = "") -> Any:
    """Rows of answer tokens: the parts of the calculation, what models wrote, the truth.

    ``frame``: one row per (row, place) in the order of drawing, with ``row`` (its name), ``kind`` (``aid``, ``model``
    or ``truth``), ``place`` (from 1), ``text``, ``state`` (of models' tokens: ``right``, ``wrong``, ``missing`` or
    ``given``), ``probability`` and ``likely`` (the favourites in words). ``step``: the place that is framed.
    """
    if frame.empty:
        return message("No answer yet.", theme)
    cells = answer_cells(frame)
    columns = float(max(cells.column.max() + 1, FEWEST_COLUMNS))
    scale = alt.Scale(domain=[0, columns], nice=False, zero=False)
    height = float(cells.bottom.max()) + 4
    layers = [
        *cell_layers(cells[cells.kind == "model"], theme, scale),
        current(cells, step, theme, scale),
        *text_layers(cells, theme, scale, columns),
        *mark_layers(cells[cells.kind == "model"], theme, scale),
        row_names(cells, theme, height),
        hover_layer(cells[cells.kind == "model"], scale),
    ]
    chart = alt.layer(*layers).properties(
        width="container", height=height, description=answer_description(frame, title),
        title=heading(theme, note or ANSWER_NOTE, title, offset=8),
    )  # fmt: skip
    return styled(chart.resolve_scale(y="independent", color="independent"), theme)


ANSWER_NOTE = (
    "Each cell is one token. The bar in it is the probability that the model gave this token. "
    "✗ marks a wrong token. The frame marks the token that is explained below."
)


def answer_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """``frame`` with each token's place in the picture: ``line``, ``column`` (cells), ``top`` and ``bottom`` (px)."""
    rows = list(dict.fromkeys(frame.row))
    kinds = dict(zip(frame.row, frame.kind, strict=True))
    tops = {row: sum(HEIGHTS[kinds[above]] + 2 for above in rows[:number]) for number, row in enumerate(rows)}
    line_height = sum(HEIGHTS[kinds[row]] + 2 for row in rows) + LINE_GAP
    line = (frame.place - 1) // COLUMNS
    top = frame.row.map(tops) + line * line_height + 4
    return frame.assign(
        line=line, column=(frame.place - 1) % COLUMNS, top=top, bottom=top + frame.kind.map(HEIGHTS),
        line_top=line * line_height, line_bottom=(line + 1) * line_height - LINE_GAP + 6,
    )  # fmt: skip


def cell_layers(cells: pd.DataFrame, theme: Theme, scale: alt.Scale) -> list[Any]:
    """The tinted cells of what models wrote, and the probabilities at their feet."""
    tints = {
        state: TINTS["wrong" if state in ("wrong", "missing") else state] for state in ("right", "wrong", "missing")
    }
    boxes = cells.assign(
        left=cells.column + 0.04, right=cells.column + 0.96,
        fill=[tints.get(state, TINTS["other"])[theme.dark] for state in cells.state],
        reach=cells.column + 0.1 + 0.8 * cells.probability.fillna(0.0), start=cells.column + 0.1,
        foot=cells.bottom - 4, ink=[bar_ink(state, theme) for state in cells.state],
    )  # fmt: skip
    rect = alt.Chart(boxes).mark_rect(cornerRadius=5, tooltip=None)
    bars = alt.Chart(boxes[boxes.probability.notna() & (boxes.state != "given")])
    return [
        rect.encode(
            x=alt.X("left:Q", scale=scale, axis=None), x2="right:Q", y=px("top", alt.Y), y2="bottom:Q",
            color=colour("fill"),
        ),
        bars.mark_rule(strokeWidth=3, strokeCap="round", tooltip=None).encode(
            x=alt.X("start:Q", scale=scale, axis=None), x2="reach:Q", y=px("foot", alt.Y), color=colour("ink")
        ),
    ]  # fmt: skip


def hover_layer(cells: pd.DataFrame, scale: alt.Scale) -> Any:
    """Invisible cells above all else, so that the token's own letter does not hide its tooltip."""
    tooltip = [
        alt.Tooltip("row:N", title="who"), alt.Tooltip("place:Q", title="token"),
        alt.Tooltip("text:N", title="wrote"), alt.Tooltip("state:N", title="is"),
        alt.Tooltip("likely:N", title="most likely"),
    ]  # fmt: skip
    cells = cells[cells.state != "later"].assign(right=cells.column + 1)
    return alt.Chart(cells).mark_rect(opacity=0).encode(
        x=alt.X("column:Q", scale=scale, axis=None), x2="right:Q", y=px("top", alt.Y), y2="bottom:Q", tooltip=tooltip
    )  # fmt: skip


def bar_ink(state: str, theme: Theme) -> str:
    """The colour of a probability bar and a mark."""
    return WRONG[theme.dark] if state in ("wrong", "missing") else theme.muted


def text_layers(cells: pd.DataFrame, theme: Theme, scale: alt.Scale, columns: float) -> list[Any]:
    """The tokens themselves; words (the end token) are smaller."""
    sizes = {"model": 1.0, "truth": 0.85, "aid": 0.55}
    layers = []
    for kind, share in sizes.items():
        for words in (False, True):
            some = cells[(cells.kind == kind) & ((cells.text.str.len() > 2) == words) & (cells.text != "")]
            if some.empty:
                continue
            widest = int(some.text.str.len().max())
            size = fitting(columns, 36 * share, share * min(0.95, 1.5 / widest))
            texts = some.assign(
                middle=some.column + 0.5, y=some.top + (28 if kind == "model" else HEIGHTS[kind] / 2),
                ink=[text_ink(row, theme) for row in some.to_dict(orient="records")],
            )  # fmt: skip
            mark = alt.Chart(texts).mark_text(
                fontSize=size, fontWeight=600 if kind != "aid" else 400, baseline="middle", tooltip=None
            )
            layers.append(mark.encode(
                x=alt.X("middle:Q", scale=scale, axis=None), y=px("y", alt.Y), text="text:N", color=colour("ink")
            ))  # fmt: skip
    return layers


def text_ink(row: dict[Any, Any], theme: Theme) -> str:
    """The colour of a token's text."""
    if row["kind"] == "aid" or row["state"] == "given":
        return theme.muted
    return WRONG[theme.dark] if row["state"] in ("wrong", "missing") else theme.text


def fitting(columns: float, most: float, share: float, least: float = 7) -> alt.ExprRef:
    """A font size of at most ``most`` px and ``share`` of a cell's width, of which ``columns`` share the plot's."""
    return alt.ExprRef(expr=f"max({least:g}, min({most:.1f}, {share:.3f} * width / {columns:g}))")


def mark_layers(cells: pd.DataFrame, theme: Theme, scale: alt.Scale) -> list[Any]:
    """A tick or a cross below each token that the model chose."""
    marks = cells[cells.state.isin(MARKS)]
    marks = marks.assign(
        middle=marks.column + 0.5, y=marks.bottom - 15, mark=marks.state.map(MARKS),
        ink=[bar_ink(state, theme) for state in marks.state],
    )  # fmt: skip
    text = alt.Chart(marks).mark_text(fontSize=theme.size + 2, fontWeight=700, baseline="middle", tooltip=None)
    return [text.encode(
        x=alt.X("middle:Q", scale=scale, axis=None), y=px("y", alt.Y), text="mark:N", color=colour("ink")
    )]  # fmt: skip


def current(cells: pd.DataFrame, step: int, theme: Theme, scale: alt.Scale) -> Any:
    """A frame around the column of the token that is looked at."""
    here = cells[cells.place == step].drop_duplicates("place")
    here = here.assign(left=here.column, right=here.column + 1)
    mark = alt.Chart(here).mark_rect(cornerRadius=7, filled=False, stroke=theme.shared, strokeWidth=2.5, tooltip=None)
    return mark.encode(
        x=alt.X("left:Q", scale=scale, axis=None), x2="right:Q", y=px("line_top", alt.Y), y2="line_bottom:Q"
    )


def row_names(cells: pd.DataFrame, theme: Theme, height: float) -> Any:
    """The rows' names, as the labels of an axis, which takes the room that they need."""
    rows = cells.drop_duplicates(["row", "line"])
    middles = (rows.top + rows.bottom) / 2
    names = {f"{middle:g}": str(row) for middle, row in zip(middles, rows.row, strict=True)}
    axis = alt.Axis(
        values=[float(value) for value in names], labelExpr=f"{json.dumps(names)}[datum.value]", title=None,
        domain=False, ticks=False, grid=False, labelOverlap=False, labelFontSize=theme.size + 2, labelPadding=6,
        labelColor=theme.text, labelLimit=130,
    )  # fmt: skip
    points = pd.DataFrame({"at": [float(value) for value in names]})
    y = alt.Y("at:Q", axis=axis, scale=alt.Scale(domain=[height, 0], nice=False, zero=False))
    return alt.Chart(points).mark_point(opacity=0, tooltip=None).encode(y=y)


def answer_description(frame: pd.DataFrame, title: str) -> str:
    """The answer in words: the truth, what each model wrote, and where its first wrong token is."""
    parts = []
    for row, cells in frame[frame.kind != "aid"].groupby("row", sort=False):
        text = " ".join(cells.text)
        wrong = cells[cells.state.isin(["wrong", "missing"])]
        said = f"{row}: {text}"
        if (cells.kind == "model").any():
            said += f", first wrong token {int(wrong.place.iloc[0])}" if len(wrong) else ", all right"
        parts.append(said)
    return f"{title or 'Answer'}, {int(frame.place.max())} tokens. {'; '.join(parts)}."
