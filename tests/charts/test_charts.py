"""Charts by what their specifications say, not by how they are built."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lgt.charts import (
    ablation_maps,
    length_accuracy,
    loss_curve,
    sharing_graph,
    sharing_summary,
    training_curves,
    zones,
)
from lgt.charts.sharing_layout import RADIUS, head_nodes, kind_rows, slices, task_nodes
from lgt.charts.theme import DARK, LIGHT, SERIES_COLOURS, SPARE_COLOURS, Theme, task_colour
from lgt.charts.theme import heading as a_heading
from lgt.charts.training import PANEL, smoothed
from lgt.core import bounds
from lgt.metrics.head_sharing import ONLY_MAIN, ONLY_OTHER, SHARED, UNUSED
from lgt.recipes.groups import GROUPS
from lgt.tasks import TASKS
from tests import frames
from tests.frames import heading_lines

pytestmark = pytest.mark.slow

THEMES = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
MAIN, OTHERS = "capitalize_reverse", ["capitalize", "reverse"]
DROPS = {
    MAIN: {(1, 0): 0.6, (1, 3): 0.3, (0, 2): 0.05},
    "capitalize": {(1, 0): 0.5},
    "reverse": {(0, 1): 0.2, (1, 3): 0.02},
}

Spec = dict[str, Any]


def parts(spec: Spec) -> list[Spec]:
    """Every unit of a layered specification."""
    return [unit for layer in spec.get("layer", [spec]) for unit in (parts(layer) if "layer" in layer else [layer])]


def rows_of(spec: Spec, unit: Spec) -> list[Spec]:
    data = unit.get("data") or spec["data"]  # the layers' common data stand on the whole
    return spec["datasets"][data["name"]] if "name" in data else data["values"]


def marked(spec: Spec, mark: str, y: str | None = None) -> list[Spec]:
    """Units with this mark, and with ``y`` those that draw this field."""
    units = [unit for unit in parts(spec) if unit["mark"]["type"] == mark]
    return units if y is None else [unit for unit in units if unit["encoding"].get("y", {}).get("field") == y]


def drawn(spec: Spec, mark: str, y: str | None = None) -> list[Spec]:
    """All rows that units with this mark draw."""
    return [row for unit in marked(spec, mark, y) for row in rows_of(spec, unit)]


def heading(spec: Spec) -> str:
    """All lines of the heading, as a phone shows them."""
    return " ".join([*heading_lines(spec["title"], "text"), *heading_lines(spec["title"], "subtitle")])


def texts(spec: Spec) -> set[str]:
    return {
        str(row[unit["encoding"]["text"]["field"]])
        for unit in marked(spec, "text") if "text" in unit["encoding"] for row in rows_of(spec, unit)
    }  # fmt: skip


def points(spec: Spec, task: str = MAIN) -> list[Spec]:
    """One row per drawn mean of a task."""
    (unit,) = [unit for unit in marked(spec, "circle") if "tooltip" in unit["encoding"]]
    return [row for row in rows_of(spec, unit) if row["task"] == task]


def two_sides() -> pd.DataFrame:
    """A co-trained series and the main task alone, which answers nothing beyond its training length."""
    alone = frames.accuracy(together=False)
    alone = alone.assign(run_id=alone.run_id + 10, arm="alone-same-steps")
    alone["correct"] = alone.correct.where(alone.length <= 8, 0)
    return pd.concat([frames.accuracy(), alone], ignore_index=True)


def steps() -> pd.DataFrame:
    """Counts at three steps that grow with the step."""
    parts = [frames.accuracy().assign(step=step) for step in (100, 200, 300)]
    return pd.concat([p.assign(correct=p.correct * p.step // 300) for p in parts], ignore_index=True)


def log(runs: int = 2) -> pd.DataFrame:
    return pd.DataFrame(
        {"run_id": run, "model_seed": run, "step": step, "loss": 2.0 / step}
        for run in range(runs) for step in range(10, 210, 10)
    )  # fmt: skip


def graph(
    frame: pd.DataFrame, theme: Theme = LIGHT, auxiliaries: list[str] | None = None, threshold: float = 0.1
) -> Spec:
    auxiliaries = OTHERS if auxiliaries is None else auxiliaries
    return sharing_graph(frame, theme, main=MAIN, auxiliaries=auxiliaries, threshold=threshold).to_dict()


@cache
def every_chart(theme: Theme) -> dict[str, Spec]:
    alone = frames.heads({MAIN: DROPS[MAIN]})
    charts = {
        "accuracy": length_accuracy(frames.accuracy(), theme, title="A title", subtitle="Preset demo"),
        "two sides": length_accuracy(two_sides(), theme, single_seeds=True),
        "one run": length_accuracy(frames.accuracy(seeds=1), theme),
        "maps": ablation_maps(frames.heads(DROPS), theme),
        "training": training_curves(steps(), theme),
        "loss": loss_curve(log(), theme, window=5),
        "no accuracy": length_accuracy(frames.accuracy().iloc[:0], theme),
        "no maps": ablation_maps(frames.heads(DROPS).iloc[:0], theme),
        "no steps": training_curves(steps().iloc[:0], theme),
        "no log": loss_curve(log().iloc[:0], theme),
    }
    graphs = {"graph": graph(frames.heads(DROPS), theme), "alone": graph(alone, theme, []),
              "no graph": graph(alone.iloc[:0], theme)}  # fmt: skip
    return {name: chart.to_dict() for name, chart in charts.items()} | graphs


# --- what holds for every chart


@THEMES
def test_every_chart_is_described_transparent_and_as_wide_as_its_place(theme):
    for name, spec in every_chart(theme).items():
        assert len(spec["description"]) > 15, name
        assert spec["config"]["background"] == "transparent", name
        assert spec["width"] == "container", name
        assert spec["autosize"] == {"type": "fit-x", "contains": "padding"}, name


def test_every_value_of_a_chart_is_a_scalar():
    """Streamlit sends frames as Arrow tables and turns lists into text with brackets."""
    for name, spec in every_chart(LIGHT).items():
        for rows in spec.get("datasets", {}).values():
            assert not any(isinstance(value, list | dict) for row in rows for value in row.values()), name


def test_empty_frames_become_a_sentence_that_says_what_is_missing():
    found = {name: spec["description"] for name, spec in every_chart(LIGHT).items() if name.startswith("no ")}
    assert "during training" in found["no accuracy"]
    assert found["no maps"] == "There is no ablation map at these lengths."
    assert found["no graph"].startswith("There is no ablation map of Flip case and reverse or Flip case or Reverse")
    assert "Choose runs of one task group" in found["no steps"] and found["no log"] == "No training log yet."


@THEMES
@pytest.mark.parametrize("width", [360, 620])
def test_every_chart_renders_without_a_warning(theme, width, capfd):
    convert = pytest.importorskip("vl_convert")
    for name, spec in every_chart(theme).items():
        svg = convert.vegalite_to_svg(json.dumps(spec | {"width": width}))
        assert f'width="{width}"' in svg.split(">")[0], name
        assert "NaN" not in svg, name
    assert "WARN" not in capfd.readouterr().err


# --- exact match against length


def test_curve_is_the_mean_over_seeds_and_the_band_spans_them():
    spec = length_accuracy(frames.accuracy(), LIGHT).to_dict()
    point = next(row for row in points(spec) if row["length"] == 12)
    ratios = [(50 - (3 + seed) * 4) / 50 for seed in range(3)]
    assert point["mean"] == pytest.approx(np.mean(ratios))
    assert (point["low"], point["high"]) == (pytest.approx(min(ratios)), pytest.approx(max(ratios)))
    assert point["runs"] == 3 and point["prompts"] == 150
    note = "Line: mean over seeds, n = 3, 50 prompts per point and run. Band: min–max over 3 seeds."
    assert heading(spec) == note
    assert len(points(spec)) == 20 and len(drawn(spec, "area")) == 60


def test_accuracy_axis_is_the_whole_range_and_lengths_are_whole_and_named_with_their_unit():
    spec = length_accuracy(frames.accuracy(), LIGHT).to_dict()
    for unit in parts(spec):
        y = unit["encoding"].get("y", {})
        if y.get("field") in ("mean", "low", "ratio"):
            assert y["scale"]["domain"] == [0, 1] and y["axis"]["title"] == "Exact match"
        x = unit["encoding"].get("x", {})
        if x.get("axis"):
            assert x["axis"]["title"] == "Length (characters)" and x["axis"]["values"] == list(range(2, 21, 2))


@pytest.mark.parametrize("order", [1, -1])
def test_zones_are_the_main_tasks_whatever_the_order_of_rows(order):
    spec = length_accuracy(frames.accuracy().iloc[::order], LIGHT).to_dict()
    zones = [(zone["name"], zone["low"], zone["high"]) for zone in drawn(spec, "rect")]
    assert zones == [("trained", 0.5, 8.5), ("transfer region", 8.5, 16.5), ("beyond", 16.5, 20.5)]
    assert {"main trained to 8", "auxiliary trained to 16"} <= texts(spec)
    rules = [unit for unit in marked(spec, "rule") if unit["encoding"].get("x", {}).get("field") == "x"]
    assert [row["x"] for unit in rules for row in rows_of(spec, unit)] == [8.5, 16.5]


def test_a_run_alone_has_the_zones_of_its_pair_and_names_the_absent_auxiliary():
    spec = length_accuracy(frames.accuracy(together=False), LIGHT).to_dict()
    assert [zone["high"] for zone in drawn(spec, "rect")] == [8.5, 16.5, 20.5]
    assert "longer task's training length: 16" in texts(spec)


def test_a_run_without_a_pair_has_no_transfer_region():
    spec = length_accuracy(frames.accuracy(together=False).assign(transfer_length=None), LIGHT).to_dict()
    assert [zone["name"] for zone in drawn(spec, "rect")] == ["trained", "beyond"]


@pytest.mark.parametrize("size", [11, 17])
@pytest.mark.parametrize(("last", "transfer"), [(40, 32), (20, 16), (18, 12)])
def test_the_name_of_a_line_stands_over_the_lengths_up_to_it(last, transfer, size):
    """To the right of the line it would read as the name of the next zone, and make the plot smaller or be cut."""
    rules = zones.rule_table(list(range(1, last + 1)), transfer // 2, transfer, "", replace(LIGHT, size=size))
    assert rules["align"].tolist() == ["right", "right"]


def test_zones_that_differ_between_main_tasks_are_not_drawn():
    frame = frames.accuracy()
    frame["transfer_length"] = frame.transfer_length.where(frame.run_id > 1, 12)
    assert not drawn(length_accuracy(frame, LIGHT).to_dict(), "rect")


def test_one_run_gets_a_wilson_interval_by_name_and_never_a_band_over_seeds():
    spec = length_accuracy(frames.accuracy(seeds=1), LIGHT).to_dict()
    assert (
        heading(spec)
        == "Line: one run, 50 prompts per point and run. Band: 95% Wilson interval of a single run (main task)."
    )
    assert {row["role"] for row in drawn(spec, "area")} == {"main"}, "three such bands hide each other"
    point = points(spec)[0]
    assert point["mean"] == 1 and point["low"] == pytest.approx(50 / (50 + 1.96**2), abs=1e-4)
    assert point["high"] == pytest.approx(1)


def test_points_that_fewer_seeds_reached_have_their_own_n_and_band():
    frame = frames.accuracy()
    frame = frame[(frame.run_id == 1) | (frame.length <= 10)]
    spec = length_accuracy(frame, LIGHT).to_dict()
    by_length = {row["length"]: row for row in points(spec)}
    assert (by_length[10]["runs"], by_length[11]["runs"]) == (3, 1)
    assert by_length[10]["band"] == "min–max over 3 seeds"
    assert by_length[11]["band"] == "95% Wilson interval of a single run"
    assert "min–max over 3 seeds; 95% Wilson interval of a single run" in heading(spec)


def test_bootstrap_band_lies_within_min_max_and_none_draws_no_band():
    boot, spread = (
        [row["high"] - row["low"] for row in drawn(spec, "area")]
        for spec in (
            length_accuracy(frames.accuracy(), LIGHT, band_choice=choice).to_dict()
            for choice in ("bootstrap", "min-max")
        )
    )
    assert all(a <= b + 1e-9 for a, b in zip(boot, spread, strict=True)) and max(boot) > 0
    spec = length_accuracy(frames.accuracy(), LIGHT, band_choice="none").to_dict()
    assert not drawn(spec, "area") and "Band" not in heading(spec)
    assert all(row["low"] is None for row in points(spec))


def test_single_seeds_add_a_line_per_run_and_say_so():
    spec = length_accuracy(frames.accuracy(), LIGHT, single_seeds=True).to_dict()
    assert {row["run_id"] for row in drawn(spec, "line", "ratio")} == {1, 2, 3}
    assert "Thin lines: single runs" in heading(spec)
    assert not drawn(length_accuracy(frames.accuracy(), LIGHT).to_dict(), "line", "ratio")


def test_sides_of_a_comparison_are_curves_of_their_own():
    spec = length_accuracy(two_sides(), LIGHT).to_dict()
    by_side = {row["series"]: row for row in points(spec) if row["length"] == 12}
    assert set(by_side) == {"Flip case and reverse · co-trained", "Flip case and reverse · alone, same steps"}
    alone, together = (by_side[name] for name in sorted(by_side))
    assert alone["mean"] == 0 < together["mean"] and alone["runs"] == together["runs"] == 3
    assert together["colour"] == alone["colour"] and together["shape"] != alone["shape"]


def test_a_baseline_made_for_another_group_stays_one_curve():
    frame = two_sides()
    frame["task_group"] = frame.task_group.where(frame.run_id != 13, "control-copy")
    spec = length_accuracy(frame, LIGHT).to_dict()
    assert {(row["series"], row["runs"]) for row in points(spec)} == {
        ("Flip case and reverse · co-trained", 3), ("Flip case and reverse · alone, same steps", 3),
    }  # fmt: skip


def test_of_several_steps_each_runs_last_counts():
    last = frames.accuracy()
    early = last.assign(step=50, correct=0)
    spec = length_accuracy(pd.concat([early, last]), LIGHT).to_dict()
    assert points(spec) == points(length_accuracy(last, LIGHT).to_dict())


@THEMES
def test_colour_is_the_task_and_dash_is_the_role(theme):
    spec = length_accuracy(frames.accuracy(), theme).to_dict()
    *auxiliaries, main = marked(spec, "line", "mean")
    assert {row["task"]: row["colour"] for unit in auxiliaries for row in rows_of(spec, unit)} == {
        task: task_colour(task, theme) for task in OTHERS
    }
    lower, auxiliary = auxiliaries
    assert lower["mark"]["strokeDash"] == auxiliary["mark"]["strokeDash"]
    assert lower["mark"]["strokeDashOffset"] != auxiliary["mark"]["strokeDashOffset"], "both show where they coincide"
    assert {row["colour"] for row in rows_of(spec, main)} == {task_colour(MAIN, theme)}
    assert main["mark"]["strokeDash"] == [1, 0] != auxiliary["mark"]["strokeDash"]
    assert main["mark"]["strokeWidth"] > auxiliary["mark"]["strokeWidth"]


def test_the_key_names_every_curve_once_below_the_plot():
    spec = length_accuracy(frames.accuracy(), LIGHT, height=300).to_dict()
    names = ["Flip case and reverse · main, trained to 8", "Flip case · auxiliary, trained to 16",
             "Reverse · auxiliary, trained to 16"]  # fmt: skip
    (key,) = [unit for unit in marked(spec, "text") if unit["encoding"].get("text", {}).get("field") == "text"]
    rows = rows_of(spec, key)
    assert [row["text"] for row in rows] == names
    assert all(row["y"] > 300 for row in rows) and len({row["y"] for row in rows}) == 3


def test_the_description_tells_each_zones_mean():
    spec = length_accuracy(frames.accuracy(seeds=1), LIGHT).to_dict()
    assert "100% at lengths 1–8 (trained), 73% at lengths 9–16 (transfer region)" in spec["description"]


# --- head sharing


def test_heads_are_classed_by_who_needs_them():
    nodes = head_nodes(frames.heads(DROPS), MAIN, OTHERS, 0.1).set_index("name")
    assert nodes.kind["L2·H1"] == SHARED and nodes.kind["L2·H4"] == ONLY_MAIN and nodes.kind["L1·H2"] == ONLY_OTHER
    assert (nodes.kind == UNUSED).sum() == 5
    places = [nodes.y[name] for name in ("L2·H4", "L2·H1", "L1·H2", "L1·H1")]
    assert places == sorted(places), "main task's, shared, auxiliaries', nobody's, from top to bottom"


def test_a_drop_at_the_threshold_is_not_above_it():
    given = {MAIN: {(0, 0): 0.1}, "reverse": {(0, 0): 0.1}}
    assert sharing_summary(frames.heads(given), MAIN, ["reverse"], 0.1)["shared"] == 0
    assert sharing_summary(frames.heads(given), MAIN, ["reverse"], 0.09)["shared"] == 1


def test_links_are_the_drops_above_the_threshold():
    spec = graph(frames.heads(DROPS))
    assert {(row["task"], row["name"]): row["drop"] for row in drawn(spec, "line")} == {
        (MAIN, "L2·H1"): 0.6, (MAIN, "L2·H4"): 0.3, ("capitalize", "L2·H1"): 0.5, ("reverse", "L1·H2"): 0.2,
    }  # fmt: skip
    assert "shared (1): L2·H1" in spec["description"] and "10 percentage points" in heading(spec)
    (width,) = [unit["encoding"]["strokeWidth"] for unit in marked(spec, "line")]
    assert width["scale"]["domain"] == [0, 1], "widths mean the same in every graph"


def test_links_end_at_their_task_and_their_head():
    frame = frames.heads(DROPS)
    rows = [row for row in drawn(graph(frame), "line") if row["link"] == "reverse L1·H2"]
    heads = head_nodes(frame, MAIN, OTHERS, 0.1)
    head = heads.set_index("name").loc["L1·H2"]
    task = task_nodes(MAIN, OTHERS, LIGHT, kind_rows(heads, 2)).set_index("task").loc["reverse"]
    assert (rows[0]["x"], rows[0]["y"]) == (pytest.approx(task.x), pytest.approx(task.y))
    assert (rows[-1]["x"], rows[-1]["y"]) == (pytest.approx(head.x), pytest.approx(head.y))


@pytest.mark.parametrize("auxiliaries", [[], OTHERS[:1], OTHERS, ["capitalize", "reverse", "mqar"]])
@pytest.mark.parametrize("shape", [(2, 4), (3, 4), (6, 6), (8, 16)])
def test_no_two_heads_touch_on_a_phone_and_all_lie_inside(auxiliaries, shape):
    """Any mix of kinds: random maps, heads of 128 included."""
    rng = np.random.default_rng(sum(shape) + len(auxiliaries))
    for share in (0.1, 0.5, 0.95):
        given = {
            task: {cell: float(rng.random() < share) for cell in np.ndindex(shape)} for task in [MAIN, *auxiliaries]
        }
        nodes = head_nodes(frames.heads(given, *shape), MAIN, auxiliaries, 0.1)
        rows = kind_rows(nodes, len(auxiliaries))
        assert nodes.x.between(0.2, 1).all() and nodes.y.max() <= rows.end[UNUSED]
        used = nodes[nodes.kind != UNUSED]
        places = used[["x", "y"]].to_numpy() * [300, 1]
        gaps = np.linalg.norm(places[:, None] - places[None], axis=-1) + 1e9 * np.eye(len(places))
        assert gaps.min(initial=1e9) >= 2 * RADIUS
        assert rows.y.is_monotonic_increasing and (rows["count"] <= rows.lines * rows.capacity).all()


def test_heads_of_one_side_stand_clear_of_the_links_to_the_bridge():
    """Five shared heads and four that only one side needs: no link passes under a disc that is not its own."""
    shared = {(0, head): 1.0 for head in range(5)}
    given = {MAIN: shared | {(1, head): 1.0 for head in range(4)}, "reverse": shared | {(2, h): 1.0 for h in range(4)}}
    frame = frames.heads(given, 3, 6)
    spec = graph(frame, auxiliaries=["reverse"])
    nodes = head_nodes(frame, MAIN, ["reverse"], 0.1)
    for link, points_ in pd.DataFrame(drawn(spec, "line")).groupby("link"):
        for head in nodes[(nodes.kind != UNUSED) & ~nodes["name"].isin([link.split(" ")[1]])].itertuples():
            distance = np.hypot(300 * (points_.x - head.x), points_.y - head.y)
            assert distance.min() > RADIUS - 4, (link, head.name)


def test_discs_are_whole_in_the_accent_when_shared_and_in_their_tasks_colours_otherwise():
    frame = frames.heads({MAIN: {(0, 0): 1, (0, 1): 1}, "capitalize": {(0, 0): 1, (0, 2): 1}, "reverse": {(0, 2): 1}})
    heads = head_nodes(frame, MAIN, OTHERS, 0.1)
    found = slices(frame, heads, task_nodes(MAIN, OTHERS, LIGHT, kind_rows(heads, 2)), 0.1, LIGHT)
    angles = (found["to"] - found["from"]).groupby(found["name"]).sum()
    assert set(angles.index) == {"L1·H1", "L1·H2", "L1·H3"} and np.allclose(angles, 2 * np.pi)
    shades = found.groupby("name").colour.agg(list)
    assert shades["L1·H1"] == [LIGHT.shared] and shades["L1·H2"] == [task_colour(MAIN, LIGHT)]
    assert shades["L1·H3"] == [task_colour(task, LIGHT) for task in ("reverse", "capitalize")], "right, left"


def test_the_counts_of_each_kind_stand_beside_it():
    spec = graph(frames.heads(DROPS))
    assert {("1", "shared"), ("1", "main task\nonly"), ("1", "auxiliary\nonly"), ("5", "neither")} == {
        (row["number"], row["words"]) for row in drawn(spec, "text", "y") if "number" in row
    }


def test_a_controls_heads_are_not_called_an_auxiliarys():
    frame = frames.heads({MAIN: DROPS[MAIN], "reverse": DROPS["reverse"]})
    frame["role"] = ["main" if task == MAIN else "control" for task in frame.task]
    spec = graph(frame, auxiliaries=["reverse"])
    assert "control only (1): L1·H2" in spec["description"] and "auxiliary" not in json.dumps(spec)


def test_the_chosen_head_has_a_ring():
    spec = sharing_graph(
        frames.heads(DROPS), LIGHT, main=MAIN, auxiliaries=OTHERS, threshold=0.1, chosen="L2·H1"
    ).to_dict()
    rings = [unit for unit in marked(spec, "point") if unit["mark"].get("stroke") == LIGHT.text]
    assert [row["name"] for unit in rings for row in rows_of(spec, unit)] == ["L2·H1"]


@THEMES
def test_shared_heads_carry_the_accent(theme):
    spec = graph(frames.heads(DROPS), theme)
    colours = {row["name"]: row["colour"] for row in drawn(spec, "arc")}
    assert [name for name, shade in colours.items() if shade == theme.shared] == ["L2·H1"]


def test_a_run_without_auxiliary_has_links_of_the_main_task_only():
    frame = frames.heads({MAIN: DROPS[MAIN]})
    assert sharing_summary(frame, MAIN, [], 0.1) == {"shared": 0, "main": 2, "auxiliary": 0, "heads": 8}
    spec = graph(frame, auxiliaries=[])
    assert {row["task"] for row in drawn(spec, "line")} == {MAIN}
    assert {"needed", "not needed"} <= texts(spec) and spec["height"] == graph(frames.heads(DROPS))["height"]


def test_a_graph_where_no_head_matters_is_still_a_graph():
    spec = graph(frames.heads({task: {} for task in DROPS}))
    assert not drawn(spec, "line") and "no head matters" in spec["description"]


def test_a_task_without_a_map_is_named_and_not_taken_for_one_that_needs_no_head():
    spec = graph(frames.heads({MAIN: DROPS[MAIN], "reverse": DROPS["reverse"]}))
    assert spec["description"] == "There is no ablation map of Flip case at these lengths."


def test_the_summary_of_nothing_is_nothing():
    assert set(sharing_summary(frames.heads(DROPS).iloc[:0], MAIN, OTHERS, 0.1).values()) == {0}


# --- ablation maps


def test_maps_share_one_colour_scale_and_show_every_value():
    spec = ablation_maps(frames.heads(DROPS), LIGHT).to_dict()
    (cells,) = marked(spec, "rect")
    assert cells["encoding"]["color"]["scale"]["domain"] == [0, 60]
    rows = rows_of(spec, cells)
    assert len(rows) == 3 * 2 * 4
    assert {(row["task"], row["name"]): row["text"] for row in rows if row["points"] >= 20} == {
        (MAIN, "L2·H1"): "60", (MAIN, "L2·H4"): "30", ("capitalize", "L2·H1"): "50", ("reverse", "L1·H2"): "20",
    }  # fmt: skip
    assert "Flip case and reverse: largest drop 60 percentage points at L2·H1" in spec["description"]


def test_maps_stand_apart_with_layer_one_at_the_bottom():
    rows = pd.DataFrame(drawn(ablation_maps(frames.heads(DROPS), LIGHT, tasks=["reverse", MAIN]).to_dict(), "rect"))
    ends = rows.groupby("task").agg(first=("left", "min"), last=("right", "max"))
    assert ends["last"]["reverse"] < ends["first"][MAIN]
    assert rows[rows.layer == 0].y.min() > rows[rows.layer == 1].y.max()


def test_a_rise_of_accuracy_keeps_its_sign_and_small_maps_do_not_look_strong():
    spec = ablation_maps(frames.heads({MAIN: {(0, 0): -0.02, (0, 1): 0.03}}), LIGHT).to_dict()
    (cells,) = marked(spec, "rect")
    assert "−2" in {row["text"] for row in rows_of(spec, cells)}
    assert (
        cells["encoding"]["color"]["scale"] | {"domain": [0, 10], "clamp": True} == cells["encoding"]["color"]["scale"]
    )


def test_many_heads_wrap_their_panels_so_that_values_stay_readable():
    maps = {task: {(5, 5): 0.5} for task in DROPS}
    rows = pd.DataFrame(drawn(ablation_maps(frames.heads(maps, 6, 6), LIGHT).to_dict(), "rect"))
    assert rows.groupby("task", sort=False).y.min().nunique() == 2


# --- training


def test_training_panels_are_the_main_tasks_zones_and_points_means_over_their_lengths():
    frame = steps()
    spec = training_curves(frame, LIGHT).to_dict()
    assert {"trained · lengths 1–8", "transfer region · lengths 9–16", "beyond · lengths 17–20"} <= texts(spec)
    rows = frame[(frame.task == MAIN) & (frame.step == 200) & frame.length.between(9, 16)]
    point = next(row for row in points(spec) if row["step"] == 200 and row["panel"] == 1)
    assert point["mean"] == pytest.approx((rows.correct / rows.total).mean())
    assert point["mean_y"] == pytest.approx(point["mean"] + PANEL)
    assert len(points(spec)) == 3 * 3, "every evaluated step of every panel, nothing in between"
    assert "not smoothed" in heading(spec) and "min–max over 3 seeds" in heading(spec)


def test_training_of_runs_with_different_zones_asks_for_one_group():
    frame = steps()
    frame["training_length"] = frame.training_length.where(frame.run_id > 1, 4)
    assert "one task group" in training_curves(frame, LIGHT).to_dict()["description"]


def test_loss_is_raw_unless_smoothing_is_asked_for_and_named():
    raw, smooth = (loss_curve(log(), LIGHT, window=window).to_dict() for window in (0, 5))
    assert len(marked(raw, "line")) == 1 and "moving" not in heading(raw) and "n = 2" in heading(raw)
    assert len(marked(smooth, "line")) == 2 and "moving geometric mean over 5 logged points" in heading(smooth)
    assert rows_of(smooth, marked(smooth, "line")[0]) == rows_of(raw, marked(raw, "line")[0])


def test_smoothing_is_a_centred_geometric_mean_within_a_run():
    rows = pd.DataFrame({"run_id": [1, 1, 1, 2], "loss": [1.0, 4.0, 2.0, 9.0]})
    assert smoothed(rows, 3).tolist() == pytest.approx([2.0, 2.0, np.sqrt(8.0), 9.0])


def test_losses_that_cannot_be_drawn_are_counted():
    frame = log()
    frame.loc[[0, 1], "loss"] = [np.nan, 0.0]
    spec = loss_curve(frame, LIGHT).to_dict()
    assert "2 of 40 values" in heading(spec) and len(drawn(spec, "line")) == 38
    assert "diverged" in loss_curve(frame.assign(loss=np.nan), LIGHT).to_dict()["description"]


# --- palette

# Machado, Oliveira, Fernandes (2009), severity 1.0, in linear RGB.
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}  # fmt: skip


def linear(colour: str) -> np.ndarray:
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(colour: str, matrix: np.ndarray = DEFICIENCIES["none"]) -> np.ndarray:
    """CIE L*a*b* (D65) of a colour as somebody with that deficiency sees it."""
    seen = np.clip(matrix @ linear(colour), 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    f = np.cbrt(np.maximum(xyz / np.array([0.9505, 1.0, 1.089]), 0.008856))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def luminance(colour: str) -> float:
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("kind", DEFICIENCIES)
@THEMES
def test_tasks_of_one_group_stay_apart_for_colour_blind_eyes(kind, theme):
    for group in GROUPS.values():
        for a, b in itertools.combinations([group.main, *group.auxiliaries], 2):
            seen = [lab(task_colour(task, theme), DEFICIENCIES[kind]) for task in (a, b)]
            distance = np.linalg.norm(seen[0] - seen[1])
            assert distance > 25, (group.key, a, b, distance)


@THEMES
def test_every_task_has_a_colour_of_its_own_that_carries_on_the_page(theme):
    for a, b in itertools.combinations(TASKS, 2):
        assert np.linalg.norm(lab(task_colour(a, theme)) - lab(task_colour(b, theme))) > 10, (a, b)
    for colour in [*(task_colour(task, theme) for task in TASKS), theme.shared, theme.text, theme.muted]:
        light, dark = sorted([luminance(colour), luminance(theme.surface)], reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3, colour


@pytest.mark.parametrize("kind", DEFICIENCIES)
@THEMES
def test_series_on_one_axis_stay_apart_for_colour_blind_eyes(kind, theme):
    shades = [shades[theme.dark] for shades in SERIES_COLOURS]
    for a, b in itertools.combinations(shades, 2):
        assert np.linalg.norm(lab(a, DEFICIENCIES[kind]) - lab(b, DEFICIENCIES[kind])) > 25, (a, b)
    for shade in shades:
        light, dark = sorted([luminance(shade), luminance(theme.surface)], reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3, shade
    assert len(shades) == bounds.SERIES.most


@THEMES
def test_no_task_looks_like_the_accent(theme):
    assert min(np.linalg.norm(lab(task_colour(task, theme)) - lab(theme.shared)) for task in TASKS) > 25


def test_an_unknown_task_gets_a_colour_by_its_name_alone():
    assert task_colour("sort", LIGHT) == task_colour("sort", LIGHT)
    assert (task_colour("sort", LIGHT), task_colour("sort", DARK)) in SPARE_COLOURS


def test_lines_of_a_heading_are_as_long_as_the_plot_is_wide() -> None:
    note = "A mark is a run, and this sentence is so long that even a wide plot cannot show it in one line. " * 2
    title = a_heading(LIGHT, note, subtitle='Preset "demo" \x1b with \u2190').to_dict()
    lengths = {}
    for width in (300, 700, 1200):
        lines = heading_lines(title, "text", width)
        assert lines[0] == 'Preset "demo" \\x1b with \u2190', "a line of its own, with visible characters"
        assert " ".join(lines[1:]) == note.strip()
        lengths[width] = max(map(len, lines))
    assert lengths[300] <= 52 < lengths[700] <= 100 < lengths[1200] <= 150
