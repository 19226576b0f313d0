"""The head-sharing graph: which heads does each task need, and are they the same ones?

The graph is a bridge. The main task stands above, the auxiliary tasks below. The place of a head shows who needs it:
near the main task when only that task needs it, near the auxiliary tasks when only they do, and on the bridge between
them, in the accent colour, when both do. So sharing is visible before anything is read. A line means: switch this head
off and the task gets worse; its width shows by how much.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from lgt.charts.marks import colour, px, row_height, spacer
from lgt.charts.sharing_layout import RADIUS, head_nodes, kind_rows, link_curves, slices, task_nodes
from lgt.charts.theme import Theme, heading, message, styled
from lgt.metrics.head_sharing import ONLY_MAIN, ONLY_OTHER, SHARED, UNUSED
from lgt.recipes.labels import task_title

WIDEST_LINK = 10
"""Width of a link whose head costs all of the accuracy, px."""
USUAL_SIZE = 12
"""Of a theme's text, px."""


def sharing_graph(
    frame: pd.DataFrame, theme: Theme, *, main: str, auxiliaries: Sequence[str], threshold: float, title: str = "",
    subtitle: str = "", chosen: str = "",
) -> Any:  # fmt: skip
    """The graph of one run.

    ``frame``: one row per (task, layer, head) with ``accuracy_drop`` (a share of prompts) and, where known, the task's
    ``role``; layers and heads count from 0, shown from 1. A link is drawn where the drop exceeds ``threshold``. Without
    ``auxiliaries`` only the main task's links are there. ``chosen`` names a head to mark (such as ``L2·H1``).
    """
    frame = frame[frame.task.isin([main, *auxiliaries])]
    missing = [task_title(task) for task in (main, *auxiliaries) if not (frame.task == task).any()]
    if missing:
        return message(f"There is no ablation map of {' or '.join(missing)} at these lengths.", theme)
    heads, role = head_nodes(frame, main, auxiliaries, threshold), auxiliary_role(frame, auxiliaries)
    rows = kind_rows(heads, len(auxiliaries))
    tasks = task_nodes(main, auxiliaries, theme, rows)
    grow = magnified(theme)
    heads, tasks = heads.assign(y=grow * heads.y), tasks.assign(y=grow * tasks.y)
    rows = rows.assign(y=grow * rows.y, end=grow * rows.end)
    height = int(rows.end[UNUSED] + 14 * grow)
    x = alt.X("x:Q", scale=alt.Scale(domain=[0, 1]), axis=None)
    layers = [
        bridge_layer(rows, theme, bool(auxiliaries)),
        *link_layers(link_curves(frame, heads, tasks, threshold), x),
        *count_layers(count_table(rows, tasks, role, theme), theme),
        *head_layers(heads, slices(frame, heads, tasks, threshold, theme), chosen, theme, x),
        *task_layers(tasks, rows, theme, x),
        target_layer(heads, role, grow * RADIUS, x),
        *width_key(theme, height + 18, threshold),
        spacer(height + 18 + row_height(theme), theme),
    ]
    note = (
        f"A line means: switch this head off and the task loses more than {100 * threshold:.0f} percentage points of "
        "exact match. One run."
    )
    chart = alt.layer(*layers).properties(
        width="container", height=height, title=heading(theme, note, title, subtitle, offset=4),
        description=description(heads, main, auxiliaries, role, threshold),
    )  # fmt: skip
    return styled(chart, theme)


def magnified(theme: Theme) -> float:
    """How much larger than usual the theme's text is: discs and gaps grow with it, for a projector."""
    return theme.size / USUAL_SIZE


def auxiliary_role(frame: pd.DataFrame, auxiliaries: Sequence[str]) -> str:
    """The role of the auxiliary tasks: ``auxiliary``, or ``control`` when all of them are controls."""
    roles = set(frame.role[frame.task.isin(auxiliaries)]) if "role" in frame else set()
    return "control" if roles == {"control"} else "auxiliary"


def kind_words(kind: str, role: str) -> str:
    """A kind of head in words; ``role`` is that of the auxiliary tasks."""
    return {SHARED: "shared", ONLY_MAIN: "main task only", ONLY_OTHER: f"{role} only", UNUSED: "neither"}[kind]


# --- marks ------------------------------------------------------------------------------------------------------

Y = px("y", alt.Y)


