"""Lists of numbers as short texts and as bytes: the format of the packed columns of schema 3.

A migration uses this module, so its output must not change: another format needs a new schema and a module of its own.
``docs/STORE.md`` describes the format for people who read a store with other programs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[Any]
MOST = 2**22
"""No list has more numbers: at most 512 lengths, 64 layers and 64 heads. A damaged text could ask for any number."""
KEPT = 2**13
"""Lists of up to this length are kept in memory once they were read. A damaged store could name many long ones."""
SHORTEST_RANGE, SHORTEST_STRIDE = 3, 5
WIDTHS = (1, 2, 4, 8)
_PIECE = re.compile(r"(\d{1,19})(?:x(\d{1,7})|-(\d{1,19})(?:/(\d{1,19}))?)?", re.ASCII)


class Piece(NamedTuple):
    """The numbers at the places ``start`` to ``stop - 1`` of a list: first ``number``, each next ``rise`` more."""

    start: int
    stop: int
    number: int
    rise: int


def number_list(values: Iterable[int]) -> str:
    """Whole numbers, none negative, as a short text. Equal lists give equal texts.

    >>> number_list([1, 2, 3, 4, 8]), number_list([13, 64, 64, 64]), number_list(range(20, 201, 20))
    ('1-4,8', '13,64x3', '20-200/20')
    """
    numbers = [int(value) for value in values]
    if any(number < 0 for number in numbers):
        raise ValueError("a negative number")
    texts, at = [], 0
    while at < len(numbers):
        count, rise = _progression(numbers, at)
        texts.append(_piece_text(numbers[at], count, rise))
        at += count
    return ",".join(texts)


def _progression(numbers: Sequence[int], at: int) -> tuple[int, int]:
    """How many numbers from ``at`` on are written as one piece, and the difference between them."""
    rise = numbers[at + 1] - numbers[at] if at + 1 < len(numbers) else -1
    stop = at + 1
    while stop < len(numbers) and numbers[stop] - numbers[stop - 1] == rise:
        stop += 1
    least = SHORTEST_RANGE if rise <= 1 else SHORTEST_STRIDE
    return (stop - at, rise) if rise >= 0 and stop - at >= least else (1, 0)


def _piece_text(first: int, count: int, rise: int) -> str:
    if count == 1:
        return str(first)
    if rise == 0:
        return f"{first}x{count}"
    return f"{first}-{first + rise * (count - 1)}" + (f"/{rise}" if rise > 1 else "")


@lru_cache(maxsize=4096)
def pieces(text: str) -> tuple[Piece, ...]:
    """The pieces of a list (see :func:`number_list`). Raises ValueError for a text that is no list."""
    found: list[Piece] = []
    for part in text.split(",") if text else ():
        match = _PIECE.fullmatch(part)
        if match is None:
            raise ValueError(f"{text[:40]!r} is no list of numbers")
        first, times, last, rise = match.groups()
        step = 0 if last is None else int(rise or 1)
        count = int(times or 1) if last is None else (int(last) - int(first)) // max(step, 1) + 1
        start = found[-1].stop if found else 0
        if count < 1 or start + count > MOST or (last and not step):
            raise ValueError(f"{text[:40]!r} is no list of numbers")
        found.append(Piece(start, start + count, int(first), step))
    return tuple(found)


def numbers(text: str) -> Numbers:
    """The numbers of a list (see :func:`number_list`), read-only. Raises ValueError for a text that is no list."""
    found = pieces(text)
    return _kept_numbers(text) if found and found[-1].stop <= KEPT else _numbers(text)


def _numbers(text: str) -> Numbers:
    parts = [one.number + one.rise * np.arange(one.stop - one.start, dtype=np.int64) for one in pieces(text)]
    found = np.concatenate(parts) if parts else np.zeros(0, np.int64)
    found.flags.writeable = False
    return found


_kept_numbers = lru_cache(maxsize=4096)(_numbers)


def pack_counts(counts: ArrayLike) -> bytes:
    """Whole numbers, none negative, as little-endian unsigned integers of the smallest width that holds them all."""
    values = np.asarray(counts, np.int64)
    if (values < 0).any():
        raise ValueError("a negative count")
    largest = int(values.max(initial=0))
    width = next(width for width in WIDTHS if largest < 256**width)
    return values.astype(f"<u{width}").tobytes()


def unpack_counts(packed: bytes, count: int) -> Numbers:
    """``count`` numbers from :func:`pack_counts`. Raises ValueError for another number of bytes."""
    found: Numbers = np.frombuffer(packed, f"<u{_width(packed, count)}").astype(np.int64)
    return found


def pack_differences(values: ArrayLike, missing: ArrayLike) -> bytes:
    """Whole numbers as little-endian signed integers of the smallest width. The smallest integer means missing."""
    given, gaps = np.asarray(values, np.int64), np.asarray(missing, bool)
    largest = int(np.abs(np.where(gaps, 0, given)).max(initial=0))
    width = next(width for width in WIDTHS if largest < 128 * 256 ** (width - 1))
    kind = np.dtype(f"<i{width}")
    return np.where(gaps, np.iinfo(kind).min, given).astype(kind).tobytes()


def unpack_differences(packed: bytes, count: int) -> tuple[Numbers, Numbers]:
    """``count`` numbers from :func:`pack_differences`, and which of them are missing."""
    values = np.frombuffer(packed, f"<i{_width(packed, count)}")
    return values.astype(np.int64), values == np.iinfo(values.dtype).min


def pack_reals(values: ArrayLike, there: ArrayLike | None = None) -> bytes:
    """Reals as little-endian floats: of 4 bytes if this changes none of them, else of 8. A missing value is NaN.

    ``there`` says which places have a value, present or missing. The bits of all others are ones.
    """
    doubles = np.asarray(values, "<f8")
    with np.errstate(over="ignore"):
        singles = doubles.astype("<f4")
    chosen = singles if np.array_equal(singles.astype("<f8"), doubles, equal_nan=True) else doubles
    kept = np.where(np.isnan(chosen), np.array(np.nan, chosen.dtype), chosen)
    bits = kept.view(f"<u{kept.itemsize}").copy()
    if there is not None:
        bits[~np.asarray(there, bool)] = np.iinfo(bits.dtype).max
    return bits.tobytes()


def unpack_reals(packed: bytes, count: int) -> tuple[Numbers, Numbers]:
    """``count`` float64 values from :func:`pack_reals`, and which places have one."""
    width = _width(packed, count)
    if width < 4:
        raise ValueError(f"{len(packed)} bytes for {count} reals")
    bits = np.frombuffer(packed, f"<u{width}")
    return bits.view(f"<f{width}").astype(np.float64), bits != np.iinfo(bits.dtype).max


def _width(packed: bytes, count: int) -> int:
    if not isinstance(packed, bytes) or count < 1 or len(packed) not in [count * width for width in WIDTHS]:
        size = len(packed) if isinstance(packed, bytes) else type(packed).__name__
        raise ValueError(f"{size} bytes for {count} numbers")
    return len(packed) // count
