"""Training batches as a function of (config, step)."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from lgt.core.config import RunConfig
from lgt.core.parts import partition_of
from lgt.core.seeding import generator
from lgt.model.batch import Batch, as_batch
from lgt.tasks import task_named
from lgt.tasks.base import Examples
from lgt.tasks.sampling import training_examples
from lgt.training.shuffled_answers import with_shuffled_answers

EXAMPLES_PER_DRAW = 8192  # many at once are drawn faster; a change of the number changes the batches


def make_batch(config: RunConfig, step: int) -> Batch:
    """The training batch of ``step``. It depends on ``config`` and ``step`` only.

    Each example's task is uniform over the run's tasks, and its length is uniform over the lengths of that task (paper,
    section 3). With ``training.pool`` above 1, that many batches are sorted together by sequence length and cut into
    batches with little padding; these come in random order. Test prompts never occur (see :mod:`lgt.tasks.sampling`).
    """
    size = config.training.batch_size
    per_draw = batches_per_draw(config)
    drawn, order = _draw(config, step // per_draw)
    batch = as_batch(drawn.take(order[step % per_draw * size :][:size]))
    return replace(batch, drawn=drawn_heads(config, step)) if partition_of(config.model).drawn else batch


def drawn_heads(config: RunConfig, step: int) -> Tensor:
    """The heads [B, H] (bool) that the examples of a step use with ``model.parts=random-K``: K of each row are set.

    Each row is drawn by itself. The draws depend on ``config`` and ``step`` only, not on the examples.
    """
    first = np.arange(config.model.heads) < (partition_of(config.model).drawn or config.model.heads)
    rows = np.tile(first, (config.training.batch_size, 1))
    return torch.from_numpy(generator(config.data_seed, "heads", *_order(config), step).permuted(rows, axis=1))


def _order(config: RunConfig) -> tuple[int, ...]:
    """What the order of the data depends on beside the data seed: nothing, or with ``training.own_order`` the model
    seed."""
    return (config.model_seed,) if config.training.own_order else ()


def batches_per_draw(config: RunConfig) -> int:
    """Number of batches drawn at once, a multiple of the pool. This takes a third of the time of single draws."""
    pool = config.training.pool
    return pool * max(1, EXAMPLES_PER_DRAW // (pool * config.training.batch_size))


@lru_cache(maxsize=4)
def _draw(config: RunConfig, index: int) -> tuple[Examples, np.ndarray]:
    """The examples of ``batches_per_draw`` batches, and the order in which the batches use them."""
    rng = generator(config.data_seed, "train", *_order(config), index)
    pool, size = config.training.pool, config.training.batch_size
    pools = batches_per_draw(config) // pool
    count = pools * pool * size
    which = rng.integers(len(config.tasks), size=count)
    parts = []
    for number, spec in enumerate(config.tasks):
        task = task_named(spec.task)
        lengths = rng.integers(task.minimum_length, spec.training_length + 1, size=int((which == number).sum()))
        if len(lengths):
            found = training_examples(task, rng, lengths, config.options)
            mixed = config.options.auxiliary_answers == "shuffled" and spec.role != "main"
            parts.append(with_shuffled_answers(found, rng) if mixed else found)
    examples = Examples.concatenate(parts)
    order = rng.permutation(count)
    if pool > 1:
        rows = order.reshape(pools, pool * size)
        by_length = np.argsort(examples.total_length[rows], axis=1, kind="stable")
        cuts = np.take_along_axis(rows, by_length, axis=1).reshape(pools, pool, size)
        shuffled = rng.permuted(np.tile(np.arange(pool), (pools, 1)), axis=1)
        order = cuts[np.arange(pools)[:, None], shuffled].reshape(-1)
    return examples, order
