"""Pictures of failure on the page of a run: which runs and lengths, one answer in full, the way to its prompt."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from urllib.parse import parse_qs, urlparse

import pytest

from lgt.store import queries
from lgt.store.checkpoints import list_checkpoints
from lgt.store.engine import open_store
from lgt.tasks.prompts import of_test_set
from lgt.tasks.vocabulary import decode
from lgt.ui import failure_pairs, failures
from lgt.ui.drawing import DRAWN
from tests.ui.test_pages import opened as page_opened
from tests.ui.test_pages import words

pytestmark = pytest.mark.slow

TOGETHER, ALONE = 111, 259
"""A shipped pair of which both runs have weights."""
OFFERED = failure_pairs.Pair(alone=685, together=684)
"""The shipped pair with weights that has the largest transfer gain: strings at the paper's lengths."""


def opened(store, monkeypatch, **address):
    return page_opened("pages/runs.py", store, monkeypatch, **address)


def pictures(app) -> dict[int, object]:
    """The pictures that the page drew, by run, in their order."""
    drawn = app.session_state[DRAWN]
    return {int(one.table.run_id.iloc[0]): one for one in drawn.values() if one.chart == "failure_grid"}


def test_a_pair_is_shown_side_by_side_with_the_counts_of_the_store(shipped, monkeypatch):
    app = opened(shipped, monkeypatch, run=str(TOGETHER))
    assert not app.exception and not app.error
    shown = pictures(app)
    assert list(shown) == [ALONE, TOGETHER], "alone on the left"
    stored = queries.accuracy(open_store(str(shipped), read_only=True), [ALONE, TOGETHER])
    for run_id, picture in shown.items():
        table = picture.table
        assert sorted(set(table.length)) == [6, 9, 13]
        zones = dict(zip(table.length, table.zone, strict=True))
        assert zones == {6: "trained", 9: "transfer region", 13: "beyond"}
        for length, rows in table.groupby("length"):
            row = stored[(stored.run_id == run_id) & (stored.task == "reverse_add") & (stored.length == length)].iloc[0]
            assert ((rows.error_kind == "right").sum(), len(rows), rows.test_set_size.iloc[0]) == (
                row.correct,
                256,
                row.total,
            )
    assert shown[ALONE].options["kinds"] == shown[TOGETHER].options["kinds"], "bars line up"
    assert {"dropped carry", "shifted"} <= set(shown[ALONE].options["kinds"])


def test_the_run_alone_opens_the_same_pair(shipped, monkeypatch):
    assert list(pictures(opened(shipped, monkeypatch, run=str(ALONE)))) == [ALONE, TOGETHER]


def test_a_task_that_only_one_of_them_has_is_shown_for_that_one(shipped, monkeypatch):
    app = opened(shipped, monkeypatch, run=str(TOGETHER), task="no_carry")
    assert list(pictures(app)) == [TOGETHER] and "Only this run of its pair was trained on this task" in words(app)
    (picture,) = pictures(app).values()
    assert dict(zip(picture.table.length, picture.table.zone, strict=True)) == {
        6: "trained", 12: "trained", 13: "beyond",
    }  # fmt: skip
    assert set(picture.table.carries_in) == {""} and "carry chain" not in app.segmented_control[0].options


def test_a_run_whose_partner_has_no_weights_is_shown_by_itself(shipped, monkeypatch):
    app = opened(shipped, monkeypatch, run="102")
    assert list(pictures(app)) == [102] and "no other run of its pair with stored weights" in words(app)
    assert f"runs?run={OFFERED.together}#{failure_pairs.ANCHOR}" in words(app)


def test_a_run_without_weights_says_so_in_one_sentence_with_a_way_on(shipped, monkeypatch):
    engine = open_store(str(shipped), read_only=True)
    runs = queries.runs(engine)
    bare = int(runs.id[(runs.state == "done") & ~runs.id.isin(list_checkpoints(engine).run_id)].iloc[0])
    app = opened(shipped, monkeypatch, run=str(bare))
    assert not app.exception and not pictures(app)
    (said,) = [info.value for info in app.info if "weights" in info.value]
    assert f"The weights of run {bare} are not in the store" in said and f"runs?run={OFFERED.together}" in said


@pytest.mark.parametrize(
    "address", [{"task": "mqar"}, {"lengths": "0,99,x"}, {"order": "size"}, {"answer": "111-9-65"}, {"answer": "' --"}],
    ids=str,
)  # fmt: skip
def test_what_is_wrong_in_the_address_is_as_if_it_were_not_there(address, shipped, monkeypatch):
    app = opened(shipped, monkeypatch, run=str(TOGETHER), **address)
    assert not app.exception and not app.error
    (picture, _) = pictures(app).values()
    assert sorted(set(picture.table.length)) == [6, 9, 13] and picture.options["order"] == "kind of error"
    assert app.selectbox(key=failures.CHOSEN).value == ""


