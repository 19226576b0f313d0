"""What a task is, and how a prompt body and its answer become a padded token sequence.

A sequence is ``<bos> <tag> body answer <eos>``. The tag token tells the model which task it solves, because several
tasks have the same body (our decision: the paper's tables are not available). The end token is scored like the answer,
except in tasks that mark the scored answer tokens themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lgt.core.checks import ConfigError, check_integer
from lgt.core.config import MAXIMUM_LENGTH, Operands, TaskOptions
from lgt.tasks.vocabulary import BOS, EOS, PAD, TAG

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Family = Literal["arithmetic", "strings", "mazes"]
Working = list[tuple[str, list[str]]]

BODY_START = 2  # the position of the first body token, after <bos> and the tag


@dataclass(frozen=True)
class Bodies:
    """What a task draws: ``body`` [N, Tb] and ``answer`` [N, Ta], token ids padded on the right with PAD.

    ``scored`` [N, Ta] marks the scored answer tokens; the end token is then not scored. ``None``: all answer tokens and
    the end token are scored.
    """

    body: IntArray
    answer: IntArray
    scored: BoolArray | None = None


@dataclass(frozen=True)
class Examples:
    """A padded batch of N token sequences of at most T tokens.

    ``tokens`` int64 [N, T]: ``<bos> <tag> body answer <eos>``, then PAD. ``prompt_length`` int64 [N]: tokens before
    the answer. ``total_length`` int64 [N]: tokens up to and including ``<eos>``. ``scored`` bool [N, T]: whether
    ``tokens[i, j]`` is a scored answer token. ``length`` int64 [N]: the task length n.
    """

    tokens: IntArray
    prompt_length: IntArray
    total_length: IntArray
    scored: BoolArray
    length: IntArray

    def __len__(self) -> int:
        return len(self.tokens)

    def take(self, index: NDArray[np.integer] | slice) -> Examples:
        """The examples at ``index`` (an index array or slice), in that order, padded to the longest of them."""
        total = self.total_length[index]
        width = int(total.max(initial=0))
        return Examples(
            self.tokens[index, :width], self.prompt_length[index], total, self.scored[index, :width], self.length[index]
        )

    @staticmethod
    def concatenate(parts: Sequence[Examples]) -> Examples:
        """All examples of ``parts`` (at least one) in order, padded to the longest."""
        width = max(part.tokens.shape[1] for part in parts)
        return Examples(
            np.concatenate([_widened(part.tokens, width) for part in parts]),
            np.concatenate([part.prompt_length for part in parts]),
            np.concatenate([part.total_length for part in parts]),
            np.concatenate([_widened(part.scored, width) for part in parts]),
            np.concatenate([part.length for part in parts]),
        )


@dataclass(frozen=True, kw_only=True)
class Task:
    """Everything about one task. A subclass must define :meth:`draw`; tasks share code through common subclasses.

    ``name`` is the task's name in configs and stores. ``family`` decides which model and training a preset uses.
    ``title`` labels charts; ``summary`` is one sentence for readers. ``unit`` is what a length counts, in the plural.
    ``colour`` has two shades, for the light and the dark theme. Tasks with the same ``body_format`` draw the same
    bodies from the same random stream, so they have the same test inputs. ``minimum_length`` is the shortest length
    that is trained and evaluated. ``tokens`` are the body and answer tokens that version 1 of the vocabulary does
    not have.

    ``fields`` labels the text fields in which a person types a prompt, at most two; without fields, prompts can only
    be drawn. The playground shows ``reading`` before the body, and ``drawn_text`` if there are no fields. ``note``
    explains in one sentence how to read an example; it is empty if the example needs no explanation.
    """

    name: str
    family: Family
    title: str
    summary: str
    unit: str
    colour: tuple[str, str]
    body_format: str
    minimum_length: int = 1
    tokens: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    reading: str = "The model reads"
    drawn_text: str = "A prompt of **{length} {unit}**, drawn at random."
    note: str = ""

    def draw(self, rng: np.random.Generator, lengths: IntArray, options: TaskOptions, operands: Operands) -> Bodies:
        """A random prompt body with its answer for each entry of ``lengths`` [N], in that order."""
        raise NotImplementedError

    def maximum_length(self, options: TaskOptions) -> int:
        """The longest length that can be drawn: 512, or less if the task has too few letters or maze nodes."""
        return MAXIMUM_LENGTH

    def typed(self, texts: Sequence[str], longest: int, seed: int, options: TaskOptions) -> tuple[int, Bodies]:
        """The length and the body with its answer, of one prompt that a person typed into ``fields``.

        ``longest`` is the longest accepted length. ``seed`` decides the parts of the prompt that a person does not
        type. Raises ConfigError, which names the wrong field in lower case.
        """
        raise ConfigError("task", self.name, "a task whose prompts can be typed")

    def texts(self, body: Sequence[int]) -> tuple[str, ...]:
        """The texts that a person types into ``fields`` to get this body; the inverse of :meth:`typed`."""
        return ()

    def working(self, body: Sequence[int], answer: Sequence[int]) -> Working:
        """The inputs of each answer token, as rows (name, one text per answer token); empty if a task shows none."""
        return []

    def column_sums(self, body: Sequence[int]) -> tuple[int, ...]:
        """Of a task that adds with carries: the sum of the two digits of each column, least significant first. Empty
        for other tasks."""
        return ()

    def layout(self, body: Sequence[int], options: TaskOptions) -> tuple[int, ...] | None:
        """The sizes of the parts of ``body``; ``None`` if they equal those of test prompts of this length."""
        return None

    def draw_layout(self, rng: np.random.Generator, layout: tuple[int, ...], count: int) -> Bodies:
        """``count`` random bodies with answers. The parts of each body have the sizes ``layout``, see
        :meth:`layout`."""
        raise NotImplementedError

    def bodies_with_answers(self, answers: IntArray) -> IntArray | None:
        """Bodies [N, Tb] to which ``answers`` [N, Ta] (without end token) are the right answers; ``None`` if the task
        has none, or does not say."""
        return None

    def example_note(self, prompt: str) -> str:
        """How to read the example ``prompt`` (the text of a body), in one sentence; empty without ``note``."""
        return self.note


def pack(*pieces: IntArray | int) -> IntArray:
    """Join ``pieces`` row by row and remove the PADs between tokens; [N, longest row].

    A piece is an array [N, W] with PAD where a row has no token, or one token id for all rows (at least one piece must
    be an array). The tokens keep their order.

    >>> pack(np.array([[5, 0], [5, 6]]), 9, np.array([[7], [0]])).tolist()
    [[5, 9, 7], [5, 6, 9]]
    """
    rows = next(len(piece) for piece in pieces if not isinstance(piece, int))
    columns = [np.full((rows, 1), piece) if isinstance(piece, int) else piece for piece in pieces]
    wide = np.concatenate(columns, axis=1)
    present = wide != PAD
    counts = present.sum(axis=1)
    packed = np.zeros((rows, int(counts.max(initial=0))), dtype=np.int64)
    packed[np.arange(packed.shape[1]) < counts[:, None]] = wide[present]  # both masks are read row by row
    return packed


def draw_examples(
    task: Task, rng: np.random.Generator, lengths: IntArray, options: TaskOptions, operands: Operands
) -> Examples:
    """One example for each entry of ``lengths`` [N], in that order. Its prompt may be a training or a test prompt.

    Raises ConfigError for a length below 1 or above what the task can have.
    """
    longest = task.maximum_length(options)
    for length in (lengths.min(initial=1), lengths.max(initial=1)):
        check_integer(f"{task.name} length", int(length), 1, longest)
    return as_examples(task, lengths, task.draw(rng, lengths, options, operands))


def as_examples(task: Task, lengths: IntArray, bodies: Bodies) -> Examples:
    """Token sequences of ``bodies``, which are N bodies of ``task`` with task lengths ``lengths`` [N]."""
    tokens = pack(BOS, TAG[task.name], bodies.body, bodies.answer, EOS)
    prompt_length = BODY_START + (bodies.body != PAD).sum(axis=1)
    total_length = (tokens != PAD).sum(axis=1)
    position = np.arange(tokens.shape[1])
    scored = (position >= prompt_length[:, None]) & (position < total_length[:, None])
    if bodies.scored is not None:
        in_answer = scored & (position < total_length[:, None] - 1)
        scored = np.zeros_like(scored)
        scored[in_answer] = bodies.scored[bodies.answer != PAD]
    return Examples(tokens, prompt_length, total_length, scored, np.asarray(lengths, dtype=np.int64))


def _widened(array: NDArray[Any], width: int) -> NDArray[Any]:
    wide = np.zeros((len(array), width), dtype=array.dtype)
    wide[:, : array.shape[1]] = array
    return wide
