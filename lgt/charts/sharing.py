"""The head-sharing graph: which heads does each task lean on, and are they the same ones?

The main task stands above, its auxiliaries below, the model's heads between them, layer by layer. A link says that
ablating the head costs the task accuracy, its width how much. A head carries the colours of the tasks that need it,
the main task's above and the auxiliaries' below, and the accent at its heart when it is shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from lgt.charts.marks import colour, px, row_height, spacer
from lgt.charts.palette import Theme, heading, message, styled, task_colour, task_title

SHARED, ONLY_MAIN, ONLY_AUXILIARY, UNUSED = "shared", "main task only", "auxiliary only", "neither"
CURVE_POINTS = 24
LAYER_HEIGHT = 62
"""From one layer of heads to the next, px."""
TASK_ROOM = 118
"""From a task's node to the nearest layer, with the node and its title, px."""
NARROW = 300
"""Width of the graph on a phone, px: heads that stay apart here stay apart everywhere."""
LEFT = 0.14
"""Share of the width that the layers' names take."""
WIDEST_LINK = 10
"""Width of a link whose head costs all of the accuracy, px."""


def sharing_graph(
    frame: pd.DataFrame, theme: Theme, *, main: str, auxiliaries: Sequence[str], threshold: float, title: str = "",
    subtitle: str = "", height: int | None = None,
) -> Any:  # fmt: skip
    """The graph of one run.

    ``frame``: one row per (task, layer, head) with ``accuracy_drop`` (a share of prompts), layers and heads counted
    from 0, shown from 1. A link is drawn where the drop exceeds ``threshold``. Without ``auxiliaries`` only the main
    task's links are there. ``height`` of the graph in px follows from the number of layers by default.
    """
    frame = frame[frame.task.isin([main, *auxiliaries])]
    missing = [task_title(task) for task in (main, *auxiliaries) if not (frame.task == task).any()]
    if missing:
        return message(f"No ablation map of {' or '.join(missing)} at these lengths.", theme)
    height = height or 2 * TASK_ROOM + LAYER_HEIGHT * int(frame.layer.max())
    heads = head_nodes(frame, main, auxiliaries, threshold, height)
    tasks = task_nodes(main, auxiliaries, theme, height)
    axes = (alt.X("x:Q", scale=alt.Scale(domain=[0, 1]), axis=None),
            alt.Y("y:Q", scale=alt.Scale(domain=[0, height], nice=False), axis=None))  # fmt: skip
    radius = head_radius(heads)
    layers = [
        *link_layers(link_curves(frame, heads, tasks, threshold), axes),
        *head_layers(heads, slices(frame, heads, tasks, threshold), radius, theme, axes),
        *task_layers(tasks, theme, axes),
        *key_layers(tasks, theme, height, threshold),
    ]
    note = (
        f"A link: ablating the head lowers exact match by more than {100 * threshold:.0f} percentage points. One run."
    )
    chart = alt.layer(*layers).properties(
        width="container", height=height, title=heading(theme, note, title, subtitle, offset=4),
        description=description(heads, main, auxiliaries, threshold),
    )  # fmt: skip
    return styled(chart, theme)


Axes = tuple[alt.X, alt.Y]

# --- places -----------------------------------------------------------------------------------------------------


def head_nodes(
    frame: pd.DataFrame, main: str, auxiliaries: Sequence[str], threshold: float, height: int = 380
) -> pd.DataFrame:
    """One row per head: its place (x in [0, 1], y in px), its class (``kind``), its largest drop on either side."""
    drops = frame.pivot_table(index=["layer", "head"], columns="task", values="accuracy_drop")
    drops = drops.reindex(columns=[main, *auxiliaries]).fillna(0.0)
    of_main = drops[main]
    of_others = drops[list(auxiliaries)].max(axis=1) if auxiliaries else of_main * 0
    nodes = drops.reset_index()[["layer", "head"]].assign(main_drop=of_main.values, auxiliary_drop=of_others.values)
    uses_main, uses_other = nodes.main_drop > threshold, nodes.auxiliary_drop > threshold
    nodes["kind"] = np.select(
        [uses_main & uses_other, uses_main, uses_other], [SHARED, ONLY_MAIN, ONLY_AUXILIARY], UNUSED
    )
    layers, heads = int(nodes.layer.max()) + 1, int(nodes["head"].max()) + 1
    # Every second layer is shifted by half a head, so that links to one layer pass between the heads of the next.
    shift = np.where(nodes.layer % 2 == 0, -0.25, 0.25) if layers > 1 else 0.0
    nodes["x"] = LEFT + (1 - LEFT) * (nodes["head"] + 0.5 + shift) / heads
    free = height - 2 * TASK_ROOM
    nodes["y"] = TASK_ROOM + (free * nodes.layer / (layers - 1) if layers > 1 else free / 2)
    nodes["name"] = [f"L{layer + 1}·H{head + 1}" for layer, head in zip(nodes.layer, nodes["head"], strict=True)]
    return nodes


