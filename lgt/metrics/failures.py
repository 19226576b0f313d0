"""The first length at which a run fails."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Failure:
    """The first length at which a run answers fewer than half of the prompts of a task, with its counts."""

    length: int
    correct: int
    total: int


def first_failure(accuracy: pd.DataFrame, task: str) -> Failure | None:
    """The first length at which a run fails on more than half of the prompts of ``task``; ``None`` if there is none.

    ``accuracy``: rows of one run at one step, as :func:`lgt.store.queries.accuracy` gives them.
    """
    rows = accuracy[accuracy.task == task].sort_values("length")
    failed = rows[2 * rows.correct < rows.total]
    if failed.empty:
        return None
    first = failed.iloc[0]
    return Failure(int(first.length), int(first.correct), int(first.total))
