"""Tables and sentences about how alike two tasks' heads are."""

from __future__ import annotations

import pandas as pd

from lgt.metrics.maps import mean_map
from lgt.metrics.zones import TRANSFER_REGION
from lgt.recipes.presets import group_config
from lgt.ui.head_similarity import likeness_table, overlap_sentence
from tests.metrics.test_maps import scores


def test_likeness_names_what_cannot_be_compared():
    heads = mean_map(scores(), group_config("caprev", "demo"), TRANSFER_REGION)
    attention = pd.DataFrame({"task_b": ["reverse"], "difference": [2.5]})
    table = likeness_table(heads, attention, "capitalize_reverse", ["reverse"])
    assert table.loc["Reverse", "attention difference"] == "2.50"
    assert table.loc["Reverse", "map difference"] == f"{0.4 / 8:.3f}"
    table = likeness_table(heads, attention.iloc[:0], "capitalize_reverse", ["reverse"])
    assert table.loc["Reverse", "attention difference"] == "not comparable"
    assert "mean of 1 seed)" in overlap_sentence([heads], "capitalize_reverse", ["reverse"])
