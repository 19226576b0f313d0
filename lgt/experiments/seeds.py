"""Seeds as text, such as ``0-4``."""

from __future__ import annotations

from collections.abc import Collection

from lgt.core import bounds
from lgt.core.checks import ConfigError
from lgt.core.number_ranges import parse_ranges

FIRST_SEEDS = "0-4"
"""The seeds that a figure of the first edition is made with unless others are asked for."""


def seeds_text(seeds: Collection[int]) -> str:
    """Seeds as :func:`parse_seeds` reads them.

    >>> seeds_text({2, 0, 1}), seeds_text([7, 0])
    ('0-2', '0,7')
    """
    ordered = sorted(set(seeds))
    gapless = len(ordered) > 1 and ordered == list(range(ordered[0], ordered[-1] + 1))
    return f"{ordered[0]}-{ordered[-1]}" if gapless else ",".join(map(str, ordered))


def parse_seeds(text: str) -> list[int]:
    """Seeds from ``0-4`` or ``0,2,5``. Raises ConfigError for anything else, and for too many.

    >>> parse_seeds("0-2,7")
    [0, 1, 2, 7]
    """
    found = parse_ranges(text)
    if found is None or sum(last - first + 1 for first, last in found) > bounds.SEEDS.most:
        raise ConfigError("--seeds", text, f"seeds such as 0-4 or 0,2,5 (at most {bounds.SEEDS.most:,})")
    return sorted({seed for first, last in found for seed in range(first, last + 1)})
