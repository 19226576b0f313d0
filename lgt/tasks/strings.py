"""String tasks over 52 letters. The functions work on token ids [N, W], padded on the right, of mixed lengths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lgt.core.checks import ConfigError
from lgt.core.config import Operands, TaskOptions
from lgt.core.seeding import generator
from lgt.tasks import colours
from lgt.tasks.base import Bodies, Family, IntArray, Task, Working, pack
from lgt.tasks.vocabulary import FIRST_LETTER, PAD, TOKEN_ID, decode, encode

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
    """The same letters, each with its case flipped.

    >>> from lgt.tasks.vocabulary import decode, encode
    >>> decode(capitalize(encode("aBcD")[None])[0])
    'AbCd'
    """
    flipped = (letters - FIRST_LETTER + LETTERS // 2) % LETTERS + FIRST_LETTER
    return np.where(letters == PAD, PAD, flipped)


def capitalize_reverse(letters: IntArray) -> IntArray:
    """The letters from last to first, each with its case flipped.

    >>> from lgt.tasks.vocabulary import decode, encode
    >>> decode(capitalize_reverse(encode("aBcD")[None])[0])
    'dCbA'
    """
    return reverse(capitalize(letters))


def mqar(letters: IntArray, queries: IntArray) -> IntArray:
    """Multi-query associative recall, [N, 2Q]: each query [N, Q], then the letter that follows it in the string.

    ``queries`` are column numbers of ``letters``. A query that no letter follows gives no tokens.

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


def _shuffled(rng: np.random.Generator, rows: int, count: int) -> IntArray:
    """An independent random order of 0..count-1 in every row, [rows, count]."""
    return np.argsort(rng.random((rows, count)), axis=1)


@dataclass(frozen=True, kw_only=True)
class LettersTask(Task):
    """A task whose body is a string of letters, then ``=``."""

    family: Family = "strings"
    unit: str = "characters"
    fields: tuple[str, ...] = ("Letters",)

    def texts(self, body: Sequence[int]) -> tuple[str, ...]:
        return (decode(body[:-1]),)

    def letters(self, text: str, longest: int) -> IntArray:
        """The letters [1, n] of a typed ``text``. Raises ConfigError unless they are letters of an accepted length."""
        field, text = self.fields[0].lower(), text.strip()
        odd = sorted({character for character in text if not (character.isascii() and character.isalpha())})
        if odd:
            raise ConfigError(field, text, f"letters a-z and A-Z only; found {' '.join(map(repr, odd[:5]))}")
        if not self.minimum_length <= len(text) <= longest:
            raise ConfigError(field, text, f"{self.minimum_length} to {longest} letters; these are {len(text)}")
        return encode(text)[None]


@dataclass(frozen=True, kw_only=True)
class StringTask(LettersTask):
    """A task on a string of independent uniform letters [D].

    ``answer`` maps letters [N, W] to answer tokens. ``letters_read`` gives the string's letters in the order in which
    the answer uses them, one for each answer token; the playground shows them. It is ``None`` if there is no such
    order.
    """

    answer: Callable[[IntArray], IntArray]
    letters_read: Callable[[str], str] | None = None
    body_format: str = "letters"

    def draw(self, rng: np.random.Generator, lengths: IntArray, options: TaskOptions, operands: Operands) -> Bodies:
        return self.bodies(_cut(rng.integers(LETTERS, size=(len(lengths), int(lengths.max(initial=1)))), lengths))

    def bodies(self, letters: IntArray) -> Bodies:
        """Bodies and answers of ``letters`` [N, W]."""
        return Bodies(pack(letters, EQUALS), self.answer(letters))

    def typed(self, texts: Sequence[str], longest: int, seed: int, options: TaskOptions) -> tuple[int, Bodies]:
        letters = self.letters(texts[0], longest)
        return letters.shape[1], self.bodies(letters)

    def bodies_with_answers(self, answers: IntArray) -> IntArray | None:
        """The answers to ``answers``, if the task undoes itself, as reversing and flipping case do."""
        letters = self.answer(answers)
        undone = self.answer(letters)
        return pack(letters, EQUALS) if undone.shape == answers.shape and (undone == answers).all() else None

    def working(self, body: Sequence[int], answer: Sequence[int]) -> Working:
        if self.letters_read is None:
            return []
        read = [*self.letters_read(decode(body[:-1])), *[""] * len(answer)]
        return [("letter read", read[: len(answer)])]


@dataclass(frozen=True, kw_only=True)
class RecallTask(LettersTask):
    """Associative recall on a string of distinct letters, so that every query has one answer.

    Every letter but the last is queried once, in random order [D]. Only the letters after the queries are scored.
    """

    body_format: str = "distinct letters"

    def draw(self, rng: np.random.Generator, lengths: IntArray, options: TaskOptions, operands: Operands) -> Bodies:
        width = int(lengths.max(initial=1))
        letters = _cut(_shuffled(rng, len(lengths), LETTERS)[:, :width], lengths)
        return self.bodies(letters, _shuffled(rng, len(lengths), width))

    def bodies(self, letters: IntArray, queries: IntArray) -> Bodies:
        """Bodies of ``letters`` [N, W] with the answers to ``queries`` [N, Q]."""
        answer = mqar(letters, queries)
        scored = (np.arange(answer.shape[1]) % 2 == 1) & (answer != PAD)
        return Bodies(pack(letters, EQUALS), answer, scored)

    def maximum_length(self, options: TaskOptions) -> int:
        return LETTERS

    def typed(self, texts: Sequence[str], longest: int, seed: int, options: TaskOptions) -> tuple[int, Bodies]:
        """As for other string tasks; ``seed`` decides the order of the queries."""
        letters, text = self.letters(texts[0], longest), texts[0].strip()
        repeated = sorted({character for character in text if text.count(character) > 1})
        if repeated:
            accepted = f"distinct letters, so that every query has one answer; {repeated[0]!r} is repeated"
            raise ConfigError(self.fields[0].lower(), text, accepted)
        width = letters.shape[1]
        return width, self.bodies(letters, generator(seed, "queries", width).permutation(width)[None])


def forwards(text: str) -> str:
    """The letters in their order."""
    return text


def backwards(text: str) -> str:
    """The letters from last to first."""
    return text[::-1]


STRINGS: tuple[Task, ...] = (
    StringTask(
        name="string_copy", title="Copy", summary="Repeat a string of letters.",
        colour=colours.STRING_COPY, answer=string_copy, letters_read=forwards,
    ),
    StringTask(
        name="reverse", title="Reverse", summary="Repeat a string from last letter to first.",
        colour=colours.REVERSE, answer=reverse, letters_read=backwards,
    ),
    StringTask(
        name="capitalize", title="Flip case", summary="Repeat a string with the case of every letter flipped.",
        colour=colours.CAPITALIZE, answer=capitalize, letters_read=forwards,
    ),
    StringTask(
        name="capitalize_reverse", title="Flip case and reverse",
        summary="Repeat a string from last letter to first with every case flipped.",
        colour=colours.CAPITALIZE_REVERSE, answer=capitalize_reverse, letters_read=backwards,
    ),
    RecallTask(
        name="mqar", title="Associative recall", colour=colours.MQAR, minimum_length=2,
        summary="Name the letter that follows each queried letter of the string; only these answers are scored.",
        note="Each queried letter, then the letter that follows it in the string; only the second ones are scored.",
    ),
)  # fmt: skip
