"""The page Heads: on an empty store, on the shipped one, beside a failed run, with and without stored weights."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
import streamlit as st

from lgt.experiments.judging import judge
from lgt.experiments.registry import EXPERIMENTS
from lgt.metrics.by_seed import transfer_by_seed
from lgt.metrics.trajectory import tracking, trajectory
from lgt.recipes.presets import group_config
from lgt.recipes.settings import Setting
from lgt.store import checkpoints, leases, queries, writes
from lgt.store.comparisons import comparisons
from lgt.store.engine import open_store
from lgt.ui import head_view, linked_heads
from tests.conftest import ROOT
from tests.experiments.stores import exchanged, two_levels
from tests.store.test_damage import newer
from tests.ui.test_pages import opened, words

pytestmark = pytest.mark.slow

PAGE = "pages/heads.py"
COURSE = 2
"""Charts of what the gap follows while a run was trained: its maps and its attention patterns."""


def charts(app) -> int:
    """The number of charts about the chosen run. The experiments on sharing, below them, are the same for all runs."""
    drawn = app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")
    specs = [json.loads(one.proto.spec) for one in drawn]
    about_causes = ("heads of each layer a task may use", "Loss recovered", "All seeds are shown")
    return sum(not any(words in str(spec.get("title")) for words in about_causes) for spec in specs)


def runs_of(store, group: str, preset: str, arm: str = "co-trained") -> tuple[dict[int, int], dict[int, int]]:
    """Run ids by seed of one side of a pair: those whose weights are stored, and the others."""
    engine = open_store(str(store))
    kept = set(checkpoints.list_checkpoints(engine).run_id)
    runs = sorted(comparisons(engine)[Setting(group, preset, "rope")].runs[arm].items())
    return {seed: i for seed, i in runs if i in kept}, {seed: i for seed, i in runs if i not in kept}


def test_an_empty_store_says_how_to_fill_it(tmp_path, monkeypatch):
    app = opened(PAGE, tmp_path / "empty.db", monkeypatch, head="1.1")
    assert not app.exception and not app.error and not (tmp_path / "empty.db").exists()
    assert "No finished runs of a task group yet" in words(app)


def test_a_failed_run_alone_is_no_result(tmp_path, monkeypatch):
    engine = open_store(str(tmp_path / "failed.db"))
    run_id = writes.create_run(engine, group_config("caprev", "demo"))
    leases.finish_run(engine, run_id, leases.start_run(engine, run_id, "test", "cpu"), "failed", "out of memory")
    app = opened(PAGE, tmp_path / "failed.db", monkeypatch)
    assert not app.exception and "No finished runs of a task group yet" in words(app)


def test_a_store_of_newer_code_is_one_message(tmp_path, monkeypatch):
    newer(tmp_path / "odd.db")
    app = opened(PAGE, tmp_path / "odd.db", monkeypatch)
    assert not app.exception and len(app.error) == 1 and "odd.db" in app.error[0].value


@pytest.fixture()
def drawn(monkeypatch) -> list[dict]:
    """What the page gives to the browser: the data of each linked picture."""
    found: list[dict] = []
    monkeypatch.setattr(linked_heads, "_linked", lambda *, key, data, on_head_change: found.append(data))
    return found


def test_the_linked_picture_has_the_head_of_the_address_pinned(few_runs, monkeypatch, drawn):
    app = opened(PAGE, few_runs, monkeypatch, pair="caprev.demo", head="2.2", seed="1")
    assert not app.exception and [one["pinned"] for one in drawn] == ["L2·H2"]
    picture = drawn[0]["picture"]
    assert [task["task"] for task in picture["tasks"]] == ["capitalize_reverse", "capitalize", "reverse"]
    assert picture["measured"] == {}, "nothing is measured for the picture"
    app.selectbox(key="head").set_value("").run()
    assert drawn[-1]["pinned"] == "" and app.query_params.get("head") is None
    assert set(drawn[-1]["picture"]["measured"]) == {"L2·H2"}, "the details of this head have measured it"
    app.selectbox(key="choice-seed").set_value("0").run()
    assert drawn[-1]["picture"]["measured"] == {}, "heads of another run"


def test_lengths_and_threshold_change_the_picture(few_runs, monkeypatch, drawn):
    for zone, shown in (("trained", [3, 7]), ("transfer region", [11, 15]), ("beyond", [18, 20])):
        app = opened(PAGE, few_runs, monkeypatch, pair="caprev.demo", zone=zone, threshold="50")
        assert not app.exception and drawn[-1]["picture"]["shown"] == shown
        assert drawn[-1]["picture"]["mapped"] == [3, 7, 11, 15, 18, 20]
        assert drawn[-1]["picture"]["graph"]["threshold"] == 0.5


def test_a_pinned_head_is_chosen_and_an_unpinned_one_is_not():
    for name, chosen in (("L2·H3", "2.3"), ("L10·H12", "10.12"), ("", "")):
        head_view.take_head(name)
        assert st.session_state[head_view.HEAD] == chosen


def test_a_task_without_a_map_is_named_and_the_others_are_drawn(few_runs, tmp_path, monkeypatch, drawn):
    for lacking, titles in (("capitalize", ["capitalize_reverse", "reverse"]), ("capitalize_reverse", None)):
        drawn.clear()
        store = shutil.copy(few_runs, tmp_path / f"{lacking}.db")
        slot = f"(SELECT slot FROM run_tasks t WHERE t.run_id = head_maps.run_id AND t.task = '{lacking}')"
        with closing(sqlite3.connect(store)) as connection, connection:
            connection.execute(f"DELETE FROM head_maps WHERE slot = {slot}")
        app = opened(PAGE, store, monkeypatch, pair="caprev.demo", head="1.2", zone="trained")
        assert not app.exception and not app.error and "There is no ablation map of Flip case" in words(app)
        assert [[task["task"] for task in one["picture"]["tasks"]] for one in drawn] == ([titles] if titles else [])


def test_the_first_view_shows_graph_and_maps_and_imports_no_torch(shipped):
    check = (
        "import sys; from streamlit.testing.v1 import AppTest;"
        "app = AppTest.from_file('pages/heads.py').run(timeout=60);"
        "assert not app.exception and not app.error and 'heads matter' in ' '.join(m.value for m in app.markdown);"
        "sys.exit('torch' in sys.modules)"
    )
    environment = {"LGT_DATABASE_URL": str(shipped), "PATH": "/usr/bin:/bin"}
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT, env=environment, check=False).returncode == 0


def test_a_chosen_head_shows_where_it_looks_and_what_is_lost(shipped, monkeypatch):
    app = opened(PAGE, shipped, monkeypatch, pair="caprev.demo", head="2.2")
    assert not app.exception and not app.error
    assert "Head L2·H2: head 2 of layer 2" in words(app)
    assert charts(app) == 2 * 3 + COURSE, "curve and pattern of each of three tasks"
    app.selectbox(key="head").set_value("1.3").run()
    assert not app.exception and "Head L1·H3" in words(app)
    app.selectbox(key="head").set_value("").run()
    assert not app.exception and charts(app) == COURSE


@pytest.mark.parametrize("head", ["9.9", "0.1", "1", "x.y", "", "<b>", "1.1.1", "1e9.2"])
def test_a_head_that_is_not_there_is_no_head(head, shipped, monkeypatch):
    app = opened(PAGE, shipped, monkeypatch, head=head, seed="77", side="nobody", zone="nowhere", length="x", k="9")
    assert not app.exception and not app.error and charts(app) == COURSE


def test_another_pair_takes_no_head_or_length_from_the_last(shipped, monkeypatch):
    app = opened(PAGE, shipped, monkeypatch, pair="add-carry.small", head="3.4", length="12")
    assert "Head L3·H4" in words(app)
    app.selectbox(key="choice-pair").set_value("caprev.demo").run()
    assert not app.exception and not app.error and charts(app) == COURSE, "two layers"
    app.selectbox(key="choice-seed").set_value(str(next(iter(runs_of(shipped, "caprev", "demo")[0])))).run()
    app.selectbox(key="head").set_value("1.1").run()
    app.select_slider(key="length").set_value(16).run()
    app.selectbox(key="choice-pair").set_value("add-carry.small").run()
    assert not app.exception and not app.error, "its lengths end at 12"


def test_a_run_without_weights_shows_its_maps_and_says_where_weights_are(shipped, monkeypatch):
    auxiliaries, lacking = runs_of(shipped, "add-carry", "small", "alone-same-steps")
    seed, run_id = next(iter(lacking.items()))
    address = {"pair": "add-carry.small", "side": "alone-steps", "seed": str(seed), "head": "1.1"}
    app = opened(PAGE, shipped, monkeypatch, **address)
    assert not app.exception and not app.error and charts(app) == 0
    assert f"run {run_id} are not in the store" in words(app)
    assert auxiliaries and f"these seeds have weights: {', '.join(map(str, auxiliaries))}." in words(app)
    assert not app.button, "there is no other task whose heads could be tested"
    assert "During training" not in words(app)


def test_the_line_below_the_head_box_tells_the_maps(shipped, monkeypatch):
    app = opened(PAGE, shipped, monkeypatch, pair="caprev.demo", head="2.2", zone="trained")
    said = next(one.value for one in app.markdown if one.value.startswith("Without it, at lengths"))
    engine = open_store(str(shipped))
    run_id = comparisons(engine)[Setting("caprev", "demo", "rope")].runs["co-trained"][int(app.selectbox[2].value)]
    scores = queries.head_scores(engine, [run_id])
    here = scores[(scores.layer == 1) & (scores["head"] == 1) & (scores.length <= 8)]
    for task, title in (("capitalize_reverse", "Flip case and reverse"), ("reverse", "Reverse")):
        points = round(100 * here[here.task == task].accuracy_drop.mean())
        assert f"{title} **{'−' if points > 0 else '+' if points < 0 else ''}{abs(points)}**" in said
    assert said.endswith("[Curves and attention below](#one-head).")


def test_every_head_opens_at_every_zone_of_lengths(shipped, monkeypatch):
    """Lengths beyond the transfer region are mapped where the page's own slider begins, once one too far."""
    for zone in ("trained", "transfer region", "beyond"):
        app = opened(PAGE, shipped, monkeypatch, pair="caprev.demo", zone=zone, head="1.1")
        assert not app.exception and not app.error and "Head L1·H1" in words(app)
        assert app.select_slider(key="length").value in range(1, 21)


