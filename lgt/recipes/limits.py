"""Limits of one run and of one store. The environment sets them; commands and pages show them; the store checks them
when it takes a run."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, fields

from lgt.core.checks import ConfigError
from lgt.core.config import MAXIMUM_LENGTH, RunConfig
from lgt.core.processors import usable_cores
from lgt.tasks import vocabulary_size

READ_ONLY = "LGT_READ_ONLY"


@dataclass(frozen=True)
class Limits:
    """The maximum ``steps``, ``parameters`` and ``length`` of one run, of examples in its ``batch`` and of test
    ``examples`` per task and length; of runs waiting in the ``queue``; of ``workers`` that the dashboard starts
    (default: one for each core that this process may use); and the largest store (in MB) that a page takes as an
    ``upload``."""

    steps: int = 100_000
    parameters: int = 50_000_000
    length: int = MAXIMUM_LENGTH
    batch: int = 8_192
    examples: int = 16_384
    queue: int = 1_000
    workers: int = dataclasses.field(default_factory=usable_cores)
    upload: int = 200


UNITS = {"length": "", "batch": "examples "}
"""What a limit counts, where its name does not say it."""


def variable(name: str) -> str:
    """The environment variable of a field of :class:`Limits`, such as ``LGT_MAX_STEPS``."""
    return f"LGT_MAX_{name.upper()}"


def limits() -> Limits:
    """The limits that the environment sets. Raises ConfigError if a variable is not a whole number above 0."""
    given = {}
    for field in fields(Limits):
        text = os.environ.get(variable(field.name))
        if text:
            if not text.isdecimal() or not 0 < int(text) < 2**31:
                raise ConfigError(variable(field.name), text, "a whole number above 0")
            given[field.name] = int(text)
    return Limits(**given)


def read_only() -> bool:
    """Whether ``LGT_READ_ONLY`` is set to anything but 0. Then every write is refused."""
    return os.environ.get(READ_ONLY, "0") not in ("", "0")


def check_limits(config: RunConfig) -> None:
    """Raise ConfigError, which names the field and the environment variable, for a value of ``config`` above its limit.

    Also raises ConfigError for an unknown task, because the number of parameters depends on its tokens.
    """
    allowed = limits()
    longest = max([spec.training_length for spec in config.tasks] + [config.evaluation.maximum_length])
    asked = {
        "steps": ("training.steps", config.training.steps),
        "parameters": ("model", config.model.parameters(vocabulary_size(config))),
        "length": ("length", longest),
        "batch": ("training.batch_size", config.training.batch_size),
    }
    measures = ("examples", "progress_examples", "attribution_examples")
    checks = [(name, *of) for name, of in asked.items()]
    checks += [("examples", f"evaluation.{field}", getattr(config.evaluation, field)) for field in measures]
    for name, field, value in checks:
        most = getattr(allowed, name)
        if value > most:
            raise ConfigError(field, value, f"at most {most:,} {UNITS.get(name, name + ' ')}"
                              f"({variable(name)} sets this limit)")  # fmt: skip
