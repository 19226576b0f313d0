"""The gap over a grid of training lengths (figure 10)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def relative_gap(gap: float, main_length: int, auxiliary_length: int) -> float:
    """``gap`` as a share of the gap without any transfer [D].

    Without transfer every task works at its own trained lengths and nowhere else. The gap is then 1 - min/max of the
    lengths: it grows with their ratio by arithmetic alone. A share of 0 is the same curve, 1 is no transfer; it is
    slightly above 1 when a task also fails at its own lengths. Raises ValueError for two equal lengths, where there is
    nothing to transfer.

    >>> relative_gap(0.5, 8, 16), relative_gap(0.375, 4, 16)
    (1.0, 0.5)
    """
    if main_length == auxiliary_length:
        raise ValueError("a relative gap needs two different lengths")
    return gap / (1 - min(main_length, auxiliary_length) / max(main_length, auxiliary_length))


def nearness(gaps: Mapping[tuple[int, int], float]) -> float | None:
    """Mean relative gap of the cells (Lm, La) further apart than a factor of two, minus that of the cells a factor of
    two apart (see :func:`relative_gap`).

    Cells on the diagonal are left out: there is nothing to transfer. ``None`` when one of the two groups has no cell.
    """
    shares = {(main, other): relative_gap(gap, main, other) for (main, other), gap in gaps.items() if main != other}
    near = [share for lengths, share in shares.items() if max(lengths) <= 2 * min(lengths)]
    far = [share for lengths, share in shares.items() if max(lengths) > 2 * min(lengths)]
    return float(np.mean(far) - np.mean(near)) if near and far else None