def test_a_run_measured_on_its_way_shows_what_the_gap_follows(shipped, monkeypatch):
    app = opened(PAGE, shipped, monkeypatch, pair="caprev.demo")
    assert "During training" in words(app) and "Neighbouring checkpoints depend on each other" in words(app)
    engine = open_store(str(shipped))
    run_id = comparisons(engine)[Setting("caprev", "demo", "rope")].runs["co-trained"][int(app.selectbox[2].value)]
    read = queries.accuracy, queries.head_scores, queries.attention_differences
    steps = trajectory(*(one(engine, [run_id], "all") for one in read), queries.run(engine, run_id).config)
    found = tracking(steps, "map_difference")
    assert f"ablation-map difference: **{found.rho:+.2f}**".replace("-0", "−0") in words(app)
    assert f"p = {found.p:.2g}, {found.n} checkpoints" in words(app) and found.n == 20


def test_a_run_measured_once_says_that_its_trajectory_is_not_known(shipped, monkeypatch):
    app = opened(PAGE, shipped, monkeypatch, pair="path-dfs.demo")
    assert not app.exception and charts(app) == 0
    assert "has ablation maps at 1 checkpoint." in words(app) and "Spearman" not in words(app)


def test_heads_that_a_task_does_not_need_are_not_said_to_be_needed(shipped, monkeypatch):
    app = opened(PAGE, shipped, monkeypatch, pair="control-add.small", threshold="50")
    assert not app.exception and "No head costs Copy the first operand more than 50 points" in words(app)
    assert "Copy the first operand needs" not in words(app)


