"""Measure a network again: at other lengths, on more or other test prompts, with operands of other sizes.

Every prompt is a test prompt, so no run was trained on it, whatever the seed. With nothing asked, the counts are those
that the run itself stores.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lgt.core import bounds
from lgt.core.checks import ConfigError, check_choice, check_integer
from lgt.core.config import EvaluationConfig, Operands, RunConfig
from lgt.core.records import AccuracyRow
from lgt.evaluation.exact_match import scores_of
from lgt.model.batch import as_batch
from lgt.model.network import Network
from lgt.recipes.limits import check_measuring
from lgt.tasks import evaluation_lengths, task_named
from lgt.tasks.arithmetic import OperandTask
from lgt.tasks.base import Examples, Task
from lgt.tasks.sampling import test_examples

OPERANDS = ("equal", "ragged")


@dataclass(frozen=True)
class Asked:
    """What is measured. ``None``, or no task: as the run does.

    ``tasks``: some of the run's tasks. ``operands``: ``equal``, as in every test set, or ``ragged``, see
    :func:`lgt.tasks.arithmetic.draw_operands`.
    """

    tasks: tuple[str, ...] = ()
    lengths: tuple[int, ...] | None = None
    examples: int | None = None
    operands: Operands | None = None
    seed: int | None = None


def evaluation_of(config: RunConfig, asked: Asked) -> EvaluationConfig:
    """The run's settings with the number of examples and the seed that are asked. Raises ConfigError for a bad one."""
    before = config.evaluation
    examples = before.examples if asked.examples is None else asked.examples
    return replace(before, examples=examples, seed=before.seed if asked.seed is None else asked.seed)


def cells(config: RunConfig, asked: Asked) -> list[tuple[Task, int]]:
    """The tasks and lengths that are measured, in the run's order. Raises ConfigError for what the run does not allow:
    a task that it does not have, a length that a task does not have, operands for a task without operands, more than
    the limits of this machine."""
    check_measuring(replace(config, evaluation=evaluation_of(config, asked)))
    names = [spec.task for spec in config.tasks]
    for name in asked.tasks:
        check_choice("task", name, tuple(names))
    tasks = [task_named(name) for name in names if name in (asked.tasks or names)]
    for task in tasks:
        _check_operands(task, asked.operands)
        _check_lengths(task, config, asked.lengths or ())
    return [(task, length) for task in tasks for length in asked.lengths or evaluation_lengths(task, config)]


def _check_operands(task: Task, operands: Operands | None) -> None:
    if operands is None:
        return
    check_choice("operands", operands, OPERANDS)
    if not isinstance(task, OperandTask):
        raise ConfigError("operands", operands, f"only for tasks on two numbers, which {task.name} is not")


def _check_lengths(task: Task, config: RunConfig, lengths: tuple[int, ...]) -> None:
    longest = min(bounds.LENGTH.most, task.maximum_length(config.options))
    for length in lengths:
        check_integer(f"{task.name} length", length, task.minimum_length, longest)


def prompts(config: RunConfig, asked: Asked, task: Task, length: int) -> Examples:
    """The different test prompts on which ``task`` is measured at ``length``: as many as asked, or all there are."""
    evaluation = evaluation_of(config, asked)
    operands = asked.operands or "equal"
    return test_examples(task, length, evaluation.examples, evaluation.seed, config.options, operands)


def accuracy_again(network: Network, config: RunConfig, asked: Asked) -> list[AccuracyRow]:
    """Counts of ``network``, trained with ``config``, for each of :func:`cells`; a total of 0 where a task has no test
    prompt. Raises ConfigError as :func:`cells` does."""
    rows, scores = [], scores_of(network)
    for task, length in cells(config, asked):  # one after another, so that only one test set is in memory
        batch = as_batch(prompts(config, asked, task, length)).to(network.device)
        correct = int(scores(network, batch)[0].sum()) if len(batch) else 0
        rows.append(AccuracyRow(task.name, length, correct, len(batch)))
    return rows
