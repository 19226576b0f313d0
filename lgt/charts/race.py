"""What the pictures of the race need beside its numbers: titles, sentences, colours, and the place of every head.

The browser (``lgt/report/race.js``) and the animated picture (:mod:`lgt.report.race_gif`) draw the same dictionary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lgt.charts.theme import DARK, LIGHT, ROLE_DASHES, ROLE_WIDTHS, Theme, task_colour
from lgt.charts.zones import rule_table
from lgt.core.number_ranges import id_ranges
from lgt.core.plain_text import in_all_texts
from lgt.metrics.head_sharing import ONLY_MAIN, ONLY_OTHER, SHARED, UNUSED
from lgt.metrics.zones import IN_DISTRIBUTION, TRANSFER_REGION, ZONE_TITLES, ZONES, zone_lengths
from lgt.recipes.labels import task_title
from lgt.tasks import unit

ROWS = {ONLY_MAIN: 4.9, SHARED: 8.0, ONLY_OTHER: 11.1, UNUSED: 16.8}
"""The line of each kind of head, from the top of the picture of heads, in em. Shared heads stand on the bridge."""
LAYOUT = {
    "mainTitle": 0.9, "main": 2.1, "bridge": ROWS[SHARED], "auxiliary": 13.8, "auxiliaryTitle": 15.4,
    "unused": ROWS[UNUSED], "height": 17.4,
}  # fmt: skip
"""The other lines of the same picture, in em."""
STEP, STEP_OF_UNUSED = 1 / 6, 1 / 16
"""The largest distance between two heads of a line, as a share of the width. Heads that no task needs are small."""
SPAN = 0.94
"""The share of the width that a full line takes."""
COUNTER = "longest length above 50%"


def race_picture(race: Mapping[str, Any], titles: Sequence[str]) -> dict[str, Any]:
    """``race`` (:func:`lgt.metrics.race.race`) with everything that is drawn around it. ``titles``: of the sides, alone
    first."""
    tasks = race["sides"][1]["tasks"]
    main, transfer = race["main_length"], race["transfer_length"]
    role = tasks[1]["role"] if len(tasks) > 1 else ""
    rules = rule_table(race["lengths"], main, transfer, role, LIGHT)
    picture = {
        **{name: race[name] for name in ("lengths", "seeds", "above", "threshold")},
        "axis": f"length ({unit(tasks[0]['task'])})",
        "counter": COUNTER,
        "layout": LAYOUT,
        "zones": _zones(race),
        "rules": [{"at": float(at), "label": str(label)} for at, label in zip(rules.x, rules.label, strict=True)],
        "tasks": [_legend(task) for task in tasks],
        "sides": [_side(side, title) for side, title in zip(race["sides"], titles, strict=True)],
        "colours": {theme.name: _colours(theme, tasks) for theme in (LIGHT, DARK)},
        "notes": [seeds_sentence(race), *heads_sentences(race), READING],
    }
    return in_all_texts(picture)  # type: ignore[no-any-return]


READING = (
    "Numbers are those of the last measured step. Between two measured steps only the drawing moves, evenly from one "
    "to the other."
)


def seeds_sentence(race: Mapping[str, Any]) -> str:
    """Which runs the curves show, with n."""
    seeds, counts = race["seeds"], [len(side["steps"]) for side in race["sides"]]
    steps = f"{counts[0]} measured steps alone and {counts[1]} together"
    left = race["of"] - len(seeds)
    if len(seeds) == 1:
        others = f" One of {race['of']} seeds; the others are not shown." if left else ""
        return f"Curves: one run of each side, seed {seeds[0]}, {steps}.{others}"
    said = [
        f"Curves: mean over seeds {id_ranges(seeds)} (n = {len(seeds)} of {race['of']}), {steps}.",
        "" if race["alike"] else "The seeds were measured at different steps; each counts with its last measured one.",
        "Band: the main task, from the smallest to the largest seed.",
        f"Not shown: {left} measured at the end only." if left else "",
    ]
    return " ".join(sentence for sentence in said if sentence)


def heads_sentences(race: Mapping[str, Any]) -> list[str]:
    """Which heads are shown, at which lengths, and when they matter; nothing without ablation maps."""
    heads = [(name, side["heads"]) for name, side in zip(("alone", "together"), race["sides"], strict=True)]
    said = [f"{name} {_lengths(of)}" for name, of in heads if of]
    if not said:
        return ["These runs have no ablation maps, so no heads are shown."]
    text = (
        f"Heads: of one run a side, seed {race['head_seed']}{_median(race)}; {', '.join(said)}. A head matters to a "
        f"task if switching it off costs more than {100 * race['threshold']:.0f} points of exact match. A head that "
        "matters to the main task and to an auxiliary task stands on the bridge."
    )
    once = [name for name, of in heads if of and len(of["steps"]) == 1]
    only = (
        f"Heads were measured only at the end of training ({' and '.join(once)}); the setting "
        "evaluation.attribution_snapshots of new runs says at how many steps they are measured."
    )
    return [text, *([only] if once else [])]


def _median(race: Mapping[str, Any]) -> str:
    """Says of the seed whose heads are shown that its transfer accuracy is the median one, and of which seeds."""
    if len(race["seeds"]) == 1:
        return ""
    some = "" if race["head_seeds"] == len(race["seeds"]) else " whose heads were measured at the most steps"
    return f" (the median transfer accuracy of the {race['head_seeds']} seeds{some})"


def _lengths(heads: Mapping[str, Any]) -> str:
    places = {IN_DISTRIBUTION: "at trained lengths", TRANSFER_REGION: "in the transfer region"}
    return f"{places[heads['zone']]} ({', '.join(map(str, heads['lengths']))})"


def _zones(race: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = zone_lengths(race["lengths"], race["main_length"], race["transfer_length"])
    return [
        {"name": ZONE_TITLES[zone], "place": ZONES.index(zone), "low": lengths[0] - 0.5, "high": lengths[-1] + 0.5}
        for zone, lengths in found.items()
    ]


def _legend(task: Mapping[str, Any]) -> dict[str, Any]:
    title, trained = task_title(task["task"]), f"trained to {task['training_length']}"
    return {
        "task": task["task"],
        "title": title,
        "label": f"{title}, {task['role']} task, {trained}",
        "role": task["role"],
        "dash": ROLE_DASHES[task["role"]],
        "width": ROLE_WIDTHS[task["role"]],
    }


def _side(side: Mapping[str, Any], title: str) -> dict[str, Any]:
    curves = [{name: task[name] for name in ("task", "mean", "low", "high")} for task in side["tasks"]]
    heads = side["heads"]
    drawn = {
        **{name: heads[name] for name in ("steps", "names", "kinds", "drops")},
        "places": [head_places(kinds) for kinds in heads["kinds"]],
        "crowd": max(crowd(kinds) for kinds in heads["kinds"]),
        "shared": [kinds.count(SHARED) for kinds in heads["kinds"]],
    } if heads else None  # fmt: skip
    return {"title": title, "steps": side["steps"], "curves": curves, "reach": side["reach"], "heads": drawn}


def head_places(kinds: Sequence[str]) -> list[list[float]]:
    """For each head [x, y]: x in [0, 1] across, and the line of its kind in :data:`ROWS`. Heads of a line keep their
    order and stand evenly around the middle."""
    members = {kind: [place for place, of in enumerate(kinds) if of == kind] for kind in ROWS}
    places: list[list[float]] = [[0.0, 0.0] for _ in kinds]
    for kind, found in members.items():
        step = min(STEP_OF_UNUSED if kind == UNUSED else STEP, SPAN / max(len(found), 1))
        for order, place in enumerate(found):
            places[place] = [round(0.5 + step * (order - (len(found) - 1) / 2), 4), ROWS[kind]]
    return places


def crowd(kinds: Sequence[str]) -> int:
    """The largest number of heads in a line of heads that a task needs."""
    return max(kinds.count(kind) for kind in (SHARED, ONLY_MAIN, ONLY_OTHER))


def _colours(theme: Theme, tasks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "text": theme.text, "muted": theme.muted, "grid": theme.grid, "surface": theme.surface,
        "zones": list(theme.zones), "shared": theme.shared, "unused": theme.unused,
        "tasks": {task["task"]: task_colour(task["task"], theme) for task in tasks},
    }  # fmt: skip
