"""A maze as a picture: its nodes and passages, start and target, the true way and the model's way."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from lgt.charts.marks import colour
from lgt.charts.playground import WRONG
from lgt.charts.theme import Theme, heading, styled

HEIGHT = 360
WAYS = {"truth": ([1, 0], 3), "model": ([7, 4], 8)}
"""The dash of each way, and how far it is drawn to the right of its direction, px. So both ways are visible where they
agree, and a step back is visible beside the step forward."""
NUMBER = 18
"""How far the numbers of moves keep to the right, px."""


def maze_picture(
    nodes: pd.DataFrame, edges: pd.DataFrame, moves: pd.DataFrame, theme: Theme, *, grid: int, title: str = ""
) -> Any:
    """The maze on its ``grid`` x ``grid`` cells.

    ``nodes``: ``node``, ``column``, ``row`` (from the top) and ``kind`` (``start``, ``target`` or empty). ``edges``:
    ``x``, ``y``, ``x2``, ``y2`` in cells. ``moves``, in order: ``way`` (``truth`` or ``model``), ``number`` (from 1),
    ``x``, ``y``, ``x2``, ``y2`` and ``open`` (whether the maze has that way).
    """
    ways = moves.assign(
        colour=[move_colour(row, theme) for row in moves.to_dict(orient="records")],
        what=[move_words(row) for row in moves.to_dict(orient="records")],
        right=(moves.y - moves.y2).clip(-1, 1), below=(moves.x2 - moves.x).clip(-1, 1),
    )  # fmt: skip
    layers = [
        alt.Chart(edges).mark_rule(strokeWidth=20, color=theme.grid, strokeCap="round", tooltip=None).encode(
            x=x("x", grid), x2="x2:Q", y=y("y", grid), y2="y2:Q"
        ),
        *way_layers(ways, grid),
        *node_layers(nodes, theme, grid),
        number_layer(numbers(ways), theme, grid),
    ]  # fmt: skip
    start, target = (nodes[nodes.kind == kind].node.iloc[0] for kind in ("start", "target"))
    told = "; ".join(f"{way}: {said}" for way, said in said_moves(moves).items())
    note = (
        "Grey: the maze. Solid: the true way. Dashed: the model's way, red where the maze has no passage. Numbers: the "
        "order of the moves. Every move is drawn to the right of its direction."
    )
    chart = alt.layer(*layers).properties(
        width="container", height=HEIGHT, title=heading(theme, note, title),
        description=f"Maze of {len(nodes)} nodes, from {start} to {target}. {told}.",
    )  # fmt: skip
    return styled(chart, theme)


def x(field: str, grid: int) -> alt.X:
    """Columns of the grid."""
    return alt.X(f"{field}:Q", scale=alt.Scale(domain=[-0.5, grid - 0.5], nice=False, zero=False), axis=None)


def y(field: str, grid: int) -> alt.Y:
    """Rows of the grid, the first at the top."""
    return alt.Y(f"{field}:Q", scale=alt.Scale(domain=[grid - 0.5, -0.5], nice=False, zero=False), axis=None)


def move_colour(row: dict[Any, Any], theme: Theme) -> str:
    """The true way is muted, the model's has the accent, and what the maze does not allow is wrong."""
    if row["way"] == "truth":
        return theme.muted
    return theme.shared if row["open"] else WRONG[theme.dark]


def move_words(row: dict[Any, Any]) -> str:
    """A move for its tooltip."""
    return f"{row['way']}, move {row['number']}" + ("" if row["open"] else ": no such passage in the maze")


def way_layers(ways: pd.DataFrame, grid: int) -> list[Any]:
    """The two ways, apart by dash as well as by colour."""
    layers = []
    for way, (dash, aside) in WAYS.items():
        some = ways[ways.way == way]
        if some.empty:
            continue
        right, below = (alt.ExprRef(expr=f"{aside} * datum.{side}") for side in ("right", "below"))
        mark = alt.Chart(some).mark_rule(
            strokeWidth=3, strokeDash=dash, xOffset=right, x2Offset=right, yOffset=below, y2Offset=below
        )
        layers.append(mark.encode(
            x=x("x", grid), x2="x2:Q", y=y("y", grid), y2="y2:Q", color=colour(),
            tooltip=alt.Tooltip("what:N", title="way"),
        ))  # fmt: skip
    return layers


def numbers(ways: pd.DataFrame) -> pd.DataFrame:
    """One row per way from cell to cell that is walked: the ``text`` of its moves' numbers, and where it stands.

    The true way's numbers are left out where the model's are the same; where they differ, both stand apart.
    """
    place = ["x", "y", "x2", "y2", "right", "below"]
    texts = ways.assign(text=ways.number.astype(str)).groupby(["way", *place], as_index=False, sort=False).agg(
        text=("text", ", ".join), colour=("colour", "first")
    )  # fmt: skip
    texts = texts.sort_values("way").drop_duplicates([*place, "text"])  # the model's come first and stay
    apart = texts.duplicated(place, keep=False)
    share = pd.Series(0.5, index=texts.index).mask(apart & (texts.way == "truth"), 0.3)
    share = share.mask(apart & (texts.way == "model"), 0.7)
    return texts.assign(
        middle_x=texts.x + share * (texts.x2 - texts.x), middle_y=texts.y + share * (texts.y2 - texts.y)
    )


def number_layer(texts: pd.DataFrame, theme: Theme, grid: int) -> Any:
    """The numbers of the moves, beside their lines."""
    mark = alt.Chart(texts).mark_text(
        fontSize=theme.size - 1, fontWeight=600, baseline="middle", tooltip=None,
        xOffset=alt.ExprRef(expr=f"{NUMBER} * datum.right"), yOffset=alt.ExprRef(expr=f"{NUMBER} * datum.below"),
    )  # fmt: skip
    return mark.encode(x=x("middle_x", grid), y=y("middle_y", grid), text="text:N", color=colour())


def node_layers(nodes: pd.DataFrame, theme: Theme, grid: int) -> list[Any]:
    """The nodes with their numbers, start and target named."""
    spots = nodes.assign(
        fill=[theme.text if kind else theme.surface for kind in nodes.kind],
        ink=[theme.surface if kind else theme.text for kind in nodes.kind],
    )  # fmt: skip
    size = max(260.0, 900.0 - 90.0 * grid)
    style: dict[str, Any] = {"fontSize": theme.size + 2, "fontWeight": 600, "dy": -24, "tooltip": None}
    base = alt.Chart(spots).encode(x=x("column", grid), y=y("row", grid))
    named = alt.Chart(spots[spots.kind != ""]).encode(x=x("column", grid), y=y("row", grid))
    disc = base.mark_point(size=size, filled=True, opacity=1, stroke=theme.muted, strokeWidth=1)
    return [
        disc.encode(
            fill=alt.Fill("fill:N", scale=None, legend=None),
            tooltip=[alt.Tooltip("node:Q"), alt.Tooltip("kind:N", title="is")],
        ),
        base.mark_text(fontSize=theme.size, baseline="middle", tooltip=None).encode(text="node:N", color=colour("ink")),
        named.mark_text(**style, stroke=theme.surface, strokeWidth=5, color=theme.surface).encode(text="kind:N"),
        named.mark_text(**style, color=theme.text).encode(text="kind:N"),
    ]


def said_moves(moves: pd.DataFrame) -> dict[str, str]:
    """How many moves each way has, and how many of them the maze does not allow."""
    return {
        str(way): f"{len(rows)} moves"
        + (f", {int((~rows.open).sum())} where there is no passage" if not rows.open.all() else "")
        for way, rows in moves.groupby("way", sort=False)
    }
