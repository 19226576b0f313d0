"""Fixed test sets as a function of (config, task, length)."""

from __future__ import annotations

from functools import lru_cache

from lgt.core.config import RunConfig
from lgt.model.batch import Batch, as_batch
from lgt.tasks import task_named
from lgt.tasks.sampling import test_examples


@lru_cache(maxsize=512)
def test_set(config: RunConfig, task: str, length: int, count: int) -> Batch:
    """At most ``count`` different test prompts of this length, or all if there are fewer; the same for every run."""
    return as_batch(test_examples(task_named(task), length, count, config.evaluation.seed, config.options))


test_set.__test__ = False  # type: ignore[attr-defined]  # so that pytest does not collect it because of its name
