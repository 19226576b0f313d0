"""Whole numbers as text, such as ``1-4, 7``: written for readers, and read from options."""

from __future__ import annotations

from collections.abc import Iterable

from lgt.core import bounds

DIGITS = 18
"""More digits than these, in the two ends of a range together, are refused before they become numbers."""


def id_ranges(numbers: Iterable[int]) -> str:
    """Numbers as text; consecutive numbers are written as a range.

    >>> id_ranges([3, 1, 2, 7, 9, 10])
    '1–3, 7, 9–10'
    """
    ranges: list[list[int]] = []
    for number in sorted(set(numbers)):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(f"{first}" if first == last else f"{first}–{last}" for first, last in ranges)


def parse_ranges(text: str) -> list[tuple[int, int]] | None:
    """The (first, last) of each part of ``1,2,5-9``; ``None`` if a part is no number and no range of numbers, or if the
    text is too long.

    The caller checks the size of the ranges before it makes numbers of them.

    >>> parse_ranges("1, 5-9"), parse_ranges("9-5"), parse_ranges("x")
    ([(1, 1), (5, 9)], None, None)
    """
    if len(text) > bounds.RANGES.most:
        return None
    found = []
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()) or len(low + high) > DIGITS:
            return None
        first, last = int(low), int(high) if dash else int(low)
        if first > last:
            return None
        found.append((first, last))
    return found
