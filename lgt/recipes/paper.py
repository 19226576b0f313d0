"""Numbers from the paper (Cai et al., arXiv 2506.09251), with which ours are compared."""

from __future__ import annotations

GRID_LENGTHS = (4, 8, 16, 32, 64, 128, 256)

_ROWS = (
    (0.00, 0.41, 0.65, 0.78, 0.78, 0.78, 0.75),
    (0.28, 0.00, 0.27, 0.74, 0.91, 0.91, 0.89),
    (0.60, 0.03, 0.00, 0.23, 0.67, 0.90, 0.95),
    (0.90, 0.72, 0.15, 0.00, 0.16, 0.34, 0.87),
    (0.95, 0.87, 0.72, 0.09, 0.00, 0.04, 0.66),
    (0.94, 0.95, 0.91, 0.36, 0.04, 0.00, 0.34),
    (0.91, 0.94, 0.93, 0.87, 0.63, 0.20, 0.00),
)

GRID_GAP: dict[tuple[int, int], float] = {
    (main, auxiliary): gap
    for main, row in zip(GRID_LENGTHS, _ROWS, strict=True)
    for auxiliary, gap in zip(GRID_LENGTHS, row, strict=True)
}
"""The paper's generalization gap by training lengths (Lm, La): its figure 10."""
