"""The playground page: on empty, failed and shipped stores, with good and bad addresses, typed and drawn prompts."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from lgt.recipes.presets import baseline, group_config
from lgt.store import checkpoints, leases, queries, writes
from lgt.store.engine import open_store
from lgt.tasks.prompts import typed
from lgt.training.loop import train
from lgt.training.recorder import MemoryRecorder
from lgt.ui.pages.playground import outcome_words
from tests.cli.stored import store_run
from tests.conftest import tiny
from tests.store.test_damage import newer
from tests.ui.test_pages import opened as page_opened
from tests.ui.test_pages import words

pytestmark = pytest.mark.slow

PAGE = "pages/playground.py"


def fields(app):
    """The boxes to type in, without those of the choice of stores."""
    return [field for field in app.text_input if not str(field.key).startswith("stores-")]


def opened(store, monkeypatch, **address):
    return page_opened(PAGE, store, monkeypatch, **address)


def charts(app):
    return app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")


def test_an_empty_store_says_how_to_fill_it(tmp_path, monkeypatch):
    app = opened(tmp_path / "empty.db", monkeypatch)
    assert not app.exception and not app.error and not (tmp_path / "empty.db").exists()
    assert "lgt train --group caprev" in words(app)


def test_a_failed_run_has_nothing_to_play_with(tmp_path, monkeypatch):
    store = tmp_path / "failed.db"
    engine = open_store(str(store))
    run_id = writes.create_run(engine, group_config("caprev", "demo"))
    leases.finish_run(engine, run_id, leases.start_run(engine, run_id, "test", "cpu"), "failed", "out of memory")
    app = opened(store, monkeypatch)
    assert not app.exception and not app.error and "lgt train --group caprev" in words(app)


def test_a_newer_store_is_one_message(tmp_path, monkeypatch):
    newer(tmp_path / "odd.db")
    app = opened(tmp_path / "odd.db", monkeypatch)
    assert not app.exception and len(app.error) == 1 and "newer than this code's" in app.error[0].value


def test_it_opens_on_a_typical_run_of_the_best_known_pair(shipped, monkeypatch):
    app = opened(shipped, monkeypatch)
    assert not app.exception and not app.error and len(charts(app)) >= 3
    run = queries.run(open_store(str(shipped)), int(app.selectbox(key="choice-run").value))
    assert run.task_group == "add-carry" and run.arm == "co-trained"
    assert "12 digits: transfer region" in words(app)


def test_typed_numbers_are_answered_and_shown_as_the_model_reads_them(shipped, monkeypatch):
    app = opened(shipped, monkeypatch, a="1274", b="938")
    assert not app.error and "`4721+839=`" in words(app) and "4 digits: trained" in words(app)
    assert [field.value for field in fields(app)] == ["1274", "938"]
    assert "all 6 tokens are right" in words(app)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("", "such as 1274"),
        ("12x4", "digits 0-9 only"),
        ("0042", "without zeros in front"),
        ("9" * 61, "at most 60 digits"),
        ("<script>", "digits 0-9 only"),
    ],
)
def test_what_is_no_number_is_one_line_beside_its_field(shipped, monkeypatch, typed, says):
    app = opened(shipped, monkeypatch)
    fields(app)[1].set_value(typed).run()
    assert not app.exception and len(app.error) == 1
    assert says in app.error[0].value and app.error[0].value.startswith("Enter ") and "\n" not in app.error[0].value
    assert "Where the model fails" in words(app)  # the rest of the page stays


@pytest.mark.parametrize(
    ("task", "text", "says"),
    [("string_copy", "a-b", "letters a-z"), ("mqar", "abca", "distinct letters"), ("mqar", "a", "2 to 52 letters"),
     ("string_copy", "", "1 to 60 letters")],
)  # fmt: skip
def test_what_are_no_letters_is_one_line(shipped, monkeypatch, task, text, says):
    app = opened(shipped, monkeypatch, run=str(playable(shipped, "copy-mqar")), task=task)
    fields(app)[0].set_value(text).run()
    assert not app.exception and len(app.error) == 1 and says in app.error[0].value


def test_drawing_changes_the_prompt_and_the_address_keeps_it(shipped, monkeypatch):
    app = opened(shipped, monkeypatch, a="1274")
    app.button(key="another").click().run()
    drawn = [field.value for field in fields(app)]
    assert "a" not in app.query_params and app.query_params["draw"] and drawn[0] != "1274"
    again = opened(shipped, monkeypatch, draw=app.query_params["draw"])
    assert [field.value for field in fields(again)] == drawn


def test_steps_walk_through_the_answer(shipped, monkeypatch):
    app = opened(shipped, monkeypatch, a="1274", b="938", step="2")
    assert "Token 2: the model writes **1**" in words(app)
    app.button(key="next").click().run()
    assert "Token 3: the model writes **2**" in words(app) and app.query_params["step"] == "3"
    for _ in range(5):
        app.button(key="back").click().run()
    assert "Token 1:" in words(app) and "step" not in app.query_params


def test_steps_pass_by_the_questions_of_a_task(shipped, monkeypatch):
    app = opened(shipped, monkeypatch, run=str(playable(shipped, "copy-mqar")), task="mqar", text="abcde", step="3")
    assert "Token 2: the model writes" in words(app)  # token 3 is a question
    app.button(key="next").click().run()
    assert "Token 4: the model writes" in words(app) and app.query_params["step"] == "4"
    app.select_slider[0].set_value(8).run()
    assert "Token 8: the model writes" in words(app)


def test_only_asked_tokens_are_counted(shipped, monkeypatch):
    app = opened(shipped, monkeypatch, run=str(playable(shipped, "copy-mqar")), task="mqar", text="abcde")
    said = r"all 4 tokens that it wrote are right \(4 questions were given\)"
    assert not app.exception and re.search(said, words(app))
    assert "all 8" not in words(app)


def test_an_interval_that_reaches_one_half_is_said_to():
    from lgt.metrics.failures import Failure
    from lgt.ui.answers import break_sentence

    close, clear = break_sentence(Failure(12, 115, 256), "digits"), break_sentence(Failure(12, 10, 256), "digits")
    assert "115 of 256, 45% (95% Wilson interval 39% to 51%). The interval contains 50%" in close
    assert "127 of 256, 49.6% (" in break_sentence(Failure(15, 127, 256), "nodes"), "fewer than half is not 50%"
    assert "interval contains 50%" not in clear and "**12 digits** is the first length" in clear


def test_heads_are_switched_off_by_the_address_and_the_board(shipped, monkeypatch):
    app = opened(shipped, monkeypatch, a="1274", b="938", off="1.2,2.1,9.9,x")
    assert not app.exception and "With L1·H2 and L2·H1 off" in words(app)
    assert re.search(r"average output over \d+ test prompts", words(app))
    assert app.query_params["off"] == "1.2,2.1"
    app.button(key="all-on").click().run()
    assert "**With" not in words(app) and "off" not in app.query_params
    app.pills[0].set_value([0]).run()  # the board has the last layer on top
    assert "With L3·H1 off" in words(app) and app.query_params["off"] == "3.1"


def test_a_head_that_shares_its_keys_is_switched_off_alone(tmp_path, monkeypatch):
    config, recorder = tiny(steps=40), MemoryRecorder()
    config = replace(config, model=replace(config.model, kv_heads=2, tied=True))
    train(config, recorder)
    store_run(open_store(str(tmp_path / "a.db")), config, recorder, "shared keys", weights=True)
    app = opened(tmp_path / "a.db", monkeypatch, off="1.2,2.4")
    assert not app.exception and not app.error and "With L1·H2 and L2·H4 off" in words(app) and len(charts(app)) >= 3


def test_what_is_hidden_is_not_told(shipped, monkeypatch):
    app = opened(shipped, monkeypatch, a="1274", b="938", hide="true")
    assert "all 6 tokens are right" not in words(app) and "Token 1:" in words(app)


def playable(store, group: str, preset: str = "demo") -> int:
    """The newest run of the pair ``group`` that has weights."""
    kept = checkpoints.list_checkpoints(open_store(str(store)))
    chosen = kept[(kept.task_group == group) & (kept.arm == "co-trained") & (kept.preset == preset)]
    return int(chosen[chosen.position == "rope"].run_id.max())


def test_another_run_has_its_own_tasks_and_heads(shipped, monkeypatch):
    app = opened(shipped, monkeypatch, head="3.4", off="3.2", task="carry_only")
    assert (app.selectbox(key="choice-run").value and "Carries" in words(app)) or "carries" in words(app)
    app.selectbox(key="choice-run").set_value(str(playable(shipped, "path-dfs"))).run()  # mazes
    assert not app.exception and not app.error and not fields(app)
    app.selectbox(key="choice-run").set_value(str(playable(shipped, "caprev"))).run()  # two layers
    assert not app.exception and not app.error and "off" not in app.query_params and len(fields(app)) == 1


@pytest.mark.parametrize(
    "bad",
    [{"run": "x"}, {"run": "99999"}, {"task": "nope"}, {"length": "-3"}, {"length": "9" * 400}, {"length": "²"},
     {"draw": "nan"}, {"step": "1e9"}, {"off": "0.0,..,1.2.3"}, {"head": "7.7"}, {"hide": "?"}, {"run": "", "off": ""}],
    ids=str,
)  # fmt: skip
def test_bad_values_of_the_address_are_defaults(shipped, monkeypatch, bad):
    app = opened(shipped, monkeypatch, **bad)
    assert not app.exception and not app.error
    assert "12 digits: transfer region" in words(app)


def test_where_it_breaks_says_what_the_store_counted(shipped, monkeypatch):
    run_id = playable(shipped, "caprev")
    app = opened(shipped, monkeypatch, run=str(run_id))
    rows = queries.accuracy(open_store(str(shipped)), [run_id])
    rows = rows[(rows.task == "capitalize_reverse") & (2 * rows.correct < rows.total)].sort_values("length")
    first = rows.iloc[0]
    assert f"**{first.length} characters** is the first length at which fewer than half" in words(app)
    assert f"{first.correct:,} of {first.total:,}, {first.correct / first.total:.0%}" in words(app)
    app.button(key="look").click().run()
    assert f"**{first.length} characters: " in words(app) and "the first wrong token is" in words(app)


def test_damaged_weights_are_one_message(own_shipped, monkeypatch):
    import sqlite3

    with sqlite3.connect(own_shipped) as connection:
        connection.execute("update checkpoints set weights = zeroblob(length(weights))")
    app = opened(own_shipped, monkeypatch)
    assert not app.exception and any("damaged" in error.value for error in app.error)


def test_an_answer_of_another_task_of_the_run_is_named():
    config = group_config("caprev", "demo")
    prompt = typed("capitalize_reverse", ["aBcD"], 0, config.options)
    other = typed("reverse", ["aBcD"], 0, config.options)
    right, reversed_only = (SimpleNamespace(tokens=one.answer) for one in (prompt, other))
    assert outcome_words(prompt, right, config) == "all 5 tokens are right"
    said = outcome_words(prompt, reversed_only, config)
    assert (
        said
        == "the first wrong token is number 1 of 5. As far as it goes, the answer is right for another task: Reverse"
    )
    neither = SimpleNamespace(tokens=other.answer[::-1])
    assert outcome_words(prompt, neither, config) == "the first wrong token is number 1 of 5"
    alone = baseline(config, "alone-same-steps")
    assert "another task" not in outcome_words(prompt, reversed_only, alone), "this run has no other task"