def test_the_zone_is_where_the_run_has_something_to_lose_until_one_is_asked_for(shipped, monkeypatch):
    with_transfer = opened(PAGE, shipped, monkeypatch, pair="caprev.demo")
    assert "Heads in the transfer region" in words(with_transfer)
    without = opened(PAGE, shipped, monkeypatch, pair="control-copy.demo")
    assert "can hardly make it worse there" in words(without)
    asked = opened(PAGE, shipped, monkeypatch, pair="caprev.demo", zone="trained")
    assert "Heads at the trained lengths** (lengths" in words(asked) and "make it worse there" not in words(asked)


def test_an_unrelated_pair_stands_beside_the_overlap_of_a_related_one(shipped, monkeypatch):
    engine = open_store(str(shipped))

    def overlap(group, other):
        """Mean Jaccard over seeds of the three heads with the largest rise of the loss, lengths of training only."""
        values = []
        for run_id in comparisons(engine)[Setting(group, "small", "rope")].runs["co-trained"].values():
            rows = queries.head_scores(engine, [run_id])
            means = rows[rows.length <= 6].groupby(["task", "layer", "head"]).loss_rise.mean()
            tops = [set(means[task].nlargest(3).index) for task in ("reverse_add", other)]
            values.append(len(tops[0] & tops[1]) / len(tops[0] | tops[1]))
        return sum(values) / len(values)

    app = opened(PAGE, shipped, monkeypatch, pair="add-carry.small")
    for group, other, text in (
        ("add-carry", "no_carry", "with Digit sums {:.2f}"),
        ("add-carry", "carry_only", "with Carries {:.2f} (by chance"),
        (
            "control-add",
            "copy_first_operand",
            "together with an unrelated task: with Copy the first operand {:.2f} (by",
        ),
    ):
        assert text.format(overlap(group, other)) in words(app)
    assert "unrelated task:" not in words(opened(PAGE, shipped, monkeypatch, pair="control-add.small"))
    assert "unrelated task:" not in words(opened(PAGE, shipped, monkeypatch, pair="caprev.demo"))


