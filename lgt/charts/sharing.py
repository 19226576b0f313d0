"""The head-sharing graph: which heads does each task lean on, and are they the same ones?

The main task stands above, its auxiliaries below, the model's heads between them, layer by layer. A link says that
ablating the head costs the task accuracy, its width how much. A head that is linked from both sides is shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from lgt.charts.palette import Theme, message, styled, task_colour
from lgt.tasks import TASKS

SHARED, ONLY_MAIN, ONLY_AUXILIARY, UNUSED = "shared", "main task only", "auxiliary only", "neither"
CURVE_POINTS = 24
TOP, BOTTOM = 1.0, 0.0
HEAD_BAND = (0.30, 0.70)
"""Vertical room of the heads between the tasks, in the graph's unit square."""


def sharing_graph(
    frame: pd.DataFrame, theme: Theme, *, main: str, auxiliaries: Sequence[str], threshold: float, height: int = 380
) -> Any:
    """The graph of one run.

    ``frame``: one row per (task, layer, head) with ``accuracy_drop`` (a share of prompts), layers and heads counted
    from 0, shown from 1. A link is drawn where the drop exceeds ``threshold``. Without ``auxiliaries`` only the main
    task's links are there.
    """
    frame = frame[frame.task.isin([main, *auxiliaries])]
    if frame.empty:
        return message("No ablation map at these lengths.", theme)
    heads = head_nodes(frame, main, auxiliaries, threshold)
    tasks = task_nodes(main, auxiliaries)
    links = link_curves(frame, heads, tasks, threshold)
    layers = [layer_names(heads, theme), head_layer(heads, theme), head_labels(heads, theme), task_layer(tasks, theme)]
    if not links.empty:
        layers.insert(1, link_layer(links, theme))
    chart = alt.layer(*layers).resolve_scale(color="independent", size="independent").properties(
        width="container", height=height, description=description(heads, main, auxiliaries)
    )  # fmt: skip
    return styled(chart, theme)


def head_nodes(frame: pd.DataFrame, main: str, auxiliaries: Sequence[str], threshold: float) -> pd.DataFrame:
    """One row per head: its place in the unit square, its class, its largest drop on either side."""
    drops = frame.pivot_table(index=["layer", "head"], columns="task", values="accuracy_drop")
    drops = drops.reindex(columns=[main, *auxiliaries]).fillna(0.0)
    of_main = drops[main]
    of_others = drops[list(auxiliaries)].max(axis=1) if auxiliaries else of_main * 0
    nodes = drops.reset_index()[["layer", "head"]].assign(main_drop=of_main.values, auxiliary_drop=of_others.values)
    uses_main, uses_other = nodes.main_drop > threshold, nodes.auxiliary_drop > threshold
    nodes["kind"] = np.select(
        [uses_main & uses_other, uses_main, uses_other], [SHARED, ONLY_MAIN, ONLY_AUXILIARY], UNUSED
    )
    nodes["importance"] = nodes[["main_drop", "auxiliary_drop"]].max(axis=1)
    layers, heads = int(nodes.layer.max()) + 1, int(nodes["head"].max()) + 1
    # Every second layer is shifted by half a head, so that links to one layer pass between the heads of the next.
    shift = np.where(nodes.layer % 2 == 0, -0.25, 0.25) if layers > 1 else 0.0
    nodes["x"] = 0.1 + 0.88 * (nodes["head"] + 0.5 + shift) / heads
    low, high = HEAD_BAND
    nodes["y"] = low + (high - low) * (nodes.layer + 0.5) / layers
    nodes["name"] = [f"L{layer + 1}·H{head + 1}" for layer, head in zip(nodes.layer, nodes["head"], strict=True)]
    return nodes


def task_nodes(main: str, auxiliaries: Sequence[str]) -> pd.DataFrame:
    """One row per task: the main task top centre, the auxiliaries spread along the bottom."""
    rows = [{"task": main, "x": 0.54, "y": TOP, "side": "top"}]
    count = len(auxiliaries)
    rows += [
        {"task": task, "x": 0.1 + 0.88 * (i + 0.5) / count, "y": BOTTOM, "side": "bottom"}
        for i, task in enumerate(auxiliaries)
    ]
    return pd.DataFrame(rows).assign(title=[title_of(str(row["task"])) for row in rows])


def title_of(task: str) -> str:
    """The task's title, or its name when the registry does not know it."""
    return TASKS[task].title if task in TASKS else task


