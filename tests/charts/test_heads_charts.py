"""Charts of knock-outs and attention patterns by their specifications; the knock-out test by hand."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

from lgt.charts import ablation_maps, attention_pattern, knock_out_strip, knocked_out_curve
from lgt.charts.palette import DARK, LIGHT, task_colour
from lgt.charts.pattern import HEIGHTS
from lgt.evaluation.attention import aligned, mean_patterns
from lgt.evaluation.test_sets import test_set
from lgt.metrics.correlation import Correlation
from lgt.metrics.intervals import wilson_interval
from lgt.metrics.knock_outs import knock_out_test
from lgt.model.batch import Batch
from lgt.recipes.presets import group_config
from lgt.ui.head_similarity import READING, explained, likeness_table, tracked, trajectory_sentence
from lgt.ui.knockouts import First, first_heads, first_sentence, sentence
from tests import frames
from tests.charts.test_charts import drawn, heading, marked, rows_of, texts

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
    assert "40 prompts a length" in heading(spec) and "without L1·H1 38%" in spec["description"]
    other = every_chart(LIGHT)["other"]
    lines = [marked(one, "line")[0]["mark"]["strokeDash"] for one in (spec, other)]
    assert lines[0] != lines[1], "dash is the role"
    assert "Shaded: what is lost." in heading(spec)


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


def test_a_click_in_the_maps_tells_the_head_and_the_chosen_one_is_framed():
    frame = frames.heads({MAIN: {(1, 0): 0.6}, OTHER: {(0, 1): 0.2}})
    spec = ablation_maps(frame, LIGHT, chosen="L2·H1", selection="head").to_dict()
    (param,) = spec["params"]
    assert param["name"] == "head" and param["select"]["fields"] == ["name"]
    framed = [unit for unit in marked(spec, "rect") if unit["mark"].get("stroke") == LIGHT.text]
    assert [(row["task"], row["name"]) for unit in framed for row in rows_of(spec, unit)] == [
        (MAIN, "L2·H1"), (OTHER, "L2·H1"),
    ]  # fmt: skip
    assert "params" not in ablation_maps(frame, LIGHT).to_dict()


# --- numbers


def test_the_knock_out_test_by_hand():
    """Means over lengths, each counting alike: 10/10 and 20/40 are 0.75."""
    rows = [("", 1, 10, 10), ("", 2, 20, 40), ("A", 1, 5, 10), ("A", 2, 4, 40), ("B", 1, 5, 10), ("B", 2, 4, 40),
            ("C", 1, 0, 10), ("C", 2, 0, 40), ("D", 1, 9, 10), ("D", 2, 36, 40)]  # fmt: skip
    found = knock_out_test(pd.DataFrame(rows, columns=["heads", "length", "correct", "total"]), "A")
    assert (found.intact, found.chosen) == (0.75, pytest.approx(0.3))
    assert sorted(found.others) == [0, pytest.approx(0.3), pytest.approx(0.9)]
    assert found.as_bad == 2 and found.p == 3 / 4, "B hurts exactly as much, C more"


def test_the_sentence_claims_no_more_than_p_shows():

    def said(shares: list[float], every: bool = True, needed: bool = True) -> str:
        first = First(OTHER, ((0, 0),), ((0, 0),) if needed else (), others=False, threshold=0.1)
        return sentence(knock_out_test(choices(shares), "0"), MAIN, first, [9, 16], every)

    assert "one run cannot decide" in said([0.0, 0.6, 0.6, 0.6]) and "p = 0.25" in said([0.0, 0.6, 0.6, 0.6])
    assert "does not set these apart" in said([0.0, 0.0, *[0.6] * 20]) and "**1** hurt" in said([0.0, 0.0, *[0.6] * 20])
    many = said([0.0, *[0.6] * 40], every=False)
    assert (
        "more than on most other choices" in many
        and "40 other choices, drawn at random" in many
        and "p = 0.024" in many
    )
    assert "no other choice" in said([0.0])
    unneeded = said([0.0, *[0.6] * 40], needed=False)
    assert "that is no sign of sharing" in unneeded and "the head that comes first for Reverse by its loss" in unneeded
    assert "needs most" in many and "needs most" not in unneeded


def test_which_heads_come_first_and_whether_their_task_needs_them():
    maps = frames.heads({MAIN: {(0, 0): 0.9}, OTHER: {(0, 1): 0.5, (1, 2): 0.04}})
    maps = maps.assign(loss_rise=maps.accuracy_drop)
    both, one, none = (first_heads(maps, OTHER, 2, threshold) for threshold in (0.02, 0.1, 0.6))
    assert both.heads == one.heads == ((0, 1), (1, 2)) and none.needed == ()
    assert first_sentence(both, [4]).startswith("Reverse needs L1·H2, L2·H3 most: ablating one of them raises")
    assert "Of these only L1·H2 costs Reverse more than 10 points of exact match, at lengths 4." in first_sentence(
        one, [4]
    )
    assert first_sentence(none, [4, 8]) == (
        "No head costs Reverse more than 60 points of exact match, at lengths 4, 8. Ranked by the rise of its loss, "
        "L1·H2, L2·H3 come first."
    )


def test_every_measure_of_likeness_says_how_it_is_read():
    maps = frames.heads({MAIN: {(0, 0): 0.9}, OTHER: {(0, 1): 0.5}})
    attention = pd.DataFrame({"task_b": [OTHER], "difference": [3.0]})
    table = likeness_table(maps.assign(loss_rise=maps.accuracy_drop), attention, MAIN, [OTHER])
    shown = explained(table)
    assert list(shown.index) == list(table.columns) == list(READING)
    assert (shown["how to read it"].str.contains("0:")).all() and shown.loc["attention difference", "Reverse"] == "3.00"


@pytest.mark.parametrize("count", [2, 20])
def test_a_course_needs_three_checkpoints(count):
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
    steps, found = tracked(accuracy, maps, nothing, config)
    assert len(steps) == count and set(found) == ({"map_difference"} if count > 2 else set())
    assert tracked(accuracy[:0], maps, nothing, config)[1] == {}


def test_a_correlation_that_is_not_defined_says_why():
    said = trajectory_sentence("map difference", Correlation(None, None, None, None, 5), None)
    assert "not defined" in said and "5 checkpoints" in said
    said = trajectory_sentence("map difference", Correlation(-0.5, -0.8, 0.1, 0.04, 20), 0.25)
    assert "**−0.50** (95% bootstrap interval −0.80 to +0.10, permutation p = 0.04, 20 checkpoints)" in said
    assert said.endswith("changes between checkpoints: +0.25.")


def choices(shares: list[float]) -> pd.DataFrame:
    """The whole model is always right, choice i leaves ``shares[i]``."""
    rows = [("", 9, 100, 100), *((str(i), 9, int(100 * share), 100) for i, share in enumerate(shares))]
    return pd.DataFrame(rows, columns=["heads", "length", "correct", "total"])


def test_aligned_keeps_the_commonest_layout_without_padding(trained):
    config, model, _ = trained
    batch = test_set(config, "reverse", 3, 20)
    kept = aligned(batch)
    assert len(kept) == 20 and torch.equal(kept.tokens, batch.tokens)
    longer = torch.nn.functional.pad(batch.tokens, (0, 2))
    present = torch.nn.functional.pad(batch.present, (0, 2))
    scored = torch.nn.functional.pad(batch.scored, (0, 2))
    present[:3, -1], prompt = True, batch.prompt_length.clone()  # three of another layout
    kept = aligned(Batch(longer, scored, present, prompt))
    assert torch.equal(kept.tokens, batch.tokens[3:])
    rows = mean_patterns(model, kept).sum(-1)
    assert torch.allclose(rows, torch.ones_like(rows), atol=1e-5)


def test_mazes_have_several_layouts_and_one_is_kept():
    config = group_config("path-dfs", "demo")
    batch = test_set(config, "dfs_trace", 5, 64)
    kept = aligned(batch)
    assert 0 < len(kept) < len(batch) and kept.present.all() and (kept.scored == kept.scored[0]).all()