def test_the_address_names_task_lengths_order_and_one_answer(shipped, monkeypatch):
    address = {"lengths": "8,10", "order": "carry chain", "answer": f"{TOGETHER}-10-17"}
    app = opened(shipped, monkeypatch, run=str(TOGETHER), **address)
    picture = pictures(app)[TOGETHER]
    assert sorted(set(picture.table.length)) == [8, 10] and picture.options["order"] == "carry chain"
    assert picture.options["chosen"] == (10, 17) and pictures(app)[ALONE].options["chosen"] == (0, 0)
    row = picture.table[(picture.table.length == 10) & (picture.table.test_prompt == 17)].iloc[0]
    (shown,) = [code.value for code in app.code if "true answer" in code.value]
    assert row.prompt in shown and row.true_answer in shown and row.greedy_answer in shown
    said = next(text.value for text in app.markdown if "Open this prompt" in text.value)
    assert said.lower().startswith(f"**{row.error_kind}")
    assert all(app.query_params[name] in (value, [value]) for name, value in address.items()), "it stays as it is"


def test_damaged_weights_are_one_line_and_the_other_run_is_still_shown(own_shipped, monkeypatch):
    with closing(sqlite3.connect(own_shipped, isolation_level=None)) as connection:
        connection.execute("UPDATE checkpoints SET weights = X'00' WHERE run_id = ?", (ALONE,))
    app = opened(own_shipped, monkeypatch, run=str(TOGETHER))
    assert not app.exception and not app.error and list(pictures(app)) == [TOGETHER]
    (said,) = [warning.value for warning in app.warning if "cannot be computed" in warning.value]
    assert f"The answers of run {ALONE} cannot be computed" in said and "damaged" in said
    alone = opened(own_shipped, monkeypatch, run=str(ALONE), task="reverse_add")
    assert not alone.exception and not alone.error and list(pictures(alone)) == [TOGETHER]


def test_no_length_is_asked_for(shipped, monkeypatch):
    app = opened(shipped, monkeypatch, run=str(TOGETHER))
    app.multiselect(key="choice-lengths-reverse_add").set_value([]).run()
    assert not app.exception and "Choose at least one length." in words(app)


@pytest.mark.parametrize(("run", "task", "length"), [(TOGETHER, "reverse_add", 9), (76, "shortest_path", 8),
                                                     (351, "mqar", 10)])  # fmt: skip
def test_a_row_opens_in_the_playground_with_its_prompt_and_its_answer(run, task, length, shipped, monkeypatch):
    app = opened(shipped, monkeypatch, run=str(run), task=task, lengths=str(length), answer=f"{run}-{length}-3")
    said = next(text.value for text in app.markdown if "Open this prompt" in text.value)
    (link,) = re.findall(r"\((playground\?[^)]*)\)", said)
    address = {name: values[0] for name, values in parse_qs(urlparse(link).query).items()}
    there = page_opened("pages/playground.py", shipped, monkeypatch, **address)
    assert not there.exception and not there.error
    config = queries.run(open_store(str(shipped), read_only=True), run).config
    prompt = of_test_set(task, length, 3, config.evaluation.seed, config.options)
    assert decode(prompt.body) in words(there)
    row = pictures(app)[run].table.iloc[2]
    written = next(one for one in there.session_state[DRAWN].values() if one.chart == "answer_row").table
    text = written[(written["row"] == "model") & (written.state != "missing")].text
    assert " ".join(text) == row.greedy_answer
    if row.error_kind not in ("right", "other error", "answered another task"):
        assert f"Kind of error: {row.error_kind}" in words(there)


@pytest.mark.parametrize("number", ["0", "257", "-1", "x", "9999999999"])
def test_a_test_prompt_that_is_not_there_is_a_drawn_one(number, shipped, monkeypatch):
    drawn = page_opened("pages/playground.py", shipped, monkeypatch, run=str(TOGETHER), length="9")
    app = page_opened("pages/playground.py", shipped, monkeypatch, run=str(TOGETHER), length="9", test=number)
    assert not app.exception and not app.error and "test" not in app.query_params
    assert [box.value for box in app.text_input] == [box.value for box in drawn.text_input]


def test_drawing_another_prompt_leaves_the_test_set(shipped, monkeypatch):
    app = page_opened("pages/playground.py", shipped, monkeypatch, run=str(TOGETHER), length="9", test="4")
    assert app.query_params["test"] in ("4", ["4"])
    app.button(key="another").click().run()
    assert "test" not in app.query_params and app.query_params["draw"]


def test_the_playground_and_the_table_of_runs_lead_to_the_pictures(shipped, monkeypatch):
    app = page_opened("pages/playground.py", shipped, monkeypatch, run=str(TOGETHER))
    assert f"(runs?run={TOGETHER}&task=reverse_add#{failure_pairs.ANCHOR})" in words(app)
    table = opened(shipped, monkeypatch)
    assert f"run {OFFERED.together} beside run {OFFERED.alone}" in words(table) and f"#{failure_pairs.ANCHOR}" in words(
        table
    )


def test_the_pair_that_the_page_offers_first_has_the_largest_gain(shipped, monkeypatch):
    monkeypatch.setenv("LGT_DATABASE_URL", str(shipped))
    found = failure_pairs.pairs()
    gains = {pair: failure_pairs.transfer_gain_of(pair) for pair in found}
    assert failure_pairs.default_pair() == OFFERED and len(found) >= 5
    assert gains[OFFERED] == max(gains.values())
    assert len({run_id for pair in found for run_id in pair if run_id != 7}) == 2 * len(found) - 1
