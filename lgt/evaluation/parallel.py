"""Parallel execution of one function over many items, with as many threads as PyTorch uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

X = TypeVar("X")
Y = TypeVar("Y")


def parallel_map(function: Callable[[X], Y], items: Sequence[X], device: torch.device) -> list[Y]:
    """The results of ``function`` for all items, in order. On the CPU, PyTorch's number of threads share the items.

    Every thread has one core and takes whole items. If several cores shared each operation, they would wait for each
    other after every operation, and one slow core would stop the others. On a busy machine that takes many times as
    long. Results do not depend on the number of threads.
    """
    threads, inference = torch.get_num_threads(), torch.is_inference_mode_enabled()
    if device.type != "cpu" or threads == 1:
        return list(map(function, items))

    def in_thread(item: X) -> Y:
        with torch.inference_mode(inference):  # the mode is not shared by threads
            return function(item)

    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(in_thread, items))
    finally:
        torch.set_num_threads(threads)  # the pool's threads have set the default of new threads to 1
