"""The picture of the race: what it says beside the numbers, and where heads stand."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from lgt.charts.race import LAYOUT, ROWS, crowd, head_places, race_picture
from lgt.charts.theme import DARK, LIGHT, ROLE_DASHES, task_colour
from lgt.core.plain_text import visible
from tests.races import TITLES, picture_of, race_of

pytestmark = pytest.mark.slow


def test_colour_is_the_task_and_dash_is_the_role_on_both_sides(shipped):
    picture = picture_of(shipped, "add-carry.small")
    assert [task["task"] for task in picture["tasks"]] == ["reverse_add", "no_carry", "carry_only"]
    for theme in (LIGHT, DARK):
        for task in picture["tasks"]:
            assert picture["colours"][theme.name]["tasks"][task["task"]] == task_colour(task["task"], theme)
            assert task["dash"] == ROLE_DASHES[task["role"]]
    assert [[curve["task"] for curve in side["curves"]] for side in picture["sides"]] == [
        ["reverse_add"], ["reverse_add", "no_carry", "carry_only"],
    ]  # fmt: skip


def test_zones_and_training_lengths_are_those_of_the_run(shipped):
    picture = picture_of(shipped, "add-carry.small")
    assert [(zone["name"], zone["low"], zone["high"]) for zone in picture["zones"]] == [
        ("trained", 0.5, 6.5), ("transfer region", 6.5, 12.5), ("beyond", 12.5, 15.5),
    ]  # fmt: skip
    assert picture["rules"] == [
        {"at": 6.5, "label": "main trained to 6"}, {"at": 12.5, "label": "auxiliary trained to 12"},
    ]  # fmt: skip


def test_the_notes_say_how_many_seeds_of_how_many(shipped):
    first, second, third, *_ = picture_of(shipped, "add-carry.small")["notes"]
    assert "mean over seeds 0–9 (n = 10 of 10), 8 measured steps alone and 22 together." in first
    assert "each counts with its last measured one" in first and "Not shown" not in first
    assert "seed 4 (the median transfer accuracy of the 5 seeds whose heads were measured at the most steps)" in second
    assert "alone at trained lengths (2, 4, 6), together in the transfer region (8, 11)" in second
    assert "only at the end of training (alone)" in third
    (one, *_) = picture_of(shipped, "add-carry.small", seed=2)["notes"]
    assert one.startswith("Curves: one run of each side, seed 2, 8 measured steps alone and 20 together.")
    whole, heads, *_ = picture_of(shipped, "caprev.demo")["notes"]
    assert "(n = 10 of 10)" in whole and "different steps" not in whole
    assert "seed 1 (the median transfer accuracy of the 10 seeds);" in heads
    found = race_of(shipped, "caprev.demo")
    (fewer, *_) = race_picture(found | {"of": 12}, TITLES)["notes"]
    assert "(n = 10 of 12)" in fewer and "Not shown: 2 measured at the end only." in fewer


def test_a_control_is_not_called_auxiliary(shipped):
    picture = picture_of(shipped, "control-copy.demo")
    assert picture["tasks"][1]["label"] == "Reverse, control task, trained to 16"
    assert picture["rules"][1]["label"] == "control trained to 16"


@pytest.mark.parametrize("pair", ["add-carry.small", "caprev.demo", "path-dfs.demo"])
def test_heads_stand_on_the_line_of_their_kind_and_apart(shipped, pair):
    for side in picture_of(shipped, pair)["sides"]:
        heads = side["heads"]
        for kinds, places, shared in zip(heads["kinds"], heads["places"], heads["shared"], strict=True):
            assert [y for _, y in places] == [ROWS[kind] for kind in kinds]
            assert len({tuple(place) for place in places}) == len(places)
            assert all(0 < x < 1 for x, _ in places)
            on_bridge = [x for x, y in places if y == LAYOUT["bridge"]]
            assert len(on_bridge) == shared == kinds.count("shared")
            assert sum(on_bridge) / max(shared, 1) == pytest.approx(0.5 * bool(shared), abs=1e-3), "around the middle"


def test_many_heads_of_a_kind_still_have_a_place_each():
    places = head_places(["shared"] * 64)
    steps = [b[0] - a[0] for a, b in pairwise(places)]
    assert min(steps) > 0 and places[0][0] > 0 and places[-1][0] < 1
    assert crowd(["shared"] * 3 + ["neither"] * 9) == 3


def test_without_maps_the_picture_has_no_heads_and_says_so(shipped):
    found = race_of(shipped, "caprev.demo")
    for side in found["sides"]:
        side["heads"] = None
    picture = race_picture(found, TITLES)
    assert [side["heads"] for side in picture["sides"]] == [None, None]
    assert "These runs have no ablation maps, so no heads are shown." in picture["notes"]


def test_a_picture_is_plain_json_without_hidden_characters(shipped):
    found = race_of(shipped, "caprev.demo")
    hostile = "A\u202e\x1b]x"
    picture = race_picture(found, (hostile, "B"))
    assert picture["sides"][0]["title"] == visible(hostile) != hostile
    assert json.loads(json.dumps(picture, allow_nan=False)) == picture
