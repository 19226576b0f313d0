"""Differences of two series by length, against numbers worked out by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from lgt.metrics.differences import COLUMNS, differences_by_length
from tests.lopsided import MAIN, SEEDS, accuracy, mean, share

THIRD_SEED_T = 4.302652729911275  # Student's t at 0.975 with two degrees of freedom, from a printed table


def shifted(frame: pd.DataFrame, step: int) -> pd.DataFrame:
    """The main task's counts ``step`` lengths later, of runs with other ids."""
    rows = frame[frame.role == "main"].assign(run_id=frame.run_id + 100)
    return rows.assign(length=rows.length + step)


def test_a_difference_is_the_mean_over_seeds_of_the_paired_differences():
    found = differences_by_length(accuracy(), shifted(accuracy(), 2)).set_index("length")
    for length in range(3, 8):
        by_seed = [share(MAIN, seed, length) - share(MAIN, seed, length - 2) for seed in SEEDS]
        middle = mean(by_seed)
        deviation = math.sqrt(sum((one - middle) ** 2 for one in by_seed) / 2)
        row = found.loc[length]
        assert row.difference == pytest.approx(middle) and row.n == 3
        assert row.high - row.difference == pytest.approx(THIRD_SEED_T * deviation / math.sqrt(3))
        assert row.difference - row.low == pytest.approx(row.high - row.difference)
    assert list(found.index) == [3, 4, 5, 6, 7]


def test_only_seeds_of_both_series_count_and_one_seed_has_no_interval():
    found = differences_by_length(accuracy((5, 0)), shifted(accuracy((1, 5)), 1))
    assert found.n.tolist() == [1] * 6 and found.low.isna().all() and found.high.isna().all()
    assert found.difference.iloc[0] == pytest.approx(share(MAIN, 5, 2) - share(MAIN, 5, 1))


def test_series_without_a_common_seed_have_no_difference():
    found = differences_by_length(accuracy((0,)), accuracy((1,)))
    assert found.empty and list(found.columns) == COLUMNS


def test_two_runs_of_a_seed_count_as_their_mean():
    twice = pd.concat([accuracy((0,)), accuracy((1,)).assign(model_seed=0)])
    found = differences_by_length(twice, accuracy((0,))).set_index("length")
    for length in range(1, 8):
        expected = mean([share(MAIN, 0, length), share(MAIN, 1, length)]) - share(MAIN, 0, length)
        assert found.difference[length] == pytest.approx(expected)
