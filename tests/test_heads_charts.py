"""Charts of knock-outs and attention patterns by their specifications; the knock-out test by hand."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

from lgt.attribution.attention import aligned, mean_patterns
from lgt.batches import Batch, test_set
from lgt.charts import ablation_maps, attention_pattern, knock_out_strip, knocked_out_curve
from lgt.charts.palette import DARK, LIGHT, task_colour
from lgt.presets import group_config
from lgt.statistics import wilson_interval
from lgt.summaries import knock_out_test
from lgt.ui.knockouts import sentence
from tests import frames
from tests.test_charts import drawn, heading, marked, rows_of, texts

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
    assert axis["labelExpr"] == '["●", "■", "a", "B", "=", "B"][floor(datum.value)]' and len(axis["values"]) == 6
    assert marked(spec, "rect")[0]["encoding"]["y"]["scale"]["domain"] == [6, 0], "read from above to below"
    assert {"prompt", "answer"} <= texts(spec) and "128 prompts" in heading(spec)


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

    def said(shares: list[float], every: bool = True) -> str:
        return sentence(knock_out_test(choices(shares), "0"), MAIN, OTHER, ((0, 0),), [9, 16], every)

    assert "one run cannot decide" in said([0.0, 0.6, 0.6, 0.6]) and "p = 0.25" in said([0.0, 0.6, 0.6, 0.6])
    assert "does not set these apart" in said([0.0, 0.0, *[0.6] * 20]) and "**1** hurt" in said([0.0, 0.0, *[0.6] * 20])
    many = said([0.0, *[0.6] * 40], every=False)
    assert (
        "more than on most other choices" in many
        and "40 other choices, drawn at random" in many
        and "p = 0.024" in many
    )
    assert "no other choice" in said([0.0])


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
