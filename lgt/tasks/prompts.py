"""Single prompts for the playground: typed or drawn, with the true answer, in the form of training and test sets.

A typed prompt becomes the same tokens as the equal drawn prompt (tested). Drawn prompts are test prompts, so no run was
trained on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lgt.core import bounds
from lgt.core.checks import ConfigError, check_integer
from lgt.core.config import TaskOptions
from lgt.core.seeding import generator
from lgt.tasks import task_named
from lgt.tasks.arithmetic import OperandTask
from lgt.tasks.base import BODY_START, Examples, Task, Working, as_examples
from lgt.tasks.mazes import Maze, MazeTask, as_mazes, read_maze
from lgt.tasks.sampling import is_test_prompt, test_examples
from lgt.tasks.vocabulary import EOS

LONGEST = bounds.PROMPT.most
"""The longest prompt that is accepted. A person waits while the answer is decoded."""
DRAWS = 16  # the most draws of bodies in a search for test prompts


@dataclass(frozen=True)
class Prompt:
    """A prompt and its true answer: ``<bos> <tag> body answer <eos>``.

    ``tokens`` is the whole sequence. The model is given the first ``prompt_length`` of them. ``scored`` marks the
    tokens that the model must predict. ``held_out``: whether the prompt is a test prompt, on which no run is trained.
    """

    task: str
    length: int
    tokens: tuple[int, ...]
    prompt_length: int
    scored: tuple[bool, ...]
    held_out: bool

    @property
    def body(self) -> tuple[int, ...]:
        """The prompt without begin token and tag."""
        return self.tokens[BODY_START : self.prompt_length]

    @property
    def answer(self) -> tuple[int, ...]:
        """The true answer up to its last scored token."""
        last = max(place for place, scored in enumerate(self.scored) if scored)
        return self.tokens[self.prompt_length : last + 1]


def longest(task: Task, options: TaskOptions) -> int:
    """The longest accepted length of a prompt of ``task``."""
    return min(LONGEST, task.maximum_length(options))


def drawn(task_name: str, length: int, seed: int, options: TaskOptions) -> Prompt:
    """A random test prompt of this length; the same arguments always give the same prompt.

    Tasks with the same body format get the same body. Raises ConfigError if the task cannot have this length or has no
    test prompt of it.
    """
    task = task_named(task_name)
    if not task.minimum_length <= length <= longest(task, options):
        raise ConfigError("length", length, f"a whole number from {task.minimum_length} to {longest(task, options)}")
    examples = test_examples(task, length, 1, seed, options)
    if not len(examples):
        raise ConfigError("length", length, f"a length at which {task.title} has test prompts")
    return first_of(task, examples)


def of_test_set(task_name: str, length: int, number: int, seed: int, options: TaskOptions) -> Prompt:
    """Prompt ``number`` (from 1) of the fixed test set of this task and length; ``seed``: the test set's.

    Raises ConfigError if the task cannot have this length or has fewer test prompts of it.
    """
    task = task_named(task_name)
    check_integer("length", length, task.minimum_length, longest(task, options))
    examples = test_examples(task, length, number, seed, options)
    check_integer("test prompt", number, 1, len(examples))
    return first_of(task, examples.take(slice(number - 1, number)))


def typed(task_name: str, texts: Sequence[str], seed: int, options: TaskOptions) -> Prompt:
    """The prompt that a person typed: one text for each of the task's ``fields``.

    ``seed`` decides the parts that a person does not type, such as the order of the queries of ``mqar``. Raises
    ConfigError, which names the wrong field in lower case.
    """
    task = task_named(task_name)
    length, bodies = task.typed(texts, longest(task, options), seed, options)
    return first_of(task, as_examples(task, np.array([length]), bodies))


def texts_of(prompt: Prompt) -> tuple[str, ...]:
    """The texts that a person types to get this prompt, one for each of the task's ``fields``; inverse of
    :func:`typed`."""
    return task_named(prompt.task).texts(prompt.body)


def answer_of(task_name: str, prompt: Prompt, options: TaskOptions) -> tuple[int, ...] | None:
    """The true answer of another task to the same body, or to the same two numbers with another sign between them;
    ``None`` if the task cannot read it."""
    task, own = task_named(task_name), task_named(prompt.task)
    same_numbers = isinstance(task, OperandTask) and isinstance(own, OperandTask)
    if task.body_format != own.body_format and not same_numbers:
        return None
    if isinstance(task, MazeTask):
        return (*(int(token) for token in task.answer(as_mazes(read_maze(prompt.body)))[0]), EOS)
    try:
        other = typed(task_name, texts_of(prompt), 0, options)
    except ConfigError:  # such as a string that is too long for the other task
        return None
    return other.answer if texts_of(other) == texts_of(prompt) else None


def prompts_of_same_layout(prompt: Prompt, count: int, seed: int, options: TaskOptions) -> Examples:
    """At most ``count`` test prompts in which every position has the same meaning as in ``prompt``.

    Usually they are the fixed test set of its task and length, which ablation maps use too. If the parts of ``prompt``
    have other sizes than in that test set (operands of different size), test prompts with the sizes of ``prompt`` are
    drawn.
    """
    task = task_named(prompt.task)
    layout = task.layout(prompt.body, options)
    if layout is None:
        return test_examples(task, prompt.length, count, seed, options)
    rng = generator(seed, "alike", task.body_format, *layout)
    parts: list[Examples] = []
    for _ in range(DRAWS):
        bodies = task.draw_layout(rng, layout, 8 * count)
        found = as_examples(task, np.full(8 * count, prompt.length), bodies)
        parts.append(found.take(np.flatnonzero(is_test_prompt(found))))
        if sum(map(len, parts)) >= count:
            break
    return Examples.concatenate(parts).take(slice(0, count))


def maze_of(prompt: Prompt) -> Maze | None:
    """The maze that the prompt describes; ``None`` if its task is not a maze task."""
    return read_maze(prompt.body) if isinstance(task_named(prompt.task), MazeTask) else None


def working(prompt: Prompt) -> Working:
    """The inputs of each answer token, as rows (name, one text per answer token); empty if the task shows none."""
    return task_named(prompt.task).working(prompt.body, prompt.answer)


def first_of(task: Task, examples: Examples) -> Prompt:
    """The first of ``examples``, which are examples of ``task``, as a prompt."""
    total = int(examples.total_length[0])
    return Prompt(
        task.name, int(examples.length[0]), tuple(examples.tokens[0, :total].tolist()),
        int(examples.prompt_length[0]), tuple(examples.scored[0, :total].tolist()), bool(is_test_prompt(examples)[0]),
    )  # fmt: skip
