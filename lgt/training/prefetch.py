"""The training batches of a run, in order. For a GPU they are made in advance, so that it does not wait for them.

A batch depends on (config, step) only, so making it in advance on another thread does not change it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from lgt.core.config import RunConfig
from lgt.model.batch import Batch
from lgt.training.batches import batches_per_draw, make_batch

BatchOf = Callable[[int], Batch]
MOST_AHEAD = 64  # the most batches that are made in advance


@contextmanager
def batch_source(config: RunConfig, device: str) -> Iterator[BatchOf]:
    """A function from a step to its batch (on the CPU), valid inside the block.

    With a GPU the CPU is idle during a step, so it makes batches in advance. On a CPU, training needs every core.
    """
    if device.startswith("cuda"):
        with batches_ahead(config) as batch_of:
            yield batch_of
    else:
        yield partial(make_batch, config)


@contextmanager
def batches_ahead(config: RunConfig) -> Iterator[BatchOf]:
    """As :func:`batch_source`, with a thread that makes the batches after the requested one, up to the last of the run.

    An error in making a batch is raised when that batch is requested. The thread ends on context exit.
    """
    ahead = min(MOST_AHEAD, batches_per_draw(config))  # the batches of one draw last until the next draw is ready
    coming: dict[int, Future[Batch]] = {}
    maker = ThreadPoolExecutor(1, thread_name_prefix="batches")

    def batch_of(step: int) -> Batch:
        for wanted in range(step, max(step + 1, min(step + 1 + ahead, config.training.steps))):
            if wanted not in coming:
                coming[wanted] = maker.submit(make_batch, config, wanted)
        return coming.pop(step).result()

    try:
        yield batch_of
    finally:
        maker.shutdown(wait=True, cancel_futures=True)
