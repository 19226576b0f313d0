"""The training step and evaluation against the processor's own limit, on one core.

The limit is the rate of multiply-adds in registers, in float32. Between it and a step lie the products of the step,
which read memory, and the step's other work: softmax, norms, transposing, adding gradients. Seconds are those that the
thread has computed, so that a busy machine disturbs less.
"""

from __future__ import annotations

import ctypes
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import harness
from benchmarks.harness import NotHere, Section, Settings
from lgt.core.config import ModelConfig, RunConfig
from lgt.evaluation.exact_match import answer_scores
from lgt.evaluation.passes import scored_ends
from lgt.evaluation.test_sets import test_set
from lgt.fused import answers
from lgt.fused import library as fused
from lgt.fused.step import FusedStep, packed
from lgt.model.batch import Batch
from lgt.model.decoder import Decoder
from lgt.recipes.presets import group_config
from lgt.training.batches import make_batch

CHUNK_TOKENS = 160  # as in lgt/fused/step.cpp
PARTS = ("attention's matrices", "attention's patterns", "feed-forward", "unembedding")
LARGE = 1024  # rows, columns and depth of a product that is far larger than those of a step
Size = tuple[int, int, int, bool]
"""Rows, columns and depth of a product, and whether its left factor is stored transposed."""
Work = dict[str, Counter[Size]]
"""By part of the network: its products, and how often each occurs."""


class Product(ctypes.Structure):
    """``struct Product`` of limit.cpp."""

    _fields_ = tuple((name, ctypes.c_int64) for name in ("rows", "columns", "depth", "count", "across"))


@cache
def compiled() -> ctypes.CDLL:
    """limit.cpp, compiled with the flags of the fused step. Raises NotHere without a compiler."""
    command = fused.compiler()
    if command is None:
        raise NotHere("no C++ compiler")
    loaded = ctypes.CDLL(str(fused.compiled(command, Path(__file__).with_suffix(".cpp"), fused.HEADERS[:1])))
    for peak in (loaded.lgt_peak, loaded.lgt_peak_bfloat16):
        peak.argtypes, peak.restype = [ctypes.c_double], ctypes.c_double
    loaded.lgt_products.argtypes = [ctypes.POINTER(Product), ctypes.c_int64, ctypes.c_void_p]
    loaded.lgt_products.restype = ctypes.c_double
    return loaded


def shapes() -> dict[str, RunConfig]:
    """The configs that are measured, by name; ``long`` is the network of ``demo`` with four layers at the paper's
    lengths."""
    small = group_config("add-carry", "small")
    tasks = tuple(replace(spec, training_length=16 if spec.role == "main" else 32) for spec in small.tasks)
    long = replace(small, tasks=tasks, transfer_length=32, model=replace(small.model, layers=4))
    return {"demo (caprev)": group_config("caprev", "demo"), "small (add-carry)": small, "long (add-carry)": long}


