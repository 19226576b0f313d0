"""The requirements of a task that is registered. Each check raises ConfigError, which says in one line what is wrong.

The checks draw a few prompts, so that an error is found when the task is registered and not during a run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import get_args

import numpy as np

from lgt.core.checks import ConfigError, check_choice, check_integer
from lgt.core.config import TaskOptions
from lgt.tasks.base import BODY_START, Bodies, Examples, Family, IntArray, Task, as_examples
from lgt.tasks.vocabulary import PAD, TOKEN_ID, TOKENS, VOCABULARY_SIZE

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
SHADE = re.compile(r"#[0-9A-Fa-f]{6}")
OPTIONS = TaskOptions(grid=4)
ROWS = 8
"""The number of prompts that are drawn of each of the four shortest lengths."""


def check_description(task: Task, known: Mapping[str, Task]) -> None:
    """Raise ConfigError unless all fields of ``task`` are valid and it has a ``draw``. ``known``: the registered
    tasks."""
    if not isinstance(task, Task):
        raise ConfigError("task", task, "an object of a class that derives from lgt.tasks.base.Task")
    if not isinstance(task.name, str) or not NAME.fullmatch(task.name):
        raise ConfigError("task", task.name, "a name of small letters, digits and underscores, a letter first")
    if task.name in known:
        raise ConfigError("task", task.name, "a new name; a task with this name is registered")
    for name in ("title", "unit", "body_format", "reading", "drawn_text"):
        _need(task, name, bool(getattr(task, name)), "a text")
    _need(task, "title", task.title not in {other.title for other in known.values()}, "a title that no other task has")
    _need(task, "summary", task.summary.endswith("."), "one sentence that ends with a period")
    check_choice(f"{task.name}.family", task.family, get_args(Family))
    shades = isinstance(task.colour, tuple) and len(task.colour) == 2 and all(map(SHADE.fullmatch, task.colour))
    _need(task, "colour", bool(shades), "two shades such as ('#2F6FDE', '#5B94F5'), for the light and the dark theme")
    check_integer(f"{task.name}.minimum_length", task.minimum_length, 1, task.maximum_length(OPTIONS))
    _need(task, "fields", len(task.fields) < 3 and all(task.fields), "at most two labels of text fields")
    _need(task, "draw", type(task).draw is not Task.draw, "a method that draws prompts with their answers")


def check_draws(task: Task, known: Mapping[str, Task]) -> None:
    """Raise ConfigError unless ``task`` draws prompts that can be trained, tested, typed and shown.

    The tokens of ``task`` must already be in the vocabulary.
    """
    low, high = task.minimum_length, min(task.minimum_length + 3, task.maximum_length(OPTIONS))
    lengths = np.repeat(np.arange(low, high + 1), ROWS)
    bodies = _drawn(task, lengths)
    for part in (bodies.body, bodies.answer):
        _need(task, "draw", len(part) == len(lengths) and (part != PAD).any(axis=1).all(),
              f"a body and an answer for each of the {len(lengths)} lengths")  # fmt: skip
        _check_tokens(task, part)
    _need(task, "draw", np.array_equal(_drawn(task, lengths).body, bodies.body), "the same prompts for the same rng")
    for other in known.values():
        if other.body_format == task.body_format:
            same = np.array_equal(_drawn(other, lengths).body, bodies.body)
            _need(task, "body_format", same, f"a format of its own, because {other.name} draws other bodies")
    examples = as_examples(task, lengths, bodies)
    for row in range(len(examples)):
        _check_one(task, examples, row)


def _need(task: Task, name: str, given: bool, accepted: str) -> None:
    if not given:
        raise ConfigError(f"{task.name}.{name}", getattr(task, name), accepted)


def _drawn(task: Task, lengths: IntArray) -> Bodies:
    try:
        return task.draw(np.random.default_rng(0), lengths, OPTIONS, "equal")
    except Exception as error:
        raise _failed(task, "draw", error) from error


def _failed(task: Task, name: str, error: Exception) -> ConfigError:
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return ConfigError(f"{task.name}.{name}", said, "a method that works on the prompts of the four shortest lengths")


def _check_tokens(task: Task, ids: IntArray) -> None:
    own = {TOKEN_ID[token] for token in task.tokens}
    for number in np.unique(ids).tolist():
        if not 0 <= number < VOCABULARY_SIZE and number not in own:
            shown = TOKENS[number] if 0 <= number < len(TOKENS) else number
            raise ConfigError(f"{task.name}.draw", shown, "tokens of version 1 of the vocabulary and of `tokens`")


def _check_one(task: Task, examples: Examples, row: int) -> None:
    """Check that typing the prompt in ``row`` gives the same prompt, and that ``working`` has a text per answer
    token."""
    start, end = int(examples.prompt_length[row]), int(examples.total_length[row])
    body, answer = examples.tokens[row, BODY_START:start].tolist(), examples.tokens[row, start:end].tolist()
    if not examples.scored[row].any():
        raise ConfigError(f"{task.name}.draw", "an answer without a scored token", "at least one scored token")
    try:
        texts, working = task.texts(body), task.working(body, answer)
        typed = task.typed(texts, task.maximum_length(OPTIONS), 0, OPTIONS) if task.fields else None
        task.example_note("".join(TOKENS[number] for number in body))
    except Exception as error:
        raise _failed(task, "typed, texts, working or example_note", error) from error
    _need(task, "texts", len(texts) == len(task.fields), "a method that gives one text for each of `fields`")
    if typed is not None:
        length, bodies = typed
        same = length == examples.length[row] and bodies.body[0][bodies.body[0] != PAD].tolist() == body
        _need(task, "typed", same, f"a method that reads {texts} as the prompt that was drawn")
    _need(task, "working", all(len(row_texts) == len(answer) for _, row_texts in working),
          "a method that gives one text for each answer token")  # fmt: skip
