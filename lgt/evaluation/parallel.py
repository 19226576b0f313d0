"""One function over many items, on as many threads as PyTorch has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

X = TypeVar("X")
Y = TypeVar("Y")


def parallel_map(function: Callable[[X], Y], items: Sequence[X], device: torch.device) -> list[Y]:
    """``function`` of each item, in order; on the CPU by as many threads as PyTorch has here, with one core each.

    Cores that share operations as small as these meet after every one, and one that is held up holds up all: on a busy
    machine that takes many times as long. Here they share nothing, and results do not depend on their number.
    """
    threads, quick = torch.get_num_threads(), torch.is_inference_mode_enabled()
    if device.type != "cpu" or threads == 1:
        return list(map(function, items))

    def apart(item: X) -> Y:
        with torch.inference_mode(quick):  # belongs to a thread, as the number of threads does
            return function(item)

    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(apart, items))
    finally:
        torch.set_num_threads(threads)  # new threads take the number that was set last, in whichever thread
