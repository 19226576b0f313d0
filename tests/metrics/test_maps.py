"""Ablation maps averaged over lengths."""

from __future__ import annotations

import pandas as pd
import pytest

from lgt.metrics.maps import mean_map
from lgt.metrics.zones import IN_DISTRIBUTION, TRANSFER_REGION
from lgt.recipes.presets import group_config
from tests import frames


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