def head_radius(heads: pd.DataFrame) -> float:
    """Radius of a head's disc, px, so that discs of one layer do not touch on a phone."""
    return min(19.0, 0.43 * (1 - LEFT) * NARROW / (int(heads["head"].max()) + 1))


def task_nodes(main: str, auxiliaries: Sequence[str], theme: Theme, height: int) -> pd.DataFrame:
    """One row per task: the main task top centre, the auxiliaries spread along the bottom."""
    rows = [{"task": main, "x": (1 + LEFT) / 2, "y": height - 34, "side": "top"}]
    count = len(auxiliaries)
    rows += [
        {"task": task, "x": LEFT + (1 - LEFT) * (i + 0.5) / count, "y": 34, "side": "bottom"}
        for i, task in enumerate(auxiliaries)
    ]
    tasks = [str(row["task"]) for row in rows]
    return pd.DataFrame(rows).assign(
        title=[task_title(task) for task in tasks], colour=[task_colour(task, theme) for task in tasks]
    )


def link_curves(frame: pd.DataFrame, heads: pd.DataFrame, tasks: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Points of one curve per (task, head) whose drop exceeds ``threshold``: a cubic that leaves both ends upright."""
    linked = frame[frame.accuracy_drop > threshold].merge(
        heads[["layer", "head", "x", "y", "name"]], on=["layer", "head"]
    )
    linked = linked.merge(tasks, on="task", suffixes=("_head", "_task"))
    t = np.linspace(0.0, 1.0, CURVE_POINTS)
    ease = 3 * t**2 - 2 * t**3  # horizontal way of a cubic Bézier curve with vertical tangents
    rows = [
        {"link": f"{link['task']} {link['name']}", "task": link["task"], "title": link["title"],
         "colour": link["colour"], "name": link["name"], "point": step, "drop": link["accuracy_drop"],
         "points": 100 * link["accuracy_drop"],
         "x": link["x_task"] + (link["x_head"] - link["x_task"]) * ease[step],
         "y": link["y_task"] + (link["y_head"] - link["y_task"]) * t[step]}
        for link in linked.sort_values("accuracy_drop", ascending=False).to_dict(orient="records")
        for step in range(CURVE_POINTS)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def slices(frame: pd.DataFrame, heads: pd.DataFrame, tasks: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """One row per (head, task that needs it): the slice of the disc in the task's colour, angles in radians.

    Angles run clockwise from the top. A single task fills the disc; otherwise the main task has the upper half and
    auxiliaries share what is left, in their order from left to right.
    """
    main = tasks.task.iloc[0]
    colours = dict(zip(tasks.task, tasks.colour, strict=True))
    users = (
        frame[frame.accuracy_drop > threshold].groupby(["layer", "head"]).task.agg(set).rename("users").reset_index()
    )
    rows: list[dict[str, Any]] = []
    for head in heads.merge(users, on=["layer", "head"]).to_dict(orient="records"):
        others = [task for task in tasks.task.iloc[1:] if task in head["users"]]
        spans = [(main, -np.pi / 2, np.pi / 2)] if main in head["users"] else []
        left, room = (1.5 * np.pi, np.pi) if spans else (2 * np.pi, 2 * np.pi)
        if not others:
            spans = [(main, 0.0, 2 * np.pi)]
        step = room / max(len(others), 1)
        spans += [(task, left - (i + 1) * step, left - i * step) for i, task in enumerate(others)]
        rows += [
            {"name": head["name"], "kind": head["kind"], "task": task, "x": head["x"], "y": head["y"], "from": start,
             "to": end, "colour": colours[task]}
            for task, start, end in spans
        ]  # fmt: skip
    return pd.DataFrame(rows, columns=["name", "kind", "task", "x", "y", "from", "to", "colour"])


def hearts(parts: pd.DataFrame, theme: Theme) -> pd.DataFrame:
    """One row per used head: the colour of its middle (``fill``, empty for a single task's) and of its name."""
    table = parts.groupby("name", sort=False).agg(
        kind=("kind", "first"), x=("x", "first"), y=("y", "first"), tasks=("task", "size")
    )
    shared, single = table.kind == SHARED, table.tasks == 1
    return table.reset_index().assign(
        fill=np.select([shared, single], [theme.shared, "transparent"], theme.surface),
        colour=np.where(shared | single, theme.surface, theme.text),
    )


# --- marks ------------------------------------------------------------------------------------------------------


def link_layers(links: pd.DataFrame, axes: Axes) -> list[Any]:
    """The links, coloured by task, as wide as the drop; none when no head matters."""
    if links.empty:
        return []
    mark = alt.Chart(links).mark_line(opacity=0.6, strokeCap="round")
    width = alt.StrokeWidth("drop:Q", scale=alt.Scale(domain=[0, 1], range=[0.5, WIDEST_LINK]), legend=None)
    tooltip = [
        alt.Tooltip("title:N", title="task"),
        alt.Tooltip("name:N", title="head"),
        alt.Tooltip("points:Q", title="drop of exact match, points", format=".0f"),
    ]
    return [
        mark.encode(
            x=axes[0], y=axes[1], detail="link:N", order="point:Q", color=colour(), strokeWidth=width, tooltip=tooltip
        )
    ]


def head_layers(heads: pd.DataFrame, parts: pd.DataFrame, radius: float, theme: Theme, axes: Axes) -> list[Any]:
    """Layer names, unused heads as dots, used ones as discs with their names, and a disc-sized area for tooltips."""
    names = heads.drop_duplicates("layer").assign(label=lambda f: [f"layer {layer + 1}" for layer in f.layer])
    middles = hearts(parts, theme)
    layers = [
        alt.Chart(names).mark_text(align="left", color=theme.muted, fontSize=theme.size - 1, tooltip=None)
        .encode(x=alt.value(0), y=axes[1], text="label:N"),
        circles(heads[heads.kind == UNUSED], 0.34 * radius, axes, fill=theme.unused),
        circles(middles, radius + 2, axes, fill=theme.surface),
        arcs(parts, radius).encode(x=axes[0], y=axes[1]),
        circles(middles, 0.74 * radius, axes).encode(fill=alt.Fill("fill:N", scale=None, legend=None)),
    ]  # fmt: skip
    if radius >= 16:
        label = alt.Chart(middles).mark_text(fontSize=9.5, fontWeight=700, tooltip=None)
        layers.append(label.encode(x=axes[0], y=axes[1], text="name:N", color=colour()))
    tooltip = [
        alt.Tooltip("name:N", title="head"),
        alt.Tooltip("kind:N", title="matters to"),
        alt.Tooltip("main_points:Q", title="drop for the main task, points", format=".0f"),
        alt.Tooltip("auxiliary_points:Q", title="largest for an auxiliary, points", format=".0f"),
    ]
    told = heads.assign(main_points=100 * heads.main_drop, auxiliary_points=100 * heads.auxiliary_drop)
    return [*layers, circles(told, radius, axes, fill=theme.surface, opacity=0).encode(tooltip=tooltip)]


def circles(rows: pd.DataFrame, radius: float, axes: Axes, **style: Any) -> Any:
    """Discs of one ``radius`` in px."""
    mark = alt.Chart(rows).mark_point(shape="circle", **{"opacity": 1, "stroke": None, "size": 4 * radius**2, **style})
    return mark.encode(x=axes[0], y=axes[1])


def arcs(parts: pd.DataFrame, radius: float) -> Any:
    """Slices of discs, as :func:`slices` describes them."""
    return alt.Chart(parts).mark_arc(outerRadius=radius, tooltip=None).encode(
        theta=alt.Theta("from:Q", scale=None, stack=None), theta2="to:Q", color=colour()
    )  # fmt: skip


def task_layers(tasks: pd.DataFrame, theme: Theme, axes: Axes) -> list[Any]:
    """The tasks: a square in the task's colour with its title outside the graph; a remark where no other task is."""
    square = alt.Chart(tasks).mark_point(shape="square", filled=True, size=300, opacity=1, tooltip=None)
    layers = [square.encode(x=axes[0], y=axes[1], color=colour())]
    for side, shift in (("top", -20), ("bottom", 22)):
        titles = alt.Chart(tasks[tasks.side == side]).mark_text(
            fontSize=theme.size + 1, fontWeight=600, color=theme.text, dy=shift, tooltip=None
        )
        layers.append(titles.encode(x=axes[0], y=axes[1], text="title:N"))
    if len(tasks) == 1:
        alone = alt.Chart(tasks.assign(y=34)).mark_text(
            text="trained alone: no other task", color=theme.muted, fontSize=theme.size, tooltip=None
        )
        layers.append(alone.encode(x=axes[0], y=axes[1]))
    return layers


KEY_COLUMNS = (9, 130)
"""Where the key's two columns begin, px."""


def key_layers(tasks: pd.DataFrame, theme: Theme, height: int, threshold: float) -> list[Any]:
    """What discs and widths mean, below the graph; three rows whether or not there are auxiliaries."""
    top, step = height + 24, row_height(theme) + 4
    rows = key_table(tasks, theme, top, step)
    kinds = rows.drop_duplicates("kind")
    place: dict[str, Any] = {"x": px("x", alt.X), "y": px("y", alt.Y)}
    heart = alt.Chart(kinds[kinds.kind == SHARED]).mark_point(
        shape="circle", size=80, fill=theme.shared, stroke=None, opacity=1, tooltip=None
    )
    text = alt.Chart(kinds).mark_text(align="left", dx=15, fontSize=theme.size, color=theme.text, tooltip=None)
    return [
        arcs(rows, 8).encode(**place),
        heart.encode(**place),
        text.encode(**place, text="kind:N"),
        *width_key(theme, float(rows.y.max()) + step, threshold),
        spacer(top + 2 * step, theme),
    ]


def key_table(tasks: pd.DataFrame, theme: Theme, top: float, step: float) -> pd.DataFrame:
    """The key's discs, slice by slice, in px."""
    half, whole = np.pi / 2, 2 * np.pi
    main = tasks.colour.iloc[0]
    discs: list[tuple[str, list[tuple[float, float, str]]]] = [
        (ONLY_MAIN, [(0, whole, main)]), (UNUSED, [(0, whole, theme.unused)])
    ]  # fmt: skip
    if len(tasks) > 1:
        other = tasks.colour.iloc[1]
        both = [(-half, half, main), (half, 3 * half, other)]
        discs = [(SHARED, both), discs[0], (ONLY_AUXILIARY, [(0, whole, other)]), discs[1]]
    return pd.DataFrame(
        {"kind": kind, "from": start, "to": end, "colour": shade, "x": KEY_COLUMNS[i % 2], "y": top + step * (i // 2)}
        for i, (kind, spans) in enumerate(discs)
        for start, end, shade in spans
    )


def width_key(theme: Theme, y: float, threshold: float) -> list[Any]:
    """Three link widths with their drops in percentage points."""
    drops = [max(threshold, 0.01), 0.5, 1.0]
    rows = pd.DataFrame({"drop": drops, "x": [1, 98, 168], "right": [27, 124, 194], "y": y})
    rows["label"] = ["drop " + f"{100 * drops[0]:.0f}", "50", "100 points"]
    line = alt.Chart(rows).mark_rule(color=theme.muted, tooltip=None)
    text = alt.Chart(rows).mark_text(align="left", dx=6, fontSize=theme.size, color=theme.text, tooltip=None)
    width = alt.StrokeWidth("drop:Q", scale=alt.Scale(domain=[0, 1], range=[0.5, WIDEST_LINK]), legend=None)
    return [
        line.encode(x=px("x", alt.X), x2="right:Q", y=px("y", alt.Y), strokeWidth=width),
        text.encode(x=px("right", alt.X), y=px("y", alt.Y), text="label:N"),
    ]


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
        "auxiliary": shared + int(counts.get(ONLY_AUXILIARY, 0)),
        "heads": len(nodes),
    }


def description(heads: pd.DataFrame, main: str, auxiliaries: Sequence[str], threshold: float) -> str:
    """The graph in words, for readers who do not see it."""
    parts = [
        f"{kind} ({(heads.kind == kind).sum()}): {', '.join(heads.name[heads.kind == kind])}"
        for kind in (SHARED, ONLY_MAIN, ONLY_AUXILIARY)
        if (heads.kind == kind).any()
    ]
    tasks = " and ".join(task_title(task) for task in [main, *auxiliaries])
    found = "; ".join(parts) or "no head matters"
    limit = f"drops above {100 * threshold:.0f} percentage points"
    return f"Head-sharing graph of {tasks}: {len(heads)} heads, {limit}. {found}."
