"""What the linked picture of the page Heads needs beside its numbers: places, colours, texts, and names for readers who
do not see it.

The browser (``lgt/report/linked_heads.js``) draws it. The graph in it is the bridge of :mod:`lgt.charts.sharing`, the
maps are those of :mod:`lgt.charts.maps`. Heights are in px at the usual size of texts, places across are shares of the
width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lgt.charts.maps import cell_text, ink, ramp_colour, strongest_drop
from lgt.charts.sharing import (
    USUAL_SIZE,
    WIDEST_LINK,
    auxiliary_role,
    count_table,
    description,
    key_drops,
)
from lgt.charts.sharing_layout import RADIUS, head_nodes, kind_rows, slices, task_nodes
from lgt.charts.theme import ROLE_DASHES, ROLE_WIDTHS, Theme, task_colour
from lgt.core.number_ranges import id_ranges
from lgt.core.plain_text import in_all_texts
from lgt.metrics.head_sharing import ONLY_MAIN, ONLY_OTHER, SHARED, UNUSED
from lgt.recipes.labels import task_title
from lgt.tasks import unit

BRIDGE_EDGE = 30
"""From the middle of the first and the last line of shared heads to the edge of the bridge."""


def linked_picture(
    linked: Mapping[str, Any], maps: pd.DataFrame, theme: Theme, *, threshold: float, transfer_length: int | None,
    measured: pd.DataFrame | None = None,
) -> dict[str, Any]:  # fmt: skip
    """``linked`` (:func:`lgt.metrics.linked_heads.linked_heads`) with everything that is drawn around it.

    ``maps``: the frame that it was made of. ``threshold``: the drop, a share, above which a line is drawn.
    ``transfer_length``: La of the main task. ``measured``: counts of knock-outs at all lengths, where some were made:
    columns task, length, heads (one head's name, or empty for the whole model), correct and total.
    """
    names = [task["task"] for task in linked["tasks"]]
    main, auxiliaries = names[0], names[1:]
    maps = maps[maps.task.isin(names)]
    nodes, role = head_nodes(maps, main, auxiliaries, threshold), auxiliary_role(maps, auxiliaries)
    picture = {
        "unit": unit(main),
        "mapped": linked["mapped"],
        "shown": linked["shown"],
        "usual": USUAL_SIZE,
        "graph": _graph(maps, nodes, theme, names, threshold),
        "graphWords": description(nodes, main, auxiliaries, role, threshold),
        "heads": _heads(linked, nodes, role),
        "tasks": [_task(task, theme, transfer_length) for task in linked["tasks"]],
        "maps": _maps(linked, maps, theme),
        "measured": {} if measured is None else _measured(measured),
        "colours": {name: getattr(theme, name) for name in ("text", "muted", "grid", "surface", "shared", "unused")},
        "notes": notes(linked, threshold, 0 if measured is None else int(measured.total.max())),
    }
    return in_all_texts(picture)  # type: ignore[no-any-return]


def _graph(maps: pd.DataFrame, nodes: pd.DataFrame, theme: Theme, names: list[str], threshold: float) -> dict[str, Any]:
    """Places of the graph: the bridge, the counts at the left, tasks, heads with their discs, and lines."""
    main, auxiliaries = names[0], names[1:]
    rows = kind_rows(nodes, len(auxiliaries))
    tasks = task_nodes(main, auxiliaries, theme, rows)
    counts = count_table(rows, tasks, auxiliary_role(maps, auxiliaries), theme)
    parts = slices(maps, nodes, tasks, threshold, theme)
    return {
        "height": float(rows.end[UNUSED]) + 14,
        "bridge": [float(rows.y[SHARED]) - BRIDGE_EDGE, float(rows.end[SHARED]) + BRIDGE_EDGE],
        "alone": not auxiliaries,
        "radius": RADIUS,
        "widest": WIDEST_LINK,
        "threshold": threshold,
        "counts": counts[["number", "words", "colour", "y"]].to_dict(orient="records"),
        "tasks": tasks[["task", "title", "colour", "side", "x", "y"]].to_dict(orient="records"),
        "discs": [
            {"x": float(x), "y": float(y), "colours": parts.colour[parts["name"] == name].tolist()}
            for name, x, y in zip(nodes["name"], nodes.x, nodes.y, strict=True)
        ],
        "key": key_drops(threshold).to_dict(orient="records"),
    }


def _heads(linked: Mapping[str, Any], nodes: pd.DataFrame, role: str) -> list[dict[str, str]]:
    """Each head's ``name``, who needs it (``words``), its mean drops, its attention differences, and its ``label`` for
    readers who do not see the picture."""
    found = []
    for place, (name, kind) in enumerate(zip(linked["heads"], nodes.kind, strict=True)):
        words = needed_by(kind, role if len(linked["tasks"]) > 1 else "")
        drops = f"Drop at lengths {_lengths(linked['shown'])}: {_drops(linked, place)}."
        differences = [
            f"{task_title(task)} {values[place]:.2f}"
            for task, values in linked["attention"].items() if values[place] is not None
        ]  # fmt: skip
        attention = f"Attention difference from the main task: {', '.join(differences)}." if differences else ""
        found.append({"name": name, "words": words, "drops": drops, "attention": attention,
                      "label": f"{name}, {words}. {drops}"})  # fmt: skip
    return found


def needed_by(kind: str, role: str) -> str:
    """Who needs a head of this kind, in words; ``role`` is that of the other tasks, empty if there are none."""
    return {
        SHARED: f"shared by the main and {'a' if role == 'control' else 'an'} {role} task",
        ONLY_MAIN: "needed by the main task" + " only" * bool(role),
        ONLY_OTHER: f"needed by {role} tasks only",
        UNUSED: "needed by no task",
    }[kind]


def _drops(linked: Mapping[str, Any], place: int) -> str:
    drops = [(task_title(task["task"]), task["drops"][place]) for task in linked["tasks"]]
    return ", ".join(
        f"{title} not measured" if drop is None else f"{title} {cell_text(100 * drop)} points" for title, drop in drops
    )


def _task(task: Mapping[str, Any], theme: Theme, transfer_length: int | None) -> dict[str, Any]:
    """One task's numbers with its title, colour, dash and the tints of its zones: an auxiliary task has no transfer
    region."""
    trained, last = task["training_length"], transfer_length if task["role"] == "main" else None
    return {
        **{name: task[name] for name in ("task", "drops", "curve", "accuracy", "without")},
        "title": task_title(task["task"]),
        "about": f"{task['role']} task, trained to {trained}",
        "colour": task_colour(task["task"], theme),
        "dash": ROLE_DASHES[task["role"]],
        "width": ROLE_WIDTHS[task["role"]],
        "trained": trained,
        "zones": [[trained, theme.zones[0]], *([[last, theme.zones[1]]] if last and last > trained else [])],
    }


def _maps(linked: Mapping[str, Any], maps: pd.DataFrame, theme: Theme) -> dict[str, Any]:
    """The cells of all maps on one scale; ``most`` is the drop of the strongest colour, in points."""
    most = strongest_drop(maps)
    return {
        "layers": int(maps.layer.max()) + 1,
        "heads": int(maps["head"].max()) + 1,
        "most": 100 * most,
        "ramp": [ramp_colour(step / 8, theme) for step in range(9)],
        "cells": [[_cell(drop, most, theme) for drop in task["drops"]] for task in linked["tasks"]],
    }


def _cell(drop: float | None, most: float, theme: Theme) -> dict[str, str]:
    if drop is None:
        return {"text": "?", "fill": theme.surface, "ink": theme.muted}
    share = drop / most
    return {"text": cell_text(100 * drop), "fill": ramp_colour(share, theme), "ink": ink(share, theme)}


def _measured(counts: pd.DataFrame) -> dict[str, dict[str, list[list[float]]]]:
    """By head and task: (length, exact match without it)."""
    shares = counts[counts["heads"] != ""].assign(share=lambda rows: rows.correct / rows.total)
    return {
        str(head): {
            str(task): [[int(length), float(share)] for length, share in zip(rows.length, rows.share, strict=True)]
            for task, rows in of_head.sort_values("length").groupby("task")
        }
        for head, of_head in shares.groupby("heads")
    }


# --- words ------------------------------------------------------------------------------------------------------


def notes(linked: Mapping[str, Any], threshold: float, measured: int) -> list[str]:
    """How to read the picture, with n. ``measured``: with how many prompts knock-outs at all lengths were measured."""
    counts = {name: [number for task in linked["tasks"] for number in task[name] if number]
              for name in ("prompts", "examples")}  # fmt: skip
    return [
        f"A line means: switch this head off and the task loses more than {100 * threshold:.0f} percentage points of "
        f"exact match. Lines and maps are means over lengths {_lengths(linked['shown'])}.",
        f"Accuracy of the whole model: {_between(counts['prompts'])} test prompts for each task and length. Without a "
        f"head: that accuracy minus the drop, which was measured with {_between(counts['examples'])} of these prompts.",
        *([f"Dotted, for heads that you have opened: measured at every length with up to {measured} prompts."]
          if measured else []),
    ]  # fmt: skip


def _between(numbers: Sequence[int]) -> str:
    low, high = min(numbers, default=0), max(numbers, default=0)
    return f"{low}" if low == high else f"{low} to {high}"


def _lengths(lengths: Sequence[int]) -> str:
    return id_ranges(lengths) if len(lengths) > 4 else ", ".join(map(str, lengths))
