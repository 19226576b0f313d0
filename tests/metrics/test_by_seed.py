"""Numbers per seed and mean maps, by hand-computed cases."""

from __future__ import annotations

import pandas as pd
import pytest

from lgt.metrics.by_seed import SeedSummary, gap_by_seed, paired_gain, transfer_by_seed
from lgt.metrics.maps import mean_map
from lgt.metrics.zones import IN_DISTRIBUTION, TRANSFER_REGION
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


def scores() -> pd.DataFrame:
    maps = [
        frames.heads({"capitalize_reverse": {(0, 1): drop}, "reverse": {(0, 1): 0.2}}).assign(
            length=length, role="main", loss_rise=lambda f: f.accuracy_drop, examples=10
        )
        for length, drop in ((5, 0.1), (10, 0.4), (15, 0.8), (18, 0.9))
    ]
    return pd.concat(maps)


def test_a_mean_map_takes_the_same_lengths_for_every_task():
    config = group_config("caprev", "demo")
    found = mean_map(scores(), config, TRANSFER_REGION)
    assert found.attrs["lengths"] == [10, 15]
    drop = found[(found.layer == 0) & (found["head"] == 1)].set_index("task").accuracy_drop
    assert drop.to_dict() == pytest.approx({"capitalize_reverse": 0.6, "reverse": 0.2})
    assert set(found.examples) == {20}
    assert mean_map(scores(), config, IN_DISTRIBUTION).attrs["lengths"] == [5]
