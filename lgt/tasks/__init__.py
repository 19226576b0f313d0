"""Tasks: the examples they draw, the split into training and test prompts, and the registry that names them.

``[D]`` in a docstring marks a decision of this project on a point that the paper does not specify.
"""

from __future__ import annotations

from collections.abc import Sequence

from lgt.core.checks import ConfigError
from lgt.core.config import RunConfig
from lgt.tasks.base import Task
from lgt.tasks.registry import TASKS, isolated, register, task_named, unit, vocabulary_size

__all__ = [
    "TASKS",
    "check_run",
    "evaluation_lengths",
    "isolated",
    "register",
    "task_named",
    "unit",
    "vocabulary_size",
]


def check_run(config: RunConfig) -> None:
    """Raise ConfigError for a run that its tasks do not allow.

    The reasons are: a task is unknown; a task cannot have its training length with the run's options; or the main task
    would not be evaluated at every length of its transfer region.
    """
    for spec in config.tasks:
        task = task_named(spec.task)
        low, high = task.minimum_length, task.maximum_length(config.options)
        if not low <= spec.training_length <= high:
            raise ConfigError(
                f"{spec.task}.training_length", spec.training_length, f"a whole number from {low:,} to {high:,}"
            )
    needed, main = config.transfer_length, task_named(config.main.task)
    if needed is not None and main.maximum_length(config.options) < needed:
        accepted = f"at most {main.maximum_length(config.options)}, the longest {main.name} there is"
        raise ConfigError("transfer_length", needed, accepted)
    if needed is not None and config.evaluation.maximum_length < needed:
        accepted = f"at least {needed}, the end of the transfer region"
        raise ConfigError("evaluation.maximum_length", config.evaluation.maximum_length, accepted)


def evaluation_lengths(task: Task, config: RunConfig) -> Sequence[int]:
    """The lengths at which ``task`` is evaluated, ascending: from its minimum to the smaller of its own and the run's
    maximum, and the run's further lengths that the task has."""
    most = task.maximum_length(config.options)
    lengths = range(task.minimum_length, min(config.evaluation.maximum_length, most) + 1)
    beyond = [length for length in config.evaluation.lengths_beyond if length <= most]
    return [*lengths, *beyond] if beyond else lengths
