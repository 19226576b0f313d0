"""Outcomes from numbers worked out by hand."""

from __future__ import annotations

import pytest

from lgt.experiments.verdicts import absence, effect, unrelated


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ([0.4, 0.6, 0.5], "reproduced"),
        ([0.10, 0.10, 0.10], "reproduced"),
        ([0.09, 0.09, 0.09], "not reproduced"),  # certain, but smaller than what the figures show
        ([-0.5, -0.4, -0.6], "not reproduced"),
        ([1.0, 0.0, 0.5], "undecided"),
        ([0.0, 0.0, 0.3], "undecided"),
        ([0.9, 0.9], "too few seeds"),
        ([], "too few seeds"),
    ],
)
def test_an_effect_needs_size_certainty_and_seeds(values, outcome):
    numbers = {3 * seed + 1: value for seed, value in enumerate(values)}
    assert effect(numbers, needed=3) == outcome
    reverse = {"reproduced": "not reproduced", "not reproduced": "reproduced"}
    assert absence(numbers, needed=3) == reverse.get(outcome, outcome)


def test_the_smallest_number_that_counts_is_an_argument():
    numbers = {0: 0.18, 4: 0.2, 9: 0.22}
    assert effect(numbers, 3) == "reproduced" and effect(numbers, 3, smallest=0.3) == "not reproduced"
    assert absence(numbers, 3, smallest=0.3) == "reproduced"


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ([0.1, -0.1, 0.02], "reproduced"),
        ([0.6, 0.7, 0.9], "not reproduced"),
        ([-0.6, -0.7, -0.9], "not reproduced"),
        ([-0.9, 0.9, 0.1], "undecided"),
        ([0.2, 0.29, 0.25], "undecided"),  # the interval reaches beyond 0.30
    ],
)
def test_unrelated_looks_in_both_directions(values, outcome):
    assert unrelated(dict(enumerate(values)), needed=3) == outcome
