"""Charts by what their specifications say, not by how they are built."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from lgt.charts import length_accuracy, sharing_graph, sharing_summary
from lgt.charts.palette import DARK, LIGHT, TASK_COLOURS, task_colour
from lgt.charts.sharing import ONLY_AUXILIARY, ONLY_MAIN, SHARED, head_nodes
from lgt.groups import GROUPS
from lgt.tasks import TASKS
from tests import frames

DROPS = {
    "capitalize_reverse": {(1, 0): 0.6, (1, 3): 0.3, (0, 2): 0.05},
    "capitalize": {(1, 0): 0.5},
    "reverse": {(0, 1): 0.2, (1, 3): 0.02},
}


def parts(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Every unit of a layered specification."""
    return [unit for layer in spec["layer"] for unit in (parts(layer) if "layer" in layer else [layer])]


def rows_of(spec: dict[str, Any], unit: dict[str, Any]) -> list[dict[str, Any]]:
    return spec["datasets"][unit["data"]["name"]]


def marked(spec: dict[str, Any], mark: str) -> list[dict[str, Any]]:
    return [unit for unit in parts(spec) if unit["mark"]["type"] == mark]


def test_curve_is_the_mean_over_seeds_and_the_band_spans_them():
    frame = frames.accuracy()
    spec = length_accuracy(frame, LIGHT).to_dict()
    main = next(row for unit in marked(spec, "area") for row in rows_of(spec, unit)
                if row["task"] == "capitalize_reverse" and row["length"] == 12)  # fmt: skip
    ratios = [(50 - (3 + seed) * 4) / 50 for seed in range(3)]
    assert main["mean"] == pytest.approx(np.mean(ratios))
    assert (main["low"], main["high"]) == (pytest.approx(min(ratios)), pytest.approx(max(ratios)))
    assert main["runs"] == 3 and main["prompts"] == 150
    assert spec["title"]["text"] == "Line: mean of 3 seeds. Band: min–max over 3 seeds."


def test_accuracy_axis_is_the_whole_range_and_lengths_are_named_with_their_unit():
    spec = length_accuracy(frames.accuracy(), LIGHT).to_dict()
    for unit in parts(spec):
        y = unit["encoding"].get("y", {})
        if y.get("field") in ("mean", "low"):
            assert y["scale"]["domain"] == [0, 1]
        x = unit["encoding"].get("x", {})
        if "axis" in x:
            assert x["axis"]["title"] == "Length (characters)"


def test_zones_are_the_main_tasks():
    spec = length_accuracy(frames.accuracy(), LIGHT).to_dict()
    zones = [rows_of(spec, unit)[0] for unit in marked(spec, "rect")]
    assert [(zone["name"], zone["low"], zone["high"]) for zone in zones] == [
        ("trained", 0.5, 8.5), ("transfer region", 8.5, 16.5), ("beyond", 16.5, 20.5),
    ]  # fmt: skip
    (rules,) = marked(spec, "rule")
    assert [row["high"] for row in rows_of(spec, rules)] == [8.5, 16.5]


def test_one_run_gets_a_wilson_interval_by_name_and_never_a_band_over_seeds():
    spec = length_accuracy(frames.accuracy(seeds=1), LIGHT).to_dict()
    assert spec["title"]["text"] == "Line: one run. Band: 95% Wilson interval of a single run."
    point = next(row for row in rows_of(spec, marked(spec, "area")[0]) if row["mean"] == 1)
    assert point["low"] < 1 and point["high"] == pytest.approx(1)


def test_bootstrap_band_lies_within_min_max_and_none_draws_no_band():
    frame = frames.accuracy()
    boot, spread = (
        [row["high"] - row["low"] for row in rows_of(spec, marked(spec, "area")[0])]
        for spec in (length_accuracy(frame, LIGHT, band_choice=choice).to_dict() for choice in ("bootstrap", "min-max"))
    )
    assert all(a <= b + 1e-9 for a, b in zip(boot, spread, strict=True)) and max(boot) > 0
    spec = length_accuracy(frame, LIGHT, band_choice="none").to_dict()
    assert all(row["low"] == row["high"] for row in rows_of(spec, marked(spec, "area")[0]))
    assert "Band" not in spec["title"]["text"]


def test_single_seeds_add_a_line_per_run():
    spec = length_accuracy(frames.accuracy(), LIGHT, single_seeds=True).to_dict()
    thin = [unit for unit in marked(spec, "line") if "detail" in unit["encoding"]]
    assert len(thin) == 1 and {row["run_id"] for row in rows_of(spec, thin[0])} == {1, 2, 3}


