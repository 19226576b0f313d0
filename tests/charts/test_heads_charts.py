"""Charts of knock-outs and attention patterns, by their specifications."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from lgt.charts import ablation_maps, attention_pattern, knock_out_strip, knocked_out_curve
from lgt.charts.pattern import HEIGHTS
from lgt.charts.theme import DARK, LIGHT, task_colour
from lgt.metrics.intervals import wilson_interval
from tests import frames
from tests.charts.test_charts import drawn, heading, marked, rows_of, texts

pytestmark = pytest.mark.slow

MAIN, OTHER = "capitalize_reverse", "reverse"


def counts() -> pd.DataFrame:
    """Both tasks at lengths 1 to 4, all right with all heads, length / 4 lost without some."""
    rows = [
        {"task": task, "role": role, "training_length": trained, "transfer_length": 4, "length": length,
         "heads": heads, "correct": 40 - 10 * length * bool(heads), "total": 40}
        for task, role, trained in ((MAIN, "main", 2), (OTHER, "auxiliary", 4))
        for heads in ("", "L1·H1") for length in range(1, 5)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def pattern(count: int = 6) -> np.ndarray:
    weights = np.tril(np.random.default_rng(0).random((count, count)))
    return weights / weights.sum(axis=1, keepdims=True)


TOKENS = ["<bos>", "<reverse>", "a", "B", "=", "B"]


def every_chart(theme) -> dict:
    charts = {
        "curve": knocked_out_curve(counts(), theme, task=MAIN, without="L1·H1"),
        "other": knocked_out_curve(counts(), theme, task=OTHER, without="L1·H1"),
        "strip": knock_out_strip([0.5, 0.9, 0.5], 0.2, 0.95, theme, main=MAIN, other=OTHER, names="L1·H1"),
        "no others": knock_out_strip([], 0.2, 0.95, theme, main=MAIN, other=OTHER, names="L1·H1"),
        "pattern": attention_pattern(pattern(), TOKENS, 5, 128, theme, task=OTHER, head="L1·H1"),
    }
    return {name: chart.to_dict() for name, chart in charts.items()}


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("width", [340, 600])
def test_every_chart_is_described_and_renders_without_a_warning(theme, width, capfd):
    convert = pytest.importorskip("vl_convert")
    for name, spec in every_chart(theme).items():
        assert len(spec["description"]) > 30 and spec["config"]["background"] == "transparent", name
        assert spec["width"] == "container" and spec["autosize"]["type"] == "fit-x", name
        svg = convert.vegalite_to_svg(json.dumps(spec | {"width": width}))
        assert "NaN" not in svg, name
    assert "WARN" not in capfd.readouterr().err


def test_the_curves_are_with_and_without_on_the_axes_of_all_tasks():
    spec = every_chart(LIGHT)["curve"]
    (points,) = [unit for unit in marked(spec, "point", "mean")]
    rows = pd.DataFrame(rows_of(spec, points))
    assert rows[rows.out].set_index("length")["mean"].to_dict() == {1: 0.75, 2: 0.5, 3: 0.25, 4: 0.0}
    assert (rows[~rows.out]["mean"] == 1).all() and set(rows.colour) == {task_colour(MAIN, LIGHT)}
    low, high = wilson_interval(20, 40)
    half = rows[rows.out & (rows.length == 2)].iloc[0]
    assert (half.low, half.high) == (pytest.approx(low), pytest.approx(high))
    assert {"the whole model", "without L1·H1", "transfer region"} <= texts(spec)
    assert "40 prompts for each length" in heading(spec) and "without L1·H1 38%" in spec["description"]
    other = every_chart(LIGHT)["other"]
    lines = [marked(one, "line")[0]["mark"]["strokeDash"] for one in (spec, other)]
    assert lines[0] != lines[1], "dash is the role"
    assert "Shaded: the drop." in heading(spec)


def test_zones_are_those_of_the_chart_s_own_task():
    main, other = every_chart(LIGHT)["curve"], every_chart(LIGHT)["other"]
    tints = [
        [(row["zone"], row["low"], row["high"]) for row in drawn(spec, "rect") if "zone" in row]
        for spec in (main, other)
    ]
    assert tints[0] == [("in-distribution", 0.5, 2.5), ("transfer region", 2.5, 4.5)]
    assert tints[1] == [("in-distribution", 0.5, 4.5)]
    assert {"main trained to 2", "auxiliary trained to 4", "transfer region"} <= texts(main)
    assert {"trained to 4", "trained"} <= texts(other) and "transfer region" not in texts(other)
    beyond = counts().assign(training_length=3)
    assert {"trained to 3"} <= texts(knocked_out_curve(beyond, LIGHT, task=OTHER, without="L1·H1").to_dict())


def test_the_strip_has_a_dot_for_every_other_choice_and_no_two_lie_on_each_other():
    spec = every_chart(LIGHT)["strip"]
    dots = [(row["x"], row["y"]) for row in drawn(spec, "circle")]
    assert sorted(x for x, _ in dots) == [0.5, 0.5, 0.9] and len(set(dots)) == 3
    assert "95% with all heads, 20% without L1·H1, 50% to 90% without other choices" in spec["description"]


def test_a_pattern_shows_what_can_be_seen_with_its_tokens():
    spec, weights = every_chart(LIGHT)["pattern"], pattern()
    cells = drawn(spec, "rect")
    assert len(cells) == 6 * 7 / 2
    assert all(cell["weight"] == pytest.approx(weights[cell["row"], cell["column"]]) for cell in cells)
    axis = marked(spec, "rect")[0]["encoding"]["x"]["axis"]
    assert '["●", "■", "a", "B", "=", "B"][floor(datum.value)]' in axis["labelExpr"] and len(axis["values"]) == 6
    assert axis["labelFontSize"] >= 11, "no smaller than that: where there is no room there are no labels"
    assert marked(spec, "rect")[0]["encoding"]["y"]["scale"]["domain"] == [6, 0], "read from above to below"
    assert "prompt" in texts(spec) and "128 prompts" in heading(spec)
    assert marked(spec, "rect")[0]["encoding"]["color"]["legend"]["format"] == "%"
    assert " with 100%" in spec["description"], "the first row sees only itself"


def test_long_patterns_are_higher_and_name_parts_where_rows_are_too_low_for_tokens():
    tokens = ["<bos>", "<reverse>", *"a" * 40, "=", *"a" * 40]
    spec = attention_pattern(pattern(len(tokens)), tokens, 43, 128, LIGHT, task=OTHER, head="L1·H1").to_dict()
    y = marked(spec, "rect")[0]["encoding"]["y"]["axis"]
    assert spec["height"] == HEIGHTS[1] and y["labelExpr"].startswith("false ?")
    assert {"prompt", "answer"} <= texts(spec)
    short, nodes = every_chart(LIGHT)["pattern"], [*TOKENS[:2], "[14]", "[15]", "=", "[14]"]
    wide = attention_pattern(pattern(), nodes, 5, 128, LIGHT, task=OTHER, head="L1·H1").to_dict()
    needed = [
        float(marked(spec, "rect")[0]["encoding"]["x"]["axis"]["labelExpr"].split(" >= ")[1].split(" ?")[0])
        for spec in (short, wide)
    ]
    assert needed[1] > needed[0] + 5, "two digits take more room than one letter"
    assert short["height"] == HEIGHTS[0] < HEIGHTS[1]
    assert marked(short, "rect")[0]["encoding"]["y"]["axis"]["labelExpr"].startswith("true ?")


def test_the_chosen_head_is_framed_in_every_map():
    frame = frames.heads({MAIN: {(1, 0): 0.6}, OTHER: {(0, 1): 0.2}})
    spec = ablation_maps(frame, LIGHT, chosen="L2·H1").to_dict()
    framed = [unit for unit in marked(spec, "rect") if unit["mark"].get("stroke") == LIGHT.text]
    assert [(row["task"], row["name"]) for unit in framed for row in rows_of(spec, unit)] == [
        (MAIN, "L2·H1"), (OTHER, "L2·H1"),
    ]  # fmt: skip
