"""Where a run fails: the first length, and what kind of mistake a wrong answer is.

The kinds are about the *greedy answer*, in which the model reads every token that it has written, and so also its own
mistakes. Exact match comes from the teacher-forced pass, in which it reads the true answer. Both agree on which answers
are right (:mod:`lgt.evaluation.exact_match`), but after the first mistake their tokens differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import pandas as pd

from lgt.core.config import TaskOptions
from lgt.tasks import task_named
from lgt.tasks.digits import normalised
from lgt.tasks.prompts import Prompt, answer_of
from lgt.tasks.vocabulary import EOS, FIRST_DIGIT

Kind = Literal[
    "right", "stopped early", "did not stop", "answered another task", "dropped carry", "shifted", "other error"
]
RIGHT: Final = "right"
STOPPED_EARLY: Final = "stopped early"
DID_NOT_STOP: Final = "did not stop"
ANOTHER_TASK: Final = "answered another task"
DROPPED_CARRY: Final = "dropped carry"
SHIFTED: Final = "shifted"
OTHER_ERROR: Final = "other error"
ERRORS: Final[tuple[Kind, ...]] = (
    STOPPED_EARLY, DID_NOT_STOP, ANOTHER_TASK, DROPPED_CARRY, SHIFTED, OTHER_ERROR,
)  # fmt: skip
"""The kinds of wrong answers; lgt.core.glossary defines each. An answer that fits several is of the first."""
KINDS: Final[tuple[Kind, ...]] = (RIGHT, *ERRORS)
LEAST_MOVED = 3
"""A shifted answer has at least this many different tokens that moved, because fewer often agree by chance."""


# --- the first length -------------------------------------------------------------------------------------------


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


# --- kinds of wrong answers -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    """What an answer is compared with. ``truth``: the tokens of the true answer up to the last scored one. ``others``:
    the true answers of the run's other tasks to the same input, by task. ``sums``: the sum of the two digits of each
    column, for a task that adds with carries."""

    truth: tuple[int, ...]
    others: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    sums: tuple[int, ...] = ()


def expected(prompt: Prompt, tasks: Iterable[str], options: TaskOptions) -> Expected:
    """What an answer to ``prompt`` is compared with; ``tasks``: those of the run."""
    found = {name: answer_of(name, prompt, options) for name in tasks if name != prompt.task}
    others = {name: answer for name, answer in found.items() if answer is not None}
    return Expected(prompt.answer, others, task_named(prompt.task).column_sums(prompt.body))


def kinds_of(written: Sequence[int], wanted: Expected) -> tuple[Kind, ...]:
    """Every kind that the greedy answer ``written`` fits, the one that counts first.

    ``written`` ends with the end token or has as many tokens as the true answer. A right answer is only ``right``, and
    ``other error`` stands alone.
    """
    answer, truth = tuple(written), wanted.truth
    if answer == truth:
        return (RIGHT,)
    fits: dict[Kind, bool] = {
        STOPPED_EARLY: answer[-1:] == (EOS,) and answer[:-1] == truth[: len(answer) - 1] and len(answer) < len(truth),
        DID_NOT_STOP: truth[-1] == EOS and answer[:-1] == truth[:-1] and len(answer) == len(truth),
        ANOTHER_TASK: other_task(answer, wanted) is not None,
        DROPPED_CARRY: bool(wanted.sums) and drops_carries(answer, wanted.sums),
        SHIFTED: is_shifted(answer, truth),
    }
    return tuple(kind for kind, fit in fits.items() if fit) or (OTHER_ERROR,)


def kind_of(written: Sequence[int], wanted: Expected) -> Kind:
    """The kind of the greedy answer ``written``: the first that it fits."""
    return kinds_of(written, wanted)[0]


def first_wrong(written: Sequence[int], truth: Sequence[int]) -> int | None:
    """The place (from 1) of the first wrong or missing token; ``None`` when the answer is right."""
    for place, token in enumerate(truth):
        if place >= len(written) or written[place] != token:
            return place + 1
    return None


def other_task(written: Sequence[int], wanted: Expected) -> str | None:
    """The other task of the run whose true answer a wrong answer is, as far as it goes: a model may write no more
    tokens than the true answer has."""
    answer = tuple(written)
    if answer == wanted.truth:
        return None
    return next((task for task, other in wanted.others.items() if answer == other[: len(answer)]), None)


def drops_carries(written: Sequence[int], sums: Sequence[int]) -> bool:
    """Whether an answer is that of an addition in which some carries, or none, were not passed on to the next column.

    ``sums``: the sum of the two digits of each column. The last carry is the last digit; the end token follows.

    >>> from lgt.tasks.vocabulary import encode
    >>> [drops_carries(encode(text + "<eos>"), (8, 12, 1)) for text in ("8220", "8210", "8200")]
    [True, True, False]
    """
    *digits, end = (int(token) for token in written)
    if len(digits) != len(sums) + 1 or end != EOS:
        return False
    possible = {0}  # the carries into the column with which the digits so far are explained
    for total, token in zip(sums, digits, strict=False):
        made = {total + carry for carry in possible if (total + carry) % 10 == token - FIRST_DIGIT}
        possible = {0} | {value // 10 for value in made} if made else set()
    return digits[-1] - FIRST_DIGIT in possible


def is_shifted(written: Sequence[int], truth: Sequence[int]) -> bool:
    """Whether the rest of the true answer, from the first wrong token on, follows one or more places too early (tokens
    were left out) or too late (tokens came between). The part that moved has at least three different tokens."""
    first = first_wrong(written, truth)
    if first is None:
        return False
    answer, true, start = tuple(written), tuple(truth), first - 1
    for by in range(1, len(true) - start):
        too_early, too_late = true[start + by :], true[start : len(true) - by]
        if answer[start:] == too_early and len(set(too_early)) >= LEAST_MOVED:
            return True
        if answer[start + by :] == too_late and len(set(too_late)) >= LEAST_MOVED:
            return True
    return False


def carries_into(sums: Sequence[int]) -> tuple[int, ...]:
    """The carry into each digit of an addition, 0 or 1: one more than columns.

    >>> carries_into((12, 10, 11, 1))
    (0, 1, 1, 1, 0)
    """
    return tuple(normalised(np.array(sums, dtype=np.int64))[1].tolist()) if len(sums) else ()


def longest_chain(carries: Iterable[int]) -> int:
    """The length of the longest carry chain: neighbouring digits into each of which a 1 is carried.

    >>> longest_chain((0, 1, 1, 0, 1))
    2
    """
    longest = current = 0
    for carry in carries:
        current = current + 1 if carry else 0
        longest = max(longest, current)
    return longest
