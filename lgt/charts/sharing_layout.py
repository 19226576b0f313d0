"""The layout of the head-sharing graph (see :mod:`lgt.charts.sharing`).

Places across are shares of the width in [0, 1], places down are px from the top.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lgt.charts.theme import Theme, task_colour
from lgt.metrics.head_sharing import ONLY_MAIN, ONLY_OTHER, SHARED, UNUSED, head_kinds
from lgt.recipes.labels import head_name, task_title

LEFT = 0.2
"""Share of the width that the counts at the left take."""
MIDDLE = (1 + LEFT) / 2
PER_LINE, SHARED_PER_LINE = 6, 5
STEP = (1 - LEFT) / PER_LINE
"""From one head of a line to the next, as a share of the width: on a phone their discs do not touch."""
RADIUS = 16.5
"""Of a disc, px."""
DOTS_PER_LINE = 12
BESIDE_ONE, BESIDE_TWO = (-1.65, 1.65, -2.5, 2.5), (-2.5, 2.5, 0.0)
"""Places for heads that are not shared, in steps from the middle. They leave room for the lines from one task, or two,
to the bridge."""
LINE_HEIGHT = 40
"""From one line of heads to the next of the same kind, px."""
TASK_ROOM, OWN_ROOM, BRIDGE_ROOM, NEITHER_ROOM = 36, 58, 74, 66
"""Distances from top to bottom, px: edge to a task, task to its own heads, these to the bridge, and auxiliary tasks to
the heads that no task needs."""
CURVE_POINTS = 24
"""The number of points of a line."""


def head_nodes(frame: pd.DataFrame, main: str, auxiliaries: Sequence[str], threshold: float) -> pd.DataFrame:
    """One row per head: its kind, its drop for the main task, its largest drop for an auxiliary task, and its place (x
    in [0, 1], y in px from the top)."""
    drops = frame.pivot_table(index=["layer", "head"], columns="task", values="accuracy_drop")
    drops = drops.reindex(columns=[main, *auxiliaries]).fillna(0.0)
    of_main = drops[main]
    of_others = drops[list(auxiliaries)].max(axis=1) if auxiliaries else of_main * 0
    nodes = drops.reset_index()[["layer", "head"]].assign(main_drop=of_main.values, other_drop=of_others.values)
    nodes["name"] = [head_name(layer, head) for layer, head in zip(nodes.layer, nodes["head"], strict=True)]
    nodes["kind"] = head_kinds(nodes.main_drop, nodes.other_drop, threshold)
    users = (drops[list(auxiliaries)] > threshold).to_numpy()
    spots = np.array([other_x(i, len(auxiliaries)) for i in range(len(auxiliaries))])
    nodes["towards"] = np.where(users.any(axis=1), (users * spots).sum(axis=1) / users.sum(axis=1).clip(min=1), MIDDLE)
    rows = kind_rows(nodes, len(auxiliaries))
    parts = [in_lines(group, str(kind), rows, len(auxiliaries)) for kind, group in nodes.groupby("kind")]
    return pd.concat(parts).sort_values(["layer", "head"], ignore_index=True)


def other_x(place: int, count: int) -> float:
    """Where the task ``place`` of ``count`` below the bridge stands, as a share of the width."""
    return LEFT + (1 - LEFT) * (place + 0.5) / count


def line_slots(kind: str, shared: int, others: int) -> tuple[float, ...]:
    """The places in one line of heads of this kind, in steps from the middle; empty: evenly around the middle."""
    if not shared or kind in (SHARED, UNUSED) or (kind == ONLY_OTHER and others > 2):
        return ()
    return BESIDE_TWO if kind == ONLY_OTHER and others == 2 else BESIDE_ONE


def kind_rows(nodes: pd.DataFrame, others: int) -> pd.DataFrame:
    """By kind: how many heads (``count``) in how many ``lines`` of at most ``capacity``, first at ``y``, last at
    ``end`` (px from the top). A kind without heads keeps its room, so that graphs side by side line up."""
    counts = nodes.kind.value_counts()
    found, edge = {}, TASK_ROOM
    rooms = {ONLY_MAIN: OWN_ROOM, SHARED: BRIDGE_ROOM, ONLY_OTHER: BRIDGE_ROOM, UNUSED: OWN_ROOM + NEITHER_ROOM}
    for kind, room in rooms.items():
        count, slots = int(counts.get(kind, 0)), line_slots(kind, int(counts.get(SHARED, 0)), others)
        capacity = {UNUSED: DOTS_PER_LINE, SHARED: SHARED_PER_LINE}.get(kind, len(slots) or PER_LINE)
        lines = max(1, -(-count // capacity))
        y = edge + room
        edge = y + (lines - 1) * LINE_HEIGHT
        found[kind] = {"count": count, "capacity": capacity, "lines": lines, "y": y, "end": edge}
    return pd.DataFrame.from_dict(found, orient="index")


def in_lines(group: pd.DataFrame, kind: str, rows: pd.DataFrame, others: int) -> pd.DataFrame:
    """The heads of one kind with their places; heads that are not shared stand near their tasks."""
    slots = line_slots(kind, int(rows["count"][SHARED]), others)
    capacity, step = int(rows.capacity[kind]), (1 - LEFT) / DOTS_PER_LINE if kind == UNUSED else STEP
    group = group.sort_values(["towards", "layer", "head"])
    places: list[tuple[float, float]] = []
    for start in range(0, len(group), capacity):
        towards = ((group.towards - MIDDLE) / step).tolist()[start : start + capacity]
        free = list(slots) or [i - (len(towards) - 1) / 2 for i in range(len(towards))]
        for target in towards:
            nearest = min(free, key=lambda slot: abs(slot - target)) if slots else free[0]
            free.remove(nearest)
            places.append((MIDDLE + step * nearest, rows.y[kind] + LINE_HEIGHT * (start // capacity)))
    return group.assign(x=[x for x, _ in places], y=[y for _, y in places])


def task_nodes(main: str, auxiliaries: Sequence[str], theme: Theme, rows: pd.DataFrame) -> pd.DataFrame:
    """One row per task: the main task top centre, the others spread below their heads."""
    below = int(rows.end[ONLY_OTHER]) + OWN_ROOM
    places = [(main, MIDDLE, TASK_ROOM, "top")]
    places += [(task, other_x(i, len(auxiliaries)), below, "bottom") for i, task in enumerate(auxiliaries)]
    found = pd.DataFrame(places, columns=["task", "x", "y", "side"])
    return found.assign(
        title=[task_title(task) for task in found.task], colour=[task_colour(task, theme) for task in found.task]
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


def slices(
    frame: pd.DataFrame, heads: pd.DataFrame, tasks: pd.DataFrame, threshold: float, theme: Theme
) -> pd.DataFrame:
    """The discs of used heads: whole in the accent when shared, else cut evenly into their tasks' colours.

    One row per slice, angles in radians clockwise from the top, tasks in their order from right to left.
    """
    colours = dict(zip(tasks.task, tasks.colour, strict=True))
    users = frame[frame.accuracy_drop > threshold].groupby(["layer", "head"]).task.agg(set).rename("users")
    rows: list[dict[str, Any]] = []
    for head in heads.merge(users.reset_index(), on=["layer", "head"]).to_dict(orient="records"):
        own = [task for task in reversed(tasks.task.tolist()) if task in head["users"]]
        shades = [theme.shared] if head["kind"] == SHARED else [colours[task] for task in own]
        turn = 2 * np.pi / len(shades)
        rows += [
            {"name": head["name"], "kind": head["kind"], "x": head["x"], "y": head["y"], "from": i * turn,
             "to": (i + 1) * turn, "colour": shade}
            for i, shade in enumerate(shades)
        ]  # fmt: skip
    return pd.DataFrame(rows, columns=["name", "kind", "x", "y", "from", "to", "colour"])
