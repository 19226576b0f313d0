"""String tasks over 52 letters. The functions work on token ids [N, W], left-aligned, PAD behind, lengths mixed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lgt.core.config import Operands, TaskOptions
from lgt.tasks.base import Bodies, Draw, IntArray, Task, pack
from lgt.tasks.vocabulary import FIRST_LETTER, PAD, TOKEN_ID

EQUALS = TOKEN_ID["="]
LETTERS = 52


def string_copy(letters: IntArray) -> IntArray:
    """The same letters.

    >>> from lgt.tasks.vocabulary import decode, encode
    >>> decode(string_copy(encode("aBcD")[None])[0])
    'aBcD'
    """
    return letters


def reverse(letters: IntArray) -> IntArray:
    """Each row's letters from last to first.

    >>> from lgt.tasks.vocabulary import decode, encode
    >>> decode(reverse(encode("aBcD")[None])[0])
    'DcBa'
    """
    return pack(letters[:, ::-1])


def capitalize(letters: IntArray) -> IntArray:
    """The case of every letter flipped.

    >>> from lgt.tasks.vocabulary import decode, encode
    >>> decode(capitalize(encode("aBcD")[None])[0])
    'AbCd'
    """
    flipped = (letters - FIRST_LETTER + LETTERS // 2) % LETTERS + FIRST_LETTER
    return np.where(letters == PAD, PAD, flipped)


def capitalize_reverse(letters: IntArray) -> IntArray:
    """Both: the flipped letters from last to first.

    >>> from lgt.tasks.vocabulary import decode, encode
    >>> decode(capitalize_reverse(encode("aBcD")[None])[0])
    'dCbA'
    """
    return reverse(capitalize(letters))


def mqar(letters: IntArray, queries: IntArray) -> IntArray:
    """Multi-query associative recall: each query, followed by the letter after it. [N, 2Q] for ``queries`` [N, Q].

    ``queries`` are column numbers of ``letters``; a query whose successor is PAD (or beyond the row) gives PAD.

    >>> from lgt.tasks.vocabulary import decode, encode
    >>> decode(mqar(encode("aBcD")[None], np.array([[1, 0, 2]]))[0])
    'BcaBcD'
    """
    following = np.pad(letters, ((0, 0), (0, 1)))[:, 1:]
    pairs = np.stack([np.take_along_axis(array, queries, axis=1) for array in (letters, following)], axis=2)
    pairs[pairs[:, :, 1] == PAD] = PAD
    return pack(pairs.reshape(len(letters), -1))


def _cut(letters: IntArray, lengths: IntArray) -> IntArray:
    return np.where(np.arange(letters.shape[1]) < lengths[:, None], letters + FIRST_LETTER, PAD)


def _each_letter(answer: Callable[[IntArray], IntArray]) -> Draw:
    """Strings of independent uniform letters [D]."""

    def draw(rng: np.random.Generator, lengths: IntArray, options: TaskOptions, operands: Operands) -> Bodies:
        letters = _cut(rng.integers(LETTERS, size=(len(lengths), int(lengths.max(initial=1)))), lengths)
        return Bodies(pack(letters, EQUALS), answer(letters))

    return draw


def _draw_mqar(rng: np.random.Generator, lengths: IntArray, options: TaskOptions, operands: Operands) -> Bodies:
    """Strings of distinct letters, so that every query has one answer; every letter but the last is asked once [D]."""
    width = int(lengths.max(initial=1))
    letters = _cut(_shuffled(rng, len(lengths), LETTERS)[:, :width], lengths)
    answer = mqar(letters, _shuffled(rng, len(lengths), width))
    scored = (np.arange(answer.shape[1]) % 2 == 1) & (answer != PAD)
    return Bodies(pack(letters, EQUALS), answer, scored)


def _shuffled(rng: np.random.Generator, rows: int, count: int) -> IntArray:
    """An independent random order of 0..count-1 in every row, [rows, count]."""
    return np.argsort(rng.random((rows, count)), axis=1)


def _letters_available(options: TaskOptions) -> int:
    return LETTERS


STRINGS = (
    Task("string_copy", "strings", "Copy", "Repeat a string of letters.", "letters", _each_letter(string_copy)),
    Task("reverse", "strings", "Reverse", "Repeat a string from last letter to first.",
         "letters", _each_letter(reverse)),
    Task("capitalize", "strings", "Flip case", "Repeat a string with the case of every letter flipped.",
         "letters", _each_letter(capitalize)),
    Task("capitalize_reverse", "strings", "Flip case and reverse",
         "Repeat a string from last letter to first with every case flipped.",
         "letters", _each_letter(capitalize_reverse)),
    Task("mqar", "strings", "Associative recall",
         "Name the letter that follows each queried letter of the string; only these answers are scored.",
         "distinct letters", _draw_mqar, minimum_length=2, longest=_letters_available),
)  # fmt: skip
