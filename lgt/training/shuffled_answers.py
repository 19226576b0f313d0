"""Training examples with the answers of other inputs.

An auxiliary task with shuffled answers shows the network long inputs and answers of the right form and length, but not
how an answer follows from its input. A co-trained run with such auxiliaries tells what long positions alone do for the
main task.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lgt.tasks.base import Examples, IntArray


def with_shuffled_answers(examples: Examples, rng: np.random.Generator) -> Examples:
    """``examples`` in which each input has the answer of another example of the same length, if there is another one
    whose answer has as many tokens and the same scored places.

    In a group of such examples every answer moves on by a random number of places, at least one, so none keeps its own
    (two inputs may have equal answers). An example that is alone in its group keeps its answer.
    """
    source = answers_from(examples, rng)
    tokens = examples.tokens.copy()
    place = np.arange(tokens.shape[1])
    start, moved = examples.prompt_length, examples.prompt_length[source] - examples.prompt_length
    inside = (place >= start[:, None]) & (place < examples.total_length[:, None])
    rows, columns = np.nonzero(inside)
    tokens[rows, columns] = examples.tokens[source[rows], columns + moved[rows]]
    return replace(examples, tokens=tokens)


def answers_from(examples: Examples, rng: np.random.Generator) -> IntArray:
    """For each example [N] the number of the example whose answer it gets."""
    groups: dict[tuple[int, bytes], list[int]] = {}
    ends = zip(examples.length.tolist(), examples.prompt_length.tolist(), examples.total_length.tolist(), strict=True)
    for row, (length, start, end) in enumerate(ends):
        groups.setdefault((length, examples.scored[row, start:end].tobytes()), []).append(row)
    source = np.arange(len(examples))
    for members in groups.values():
        if len(members) > 1:
            source[members] = np.roll(members, int(rng.integers(1, len(members))))
    return source
