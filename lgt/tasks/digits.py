"""Numbers as digit arrays. Column i is the digit of 10**i; columns after a number's last digit are zero."""

from __future__ import annotations

import numpy as np

from lgt.core.checks import ConfigError
from lgt.tasks.base import IntArray
from lgt.tasks.vocabulary import FIRST_DIGIT, PAD


def normalised(columns: IntArray) -> tuple[IntArray, IntArray]:
    """Digits of sum(columns[..., i] * 10**i) and the carry into each column, both [..., W + 1].

    Columns may be any integers; negative ones make negative carries. The last entry of both results is the last carry.

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


def digit_count(digits: IntArray) -> IntArray:
    """How many digits each number [N, W] has without leading zeros (1 for zero): [N].

    >>> digit_count(np.array([[8, 3, 9, 0], [0, 0, 0, 0]])).tolist()
    [3, 1]
    """
    columns = np.arange(1, digits.shape[1] + 1)
    return np.asarray(np.where(digits != 0, columns, 1).max(axis=1), dtype=np.int64)


def digit_tokens(digits: IntArray, count: IntArray | None = None) -> IntArray:
    """Tokens of the lowest ``count`` [N] digits of each number [N, W], then PAD. Default: all but leading zeros."""
    if count is None:
        count = digit_count(digits)
    return np.where(np.arange(digits.shape[1]) < count[:, None], digits + FIRST_DIGIT, PAD)


def draw_number(rng: np.random.Generator, count: IntArray) -> IntArray:
    """Uniform numbers of exactly ``count`` [N] digits (first digit 1-9) as digits [N, max count]."""
    digits = rng.integers(10, size=(len(count), int(count.max(initial=1))))
    digits[np.arange(len(count)), count - 1] = rng.integers(1, 10, size=len(count))
    return np.where(np.arange(digits.shape[1]) < count[:, None], digits, 0)


def typed_digits(field: str, text: str, most: int) -> IntArray:
    """The digits [1, n], least significant first, of a number in normal notation. Raises ConfigError."""
    text = "".join(text.split())
    if not (text.isascii() and text.isdecimal()):
        raise ConfigError(field, text, "digits 0-9 only" if text else "a whole number such as 1274")
    if text[0] == "0":
        raise ConfigError(field, text, "a whole number above 0 without zeros in front")
    if len(text) > most:
        raise ConfigError(field, text, f"at most {most} digits; these are {len(text)}")
    return np.array([[int(digit) for digit in reversed(text)]], dtype=np.int64)