def bridge_layer(rows: pd.DataFrame, theme: Theme, others: bool) -> Any:
    """The bridge: a tinted strip behind the shared heads; only an outline when there is no auxiliary task."""
    edge = 30 * magnified(theme)
    table = pd.DataFrame([{"top": rows.y[SHARED] - edge, "bottom": rows.end[SHARED] + edge, "left": 0, "right": 1}])
    look: dict[str, Any] = {"fill": theme.shared, "fillOpacity": 0.11 if others else 0.0}
    if not others:
        look |= {"stroke": theme.shared, "strokeOpacity": 0.45, "strokeDash": [4, 4]}
    return alt.Chart(table).mark_rect(cornerRadius=12, tooltip=None, **look).encode(
        x=alt.X("left:Q", scale=alt.Scale(domain=[0, 1]), axis=None), x2="right:Q", y=px("top", alt.Y), y2="bottom:Q"
    )  # fmt: skip


def link_layers(links: pd.DataFrame, x: alt.X) -> list[Any]:
    """The lines, coloured by task, as wide as the drop; none when no head matters."""
    if links.empty:
        return []
    width = alt.StrokeWidth("drop:Q", scale=alt.Scale(domain=[0, 1], range=[0.5, WIDEST_LINK]), legend=None)
    tooltip = [
        alt.Tooltip("title:N", title="task"),
        alt.Tooltip("name:N", title="head"),
        alt.Tooltip("points:Q", title="drop of exact match, points", format=".0f"),
    ]
    mark = alt.Chart(links).mark_line(opacity=0.62, strokeCap="round")
    return [mark.encode(x=x, y=Y, detail="link:N", order="point:Q", color=colour(), strokeWidth=width, tooltip=tooltip)]


def count_table(rows: pd.DataFrame, tasks: pd.DataFrame, role: str, theme: Theme) -> pd.DataFrame:
    """The texts at the left: for each kind its number of heads and whose they are, beside these heads."""
    others = tasks[tasks.side == "bottom"]
    shades = {SHARED: theme.shared, ONLY_MAIN: tasks.colour.iloc[0], UNUSED: theme.muted,
              ONLY_OTHER: others.colour.iloc[0] if len(others) == 1 else theme.text}  # fmt: skip
    words = {kind: kind_words(kind, role).replace(" only", "\nonly") for kind in shades}
    if others.empty:
        words |= {ONLY_MAIN: "needed", SHARED: "", UNUSED: "not needed"}
    return pd.DataFrame(
        {"kind": kind, "number": str(rows["count"][kind]), "words": words[kind], "colour": shades[kind],
         "y": (rows.y[kind] + rows.end[kind]) / 2}
        for kind in shades if words[kind] and (len(others) or kind != ONLY_OTHER)
    )  # fmt: skip


def count_layers(table: pd.DataFrame, theme: Theme) -> list[Any]:
    """The counts, large, with their words below."""
    base = alt.Chart(table)
    numbers = base.mark_text(align="left", baseline="bottom", dy=3, fontSize=theme.size + 9, fontWeight=700,
                             tooltip=None)  # fmt: skip
    words = base.mark_text(align="left", baseline="top", dy=4, fontSize=theme.size - 1, lineBreak="\n", tooltip=None,
                           color=theme.muted)  # fmt: skip
    return [
        numbers.encode(x=alt.value(8), y=Y, text="number:N", color=colour()),
        words.encode(x=alt.value(8), y=Y, text="words:N"),
    ]


def head_layers(heads: pd.DataFrame, parts: pd.DataFrame, chosen: str, theme: Theme, x: alt.X) -> list[Any]:
    """Unused heads as dots, used ones as discs with their names, a ring around the chosen one."""
    used = parts.drop_duplicates("name")
    radius = magnified(theme) * RADIUS
    ring = radius + 4 if chosen in set(used["name"]) else 0.34 * radius + 4
    label = alt.Chart(used).mark_text(
        fontSize=9.5 * magnified(theme), fontWeight=700, color=theme.surface, tooltip=None
    )
    return [
        circles(heads[heads.kind == UNUSED], 0.34 * radius, x, fill=theme.unused),
        circles(used, radius + 2, x, fill=theme.surface),
        arcs(parts, radius).encode(x=x, y=Y),
        label.encode(x=x, y=Y, text="name:N"),
        circles(heads[heads["name"] == chosen], ring, x, fill="transparent", stroke=theme.text, strokeWidth=2.5),
    ]


def target_layer(heads: pd.DataFrame, role: str, radius: float, x: alt.X) -> Any:
    """An invisible disc over each head, ``radius`` in px, with the tooltip."""
    told = heads.assign(
        main_points=100 * heads.main_drop, other_points=100 * heads.other_drop,
        words=[kind_words(kind, role) for kind in heads.kind],
    )  # fmt: skip
    tooltip = [
        alt.Tooltip("name:N", title="head"),
        alt.Tooltip("words:N", title="matters to"),
        alt.Tooltip("main_points:Q", title="drop for the main task, points", format=".0f"),
        alt.Tooltip("other_points:Q", title=f"largest drop for the {role} tasks, points", format=".0f"),
    ]
    return circles(told, radius, x, fill="white", opacity=0).encode(tooltip=tooltip)


