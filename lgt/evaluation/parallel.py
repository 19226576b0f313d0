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

    If the cores shared single operations, they would wait for each other after each of them, and one slow core stalls
    the rest: on a busy machine that takes many times as long. Here every item has one core, and results do not depend
    on the number of threads.
    """
    threads, quick = torch.get_num_threads(), torch.is_inference_mode_enabled()
    if device.type != "cpu" or threads == 1:
        return list(map(function, items))

    def in_thread(item: X) -> Y:
        with torch.inference_mode(quick):  # each thread has its own mode, and its own number of threads
            return function(item)

    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(in_thread, items))
    finally:
        torch.set_num_threads(threads)  # a new thread starts with the number that any thread set last
