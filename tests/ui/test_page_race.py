"""The race on Overview and Launch: when it is shown, and what the page says when there is none."""

from __future__ import annotations

import shutil
import sqlite3
import time

import pytest

from lgt.store.measurements import ACCURACY
from lgt.ui import race
from tests.packed import without
from tests.ui.test_pages import opened, words

pytestmark = pytest.mark.slow


@pytest.fixture()
def drawn(monkeypatch) -> list[dict]:
    """What the page gives to the browser: the data of each race."""
    found: list[dict] = []
    monkeypatch.setattr(race, "_race", lambda *, key, data: found.append(data))
    return found


def test_the_race_takes_the_place_of_the_two_curves(few_runs, monkeypatch, drawn):
    app = opened("pages/overview.py", few_runs, monkeypatch, race="1", pair="caprev.demo")
    assert not app.exception and not app.error and len(drawn) == 1
    (view,) = drawn[0]["views"]
    assert view["picture"]["seeds"] == [0, 1] and [len(side["steps"]) for side in view["picture"]["sides"]] == [6, 20]
    assert "of 100 answers" not in words(app) and not [one for one in app.markdown if "transformer" in one.value]
    assert [button.label for button in app.button if button.key == "race-switch"] == ["Show the curves"]
    app.button(key="race-switch").click().run()
    assert app.query_params.get("race") is None and len(drawn) == 1 and not app.exception


def test_a_seed_in_the_address_is_shown_and_a_wrong_one_is_the_mean(few_runs, monkeypatch, drawn):
    for asked, seeds in (("1", [1]), ("99", [0, 1]), ("x", [0, 1])):
        drawn.clear()
        app = opened(
            "pages/overview.py", few_runs, monkeypatch, **{"race": "1", "pair": "caprev.demo", "race-seed": asked}
        )
        assert not app.exception and drawn[0]["views"][0]["picture"]["seeds"] == seeds


@pytest.mark.parametrize("address", [{"tour": "1"}, {"tour": "7"}, {"predict": "1"}, {"race": "yes"}])
def test_the_race_gives_no_result_away(few_runs, monkeypatch, drawn, address):
    app = opened("pages/overview.py", few_runs, monkeypatch, **({"race": "1", "pair": "caprev.demo"} | address))
    assert not app.exception and not drawn


def test_presenter_mode_has_large_type_and_one_note(few_runs, monkeypatch, drawn):
    app = opened("pages/overview.py", few_runs, monkeypatch, race="1", present="1", pair="caprev.demo")
    assert not app.exception and drawn[0]["brief"] and not drawn[0]["live"]


def test_runs_that_were_measured_at_the_end_only_are_one_sentence(few_runs, tmp_path, monkeypatch, drawn):
    store = shutil.copy(few_runs, tmp_path / "results.db")
    without(ACCURACY, lambda of: of.step not in (1000, 333))(store)
    app = opened("pages/overview.py", store, monkeypatch, race="1", pair="caprev.demo")
    assert not app.exception and not app.error and not drawn
    (said,) = [one.value for one in app.info]
    assert said.startswith("There is no race, because no seed of this task group was measured before the end")
    assert "`demo` at 6, `small` at 8" in said


def test_a_missing_baseline_is_one_sentence(few_runs, tmp_path, monkeypatch, drawn):
    store = shutil.copy(few_runs, tmp_path / "results.db")
    with sqlite3.connect(store) as connection:
        connection.execute("UPDATE runs SET state = 'failed' WHERE arm = 'alone-same-examples'")
    app = opened("pages/overview.py", store, monkeypatch, race="1", pair="caprev.demo", matched="main-task examples")
    assert not app.exception and not drawn
    assert any("this baseline has not been run yet" in one.value for one in app.info)


def test_an_empty_store_has_no_race(tmp_path, monkeypatch, drawn):
    app = opened("pages/overview.py", tmp_path / "empty.db", monkeypatch, race="1")
    assert not app.exception and not app.error and not drawn
    assert "No finished runs of a task group yet" in words(app)


def test_a_pair_on_launch_races_over_what_was_measured_so_far(few_runs, tmp_path, monkeypatch, drawn):
    store = shutil.copy(few_runs, tmp_path / "results.db")
    with sqlite3.connect(store) as connection:
        connection.execute(
            "UPDATE runs SET finished_at = ? WHERE task_group = 'caprev' AND model_seed = 1 AND preset = 'demo' "
            "AND position = 'rope'", (time.time(),)
        )  # fmt: skip
    app = opened("pages/launch.py", store, monkeypatch, race="true")
    assert not app.exception and drawn
    for data in drawn:
        sides = data["views"][0]["picture"]["sides"]
        assert [len(side["curves"]) for side in sides] == [1, 3] and not data["live"]
    shown = len(drawn)
    app.toggle(key="race").set_value(False).run()
    assert len(drawn) == shown and not app.exception
