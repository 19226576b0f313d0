"""Arithmetic tasks on reversed numbers: digits are written least significant first (paper, section 3).

The functions work on digit arrays [N, n]: column i is the digit of 10**i, columns above a number are zero. A batch may
therefore mix lengths; an example of length n has the first n + 1 columns as its answer.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lgt.core.config import Operands, TaskOptions
from lgt.tasks.base import Bodies, Draw, IntArray, Task, pack
from lgt.tasks.vocabulary import FIRST_DIGIT, PAD, TOKEN_ID

PLUS, MINUS, TIMES, EQUALS = (TOKEN_ID[symbol] for symbol in "+-*=")


def normalised(columns: IntArray) -> tuple[IntArray, IntArray]:
    """Digits of sum(columns[..., i] * 10**i) and the carry into each column, both with one column more [..., W + 1].

    Columns may be any integers, negative ones borrow; the last carry is the last entry of both.

    >>> digits, carry = normalised(np.array([12, 10, 11, 1]))
    >>> digits.tolist(), carry.tolist()
    ([2, 1, 2, 2, 0], [0, 1, 1, 1, 0])
    """
    digits = np.zeros((*columns.shape[:-1], columns.shape[-1] + 1), dtype=np.int64)
    carries = np.zeros_like(digits)
    for i in range(columns.shape[-1]):
        total = columns[..., i] + carries[..., i]
        carries[..., i + 1] = total // 10
        digits[..., i] = total - 10 * carries[..., i + 1]
    digits[..., -1] = carries[..., -1]
    return digits, carries


def reverse_add(a: IntArray, b: IntArray) -> IntArray:
    """Digits of a + b, [N, n + 1] for operands [N, n] (1274 + 938).

    >>> reverse_add(np.array([[4, 7, 2, 1]]), np.array([[8, 3, 9, 0]])).tolist()
    [[2, 1, 2, 2, 0]]
    """
    return normalised(a + b)[0]


def no_carry(a: IntArray, b: IntArray) -> IntArray:
    """Digit sums mod 10, then a 0: [N, n + 1].

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
    """The first operand, with a 0 above so that its length is that of the sum: [N, n + 1].

    >>> copy_first_operand(np.array([[4, 7, 2, 1]]), np.array([[8, 3, 9, 0]])).tolist()
    [[4, 7, 2, 1, 0]]
    """
    return np.pad(a, ((0, 0), (0, 1)))


def reverse_subtract(a: IntArray, b: IntArray) -> tuple[IntArray, IntArray]:
    """Digits of abs(a - b), [N, n + 1] with a 0 on top, and the sign (1 or -1) of the difference, [N].

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
    """Digits of the sum of ``partials`` [N, k, m], number i shifted up by i columns: [N, m + k].

    >>> product(np.array([[[2, 9, 1, 0, 1], [2, 2, 8, 3, 0]]])).tolist()
    [[2, 1, 4, 8, 4, 0, 0]]
    """
    rows, count, width = partials.shape
    columns = np.zeros((rows, width + count - 1), dtype=np.int64)
    for i in range(count):
        columns[:, i : i + width] += partials[:, i]
    return normalised(columns)[0]


def cot_multiply(a: IntArray, b: IntArray) -> IntArray:
    """Answer tokens [N, T] of a x b with its chain of thought, for a [N, n] and b [N, k].

    Partial product i is i zeros and the reversed product of a with digit i of b, without padding (a zero digit gives
    one more zero); then ``=`` and the reversed product. [D] The exact text is our decision where the paper's tables
    are not available.

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


def digit_count(digits: IntArray) -> IntArray:
    """How many digits each number [N, W] has without zeros on top (1 for zero): [N].

    >>> digit_count(np.array([[8, 3, 9, 0], [0, 0, 0, 0]])).tolist()
    [3, 1]
    """
    columns = np.arange(1, digits.shape[1] + 1)
    return np.asarray(np.where(digits != 0, columns, 1).max(axis=1), dtype=np.int64)


def digit_tokens(digits: IntArray, count: IntArray | None = None) -> IntArray:
    """Tokens of the lowest ``count`` [N] digits of each number [N, W] (default: all but zeros on top), PAD above."""
    if count is None:
        count = digit_count(digits)
    return np.where(np.arange(digits.shape[1]) < count[:, None], digits + FIRST_DIGIT, PAD)


def draw_number(rng: np.random.Generator, count: IntArray) -> IntArray:
    """Uniform numbers of exactly ``count`` [N] digits (first digit 1-9) as digits [N, max count]."""
    digits = rng.integers(10, size=(len(count), int(count.max(initial=1))))
    digits[np.arange(len(count)), count - 1] = rng.integers(1, 10, size=len(count))
    return np.where(np.arange(digits.shape[1]) < count[:, None], digits, 0)


def draw_operands(rng: np.random.Generator, lengths: IntArray, operands: Operands) -> tuple[IntArray, IntArray]:
    """Two operands as digits [N, max length].

    ``equal``: n digits each. ``ragged``: one of them, at random, has n digits and the other 1..n, uniformly.
    ``mixed``: half of the examples ``equal``, half ``ragged``; with ``ragged`` alone two numbers of the same length are
    rare, and of these those that begin with the same digit, whose comparison subtraction has to learn.
    [D] All are our decision: the paper's tables are not available.
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


def _addition(answer: Callable[[IntArray, IntArray], IntArray]) -> Draw:
    def draw(rng: np.random.Generator, lengths: IntArray, options: TaskOptions, operands: Operands) -> Bodies:
        a, b = draw_operands(rng, lengths, operands)
        return Bodies(_body(a, PLUS, b), digit_tokens(answer(a, b), lengths + 1))

    return draw


def _draw_subtraction(rng: np.random.Generator, lengths: IntArray, options: TaskOptions, operands: Operands) -> Bodies:
    a, b = draw_operands(rng, lengths, operands)
    digits, sign = reverse_subtract(a, b)
    answer = digit_tokens(digits, lengths + 1)
    answer[np.flatnonzero(sign < 0), lengths[sign < 0]] = MINUS
    return Bodies(_body(a, MINUS, b), answer)


def _draw_multiplication(
    rng: np.random.Generator, lengths: IntArray, options: TaskOptions, operands: Operands
) -> Bodies:
    most = np.minimum(lengths, options.multiplier_digits)
    a = draw_number(rng, lengths)
    b = draw_number(rng, _shorter(rng, most, operands))
    return Bodies(_body(a, TIMES, b), cot_multiply(a, b))


def _body(a: IntArray, symbol: int, b: IntArray) -> IntArray:
    return pack(digit_tokens(a), symbol, digit_tokens(b), EQUALS)


ARITHMETIC = (
    Task("reverse_add", "arithmetic", "Addition",
         "Add two numbers written least significant digit first.", "a+b", _addition(reverse_add)),
    Task("no_carry", "arithmetic", "Digit sums",
         "Add two numbers digit by digit and forget every carry.", "a+b", _addition(no_carry)),
    Task("carry_only", "arithmetic", "Carries",
         "Say where adding two numbers carries, without adding them.", "a+b", _addition(carry_only)),
    Task("reverse_subtract", "arithmetic", "Subtraction",
         "Subtract two numbers written least significant digit first.", "a-b", _draw_subtraction),
    Task("cot_multiply", "arithmetic", "Multiplication",
         "Multiply by a short number, writing every partial product before the product.", "a*b", _draw_multiplication),
    Task("copy_first_operand", "arithmetic", "Copy the first operand",
         "See an addition and repeat its first operand: a control with addition's form and none of its work.",
         "a+b", _addition(copy_first_operand)),
)  # fmt: skip
