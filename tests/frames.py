"""Small frames for chart tests, in the shape of the store's queries. Numbers here are made up and shown nowhere."""

from __future__ import annotations

import json
import re

import pandas as pd


def accuracy(seeds: int = 3, together: bool = True) -> pd.DataFrame:
    """Counts of a caprev-like series, 8 <- 16, lengths 1 to 20."""
    tasks = [("capitalize_reverse", "main", 8)]
    tasks += [("capitalize", "auxiliary", 16), ("reverse", "auxiliary", 16)] if together else []
    rows = [
        {
            "run_id": seed + 1, "task_group": "caprev", "arm": "co-trained", "model_seed": seed, "step": 100,
            "task": task, "role": role, "training_length": trained, "transfer_length": 16, "length": length,
            "correct": max(0, min(50, 50 - (3 + seed) * max(0, length - trained))), "total": 50,
        }
        for seed in range(seeds) for task, role, trained in tasks for length in range(1, 21)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def heads(drops: dict[str, dict[tuple[int, int], float]], layers: int = 2, count: int = 4) -> pd.DataFrame:
    """A map per task: the drops given by (layer, head), zero elsewhere."""
    return pd.DataFrame(
        {"task": task, "layer": layer, "head": head, "accuracy_drop": given.get((layer, head), 0.0)}
        for task, given in drops.items()
        for layer in range(layers)
        for head in range(count)
    )


def heading_lines(title: dict, part: str, width: int = 300) -> list[str]:
    """The lines of a chart's heading (``text`` or ``subtitle``) in a plot of this width in px."""
    found = title.get(part, [])
    if isinstance(found, list):
        return found
    rest = found["expr"]
    while condition := re.match(r"width >= (\d+) \? ", rest):
        lines, end = json.JSONDecoder().raw_decode(rest, condition.end())
        if width >= int(condition[1]):
            return lines
        rest = rest[end:].removeprefix(" : ")
    return json.loads(rest)
