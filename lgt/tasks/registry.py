"""The registry of tasks: all tasks of this process by name, and :func:`register`, which adds a task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from lgt.core.checks import ConfigError
from lgt.core.config import RunConfig
from lgt.tasks import vocabulary
from lgt.tasks.arithmetic import ARITHMETIC
from lgt.tasks.base import Task, draw_examples
from lgt.tasks.mazes import MAZES
from lgt.tasks.requirements import OPTIONS, check_description, check_draws
from lgt.tasks.strings import STRINGS

TASKS: dict[str, Task] = {task.name: task for task in (*ARITHMETIC, *STRINGS, *MAZES)}


def task_named(name: str) -> Task:
    """The task with this name. Raises ConfigError, which lists the known tasks, for an unknown name."""
    if name not in TASKS:
        raise ConfigError("task", name, "one of " + ", ".join(TASKS))
    return TASKS[name]


def unit(name: str) -> str:
    """What a length of this task counts, in the plural, such as ``digits``; ``task units`` for an unknown task."""
    return TASKS[name].unit if name in TASKS else "task units"


def minimum_length(name: str) -> int:
    """The shortest length of this task; 1 for an unknown task."""
    return TASKS[name].minimum_length if name in TASKS else 1


def register(task: Task) -> Task:
    """Add ``task`` to the registry and append its tag and its ``tokens`` to the vocabulary; returns ``task``.

    Raises ConfigError if the name is already used or malformed, or if the task does not meet the requirements of
    :mod:`lgt.tasks.requirements`. Then nothing is added.
    """
    check_description(task, TASKS)
    count = len(vocabulary.TOKENS)
    try:
        vocabulary.append(tokens_of(task))
        check_draws(task, TASKS)
        _check_both_kinds(task)
    except ConfigError:
        vocabulary.keep_first(count)
        raise
    TASKS[task.name] = task
    return task


def _check_both_kinds(task: Task) -> None:
    """Raise ConfigError unless the shortest length of ``task`` has training prompts and test prompts."""
    from lgt.tasks.sampling import is_test_prompt  # here, because sampling imports this module

    drawn = draw_examples(task, np.random.default_rng(0), np.full(1024, task.minimum_length), OPTIONS, "equal")
    if len(np.unique(is_test_prompt(drawn))) < 2:
        accepted = "a length with training prompts and test prompts; a hash makes one prompt in four a test prompt"
        raise ConfigError(f"{task.name}.minimum_length", task.minimum_length, accepted)


@contextmanager
def isolated() -> Iterator[None]:
    """Tasks registered inside the block, and their tokens, are removed when the block ends. For tests."""
    tasks, count = dict(TASKS), len(vocabulary.TOKENS)
    try:
        yield
    finally:
        TASKS.clear()
        TASKS.update(tasks)
        vocabulary.keep_first(count)


def tokens_of(task: Task) -> tuple[str, ...]:
    """The tokens that ``task`` may add to the vocabulary: its tag and its own body and answer tokens."""
    return (f"<{task.name}>", *task.tokens)


def vocabulary_size(config: RunConfig) -> int:
    """The number of tokens of a run's network: the shortest start of the vocabulary that contains version 1 and all
    tokens of the run's tasks. Raises ConfigError for an unknown task."""
    used = (vocabulary.TOKEN_ID[token] for spec in config.tasks for token in tokens_of(task_named(spec.task)))
    return max(vocabulary.VOCABULARY_SIZE, 1 + max(used))
