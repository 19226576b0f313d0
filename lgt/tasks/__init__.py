"""The registry of tasks. Adding a task is one function in a family's module and one entry of that module's tuple."""

from __future__ import annotations

from lgt.core.checks import ConfigError
from lgt.core.config import RunConfig
from lgt.tasks.arithmetic import ARITHMETIC
from lgt.tasks.base import Task
from lgt.tasks.mazes import MAZES
from lgt.tasks.strings import STRINGS

TASKS: dict[str, Task] = {task.name: task for task in (*ARITHMETIC, *STRINGS, *MAZES)}
_UNITS = {"arithmetic": "digits", "strings": "characters", "mazes": "nodes"}


def unit(task: str) -> str:
    """The unit in which the lengths of a task are counted, in the plural, such as ``digits``."""
    return _UNITS[TASKS[task].family] if task in TASKS else "task units"


def task_named(name: str) -> Task:
    """The task with this name. Raises ConfigError naming the known tasks."""
    if name not in TASKS:
        raise ConfigError("task", name, "one of " + ", ".join(TASKS))
    return TASKS[name]


def check_run(config: RunConfig) -> None:
    """Raise ConfigError for an unknown task, for a training length its task cannot have with the run's options, and
    when the main task's transfer region would not be evaluated to its end."""
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


def evaluation_lengths(task: Task, config: RunConfig) -> range:
    """The lengths at which the task is evaluated: from its minimum to the run's maximum, or its own if that is less."""
    longest = min(config.evaluation.maximum_length, task.maximum_length(config.options))
    return range(task.minimum_length, longest + 1)
