"""The gap over a grid of training lengths (figure 10)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def relative_gap(gap: float, main_length: int, auxiliary_length: int) -> float:
    """``gap`` as a share of the gap without any transfer [D].

    Without transfer every task is correct at its own trained lengths and nowhere else. The gap is then
    1 - min / max of the two lengths, so it grows with their ratio although nothing transfers. A share of 0 means equal
    curves, 1 means no transfer. The share is slightly above 1 if a task also fails at its own lengths. Raises
    ValueError for two equal lengths, because then there is nothing to transfer.

    >>> relative_gap(0.5, 8, 16), relative_gap(0.375, 4, 16)
    (1.0, 0.5)
    """
    if main_length == auxiliary_length:
        raise ValueError("a relative gap needs two different lengths")
    return gap / (1 - min(main_length, auxiliary_length) / max(main_length, auxiliary_length))


def nearness(gaps: Mapping[tuple[int, int], float]) -> float | None:
    """Mean relative gap of the cells (Lm, La) whose lengths differ by more than a factor of two, minus that of the
    cells whose lengths differ by at most that factor (see :func:`relative_gap`).

    Cells with two equal lengths are left out, because there is nothing to transfer. ``None`` if one of the two groups
    has no cell.
    """
    shares = {(main, other): relative_gap(gap, main, other) for (main, other), gap in gaps.items() if main != other}
    near = [share for lengths, share in shares.items() if max(lengths) <= 2 * min(lengths)]
    far = [share for lengths, share in shares.items() if max(lengths) > 2 * min(lengths)]
    return float(np.mean(far) - np.mean(near)) if near and far else None
