"""Falls over training and scatter over seeds, worked out by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from lgt.metrics.stability import falls, largest_fall, scatter_over_seeds


@pytest.mark.parametrize(
    ("values", "fall"), [([0.1, 0.9, 0.2, 0.8], 0.7), ([0.0, 0.5, 1.0], 0.0), ([1.0, 0.0], 1.0), ([], 0.0)]
)
def test_the_largest_fall_looks_forward_only(values, fall):
    assert largest_fall(values) == pytest.approx(fall)
    brute = max((a - b for i, a in enumerate(values) for b in values[i:]), default=0.0)
    assert largest_fall(values) == pytest.approx(brute)


def test_falls_and_scatter_count_only_what_goes_beyond_the_trained_lengths():
    steps = pd.DataFrame({"step": [7, 900, 30], "transfer": [0.0, 0.3, 0.9], "trained": [1.0, 1.0, 0.8]})
    assert falls(steps) == pytest.approx(0.6 - 0.2)
    scattered = scatter_over_seeds({0: 0.9, 1: 0.1, 2: 0.5}, {0: 1.0, 1: 0.8, 2: 1.0})
    assert scattered == pytest.approx({0: 0.6 - 0.1, 1: 0.6 - 0.2, 2: 0.0 - 0.1})
    assert scatter_over_seeds({0: 0.9}, {0: 1.0}) == {}


def test_without_a_measurement_nothing_falls_and_one_seed_has_no_others():
    assert largest_fall([]) == 0.0 and scatter_over_seeds({}, {}) == {}
