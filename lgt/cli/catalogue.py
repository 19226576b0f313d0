"""Commands that describe what can be trained: tasks, groups, sample."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from lgt.cli.shared_options import AsJson, show_rows, whole_number


def tasks(as_json: AsJson = False) -> None:
    """List the tasks."""
    from lgt.tasks import TASKS

    rows = [
        {"name": t.name, "family": t.family, "title": t.title, "summary": t.summary, "minimum_length": t.minimum_length}
        for t in TASKS.values()
    ]
    show_rows(rows, as_json, ["name", "family", "summary"])


def groups(as_json: AsJson = False) -> None:
    """List the task groups with the training lengths (Lm, La) that each preset gives them."""
    from lgt.recipes.groups import GROUPS
    from lgt.recipes.presets import PRESETS

    rows = [
        {
            "key": g.key,
            "title": g.title,
            "main": g.main,
            "auxiliaries": list(g.auxiliaries),
            "control": g.control,
            "figures": g.figures,
            "lengths": {name: list(preset.lengths[g.key]) for name, preset in PRESETS.items()},
        }
        for g in GROUPS.values()
    ]
    show_rows(rows, as_json, ["key", "main", "auxiliaries", "lengths", "figures"])


def sample(
    task: str,
    length: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Task length n.")],
    count: Annotated[int, typer.Option(parser=whole_number, metavar="K", help="Number of examples.")] = 5,
    seed: Annotated[int, typer.Option(parser=whole_number, metavar="S", help="Seed.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Print examples of TASK: the prompt without its tag, the answer without the end token."""
    from lgt.tasks.sampling import sample_rows

    for row in sample_rows(task, length, count, seed):
        print(json.dumps(row) if as_json else f"{row['prompt']} {row['answer']}")
