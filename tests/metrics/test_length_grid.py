"""Relative gaps over a grid of training lengths."""

from __future__ import annotations

import pytest

from lgt.metrics.length_grid import nearness, relative_gap
from lgt.recipes.paper import GRID_GAP, GRID_LENGTHS


def test_nearness_compares_pairs_a_factor_of_two_apart_with_the_rest():
    gaps = {(4, 4): 9.0, (4, 8): 0.2, (8, 4): 0.0, (4, 16): 0.8, (16, 4): 0.4, (4, 32): 0.9}
    assert nearness(gaps) == pytest.approx((0.8 / 0.75 + 0.4 / 0.75 + 0.9 / 0.875) / 3 - 0.1 / 0.5)
    assert nearness({(4, 4): 0.0, (4, 8): 0.2}) is None
    nothing = {(m, a): 1 - min(m, a) / max(m, a) for m in (2, 4, 8, 16) for a in (2, 4, 8, 16)}
    assert nearness(nothing) == pytest.approx(0.0), "gaps that arithmetic alone makes say nothing"


def test_the_papers_grid_is_symmetric_in_its_lengths_and_zero_on_its_diagonal():
    assert len(GRID_GAP) == len(GRID_LENGTHS) ** 2 and GRID_GAP[4, 8] == 0.41 and GRID_GAP[8, 4] == 0.28
    assert all(GRID_GAP[length, length] == 0 for length in GRID_LENGTHS)
    assert nearness(GRID_GAP) > 0.3, "the paper's own grid has what the rule asks for"


def test_equal_lengths_have_no_relative_gap():
    assert relative_gap(0.3, 6, 4) == pytest.approx(0.9) and relative_gap(0.3, 4, 6) == pytest.approx(0.9)
    with pytest.raises(ValueError, match="two different lengths"):
        relative_gap(0.1, 4, 4)