def test_the_knock_out_test_tells_the_stored_accuracy_and_an_exact_p(shipped, monkeypatch):
    app = opened(PAGE, shipped, monkeypatch, pair="caprev.demo", k="1")
    assert "at least as much" not in words(app), "nothing is computed before it is asked for"
    app.button(key="test").click().run(timeout=240)
    assert not app.exception and not app.error
    said = re.search(
        r"falls from (\d+)% to \*\*(\d+)%\*\* exact match at lengths 9–16\. .*all 3 other choices .* "
        r"\*\*(\d)\*\* of them hurt at least as much \(p = (\d\.?\d*)\)",
        words(app),
    )
    intact, without, as_bad, p = (float(number) for number in said.groups())
    engine = open_store(str(shipped))
    found = comparisons(engine)[Setting("caprev", "demo", "rope")]
    typical = transfer_by_seed(queries.accuracy(engine, found.ids("co-trained"))).middle_seed()
    counts = queries.accuracy(engine, [found.runs["co-trained"][typical]])
    region = counts[(counts.role == "main") & counts.length.between(9, 16)]
    assert intact == pytest.approx(100 * (region.correct / region.total).mean(), abs=4), "128 of 256 prompts"
    assert without < intact and p == pytest.approx((1 + as_bad) / 4, abs=0.006)
    assert "lgt train --group caprev" in app.caption[-1].value


@pytest.mark.slow
def test_the_page_shows_what_happens_without_shared_heads(own_shipped, monkeypatch):
    store, experiment = open_store(str(own_shipped)), EXPERIMENTS["heads-caprev"]
    queries_before = queries.finished_by_hash(store)
    shares = {"same four heads": 0.8, "separate heads": 0.0}
    for seed in experiment.planned[:2]:
        for series, make in experiment.series.items():
            if make(seed).hash() not in queries_before:
                two_levels(store, make(seed), 1.0, shares.get(str(series), 0.05))
    app = opened("pages/heads.py", own_shipped, monkeypatch)
    assert not app.exception and not app.error
    assert "Does transfer need shared heads?" in [one.value for one in app.subheader]
    (said,) = (one.value for one in app.markdown if "claims?heads-caprev=true" in one.value)
    judged = judge(store, experiment)
    assert judged.headline() in said and f"badge[{judged.verdict}]" in said
    drawn = [json.loads(one.proto.spec) for one in app.get("vega_lite_chart")]
    assert any("which of the 8 heads of each layer" in str(spec.get("title")) for spec in drawn)


@pytest.mark.slow
def test_the_page_shows_interchanges_of_every_seed_that_has_them(own_shipped, monkeypatch):
    store, experiment = open_store(str(own_shipped)), EXPERIMENTS["interchange-caprev"]
    (make,), known = experiment.series.values(), queries.finished_by_hash(store)
    shares = {("reverse", "same"): 0.9, ("reverse", "other"): -2.0, ("capitalize", "same"): 0.1,
              ("string_copy", "same"): 0.05}  # fmt: skip
    for seed in (100, 101):
        if make(seed).hash() not in known:
            exchanged(store, make(seed), shares)
    two_levels(store, make(102), 1.0, 0.5)  # the newest run of this seed has no interchanges
    app = opened("pages/heads.py", own_shipped, monkeypatch)
    assert not app.exception and not app.error
    assert "Do these heads put out the same in both tasks?" in [one.value for one in app.subheader]
    (said,) = (one.value for one in app.markdown if "claims?interchange-caprev=true" in one.value)
    judged = judge(store, experiment)
    assert judged.headline() in said and f"badge[{judged.verdict}]" in said
    box = app.selectbox(key="seed-interchange-caprev")
    assert box.options == [str(seed) for seed in judged.numbers] and "102" not in box.options
    drawn = [json.loads(one.proto.spec) for one in app.get("vega_lite_chart")]
    run = queries.finished_by_hash(store)[make(int(box.options[0])).hash()]
    assert any(f"Run {run}. Loss recovered" in str(spec.get("title")) for spec in drawn)
    app = box.set_value(101).run()
    assert not app.exception and not app.error