def circles(rows: pd.DataFrame, radius: float, x: alt.X, **style: Any) -> Any:
    """Discs of one ``radius`` in px."""
    mark = alt.Chart(rows).mark_point(shape="circle", **{"opacity": 1, "stroke": None, "size": 4 * radius**2, **style})
    return mark.encode(x=x, y=Y)


def arcs(parts: pd.DataFrame, radius: float) -> Any:
    """Slices of discs of ``radius`` px, as :func:`slices` describes them."""
    return alt.Chart(parts).mark_arc(outerRadius=radius, tooltip=None).encode(
        theta=alt.Theta("from:Q", scale=None, stack=None), theta2="to:Q", color=colour()
    )  # fmt: skip


def task_layers(tasks: pd.DataFrame, rows: pd.DataFrame, theme: Theme, x: alt.X) -> list[Any]:
    """The tasks: a square in the colour of the task, with its title; a remark when there is no auxiliary task."""
    grow = magnified(theme)
    square = alt.Chart(tasks).mark_point(shape="square", filled=True, size=320 * grow**2, opacity=1, tooltip=None)
    layers = [square.encode(x=x, y=Y, color=colour())]
    for side, shift in (("top", -20), ("bottom", 22)):
        titles = alt.Chart(tasks[tasks.side == side]).mark_text(
            fontSize=theme.size + 1, fontWeight=600, color=theme.text, dy=shift * grow, tooltip=None
        )
        layers.append(titles.encode(x=x, y=Y, text="title:N"))
    if len(tasks) == 1:
        alone = alt.Chart(tasks.assign(y=rows.y[SHARED])).mark_text(
            text="trained alone: no task to share with", color=theme.muted, fontSize=theme.size, tooltip=None
        )
        layers.append(alone.encode(x=x, y=Y))
    return layers


def width_key(theme: Theme, y: float, threshold: float) -> list[Any]:
    """Three link widths with their drops in percentage points."""
    left = magnified(theme) * np.array([9, 106, 176])
    rows = key_drops(threshold).assign(left=left, right=left + 26, y=y)
    line = alt.Chart(rows).mark_rule(color=theme.muted, tooltip=None)
    text = alt.Chart(rows).mark_text(align="left", dx=6, fontSize=theme.size, color=theme.text, tooltip=None)
    width = alt.StrokeWidth("drop:Q", scale=alt.Scale(domain=[0, 1], range=[0.5, WIDEST_LINK]), legend=None)
    return [
        line.encode(x=px("left", alt.X), x2="right:Q", y=Y, strokeWidth=width),
        text.encode(x=px("right", alt.X), y=Y, text="label:N"),
    ]


def key_drops(threshold: float) -> pd.DataFrame:
    """The drops that the key of widths shows: the smallest one with a line, one half, and all; with their ``label``."""
    drops = [max(threshold, 0.01), 0.5, 1.0]
    return pd.DataFrame({"drop": drops, "label": [f"drop {100 * drops[0]:.0f}", "50", "100 points"]})


# --- words ------------------------------------------------------------------------------------------------------


def sharing_summary(frame: pd.DataFrame, main: str, auxiliaries: Sequence[str], threshold: float) -> dict[str, int]:
    """Numbers of heads: ``shared``, ``main`` (that matter to the main task at all), ``auxiliary``, ``heads`` in all."""
    frame = frame[frame.task.isin([main, *auxiliaries])]
    if frame.empty:
        return {"shared": 0, "main": 0, "auxiliary": 0, "heads": 0}
    nodes = head_nodes(frame, main, auxiliaries, threshold)
    counts = nodes.kind.value_counts()
    shared = int(counts.get(SHARED, 0))
    return {
        "shared": shared,
        "main": shared + int(counts.get(ONLY_MAIN, 0)),
        "auxiliary": shared + int(counts.get(ONLY_OTHER, 0)),
        "heads": len(nodes),
    }


def description(heads: pd.DataFrame, main: str, auxiliaries: Sequence[str], role: str, threshold: float) -> str:
    """The graph in words, for readers who do not see it."""
    parts = [
        f"{kind_words(kind, role)} ({(heads.kind == kind).sum()}): {', '.join(heads['name'][heads.kind == kind])}"
        for kind in (SHARED, ONLY_MAIN, ONLY_OTHER)
        if (heads.kind == kind).any()
    ]
    tasks = " and ".join(task_title(task) for task in [main, *auxiliaries])
    found = "; ".join(parts) or "no head matters"
    limit = f"drops above {100 * threshold:.0f} percentage points"
    return f"Head-sharing graph of {tasks}: {len(heads)} heads, {limit}. {found}."
