"""Checked NumPy arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def finite(name: str, values: ArrayLike, dimensions: int) -> Floats:
    """``values`` as a finite float array with that many non-empty dimensions. Raises ValueError, which has ``name``."""
    array = np.asarray(values, dtype=float)
    if array.ndim != dimensions or array.size == 0:
        raise ValueError(f"{name}: shape {array.shape} is not accepted; accepted: {dimensions} non-empty dimensions")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: every value must be finite")
    return array
