"""Worked examples: a prompt and its answer as text, drawn by the same functions as training and test examples."""

from __future__ import annotations

import numpy as np

from lgt.core.config import TaskOptions
from lgt.tasks import task_named
from lgt.tasks.base import draw_examples
from lgt.tasks.vocabulary import decode

SEED = 9  # gives an addition with carries and a string with letters of both cases


def worked_example(name: str, length: int, options: TaskOptions) -> tuple[str, str]:
    """Prompt and answer of task ``name`` at ``length``, as text without the task's tag and the end token.

    The same arguments always give the same texts, and tasks with the same body format have the same prompt. Raises
    ConfigError for an unknown task or a length that the task cannot have.

    >>> worked_example("capitalize_reverse", 4, TaskOptions())[0] == worked_example("reverse", 4, TaskOptions())[0]
    True
    """
    task = task_named(name)
    drawn = draw_examples(task, np.random.default_rng(SEED), np.array([length]), options, "equal")
    start, end = int(drawn.prompt_length[0]), int(drawn.total_length[0])
    return decode(drawn.tokens[0, 2:start]), decode(drawn.tokens[0, start : end - 1])


def example_note(name: str, prompt: str) -> str:
    """One sentence that explains how to read the example; empty if the example needs no explanation.

    >>> example_note("reverse_add", "4721+8390=")
    'Digits are written from last to first, so this is 1274 + 938.'
    """
    return task_named(name).example_note(prompt)
