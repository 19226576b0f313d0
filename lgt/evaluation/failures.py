"""The greedy answers of a network to a fixed test set, each with its kind (:mod:`lgt.metrics.failures`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lgt.core.config import RunConfig
from lgt.evaluation.again import Asked, prompts
from lgt.evaluation.greedy import greedy_answers
from lgt.metrics.failures import Expected, Kind, expected, kinds_of
from lgt.model.batch import as_batch
from lgt.model.network import Network
from lgt.tasks import task_named
from lgt.tasks.prompts import Prompt, first_of

MOST_PROMPTS, LEAST_PROMPTS, MOST_TOKENS = 256, 64, 8_192
"""A person waits for the answers: at most so many prompts, and fewer if their answers together have more tokens, but
not below the least number."""


@dataclass(frozen=True)
class JudgedAnswer:
    """The greedy answer ``written`` to ``prompt``, and every kind that it fits, the one that counts first."""

    prompt: Prompt
    written: tuple[int, ...]
    wanted: Expected
    kinds: tuple[Kind, ...]


@dataclass(frozen=True)
class JudgedAnswers:
    """Answers to the first prompts of a test set, in its order, and the ``total`` number of its prompts."""

    answers: list[JudgedAnswer]
    total: int


def judged_answers(network: Network, config: RunConfig, task: str, length: int) -> JudgedAnswers:
    """The answers of ``network``, trained with ``config``, to the test set of ``task`` at ``length`` that its exact
    match was counted on. There are none if the task has no test prompt of this length."""
    of_task, tasks = task_named(task), [spec.task for spec in config.tasks]
    test_set = prompts(config, Asked(), of_task, length)
    if not len(test_set):
        return JudgedAnswers([], 0)
    longest = int(test_set.scored.sum(axis=1).max())
    examples = test_set.take(slice(0, min(MOST_PROMPTS, max(LEAST_PROMPTS, MOST_TOKENS // longest))))
    written = greedy_answers(network, as_batch(examples))
    asked = [first_of(of_task, examples.take(np.array([row]))) for row in range(len(examples))]
    wanted = [  # the answers of other tasks take most of the time, and a right answer needs none
        expected(prompt, tasks if prompt.answer != one else (), config.options)
        for prompt, one in zip(asked, written, strict=True)
    ]
    found = [JudgedAnswer(*one, kinds_of(one[1], one[2])) for one in zip(asked, written, wanted, strict=True)]
    return JudgedAnswers(found, len(test_set))
