"""La, the transfer length: where the transfer region of a main task ends."""

from __future__ import annotations

from collections.abc import Iterable


def transfer_length(main_length: int, auxiliary_lengths: Iterable[int]) -> int | None:
    """The longest training length of an auxiliary; ``None`` when none is longer than the main task's.

    Without a longer auxiliary there is no transfer region.

    >>> transfer_length(6, [12, 9]), transfer_length(8, [4, 8]), transfer_length(8, [])
    (12, None, None)
    """
    longest = max(auxiliary_lengths, default=0)
    return longest if longest > main_length else None