def link_curves(frame: pd.DataFrame, heads: pd.DataFrame, tasks: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Points of one curve per (task, head) whose drop exceeds ``threshold``: a cubic that leaves both ends upright."""
    linked = frame[frame.accuracy_drop > threshold].merge(
        heads[["layer", "head", "x", "y", "name"]], on=["layer", "head"]
    )
    linked = linked.merge(tasks, on="task", suffixes=("_head", "_task"))
    t = np.linspace(0.0, 1.0, CURVE_POINTS)
    ease = 3 * t**2 - 2 * t**3  # horizontal way of a cubic Bézier curve with vertical tangents
    rows = []
    for link in linked.to_dict(orient="records"):
        for step in range(CURVE_POINTS):
            rows.append(
                {"link": f"{link['task']} {link['name']}", "task": link["task"], "title": link["title"],
                 "name": link["name"], "drop": link["accuracy_drop"], "point": step,
                 "x": link["x_task"] + (link["x_head"] - link["x_task"]) * ease[step],
                 "y": link["y_task"] + (link["y_head"] - link["y_task"]) * t[step]}
            )  # fmt: skip
    return pd.DataFrame(rows)


X = alt.X("x:Q", scale=alt.Scale(domain=[0, 1]), axis=None)
Y = alt.Y("y:Q", scale=alt.Scale(domain=[-0.12, 1.12]), axis=None)


def task_scale(tasks: Sequence[str], theme: Theme) -> alt.Scale:
    """Colour of every task by name."""
    return alt.Scale(domain=list(tasks), range=[task_colour(task, theme) for task in tasks])


def link_layer(links: pd.DataFrame, theme: Theme) -> Any:
    """The links, coloured by task, as wide as the drop."""
    return (
        alt.Chart(links)
        .mark_line(opacity=0.62, strokeCap="round")
        .encode(
            x=X,
            y=Y,
            detail="link:N",
            order="point:Q",
            color=alt.Color("task:N", scale=task_scale(sorted(set(links.task)), theme), legend=None),
            strokeWidth=alt.StrokeWidth("drop:Q", scale=alt.Scale(domain=[0, 1], range=[0.5, 9]), legend=None),
            tooltip=[
                alt.Tooltip("title:N", title="task"),
                alt.Tooltip("name:N", title="head"),
                alt.Tooltip("drop:Q", title="accuracy drop", format=".0%"),
            ],
        )
    )


def head_layer(heads: pd.DataFrame, theme: Theme) -> Any:
    """The heads, coloured by who uses them."""
    kinds = [SHARED, ONLY_MAIN, ONLY_AUXILIARY, UNUSED]
    fills = [theme.shared, theme.text, theme.muted, theme.surface]
    return (
        alt.Chart(heads)
        .mark_circle(opacity=1, stroke=theme.unused, strokeWidth=1.2)
        .encode(
            x=X,
            y=Y,
            size=alt.Size(
                "kind:N", scale=alt.Scale(domain=kinds, range=[1150, 1150, 1150, 420]), legend=None
            ),
            color=alt.Color(
                "kind:N",
                scale=alt.Scale(domain=kinds, range=fills),
                legend=alt.Legend(title="Head matters to", orient="bottom", symbolSize=160),
            ),
            tooltip=[
                alt.Tooltip("name:N", title="head"),
                alt.Tooltip("kind:N", title="matters to"),
                alt.Tooltip("main_drop:Q", title="drop, main task", format=".0%"),
                alt.Tooltip("auxiliary_drop:Q", title="largest drop, auxiliary", format=".0%"),
            ],
        )
    )  # fmt: skip


def head_labels(heads: pd.DataFrame, theme: Theme) -> Any:
    """Names inside the heads that matter."""
    used = heads[heads.kind != UNUSED]
    return (
        alt.Chart(used)
        .mark_text(fontSize=10, fontWeight=600, color=theme.surface, tooltip=None)
        .encode(x=X, y=Y, text="name:N")
    )


def layer_names(heads: pd.DataFrame, theme: Theme) -> Any:
    """The layers' names at the left."""
    rows = heads.drop_duplicates("layer").assign(label=lambda f: [f"layer {layer + 1}" for layer in f.layer], x=0.0)
    return (
        alt.Chart(rows)
        .mark_text(align="left", color=theme.muted, fontSize=11, tooltip=None)
        .encode(x=X, y=Y, text="label:N")
    )


def task_layer(tasks: pd.DataFrame, theme: Theme) -> Any:
    """The tasks: a square in the task's colour with its title outside the graph."""
    scale = task_scale(list(tasks.task), theme)
    base = alt.Chart(tasks)
    nodes = base.mark_point(shape="square", filled=True, size=260, opacity=1, tooltip=None).encode(
        x=X, y=Y, color=alt.Color("task:N", scale=scale, legend=None)
    )
    names = [
        alt.Chart(tasks[tasks.side == side])
        .mark_text(fontSize=13, fontWeight=600, color=theme.text, dy=shift, tooltip=None)
        .encode(x=X, y=Y, text="title:N")
        for side, shift in (("top", -20), ("bottom", 20))
        if (tasks.side == side).any()
    ]
    return alt.layer(nodes, *names)


def sharing_summary(frame: pd.DataFrame, main: str, auxiliaries: Sequence[str], threshold: float) -> dict[str, int]:
    """Numbers of heads: ``shared``, ``main`` (that matter to the main task at all), ``auxiliary``, ``heads`` in all."""
    nodes = head_nodes(frame[frame.task.isin([main, *auxiliaries])], main, auxiliaries, threshold)
    counts = nodes.kind.value_counts()
    shared = int(counts.get(SHARED, 0))
    return {
        "shared": shared,
        "main": shared + int(counts.get(ONLY_MAIN, 0)),
        "auxiliary": shared + int(counts.get(ONLY_AUXILIARY, 0)),
        "heads": len(nodes),
    }


def description(heads: pd.DataFrame, main: str, auxiliaries: Sequence[str]) -> str:
    """The graph in words, for readers who do not see it."""
    parts = [
        f"{kind}: {', '.join(heads.name[heads.kind == kind])}"
        for kind in (SHARED, ONLY_MAIN, ONLY_AUXILIARY)
        if (heads.kind == kind).any()
    ]
    tasks = " and ".join(title_of(task) for task in [main, *auxiliaries])
    return f"Head-sharing graph of {tasks}, {len(heads)} heads. " + ("; ".join(parts) or "no head matters") + "."
