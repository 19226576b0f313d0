"""The linked picture: it says and colours what the sharing graph and the maps do, and names every head."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from lgt.charts import DARK, LIGHT, ablation_maps, sharing_graph
from lgt.charts.linked_heads import linked_picture
from lgt.charts.maps import ramp_colour
from lgt.metrics.linked_heads import linked_heads
from lgt.metrics.maps import mean_map
from lgt.metrics.zones import TRANSFER_REGION
from lgt.recipes.presets import group_config
from tests import frames

MAIN, OTHER, LAST = "capitalize_reverse", "capitalize", "reverse"
DROPS = {
    MAIN: {(0, 1): 0.4, (1, 0): 0.3, (1, 2): 0.02},
    OTHER: {(0, 1): 0.25, (1, 3): 0.2},
    LAST: {(0, 1): 0.6, (1, 3): 0.5, (0, 0): -0.04},
}
LENGTHS = (4, 10, 15, 18)


def picture(tasks: tuple[str, ...] = (MAIN, OTHER, LAST), theme=LIGHT, threshold: float = 0.1, **options) -> dict:
    scores = pd.concat(
        frames.heads({task: DROPS[task] for task in tasks}).assign(length=length, step=100, loss_rise=0.0, examples=25)
        for length in LENGTHS
    )
    scores["role"] = ["main" if task == MAIN else "auxiliary" for task in scores.task]
    accuracy = frames.accuracy(seeds=1)
    config, maps = group_config("caprev", "demo"), mean_map(scores, group_config("caprev", "demo"), TRANSFER_REGION)
    attention = pd.DataFrame(
        {"task_a": MAIN, "task_b": LAST, "length": 10, "layer": layer, "head": head, "difference": layer + head / 10}
        for layer in range(2) for head in range(4)
    )  # fmt: skip
    found = linked_heads(maps, scores, accuracy[accuracy.task.isin(tasks)], attention, config)
    return linked_picture(found, maps, theme, threshold=threshold, transfer_length=16, **options)


def test_every_head_has_a_name_and_words_that_tell_its_numbers():
    heads = {head["name"]: head for head in picture()["heads"]}
    assert list(heads) == [f"L{layer}·H{head}" for layer in (1, 2) for head in (1, 2, 3, 4)]
    shared = heads["L1·H2"]
    assert shared["label"] == (
        "L1·H2, shared by the main and an auxiliary task. Drop at lengths 10, 15: Flip case and reverse 40 "
        "points, Flip case 25 points, Reverse 60 points."
    )
    assert shared["attention"] == "Attention difference from the main task: Reverse 0.10."
    words = {name: head["words"] for name, head in heads.items()}
    assert words["L2·H1"] == "needed by the main task only" and words["L2·H4"] == "needed by auxiliary tasks only"
    assert words["L1·H1"] == words["L2·H3"] == "needed by no task" and "Reverse −4 points" in heads["L1·H1"]["drops"]
    raised = {head["name"]: head["words"] for head in picture(threshold=0.35)["heads"]}
    assert raised["L2·H1"] == "needed by no task", "the threshold decides"


def test_places_and_colours_are_those_of_the_sharing_graph():
    found, frame = picture(), frames.heads(DROPS)
    spec = json.dumps(sharing_graph(frame, LIGHT, main=MAIN, auxiliaries=[OTHER, LAST], threshold=0.1).to_dict())
    for disc, head in zip(found["graph"]["discs"], found["heads"], strict=True):
        assert f'"name": "{head["name"]}"' in json.dumps(json.loads(spec), ensure_ascii=False)
        assert str(disc["x"]) in spec and str(disc["y"]) in spec
    colours = {
        head["name"]: disc["colours"] for head, disc in zip(found["heads"], found["graph"]["discs"], strict=True)
    }
    assert colours["L1·H2"] == [LIGHT.shared] and colours["L1·H1"] == [] and len(colours["L2·H4"]) == 2


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_cells_tell_the_drop_on_the_scale_of_the_maps(theme):
    found = picture(theme=theme)["maps"]
    assert (found["layers"], found["heads"], found["most"]) == (2, 4, pytest.approx(60))
    assert [cell["text"] for cell in found["cells"][2]] == ["−4", "60", "0", "0", "0", "0", "0", "50"]
    fills = [cell["fill"] for cell in found["cells"][2]]
    assert fills[1] == theme.ramp[-1].upper() and fills[0] == fills[2] == theme.ramp[0].upper()
    assert ramp_colour(0.5, theme) == theme.ramp[2].upper()
    spec = ablation_maps(frames.heads(DROPS), theme, tasks=[MAIN, OTHER, LAST]).to_dict()
    assert '"domain": [0, 60.0]' in json.dumps(spec)


def test_the_notes_say_n_and_the_lengths_in_words():
    (line, n) = picture()["notes"]
    assert "more than 10 percentage points" in line and "means over lengths 10, 15." in line
    assert "whole model: 50 test prompts" in n and "measured with 25 of these prompts" in n


def test_a_main_task_alone_is_needed_by_nobody_else():
    found = picture((MAIN,))
    assert found["graph"]["alone"] and len(found["maps"]["cells"]) == 1 and len(found["tasks"]) == 1
    assert {head["words"] for head in found["heads"]} == {"needed by the main task", "needed by no task"}


def test_what_was_measured_at_all_lengths_is_given_by_head_and_task():
    counts = pd.DataFrame(
        {"task": MAIN, "length": length, "heads": heads, "correct": correct, "total": 20}
        for heads in ("", "L1·H2") for length, correct in ((3, 5), (2, 20))
    )  # fmt: skip
    found = picture(measured=counts)
    assert found["measured"] == {"L1·H2": {MAIN: [[2, 1.0], [3, 0.25]]}}
    assert "up to 20 prompts" in found["notes"][-1] and picture()["measured"] == {}
