"""What one head attends to while an answer is written."""

from __future__ import annotations

import json
from typing import Any

import altair as alt
import pandas as pd

from lgt.charts.marks import colour, px
from lgt.charts.pattern import group_table, shown_if_it_fits
from lgt.charts.playground import fitting
from lgt.charts.theme import Theme, heading, message, styled

BARS = 64
"""Height of the bars above the tokens, px."""
STRIP = 30
"""Height of the row of tokens, px."""
PARTS = 18
"""Height of the row that names the parts of the sequence, px."""
LARGE = 0.15
"""Bars of at least this weight have their number above them."""
NUMBER = 30
"""Room that such a number takes, px."""
READABLE = 8.5
"""Text that would be smaller is not drawn, px."""
SMALLEST_WEIGHT = 0.005
"""Cells with a smaller weight are not drawn: nobody could see them, and they slow a browser down."""


def attention_map(
    frame: pd.DataFrame, theme: Theme, *, step: int, hidden: bool = False, title: str = "", note: str = ""
) -> Any:
    """What one head attends to: bars for the token being written, below them the tokens and the parts of the sequence,
    below these all of the answer. Tokens are named where there is room for them.

    ``frame``: one row per (step, position) that can be attended to, with ``step`` (from 1), ``written`` (the token
    written then), ``position`` (from 0), ``token`` (what stands there), ``part`` (of the sequence) and ``weight``.
    With ``hidden`` nothing that was written after ``step`` is shown; the size of the picture stays the same.
    """
    if not (frame.step == step).any():
        return message("No attention to show.", theme)
    steps, positions = int(frame.step.nunique()), int(frame.position.max()) + 1
    frame = frame.assign(line=frame.step.rank(method="dense").astype(int) - 1)
    row = max(9.0, min(24.0, 460.0 / steps))
    top = BARS + STRIP + PARTS + 4
    height = top + steps * row
    frame, here = frame[frame.step <= step] if hidden else frame, frame[frame.step == step]
    scale = alt.Scale(domain=[0, positions], nice=False, zero=False)
    ramp = alt.Scale(domain=[0, 1], range=list(theme.ramp), clamp=True, interpolate="lab")
    layers = [
        *weight_bars(here, theme, scale, positions),
        *token_strip(frame, here, theme, scale, positions),
        *part_strip(frame, theme, scale, positions, height),
        *pattern_layers(frame, theme, scale, ramp, top, row),
        step_frame(int(here.line.iloc[0]), theme, scale, positions, top, row),
        step_axis(frame, theme, top, row, height),
    ]
    best = here.sort_values("weight", ascending=False).head(3)
    looks = ", ".join(f"{r.token} in the {r.part} {r.weight:.0%}" for r in best.itertuples())
    chart = alt.layer(*layers).properties(
        width="container", height=height, title=heading(theme, note, title, offset=6),
        description=f"{title or 'Attention'}. While writing token {step} ({here.written.iloc[0]}): {looks}.",
    )  # fmt: skip
    return styled(chart.resolve_scale(y="independent", color="independent"), theme)


def weight_bars(here: pd.DataFrame, theme: Theme, scale: alt.Scale, positions: int) -> list[Any]:
    """A bar above each token: its share of the attention now, with the number where it is large and has room."""
    bars = here.assign(
        left=here.position + 0.15, right=here.position + 0.85, middle=here.position + 0.5,
        top=BARS - (BARS - 14) * here.weight, bottom=float(BARS), text=[f"{weight:.0%}" for weight in here.weight],
        room=room_beside_larger(here),
    )  # fmt: skip
    rect = alt.Chart(bars).mark_rect(color=theme.shared, cornerRadiusTopLeft=2, cornerRadiusTopRight=2)
    large = alt.Chart(bars[bars.weight >= LARGE]).mark_text(
        fontSize=theme.size - 1, color=theme.text, dy=-6, baseline="middle", tooltip=None,
        opacity=alt.ExprRef(expr=f"datum.room * width / {positions} >= {NUMBER} ? 1 : 0"),
    )  # fmt: skip
    return [
        rect.encode(
            x=alt.X("left:Q", scale=scale, axis=None), x2="right:Q", y=px("top", alt.Y), y2="bottom:Q",
            tooltip=weight_tooltip(),
        ),
        large.encode(x=alt.X("middle:Q", scale=scale, axis=None), y=px("top", alt.Y), text="text:N"),
    ]  # fmt: skip


def room_beside_larger(here: pd.DataFrame) -> list[int]:
    """For every bar how many positions away the next larger one is that has a number (the first of equals counts as
    larger); numbers nearer than they are wide would lie on each other."""
    order = here.sort_values("weight", ascending=False, kind="stable").position.tolist()
    rank = {position: place for place, position in enumerate(order)}
    return [
        min((abs(position - larger) for larger in order[: rank[position]]), default=len(order) + NUMBER)
        for position in here.position
    ]


def weight_tooltip() -> list[alt.Tooltip]:
    """The tooltip of a bar or a cell."""
    return [
        alt.Tooltip("written:N", title="while writing"), alt.Tooltip("token:N", title="looks at"),
        alt.Tooltip("part:N", title="in the"), alt.Tooltip("weight:Q", title="attention", format=".1%"),
    ]  # fmt: skip


