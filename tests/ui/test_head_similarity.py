"""The sentences and tables about similar heads, on maps made by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from lgt.metrics.correlation import Correlation
from lgt.metrics.maps import mean_map
from lgt.metrics.zones import TRANSFER_REGION
from lgt.recipes.presets import group_config
from lgt.ui.head_similarity import (
    HOW_TO_READ,
    overlap_sentence,
    similarity_table,
    trajectory_correlations,
    trajectory_sentence,
    with_reading_help,
)
from tests import frames
from tests.metrics.test_maps import scores

MAIN, OTHER = "capitalize_reverse", "reverse"


def test_every_measure_of_similarity_says_how_it_is_read():
    maps = frames.heads({MAIN: {(0, 0): 0.9}, OTHER: {(0, 1): 0.5}})
    attention = pd.DataFrame({"task_b": [OTHER], "difference": [3.0]})
    table = similarity_table(maps.assign(loss_rise=maps.accuracy_drop), attention, MAIN, [OTHER])
    shown = with_reading_help(table)
    assert list(shown.index) == list(table.columns) == list(HOW_TO_READ)
    assert (shown["how to read it"].str.contains("0:")).all() and shown.loc["attention difference", "Reverse"] == "3.00"


@pytest.mark.parametrize("count", [2, 20])
def test_a_trajectory_needs_three_checkpoints(count):
    config = group_config("control-copy", "demo")
    names, lengths = [spec.task for spec in config.tasks], range(1, 21)
    accuracy = pd.DataFrame(
        {"step": step, "task": task, "length": length, "correct": min(step, 60) if length < 9 else step, "total": 100}
        for step in range(count) for task in names for length in lengths
    )  # fmt: skip
    maps = pd.concat(
        frames.heads({names[0]: {(0, 0): 0.5}, names[1]: {(0, 0): 0.5 - step / 50}}).assign(step=step, length=4)
        for step in range(count)
    )
    nothing = pd.DataFrame(columns=["step", "length", "difference"])
    steps, found = trajectory_correlations(accuracy, maps, nothing, config)
    assert len(steps) == count and set(found) == ({"map_difference"} if count > 2 else set())
    assert trajectory_correlations(accuracy[:0], maps, nothing, config)[1] == {}


def test_a_correlation_that_is_not_defined_says_why():
    said = trajectory_sentence("map difference", Correlation(None, None, None, None, 5), None)
    assert "not defined" in said and "5 checkpoints" in said
    said = trajectory_sentence("map difference", Correlation(-0.5, -0.8, 0.1, 0.04, 20), 0.25)
    assert "**−0.50** (95% bootstrap interval −0.80 to +0.10, permutation p = 0.04, 20 checkpoints)" in said
    assert said.endswith("changes between checkpoints: +0.25.")


def test_similarity_names_what_cannot_be_compared():
    heads = mean_map(scores(), group_config("caprev", "demo"), TRANSFER_REGION)
    attention = pd.DataFrame({"task_b": ["reverse"], "difference": [2.5]})
    table = similarity_table(heads, attention, "capitalize_reverse", ["reverse"])
    assert table.loc["Reverse", "attention difference"] == "2.50"
    assert table.loc["Reverse", "map difference"] == f"{0.4 / 8:.3f}"
    table = similarity_table(heads, attention.iloc[:0], "capitalize_reverse", ["reverse"])
    assert table.loc["Reverse", "attention difference"] == "not comparable"
    assert "mean of 1 seed)" in overlap_sentence([heads], "capitalize_reverse", ["reverse"])