def chunks(starts: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """The first and the last sequence (excluded) of each chunk of a batch.

    The step first cuts a batch into eight groups, which changes only their last chunks; that is left out here.
    """
    first, sequences = 0, len(starts) - 1
    while first < sequences:
        last = first + 1
        while last < sequences and starts[last + 1] - starts[first] <= CHUNK_TOKENS:
            last += 1
        yield first, last
        first = last


def products(config: RunConfig, batch: Batch) -> Work:
    """All products of the forward and the backward pass of the fused step for ``batch``."""
    _, targets, starts = packed(batch)
    model, vocabulary = config.model, Decoder(config.model, 0).embedding.num_embeddings
    found: Work = {part: Counter() for part in PARTS}
    for first, last in chunks(starts):
        scored = targets[starts[first] : starts[last]] >= 0
        for layer in range(model.layers):
            ends = layer == model.layers - 1
            sites = [scored[starts[i] - starts[first] : starts[i + 1] - starts[first]] for i in range(first, last)]
            rows = [int(one.sum()) if ends else len(one) for one in sites]
            for part, sizes in layer_products(model, len(scored), sum(rows)).items():
                found[part].update(sizes)
            for one, queries in zip(sites, rows, strict=True):
                keys = int(np.flatnonzero(one)[-1]) + 1 if ends and queries else len(one)
                for size in pattern_products(queries, keys, model.head_width) if queries else ():
                    found["attention's patterns"][size] += model.heads
        found["unembedding"].update(both_ways(int(scored.sum()), vocabulary, model.width))
    return found


def both_ways(rows: int, columns: int, depth: int) -> list[Size]:
    """The product of ``rows`` activations with a matrix, and the two products of its backward pass."""
    return [(rows, columns, depth, False), (rows, depth, columns, False), (columns, depth, rows, True)]


def layer_products(model: ModelConfig, tokens: int, rows: int) -> dict[str, list[Size]]:
    """The products with the matrices of a layer that reads ``tokens`` tokens and computes ``rows`` of them."""
    width, hidden = model.width, model.hidden
    attention = both_ways(rows, width, width) * 2 + both_ways(tokens, 2 * model.key_value_width, width)
    return {
        "attention's matrices": attention,
        "feed-forward": both_ways(rows, 2 * hidden, width) + both_ways(rows, width, hidden),
    }


def pattern_products(queries: int, keys: int, channels: int) -> list[Size]:
    """The products of one head and one sequence: scores and mixed values, and their backward passes."""
    return [
        (queries, keys, channels, False), (queries, channels, keys, False), (queries, keys, channels, False),
        (queries, channels, keys, False), (keys, channels, queries, True), (keys, channels, queries, True),
    ]  # fmt: skip


def operations(sizes: Counter[Size]) -> float:
    """Floating-point operations of products: a multiplication and an addition count as two."""
    return float(sum(2 * rows * columns * depth * count for (rows, columns, depth, _), count in sizes.items()))


def product_seconds(sizes: Counter[Size]) -> float:
    """Seconds in which one core computes these products with the matrices of each in its cache."""
    listed = (Product * len(sizes))(*(Product(*size[:3], count, size[3]) for size, count in sizes.items()))
    largest = max(rows * depth + depth * columns + rows * columns for rows, columns, depth, _ in sizes)
    room = np.ones(largest + 4 * 64, dtype=np.float32)
    return float(compiled().lgt_products(listed, len(sizes), room.ctypes.data))


def thread_seconds(work: Callable[[], object], repetitions: int) -> float:
    """The median of the seconds that this thread computes in one call."""
    found = []
    for _ in range(repetitions):
        begin = time.thread_time()
        work()
        found.append(time.thread_time() - begin)
    return statistics.median(found)


def large_product(dtype: torch.dtype, repetitions: int) -> float:
    """Operations a second of PyTorch's product of two large matrices."""
    left, right = (torch.ones(LARGE, LARGE, dtype=dtype) for _ in range(2))
    left @ right
    return 2.0 * LARGE**3 / thread_seconds(lambda: left @ right, repetitions)


def step_rows(name: str, config: RunConfig, peak: float, halved: float, settings: Settings) -> list[list[str]]:
    """Lines of the table for one config: each part's products, the gradient, the optimizer, the whole step.

    ``halved``: the peak for bfloat16, 0 without one. The last line is then the time of a step whose products are faster
    by the ratio of the peaks and whose other work is as it is: less than any step with bfloat16 products takes.
    """
    batch, repetitions = make_batch(config, 0), 3 * settings.repetitions
    stepper = FusedStep(Decoder(config.model, 0), config.training)
    stepper.step(batch, 1.0)
    work = products(config, batch)
    gradient = thread_seconds(lambda: stepper.gradients(batch), repetitions)
    update = thread_seconds(lambda: stepper.update(1.0), repetitions)
    step = gradient + update
    rows, total = [], 0.0
    for part, sizes in work.items():
        seconds = statistics.median(product_seconds(sizes) for _ in range(repetitions))
        total += seconds
        rows.append(line(name, f"products of {part}", seconds, step, operations(sizes), peak))
    every = sum((operations(sizes) for sizes in work.values()), 0.0)
    rows.append(line(name, "gradient without these products", gradient - total, step))
    rows.append(line(name, "optimizer", update, step))
    rows.append(line(name, "**the whole step**", step, step, every, peak))
    tokens = int(batch.present[:, 1:].sum())
    rows[-1][1] += f", {harness.number(tokens / step)} tokens/s"
    if halved:
        least = step - total + total * peak / halved
        rows.append(line(name, f"at best with bfloat16 products: {step / least:.2f} times as fast", least, step))
    return rows


def line(name: str, what: str, seconds: float, step: float, work: float = 0.0, peak: float = 1.0) -> list[str]:
    """A line of the table: milliseconds, their share of the step, operations a second and their share of the peak."""
    speed = work / seconds if work else 0.0
    share = [f"{speed / 1e9:.1f}", f"{speed / peak:.0%}"] if work else ["", ""]
    return [name, what, f"{1e3 * seconds:.2f}", f"{seconds / step:.0%}", *share]


Scores = Callable[[Decoder, Batch], object]


def evaluation_share(config: RunConfig, scores: Scores, peak: float, settings: Settings) -> tuple[float, float]:
    """Operations a second of evaluation at the transfer length with ``scores``, and their share of the peak.

    Counted are the products for the tokens that have to be read, without padding.
    """
    model, task = Decoder(config.model, 0), config.main.task
    batch = test_set(config, task, config.transfer_length or config.main.training_length, 64 if settings.quick else 512)
    seconds = thread_seconds(lambda: scores(model, batch), settings.repetitions)
    speed = evaluation_operations(config, batch) / seconds
    return speed, speed / peak


def evaluation_operations(config: RunConfig, batch: Batch) -> float:
    """Floating-point operations of the products of one teacher-forced pass over ``batch``."""
    model, vocabulary = config.model, Decoder(config.model, 0).embedding.num_embeddings
    ends, scored = scored_ends(batch).double(), batch.scored.sum(1).double()
    ending = 2 * model.width * (2 * model.key_value_width)  # keys and values, which the last layer has of all tokens
    maps = ending + 2 * model.width * (2 * model.width + 3 * model.hidden)  # of one token in one layer
    mixing = 4 * model.width  # of one query and one key, scores and values
    whole = (model.layers - 1) * (maps * ends + mixing * ends * (ends + 1) / 2)
    last = ending * ends + (maps - ending + mixing * ends) * scored
    return float((whole + last + 2 * model.width * vocabulary * scored).sum())


def rates(peak: float, settings: Settings) -> list[list[str]]:
    """Lines about single products: PyTorch's large ones in both precisions."""
    names = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    found = {name: large_product(dtype, settings.repetitions) for name, dtype in names.items()}
    return [[f"PyTorch, {LARGE} x {LARGE} x {LARGE}, {name}", f"{rate / 1e9:.1f}", f"{rate / peak:.0%}"]
            for name, rate in found.items()]  # fmt: skip


def run(settings: Settings) -> Section:
    """The peak, PyTorch's products, evaluation, and the parts of the step for each config."""
    torch.set_num_threads(1)
    try:
        peak = max(compiled().lgt_peak(0.05 if settings.quick else 0.5) for _ in range(settings.repetitions))
        halved = max(compiled().lgt_peak_bfloat16(0.05 if settings.quick else 0.5) for _ in range(settings.repetitions))
        first = [["multiply-adds in registers, float32", f"{peak / 1e9:.1f}", "100%"]]
        if halved:
            first.append(["multiply-adds in registers, bfloat16", f"{halved / 1e9:.1f}", f"{halved / peak:.0%}"])
        first += rates(peak, settings)
        steps = [row for name, config in shapes().items() for row in step_rows(name, config, peak, halved, settings)]
        for name, config in shapes().items():
            for how, scores in (("compiled", answers.answer_scores), ("PyTorch", answer_scores)):
                speed, share = evaluation_share(config, scores, peak, settings)
                first.append([f"evaluation, {how}, {name}", f"{speed / 1e9:.1f}", f"{share:.0%}"])
    finally:
        torch.set_num_threads(settings.threads)
    headers = ["config", "part of a training step", "ms", "share of the step", "GFLOP/s", "share of the peak"]
    return Section([*harness.table(["on one core", "GFLOP/s", "share of the peak"], first), "",
                    *harness.table(headers, steps)])  # fmt: skip