def token_strip(frame: pd.DataFrame, here: pd.DataFrame, theme: Theme, scale: alt.Scale, positions: int) -> list[Any]:
    """The tokens that are read; those not written yet are faint, words stand upright."""
    tokens = frame.drop_duplicates("position").sort_values("position")
    seen = set(here.position)
    tokens = tokens.assign(
        middle=tokens.position + 0.5, y=BARS + STRIP / 2,
        ink=[theme.text if position in seen else theme.unused for position in tokens.position],
    )  # fmt: skip
    layers = []
    for words in (False, True):
        some = tokens[(tokens.token.str.len() > 2) == words]
        if some.empty:
            continue
        most, share = (12, 0.95) if words else (20, 1.15 if some.token.str.len().max() == 1 else 0.75)
        text = alt.Chart(some).mark_text(
            fontSize=fitting(positions, most, share), fontWeight=600, angle=270 if words else 0, baseline="middle",
            tooltip=None, opacity=alt.ExprRef(expr=f"{share} * width / {positions} >= {READABLE} ? 1 : 0"),
        )  # fmt: skip
        layers.append(text.encode(
            x=alt.X("middle:Q", scale=scale, axis=None), y=px("y", alt.Y), text="token:N", color=colour("ink")
        ))  # fmt: skip
    return layers


def part_strip(frame: pd.DataFrame, theme: Theme, scale: alt.Scale, positions: int, height: float) -> list[Any]:
    """The names of the sequence's parts below the tokens, and where each begins."""
    tokens = frame.drop_duplicates("position").sort_values("position")
    parts = group_table(tokens.part.tolist(), theme).assign(y=BARS + STRIP + PARTS / 2, top=BARS + STRIP, foot=height)
    text = alt.Chart(parts).mark_text(
        fontSize=theme.size - 1, color=theme.muted, baseline="middle", tooltip=None, opacity=shown_if_it_fits(positions)
    )
    edge = alt.Chart(parts[parts.start > 0]).mark_rule(color=theme.muted, opacity=0.5, strokeDash=[3, 3], tooltip=None)
    return [
        text.encode(x=alt.X("middle:Q", scale=scale, axis=None), y=px("y", alt.Y), text="name:N"),
        edge.encode(x=alt.X("start:Q", scale=scale, axis=None), y=px("top", alt.Y), y2="foot:Q"),
    ]


def pattern_layers(
    frame: pd.DataFrame, theme: Theme, scale: alt.Scale, ramp: alt.Scale, top: float, row: float
) -> list[Any]:
    """The pattern itself, on a background that ends with the answer."""
    places = {"top": top + frame.line * row, "bottom": top + (frame.line + 1) * row}
    cells = frame.assign(left=frame.position + 0.03, right=frame.position + 0.97, **places)
    ground = cells.groupby("step", as_index=False).agg(
        left=("left", "min"), right=("right", "max"), top=("top", "first"), bottom=("bottom", "first")
    )
    legend = alt.Legend(
        title="share of the attention", orient="bottom", direction="horizontal", format="%", gradientLength=140,
        gradientThickness=9, tickCount=3, offset=8,
    )  # fmt: skip
    x = alt.X("left:Q", scale=scale, axis=None)
    y = px("top", alt.Y)
    floor = alt.Chart(ground).mark_rect(color=theme.ramp[0], tooltip=None)
    rect = alt.Chart(cells[cells.weight >= SMALLEST_WEIGHT]).mark_rect()
    return [
        floor.encode(x=x, x2="right:Q", y=y, y2="bottom:Q"),
        rect.encode(
            x=x, x2="right:Q", y=y, y2="bottom:Q", tooltip=weight_tooltip(),
            color=alt.Color("weight:Q", scale=ramp, legend=legend),
        ),
    ]  # fmt: skip


def step_frame(line: int, theme: Theme, scale: alt.Scale, positions: int, top: float, row: float) -> Any:
    """A frame around the row of the token that is looked at."""
    box = pd.DataFrame(
        {"left": [0], "right": [positions], "top": [top + line * row], "bottom": [top + (line + 1) * row]}
    )
    mark = alt.Chart(box).mark_rect(filled=False, stroke=theme.shared, strokeWidth=2.5, cornerRadius=3, tooltip=None)
    return mark.encode(
        x=alt.X("left:Q", scale=scale, axis=None), x2="right:Q", y=px("top", alt.Y), y2="bottom:Q"
    )  # fmt: skip


def step_axis(frame: pd.DataFrame, theme: Theme, top: float, row: float, height: float) -> Any:
    """The tokens written, at the left of their rows."""
    written = frame.drop_duplicates("step").sort_values("step")
    values = [top + (line + 0.5) * row for line in written.line]
    names = {f"{value:g}": str(text) for value, text in zip(values, written.written, strict=True)}
    axis = alt.Axis(
        values=[float(value) for value in names], labelExpr=f"{json.dumps(names)}[datum.value]", title="token written",
        domain=False, ticks=False, grid=False, labelOverlap="greedy", labelColor=theme.text, labelPadding=6,
        labelFontSize=max(theme.size - 1, min(theme.size + 2, row)),
    )  # fmt: skip
    y = alt.Y("at:Q", axis=axis, scale=alt.Scale(domain=[height, 0], nice=False, zero=False))
    return alt.Chart(pd.DataFrame({"at": values})).mark_point(opacity=0, tooltip=None).encode(y=y)
