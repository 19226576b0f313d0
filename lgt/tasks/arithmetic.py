"""Arithmetic tasks on reversed numbers: digits are written least significant first (paper, section 3).

The functions work on digit arrays [N, n]: column i is the digit of 10**i. Columns after a number's last digit are zero,
so a batch may mix lengths. The answer of an example of length n is the first n + 1 columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lgt.core.config import Operands, TaskOptions
from lgt.tasks import colours
from lgt.tasks.base import Bodies, Family, IntArray, Task, Working, pack
from lgt.tasks.digits import digit_count, digit_tokens, draw_number, normalised, typed_digits
from lgt.tasks.vocabulary import FIRST_DIGIT, PAD, TOKEN_ID, decode

PLUS, MINUS, TIMES, EQUALS = (TOKEN_ID[symbol] for symbol in "+-*=")


def reverse_add(a: IntArray, b: IntArray) -> IntArray:
    """Digits of a + b, [N, n + 1] for operands [N, n] (1274 + 938).

    >>> reverse_add(np.array([[4, 7, 2, 1]]), np.array([[8, 3, 9, 0]])).tolist()
    [[2, 1, 2, 2, 0]]
    """
    return normalised(a + b)[0]


def no_carry(a: IntArray, b: IntArray) -> IntArray:
    """The digit sums modulo 10, with a 0 appended: [N, n + 1].

    >>> no_carry(np.array([[4, 7, 2, 1]]), np.array([[8, 3, 9, 0]])).tolist()
    [[2, 0, 1, 1, 0]]
    """
    return np.pad((a + b) % 10, ((0, 0), (0, 1)))


def carry_only(a: IntArray, b: IntArray) -> IntArray:
    """The carry into each of the n + 1 positions of a + b, as 0 or 1: [N, n + 1].

    >>> carry_only(np.array([[4, 7, 2, 1]]), np.array([[8, 3, 9, 0]])).tolist()
    [[0, 1, 1, 1, 0]]
    """
    return normalised(a + b)[1]


def copy_first_operand(a: IntArray, b: IntArray) -> IntArray:
    """The first operand with a 0 appended, so that it has as many digits as the sum: [N, n + 1].

    >>> copy_first_operand(np.array([[4, 7, 2, 1]]), np.array([[8, 3, 9, 0]])).tolist()
    [[4, 7, 2, 1, 0]]
    """
    return np.pad(a, ((0, 0), (0, 1)))


def reverse_subtract(a: IntArray, b: IntArray) -> tuple[IntArray, IntArray]:
    """Digits of abs(a - b) with a 0 appended, [N, n + 1], and the sign (1 or -1) of the difference, [N].

    >>> digits, sign = reverse_subtract(np.array([[8, 3, 9, 0]]), np.array([[4, 7, 2, 1]]))
    >>> digits.tolist(), sign.tolist()
    ([[6, 3, 3, 0, 0]], [-1])
    """
    _, borrows = normalised(a - b)
    sign = np.where(borrows[:, -1] < 0, -1, 1)
    return normalised(sign[:, None] * (a - b))[0], sign


def partial_products(a: IntArray, b: IntArray) -> IntArray:
    """Digits of a times each digit of b, not shifted: [N, k, n + 1] for operands [N, n] and [N, k].

    >>> partial_products(np.array([[4, 7, 2, 1]]), np.array([[8, 3]])).tolist()
    [[[2, 9, 1, 0, 1], [2, 2, 8, 3, 0]]]
    """
    return normalised(a[:, None, :] * b[:, :, None])[0]


def product(partials: IntArray) -> IntArray:
    """Digits of the sum of ``partials`` [N, k, m], where number i is multiplied by 10**i: [N, m + k].

    >>> product(np.array([[[2, 9, 1, 0, 1], [2, 2, 8, 3, 0]]])).tolist()
    [[2, 1, 4, 8, 4, 0, 0]]
    """
    rows, count, width = partials.shape
    columns = np.zeros((rows, width + count - 1), dtype=np.int64)
    for i in range(count):
        columns[:, i : i + width] += partials[:, i]
    return normalised(columns)[0]


def cot_multiply(a: IntArray, b: IntArray) -> IntArray:
    """Answer tokens [N, T] of a x b, its chain of thought first, for a [N, n] and b [N, k].

    Partial product i is written as i zeros, then the reversed product of a and digit i of b without padding (one more
    zero if the digit is zero). ``+`` separates the partial products; then ``=`` and the reversed product follow. [D]
    The exact text is our decision: the paper's tables are not available.

    >>> from lgt.tasks.vocabulary import decode
    >>> decode(cot_multiply(np.array([[4, 7, 2, 1]]), np.array([[8, 3, 9]]))[0])
    '29101+02283+0066411=2105911'
    """
    partials = partial_products(a, b)
    used = np.arange(b.shape[1]) < digit_count(b)[:, None]
    pieces: list[IntArray] = []
    for i in range(b.shape[1]):
        before = np.array([PLUS] * (i > 0) + [FIRST_DIGIT] * i, dtype=np.int64)
        piece = np.concatenate((np.tile(before, (len(a), 1)), digit_tokens(partials[:, i])), axis=1)
        pieces.append(np.where(used[:, i, None], piece, PAD))
    return pack(*pieces, EQUALS, digit_tokens(product(partials)))


def draw_operands(rng: np.random.Generator, lengths: IntArray, operands: Operands) -> tuple[IntArray, IntArray]:
    """Two operands as digits [N, max length].

    ``equal``: both have n digits. ``ragged``: one of them, chosen at random, has n digits; the other has 1..n digits,
    uniformly. ``mixed``: half of the examples are ``equal``, half are ``ragged``. With ``ragged`` alone, pairs of
    numbers with the same length are rare, and pairs that also begin with the same digit are rarer. Subtraction must
    learn to compare such numbers. [D] All are our decision: the paper's tables are not available.
    """
    first, second = lengths, lengths
    if operands != "equal":
        shorter = _shorter(rng, lengths, operands)
        swap = rng.integers(2, size=len(lengths)) == 1
        first, second = np.where(swap, shorter, lengths), np.where(swap, lengths, shorter)
    both = draw_number(rng, np.concatenate((first, second)))
    return both[: len(lengths)], both[len(lengths) :]


def _shorter(rng: np.random.Generator, most: IntArray, operands: Operands) -> IntArray:
    """Digits [N] of an operand that may be shorter than ``most`` [N]."""
    if operands == "equal":
        return most
    drawn = rng.integers(1, most + 1)
    return drawn if operands == "ragged" else np.where(rng.integers(2, size=len(most)) == 1, most, drawn)


Answer = Callable[[IntArray, IntArray, IntArray], IntArray]
"""Answer tokens [N, T] of operands given as digits [N, W] twice and lengths [N] (digits of the longer operand)."""


def with_top_digit(digits: Callable[[IntArray, IntArray], IntArray]) -> Answer:
    """The answer function that writes the n + 1 lowest of the digits [N, W + 1] that ``digits`` gives; n is the
    length."""
    return lambda a, b, lengths: digit_tokens(digits(a, b), lengths + 1)


def difference(a: IntArray, b: IntArray, lengths: IntArray) -> IntArray:
    """Answer tokens [N, n + 1] of a - b: the digits of abs(a - b), then a minus sign (negative result) or a 0."""
    digits, sign = reverse_subtract(a, b)
    answer = digit_tokens(digits, lengths + 1)
    answer[np.flatnonzero(sign < 0), lengths[sign < 0]] = MINUS
    return answer


@dataclass(frozen=True, kw_only=True)
class OperandTask(Task):
    """A task on two numbers: the body is both operands with an operator between them, then ``=``.

    ``body_format`` is ``a+b``, ``a-b`` or ``a*b``: its second character is the operator. ``answer`` writes the answer.
    With ``carries`` the playground shows the carry into every column. ``note`` may refer to the operands as {a} and
    {b}.
    """

    answer: Answer
    family: Family = "arithmetic"
    unit: str = "digits"
    fields: tuple[str, ...] = ("First number", "Second number")
    reading: str = "The model reads the least significant digit first:"
    carries: bool = False

    @property
    def operator(self) -> int:
        """The token between the operands."""
        return TOKEN_ID[self.body_format[1]]

    def second_digits(self, lengths: IntArray, options: TaskOptions) -> IntArray:
        """The largest number of digits of the second operand at ``lengths`` [N]."""
        return lengths

    def draw(self, rng: np.random.Generator, lengths: IntArray, options: TaskOptions, operands: Operands) -> Bodies:
        return self.bodies(*draw_operands(rng, lengths, operands), lengths)

    def bodies(self, a: IntArray, b: IntArray, lengths: IntArray) -> Bodies:
        """Bodies and answers for operands given as digits [N, W] and [N, V], with task lengths ``lengths`` [N]."""
        body = pack(digit_tokens(a), self.operator, digit_tokens(b), EQUALS)
        return Bodies(body, self.answer(a, b, lengths))

    def typed(self, texts: Sequence[str], longest: int, seed: int, options: TaskOptions) -> tuple[int, Bodies]:
        first, second = (field.lower() for field in self.fields)
        a = typed_digits(first, texts[0], longest)
        b = typed_digits(second, texts[1], longest)
        return self._of_equal_width(a, b)

    def texts(self, body: Sequence[int]) -> tuple[str, ...]:
        first, second = self.columns(body)
        return first[::-1], second[::-1]

    def columns(self, body: Sequence[int]) -> tuple[str, str]:
        """Both operands as the model reads them, least significant digit first."""
        place = list(body).index(self.operator)
        return decode(body[:place]), decode(body[place + 1 : -1])

    def working(self, body: Sequence[int], answer: Sequence[int]) -> Working:
        first, second = self.columns(body)
        rows = [("1st number", _cells(first, len(answer))), ("2nd number", _cells(second, len(answer)))]
        if self.carries:
            carried = carry_only(*_same_width(first, second))[0]
            texts = [str(carry) if carry else "" for carry in carried]
            rows.append(("carry in", [*texts, *[""] * len(answer)][: len(answer)]))
        return rows

    def column_sums(self, body: Sequence[int]) -> tuple[int, ...]:
        if not self.carries:
            return ()
        a, b = _same_width(*self.columns(body))
        return tuple((a + b)[0].tolist())

    def layout(self, body: Sequence[int], options: TaskOptions) -> tuple[int, ...] | None:
        """The number of digits of each operand; ``None`` if they equal those in test prompts."""
        first, second = self.columns(body)
        length = max(len(first), len(second))
        usual = (length, int(self.second_digits(np.array([length]), options)[0]))
        return None if (len(first), len(second)) == usual else (len(first), len(second))

    def draw_layout(self, rng: np.random.Generator, layout: tuple[int, ...], count: int) -> Bodies:
        a, b = (draw_number(rng, np.full(count, size)) for size in layout)
        return self._of_equal_width(a, b)[1]

    def _of_equal_width(self, a: IntArray, b: IntArray) -> tuple[int, Bodies]:
        """Task length and bodies of operands [N, W] and [N, V] whose numbers have exactly W and V digits."""
        length = max(a.shape[1], b.shape[1])
        a, b = (np.pad(number, ((0, 0), (0, length - number.shape[1]))) for number in (a, b))
        return length, self.bodies(a, b, np.full(len(a), length))

    def example_note(self, prompt: str) -> str:
        first, second = prompt.rstrip("=").split(self.body_format[1])
        return self.note.format(a=int(first[::-1]), b=int(second[::-1]))


@dataclass(frozen=True, kw_only=True)
class MultiplicationTask(OperandTask):
    """Multiplication with partial products; the second operand has at most ``options.multiplier_digits`` digits."""

    def second_digits(self, lengths: IntArray, options: TaskOptions) -> IntArray:
        return np.minimum(lengths, options.multiplier_digits)

    def draw(self, rng: np.random.Generator, lengths: IntArray, options: TaskOptions, operands: Operands) -> Bodies:
        a = draw_number(rng, lengths)
        b = draw_number(rng, _shorter(rng, self.second_digits(lengths, options), operands))
        return self.bodies(a, b, lengths)

    def typed(self, texts: Sequence[str], longest: int, seed: int, options: TaskOptions) -> tuple[int, Bodies]:
        """As for other operand tasks, but the second number may not have more digits than the first."""
        first, second = (field.lower() for field in self.fields)
        a = typed_digits(first, texts[0], longest)
        b = typed_digits(second, texts[1], min(options.multiplier_digits, a.shape[1]))
        return self._of_equal_width(a, b)

    def working(self, body: Sequence[int], answer: Sequence[int]) -> Working:
        """No rows: an answer token is not computed from one column of the operands."""
        return []


def _cells(text: str, count: int) -> list[str]:
    """The first ``count`` characters of ``text``, one per cell; empty texts fill the rest."""
    return [*text, *[""] * count][:count]


def _same_width(first: str, second: str) -> tuple[IntArray, IntArray]:
    width = max(len(first), len(second))
    a, b = (np.array([[int(digit) for digit in text.ljust(width, "0")]]) for text in (first, second))
    return a, b


ARITHMETIC: tuple[Task, ...] = (
    OperandTask(
        name="reverse_add", title="Addition", summary="Add two numbers written least significant digit first.",
        colour=colours.REVERSE_ADD, body_format="a+b", answer=with_top_digit(reverse_add), carries=True,
        note="Digits are written from last to first, so this is {a} + {b}.",
    ),
    OperandTask(
        name="no_carry", title="Digit sums", summary="Add two numbers digit by digit and ignore every carry.",
        colour=colours.NO_CARRY, body_format="a+b", answer=with_top_digit(no_carry),
        note="The last digit of each column's sum, last column first.",
    ),
    OperandTask(
        name="carry_only", title="Carries",
        summary="Say for each column of an addition whether a 1 is carried into it.",
        colour=colours.CARRY_ONLY, body_format="a+b", answer=with_top_digit(carry_only),
        note="For each column, whether a 1 is carried into it, last column first.",
    ),
    OperandTask(
        name="reverse_subtract", title="Subtraction",
        summary="Subtract two numbers written least significant digit first.",
        colour=colours.REVERSE_SUBTRACT, body_format="a-b", answer=difference,
        note="Digits are written from last to first, so this is {a} - {b}.",
    ),
    MultiplicationTask(
        name="cot_multiply", title="Multiplication",
        summary="Multiply by a short number, writing every partial product before the product.",
        colour=colours.COT_MULTIPLY, body_format="a*b", answer=lambda a, b, lengths: cot_multiply(a, b),
        note="Partial products first, then their sum; all numbers are written from last digit to first.",
    ),
    OperandTask(
        name="copy_first_operand", title="Copy the first operand",
        summary="Read an addition and repeat its first operand, without adding: a control task with the same prompts.",
        colour=colours.COPY_FIRST_OPERAND, body_format="a+b", answer=with_top_digit(copy_first_operand),
        note="The first number again, with a 0 so that the answer is as long as a sum.",
    ),
)  # fmt: skip