def test_colour_is_the_task_and_dash_is_the_role_on_both_themes():
    for theme in (LIGHT, DARK):
        spec = length_accuracy(frames.accuracy(), theme).to_dict()
        line = marked(spec, "line")[0]["encoding"]
        assert line["color"]["scale"]["range"][0] == task_colour("capitalize_reverse", theme)
        assert line["strokeDash"]["scale"]["range"][0] == [1, 0] != line["strokeDash"]["scale"]["range"][1]


def test_empty_frames_become_a_sentence():
    frame = frames.accuracy()
    assert "No evaluated lengths" in str(length_accuracy(frame[frame.length > 99], LIGHT).to_dict())
    empty = frames.heads(DROPS).iloc[:0]
    chart = sharing_graph(empty, LIGHT, main="capitalize_reverse", auxiliaries=["reverse"], threshold=0.1)
    assert "No ablation map" in str(chart.to_dict())


def test_heads_are_classed_by_who_needs_them():
    nodes = head_nodes(frames.heads(DROPS), "capitalize_reverse", ["capitalize", "reverse"], 0.1).set_index("name")
    assert nodes.kind["L2·H1"] == SHARED and nodes.kind["L2·H4"] == ONLY_MAIN and nodes.kind["L1·H2"] == ONLY_AUXILIARY
    assert (nodes.kind == "neither").sum() == 5
    assert nodes.y["L1·H1"] < nodes.y["L2·H1"], "layer 1 stands below layer 2"


def test_a_drop_at_the_threshold_is_not_above_it():
    given = {"capitalize_reverse": {(0, 0): 0.1}, "reverse": {(0, 0): 0.1}}
    assert sharing_summary(frames.heads(given), "capitalize_reverse", ["reverse"], 0.1)["shared"] == 0
    assert sharing_summary(frames.heads(given), "capitalize_reverse", ["reverse"], 0.09)["shared"] == 1


def test_links_are_the_drops_above_the_threshold():
    others = ["capitalize", "reverse"]
    chart = sharing_graph(frames.heads(DROPS), LIGHT, main="capitalize_reverse", auxiliaries=others, threshold=0.1)
    spec = chart.to_dict()
    (links,) = [unit for unit in marked(spec, "line")]
    drawn = {(row["task"], row["name"]): row["drop"] for row in rows_of(spec, links)}
    assert drawn == {
        ("capitalize_reverse", "L2·H1"): 0.6, ("capitalize_reverse", "L2·H4"): 0.3,
        ("capitalize", "L2·H1"): 0.5, ("reverse", "L1·H2"): 0.2,
    }  # fmt: skip
    assert "shared: L2·H1" in spec["description"]


def test_links_end_at_their_task_and_their_head():
    chart = sharing_graph(frames.heads(DROPS), LIGHT, main="capitalize_reverse", auxiliaries=["reverse"], threshold=0.1)
    spec = chart.to_dict()
    (links,) = marked(spec, "line")
    rows = [row for row in rows_of(spec, links) if row["link"] == "reverse L1·H2"]
    nodes = head_nodes(frames.heads(DROPS), "capitalize_reverse", ["reverse"], 0.1).set_index("name")
    assert (rows[0]["x"], rows[0]["y"]) == (pytest.approx(0.54), 0.0)
    assert (rows[-1]["x"], rows[-1]["y"]) == (pytest.approx(nodes.x["L1·H2"]), pytest.approx(nodes.y["L1·H2"]))


def test_a_run_without_auxiliary_has_links_of_the_main_task_only():
    frame = frames.heads({"capitalize_reverse": DROPS["capitalize_reverse"]})
    assert sharing_summary(frame, "capitalize_reverse", [], 0.1) == {"shared": 0, "main": 2, "auxiliary": 0, "heads": 8}
    spec = sharing_graph(frame, LIGHT, main="capitalize_reverse", auxiliaries=[], threshold=0.1).to_dict()
    assert {row["task"] for unit in marked(spec, "line") for row in rows_of(spec, unit)} == {"capitalize_reverse"}


# Machado, Oliveira, Fernandes (2009), severity 1.0, in linear RGB.
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}  # fmt: skip


def lab(colour: str, matrix: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) of a colour as somebody with that deficiency sees it."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.clip(matrix @ np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4), 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    f = np.cbrt(np.maximum(xyz / np.array([0.9505, 1.0, 1.089]), 0.008856))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("kind", DEFICIENCIES)
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_tasks_of_one_group_stay_apart_for_colour_blind_eyes(kind, theme):
    for group in GROUPS.values():
        for a, b in itertools.combinations([group.main, *group.auxiliaries], 2):
            distance = np.linalg.norm(*[np.subtract(*(lab(task_colour(t, theme), DEFICIENCIES[kind]) for t in (a, b)))])
            assert distance > 15, (group.key, a, b, distance)


def test_every_task_has_a_colour():
    assert set(TASK_COLOURS) == set(TASKS)
