"""Training batches as a function of (config, step), and fixed test sets as a function of (config, task, length)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from lgt.config import RunConfig
from lgt.seeding import generator
from lgt.tasks import task_named
from lgt.tasks.base import Examples
from lgt.tasks.sampling import test_examples, training_examples


@dataclass(frozen=True)
class Batch:
    """Token ids [B, T] (int64, padded on the right) and which of them are scored answer tokens [B, T] (bool).

    ``present`` [B, T] (bool) marks real tokens, ``prompt_length`` [B] counts the tokens before the answer.
    """

    tokens: Tensor
    scored: Tensor
    present: Tensor
    prompt_length: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on ``device``."""
        return Batch(*(t.to(device) for t in (self.tokens, self.scored, self.present, self.prompt_length)))

    def __len__(self) -> int:
        return self.tokens.shape[0]


def as_batch(examples: Examples) -> Batch:
    """Tensors of ``examples``, cut to the longest sequence among them."""
    width = int(examples.total_length.max(initial=0))
    positions = np.arange(width)
    return Batch(
        torch.from_numpy(np.ascontiguousarray(examples.tokens[:, :width])),
        torch.from_numpy(np.ascontiguousarray(examples.scored[:, :width])),
        torch.from_numpy(positions[None, :] < examples.total_length[:, None]),
        torch.from_numpy(examples.prompt_length),
    )


def make_batch(config: RunConfig, step: int) -> Batch:
    """The training batch of ``step``: always the same for the same config, whatever was asked before.

    Each example's task is uniform over the run's tasks, its length uniform over that task's range (paper, sec. 3).
    ``training.pool`` batches are drawn at once, sorted by sequence length and cut, so that little is padding; the
    order of the cuts is random. Prompts that belong to the test partition never occur (see ``tasks.sampling``).
    """
    pool, order = _pool(config, step // config.training.pool)
    size = config.training.batch_size
    place = int(order[step % config.training.pool])
    return as_batch(pool.take(np.arange(place * size, (place + 1) * size)))


@lru_cache(maxsize=4)
def _pool(config: RunConfig, index: int) -> tuple[Examples, np.ndarray]:
    rng = generator(config.data_seed, "train", index)
    count = config.training.pool * config.training.batch_size
    which = rng.integers(len(config.tasks), size=count)
    parts = []
    for number, spec in enumerate(config.tasks):
        task = task_named(spec.task)
        lengths = rng.integers(task.minimum_length, spec.training_length + 1, size=int((which == number).sum()))
        if len(lengths):
            parts.append(training_examples(task, rng, lengths, config.options))
    pool = Examples.concatenate(parts)
    pool = pool.take(rng.permutation(count))  # so that equal lengths mix tasks before the stable sort
    pool = pool.take(np.argsort(pool.total_length, kind="stable"))
    return pool, rng.permutation(config.training.pool)


@lru_cache(maxsize=512)
def test_set(config: RunConfig, task: str, length: int, count: int) -> Batch:
    """At most ``count`` distinct test prompts of this length (fewer where fewer exist), the same for every run."""
    return as_batch(test_examples(task_named(task), length, count, config.evaluation.seed, config.options))


test_set.__test__ = False  # type: ignore[attr-defined]  # its name is the field's word, not a test's
