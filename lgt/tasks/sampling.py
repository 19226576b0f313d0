"""Training examples, fixed test sets and samples for display. No prompt is both a training and a test prompt.

A hash of the body's tokens, without the tag, makes one prompt body in four a test prompt. All others are training
prompts. No run trains on a test prompt, at any length and with any seed. A pair of operands or a string that is a test
prompt of one task is a test prompt of every task with the same body format. ([D]: the paper does not say how it avoids
that test prompts of short lengths also occur in training.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lgt.core import bounds
from lgt.core.checks import check_integer
from lgt.core.config import Operands, TaskOptions
from lgt.core.seeding import generator
from lgt.tasks import task_named
from lgt.tasks.base import BODY_START, Examples, IntArray, Task, draw_examples
from lgt.tasks.vocabulary import decode, hash_keys

TEST_SHARE = 4  # one body in four is a test prompt
CHUNK = 1024  # bodies are drawn in chunks of this size for every count, so that a small test set starts a large one
STALE_CHUNKS = 16  # drawing ends after this many chunks in a row without a new test body
TRAINING_ROUNDS = 24


def body_hash(examples: Examples) -> NDArray[np.uint64]:
    """A 64-bit hash per example [N]. It depends on the body's tokens and their order, but not on the tag, on padding or
    on the ids of tokens that extensions added."""
    body = hash_keys()[examples.tokens[:, BODY_START : int(examples.prompt_length.max(initial=BODY_START))]]
    position = np.arange(body.shape[1], dtype=np.uint64)
    inside = position + np.uint64(BODY_START) < examples.prompt_length[:, None].astype(np.uint64)
    mixed = _mixed((position << np.uint64(32)) + body)
    return _mixed(np.where(inside, mixed, np.uint64(0)).sum(axis=1, dtype=np.uint64))


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The output function of splitmix64 (Steele, Lea, Flood 2014): every input bit affects every output bit."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def is_test_prompt(examples: Examples) -> NDArray[np.bool_]:
    """Whether each example's prompt is a test prompt, [N]."""
    test: NDArray[np.bool_] = body_hash(examples) % np.uint64(TEST_SHARE) == 0
    return test


def training_examples(task: Task, rng: np.random.Generator, lengths: IntArray, options: TaskOptions) -> Examples:
    """One example for each entry of ``lengths`` [N], in that order; none of them is a test prompt.

    If a test prompt was drawn, new candidates of the same length are drawn, and the first training prompt among them is
    used. Each round draws twice as many candidates, so few rounds are enough. The distribution is the same as when one
    candidate at a time is drawn. Raises RuntimeError if no training prompt of a length was found.
    """
    missing, copies = np.arange(len(lengths)), 1
    owners: list[IntArray] = []
    parts: list[Examples] = []
    for _ in range(TRAINING_ROUNDS):
        candidates = np.repeat(missing, copies)
        drawn = draw_examples(task, rng, lengths[candidates], options, options.operands)
        good = np.flatnonzero(~is_test_prompt(drawn))
        owner, first = np.unique(candidates[good], return_index=True)
        owners.append(owner)
        parts.append(drawn.take(good[first]))
        missing, copies = np.setdiff1d(missing, owner, assume_unique=True), 2 * copies
        if not len(missing):
            return Examples.concatenate(parts).take(np.argsort(np.concatenate(owners)))
    raise RuntimeError(
        f"{task.name}: no training prompt of length {lengths[missing[0]]} in {TRAINING_ROUNDS} rounds of drawing"
    )


def test_examples(
    task: Task, length: int, count: int, seed: int, options: TaskOptions, operands: Operands = "equal"
) -> Examples:
    """At most ``count`` test prompts of exactly this length with distinct bodies.

    The same (task, length, seed, options, operands) always give the same rows. A larger count gives the same rows and
    then more. Every test set of a run has ``equal`` operands.
    Tasks with the same body format get the same bodies. There are fewer than ``count`` rows if the task has fewer test
    prompts: drawing ends after 16 chunks of 1,024 draws in a row without a new test prompt.
    """
    rng = generator(seed, "test", task.body_format, length)
    seen: set[int] = set()
    parts: list[Examples] = []
    stale = 0
    while len(seen) < count and stale < STALE_CHUNKS:
        drawn = draw_examples(task, rng, np.full(CHUNK, length), options, operands)
        fresh = _new_test_rows(drawn, seen)
        stale = 0 if fresh else stale + 1
        parts.append(drawn.take(np.array(fresh, dtype=np.int64)))
    return Examples.concatenate(parts).take(slice(0, count))


test_examples.__test__ = False  # type: ignore[attr-defined]  # so that pytest does not collect it because of its name


def _new_test_rows(drawn: Examples, seen: set[int]) -> list[int]:
    """Rows that are test prompts with a hash that is not in ``seen``; adds their hashes to ``seen``."""
    keys = body_hash(drawn)
    rows = []
    for row in np.flatnonzero(keys % np.uint64(TEST_SHARE) == 0).tolist():
        key = int(keys[row])
        if key not in seen:
            seen.add(key)
            rows.append(row)
    return rows


def sample_rows(task_name: str, length: int, count: int, seed: int) -> list[dict[str, Any]]:
    """``count`` examples for display, of training and test prompts; operands are ``equal``, the grid is 8 x 8.

    Each has ``prompt`` (the body's text, without tag), ``answer`` (its text, without the end token) and ``scored``
    (indices of the scored answer tokens, from 0). The same seed gives the same rows; a larger count adds rows at the
    end.
    Raises ConfigError for an unknown task and a refused length, count or seed.
    """
    task, options = task_named(task_name), TaskOptions()
    check_integer("length", length, 1, task.maximum_length(options))
    check_integer("count", count, 1, bounds.SAMPLES.most)
    check_integer("seed", seed, 0, 2**63 - 1)
    rng = generator(seed, "sample", task.body_format, length)
    rows: list[dict[str, Any]] = []
    while len(rows) < count:
        drawn = draw_examples(task, rng, np.full(CHUNK // 4, length), options, "equal")
        rows += [_row(drawn, i) for i in range(min(len(drawn), count - len(rows)))]
    return rows


def _row(examples: Examples, i: int) -> dict[str, Any]:
    start, end = int(examples.prompt_length[i]), int(examples.total_length[i]) - 1
    return {
        "prompt": decode(examples.tokens[i, BODY_START:start]),
        "answer": decode(examples.tokens[i, start:end]),
        "scored": np.flatnonzero(examples.scored[i, start:end]).tolist(),
    }
