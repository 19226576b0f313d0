"""Whether a run is within the limits of this machine (:mod:`lgt.core.bounds`), and whether anything may be written.

A run is checked when the store takes it, when a worker takes it, and when it is retried: somebody else may have queued
it, under other limits. A stored run that is measured again is checked for what measuring costs.
"""

from __future__ import annotations

import os

from lgt.core import bounds
from lgt.core.config import RunConfig
from lgt.tasks import vocabulary_size

READ_ONLY = "LGT_READ_ONLY"
MEASURED = ("examples", "progress_examples", "attribution_examples")


def read_only() -> bool:
    """Whether ``LGT_READ_ONLY`` is set to anything but 0. Then every write is refused."""
    return os.environ.get(READ_ONLY, "0") not in ("", "0")


def check_limits(config: RunConfig) -> None:
    """Raise ConfigError, which names the field and the environment variable, for a value of ``config`` above its limit.

    Also raises ConfigError for an unknown task, because the number of parameters depends on its tokens.
    """
    bounds.STEPS.check("training.steps", config.training.steps)
    bounds.BATCH.check("training.batch_size", config.training.batch_size)
    for field in ("snapshots", "attribution_snapshots"):
        bounds.SNAPSHOTS.check(f"evaluation.{field}", getattr(config.evaluation, field))
    bounds.SNAPSHOTS.check("evaluation.measured_steps", len(config.evaluation.steps))
    check_measuring(config)


def check_measuring(config: RunConfig) -> None:
    """Raise ConfigError as :func:`check_limits`, only for what decides the cost of measuring a trained network: its
    parameters, lengths and test examples."""
    bounds.PARAMETERS.check("model", config.model.parameters(vocabulary_size(config)))
    measured = config.evaluation.maximum_length, *config.evaluation.lengths_beyond
    longest = max(*(spec.training_length for spec in config.tasks), *measured)
    bounds.LENGTH.check("length", longest)
    for field in MEASURED:
        bounds.EXAMPLES.check(f"evaluation.{field}", getattr(config.evaluation, field))
