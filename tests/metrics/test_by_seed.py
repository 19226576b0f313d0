"""Quantities by seed, worked out by hand."""

from __future__ import annotations

import pytest

from lgt.metrics.by_seed import (
    SeedSummary,
    auxiliaries_by_seed,
    gain_row,
    gap_by_seed,
    paired_gain,
    transfer_by_seed,
)
from lgt.recipes.presets import group_config
from tests import frames


def test_transfer_accuracy_is_the_mean_over_the_transfer_region_per_seed():
    summary = transfer_by_seed(frames.accuracy(seeds=2))
    by_hand = {s: sum(max(0, 50 - (3 + s) * k) for k in range(1, 9)) / 50 / 8 for s in (0, 1)}
    assert summary.values == pytest.approx(by_hand)
    assert summary.text().endswith("over 2 seeds)")
    assert transfer_by_seed(frames.accuracy().query("role != 'main'")) is None


def test_generalization_gap_needs_an_auxiliary():
    gap = gap_by_seed(frames.accuracy(seeds=1))
    by_hand = sum(1 - max(0, 50 - 3 * max(0, n - 8)) / 50 for n in range(1, 17)) / 16
    assert gap.values == pytest.approx({0: by_hand})
    assert gap_by_seed(frames.accuracy(together=False)) is None


def test_the_middle_seed_is_the_median_not_the_best():
    assert SeedSummary({0: 0.9, 1: 0.1, 2: 0.5}).middle_seed() == 2
    assert SeedSummary({0: 0.9, 1: 0.1}).middle_seed() == 1
    assert SeedSummary({4: 0.25}).text() == "0.25 (1 seed)"


def test_the_gain_is_paired_by_seed():
    together, alone = SeedSummary({0: 0.9, 1: 0.5, 2: 0.1}), SeedSummary({0: 0.1, 1: 0.3})
    assert paired_gain(together, alone).values == pytest.approx({0: 0.8, 1: 0.2})
    assert paired_gain(together, None) is None and paired_gain(SeedSummary({5: 1.0}), alone) is None


def test_the_auxiliaries_are_measured_over_the_main_tasks_transfer_region():
    accuracy = frames.accuracy(seeds=2)
    beyond = (accuracy.role != "main") & (accuracy.length > 12)
    accuracy.loc[beyond & (accuracy.task == "reverse"), "correct"] = 20
    by_hand = (8 + 4 + 4 * 0.4) / 16
    assert auxiliaries_by_seed(accuracy).values == pytest.approx({0: by_hand, 1: by_hand})
    assert auxiliaries_by_seed(frames.accuracy(together=False)) is None


def test_a_cell_of_the_matrix_is_the_mean_paired_gain():
    config = group_config("caprev", "demo")
    together, alone = frames.accuracy(seeds=3), frames.accuracy(seeds=2, together=False)
    alone = alone.assign(correct=alone.correct.where(alone.length <= 8, 0))
    row = gain_row(config, together, alone)
    assert (row["main"], row["auxiliaries"], row["control"], row["n"]) == (
        "capitalize_reverse", "capitalize+reverse", False, 2,
    )  # fmt: skip
    assert row["gain"] == pytest.approx(sum(transfer_by_seed(together).values[seed] for seed in (0, 1)) / 2)
    assert row["low"] < row["gain"] < row["high"]
    assert gain_row(config, together, alone[:0]) is None
