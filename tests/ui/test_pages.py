"""Pages on an empty store, on the shipped one, beside a failed run, and on files that are no store."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lgt.core.number_ranges import id_ranges
from lgt.metrics.by_seed import transfer_by_seed
from lgt.recipes.presets import group_config
from lgt.recipes.settings import Setting
from lgt.store import leases, queries, writes
from lgt.store.comparisons import comparisons
from lgt.store.engine import open_store
from lgt.ui.actions import keep_worker_ready
from tests.conftest import ROOT
from tests.store.test_damage import foreign, newer

pytestmark = pytest.mark.slow

PAGES = ["pages/overview.py", "pages/explore.py"]


def opened(page: str, store: Path, monkeypatch, **address: str) -> AppTest:
    monkeypatch.setenv("LGT_DATABASE_URL", str(store))
    app = AppTest.from_file(str(ROOT / page), default_timeout=60)
    for key, value in address.items():
        app.query_params[key] = value
    return app.run()


def words(app: AppTest) -> str:
    elements = [*app.title, *app.markdown, *app.caption, *app.info, *app.error, *app.code, *app.subheader]
    return "\n".join(str(element.value) for element in elements)


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_store_says_how_to_fill_it(page, tmp_path, monkeypatch):
    app = opened(page, tmp_path / "empty.db", monkeypatch)
    assert not app.exception and not app.error and not (tmp_path / "empty.db").exists()
    assert "No finished runs of a task group yet" in words(app) and "lgt train --group caprev" in words(app)


@pytest.mark.parametrize("page", PAGES)
def test_a_failed_run_alone_is_no_result(page, tmp_path, monkeypatch):
    store = tmp_path / "failed.db"
    engine = open_store(str(store))
    run_id = writes.create_run(engine, group_config("caprev", "demo"))
    leases.finish_run(engine, run_id, leases.start_run(engine, run_id, "test", "cpu"), "failed", "out of memory")
    app = opened(page, store, monkeypatch)
    assert not app.exception and "No finished runs of a task group yet" in words(app)


@pytest.mark.parametrize("page", [*PAGES, "pages/launch.py"])
@pytest.mark.parametrize(("change", "says"), [(newer, "newer than this code's"), (foreign, "another program")])
def test_a_store_of_others_is_one_message(page, change, says, tmp_path, monkeypatch):
    store = tmp_path / "odd.db"
    change(store)
    before = store.read_bytes()
    app = opened(page, store, monkeypatch)
    assert not app.exception and len(app.error) == 1
    assert "odd.db" in app.error[0].value and says in app.error[0].value
    assert store.read_bytes() == before


def test_launch_on_an_empty_store_makes_nothing_by_being_looked_at(tmp_path, monkeypatch):
    app = opened("pages/launch.py", tmp_path / "empty.db", monkeypatch)
    assert not app.exception and not app.error and not (tmp_path / "empty.db").exists()
    assert "no similar run has finished here yet" in words(app) and "LGT_MAX_WORKERS" in words(app)


def test_launch_estimates_from_finished_runs_and_offers_what_is_missing(shipped, monkeypatch):
    app = opened("pages/launch.py", shipped, monkeypatch)
    free = app.text_input(key="seeds").value
    assert not app.button(key="start").disabled and "in this store already" not in words(app)
    app.text_input(key="seeds").set_value("0").run()
    assert "2 of 2 are in your workspace already: [run 1](runs?run=1), [run 2](runs?run=2)." in words(app)
    assert app.button(key="start").disabled and app.query_params["seeds"] in ("0", ["0"])
    app.button(key="reseed").click().run()
    assert app.text_input(key="seeds").value == free and "seeds" not in app.query_params
    app.selectbox(key="choice-group").set_value("control-copy").run()
    assert app.text_input(key="seeds").value != free, "another pair has other seeds left"
    assert not app.button(key="start").disabled
    app.text_input(key="seeds").set_value("0,77").run()
    assert "2 of 4 are in your workspace already" in words(app) and re.search(
        r"2 runs, about \d+ s on \d worker", words(app)
    )
    assert not app.button(key="start").disabled
    app.text_input(key="seeds").set_value("4-1").run()
    assert app.error[0].value.startswith("\\--seeds\\: '4-1' is not accepted") and not app.exception


def test_looking_at_waiting_runs_does_not_start_them(own_shipped, monkeypatch):
    calls = []
    monkeypatch.setattr("lgt.ui.actions.keep_worker_ready", lambda: calls.append("ready"))
    opened("pages/launch.py", own_shipped, monkeypatch)
    assert calls == ["ready"], "without waiting runs a worker may wait for the next"
    writes.create_run(open_store(str(own_shipped)), group_config("caprev", "demo", seed=77))
    app = opened("pages/launch.py", own_shipped, monkeypatch)
    assert calls == ["ready"] and app.button(key="workers").label == "Start workers"


def test_launch_of_a_dashboard_without_workers_starts_none_and_says_so(own_shipped, monkeypatch):
    monkeypatch.setenv("LGT_MAX_WORKERS", "0")
    monkeypatch.setattr("lgt.execution.worker_processes.subprocess.Popen", lambda *a, **k: pytest.fail("started"))
    monkeypatch.setattr("lgt.ui.actions.keep_worker_ready", keep_worker_ready)
    app = opened("pages/launch.py", own_shipped, monkeypatch)
    assert "starts no workers" in app.info[0].value and not app.button(key="start").disabled
    app.button(key="start").click().run()
    assert not app.exception and not app.error
    app = opened("pages/launch.py", own_shipped, monkeypatch)
    assert "starts no workers" in words(app) and "workers" not in [button.key for button in app.button]


def asked(app, monkeypatch):
    """The configs that a click on Start would queue."""
    found = []
    monkeypatch.setattr("lgt.ui.actions.submit", lambda configs, token: found.extend(configs))
    app.button(key="start").click().run()
    assert not app.exception
    return found


def test_after_start_the_seed_stays_so_that_a_second_click_does_not_take_the_next_one(own_shipped, monkeypatch):
    monkeypatch.setattr("lgt.execution.worker_processes.ensure_workers", lambda *arguments: 0)
    app = opened("pages/launch.py", own_shipped, monkeypatch)
    seed, before = app.text_input(key="seeds").value, len(queries.runs(open_store(str(own_shipped))))
    app.button(key="start").click().run()
    assert app.button(key="start").disabled
    assert len(queries.runs(open_store(str(own_shipped)))) == before + 2
    assert app.text_input(key="seeds").value == seed and "2 of 2 are in your workspace already" in words(app)


def test_launch_queues_a_pair_of_ones_own_at_chosen_lengths(shipped, monkeypatch):
    app = opened("pages/launch.py", shipped, monkeypatch, group="own", main="mqar", aux="reverse,string_copy")
    app.number_input(key="choice-lm-own-mqar-demo").set_value(3).run()
    app.number_input(key="choice-la-own-mqar-demo").set_value(7).run()
    assert "lm=3" in str(app.query_params) or app.query_params["lm"] in ("3", ["3"])
    together, alone = asked(app, monkeypatch)
    assert [(spec.task, spec.role, spec.training_length) for spec in together.tasks] == [
        ("mqar", "main", 3), ("reverse", "auxiliary", 7), ("string_copy", "auxiliary", 7)
    ]  # fmt: skip
    assert alone.tasks == (together.main,) and alone.training == together.training


def test_launch_at_the_preset_lengths_is_the_papers_group_and_at_others_a_pair_of_its_own(shipped, monkeypatch):
    app = opened("pages/launch.py", shipped, monkeypatch, group="control-add", preset="demo")
    app.text_input(key="seeds").set_value("77").run()
    assert asked(app, monkeypatch)[0].hash() == group_config("control-add", "demo", seed=77).hash()
    app = opened("pages/launch.py", shipped, monkeypatch, group="control-add", preset="demo", lm="2", la="5")
    found = asked(app, monkeypatch)[0]
    assert [(spec.role, spec.training_length) for spec in found.tasks] == [("main", 2), ("control", 5)]


@pytest.mark.parametrize(
    ("values", "words_said"),
    [({"lm": "16", "la": "16"}, "more than 16"), ({"group": "own", "aux": "nonsense", "lm": "x", "la": "-4"}, ""),
     ({"group": "own", "main": "shortest_path", "la": "512"}, "a whole number from")],
)  # fmt: skip
def test_launch_says_in_one_line_which_lengths_do_not_go(values, words_said, shipped, monkeypatch):
    app = opened("pages/launch.py", shipped, monkeypatch, **values)
    assert not app.exception
    assert [error.value for error in app.error if words_said in error.value] or not words_said
    assert bool(words_said) or not app.error


def test_launch_shows_a_failed_run_with_its_log_and_offers_to_retry(tmp_path, monkeypatch):
    store = tmp_path / "failed.db"
    engine = open_store(str(store))
    run_id = writes.create_run(engine, group_config("caprev", "demo"))
    attempt = leases.start_run(engine, run_id, "test", "cpu")
    leases.finish_run(engine, run_id, attempt, "failed", "<b>odd</b> *error*", log_tail="line one\nline two")
    app = opened("pages/launch.py", store, monkeypatch)
    assert not app.exception and app.code[0].value == "line one\nline two"
    assert r"**failed**: \<b\>odd\</b\> \*error\*" in words(app)
    assert "Flip case and reverse, helped by each alone (8 ← 16)" in words(app).replace("\\", "")
    monkeypatch.setattr("lgt.execution.worker_processes.ensure_workers", lambda url, runs: runs)
    app.button(key=f"retry-{run_id}").click().run()
    assert not app.exception and "0 running, 1 waiting" in words(app)
    app.button(key=f"cancel-{run_id}").click().run()
    assert not app.exception and "**cancelled**" in words(app)


@pytest.mark.parametrize("page", [*PAGES, "pages/launch.py"])
@pytest.mark.parametrize("content", [b"", b"a text file, not a store " * 40, b"SQLite format 3\0" + b"\xff" * 900])
def test_a_file_that_is_no_store_is_one_message(page, content, tmp_path, monkeypatch):
    store = tmp_path / "odd.db"
    store.write_bytes(content)
    app = opened(page, store, monkeypatch)
    assert not app.exception
    assert len(app.error) == 1 and "odd.db" in app.error[0].value
    assert store.read_bytes() == content


@pytest.mark.parametrize(
    ("page", "name"), [("pages/overview.py", "matched"), ("pages/explore.py", "band"), ("pages/launch.py", "position")]
)
def test_an_empty_value_in_an_address_is_the_default(page, name, shipped, monkeypatch):
    app = opened(page, shipped, monkeypatch, **{name: ""})
    assert not app.exception and not app.error


@pytest.mark.parametrize("page", PAGES)
def test_the_shipped_store_is_drawn(page, shipped, monkeypatch):
    app = opened(page, shipped, monkeypatch)
    assert not app.exception and not app.error
    assert len(app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")) >= 4
    assert "seed" in words(app)


def test_overview_shows_the_numbers_of_its_runs(shipped, monkeypatch):
    from lgt.recipes.settings import Setting
    from lgt.store import queries
    from lgt.store.comparisons import comparisons

    app = opened("pages/overview.py", shipped, monkeypatch, pair="caprev.demo")
    engine = open_store(str(shipped))
    found = comparisons(engine)[Setting("caprev", "demo", "rope")]
    counts = queries.accuracy(engine, found.ids("co-trained"))
    region = counts[(counts.role == "main") & (counts.length > 8) & (counts.length <= 16)]
    mean = (region.correct / region.total).groupby(region.run_id).mean().mean()
    alone, together = (text for html in app.get("html") if "<h2>" in (text := str(html.proto.body)))
    assert f"<b>{mean:.0%}</b>" in together and f"mean of {len(found.ids('co-trained'))} seeds" in together
    assert "<h2>Alone</h2>" in alone and f"gets 100% right at its own trained lengths and {mean:.0%} at" in words(app)
    assert f"Runs {id_ranges(found.ids('alone-same-steps', 'co-trained'))}, " in app.caption[-1].value


@pytest.mark.parametrize("pair", ["", "nonsense", "caprev.demo", "<script>alert(1)</script>", "x" * 5000, "../../etc"])
def test_overview_survives_any_address(pair, shipped, monkeypatch):
    app = opened("pages/overview.py", shipped, monkeypatch, pair=pair, threshold="nan", matched="-1")
    assert not app.exception and not app.error
    assert "<script>" not in words(app)


def test_the_other_baseline_and_threshold_can_be_chosen(shipped, monkeypatch):
    app = opened("pages/overview.py", shipped, monkeypatch, pair="caprev.demo")
    before = words(app)
    app.segmented_control(key="matched").set_value("main-task examples").run()
    assert not app.exception and "seed" in words(app)
    assert words(app) != before
    app.select_slider(key="threshold").set_value(50).run()
    assert not app.exception
    assert "more than 50%" in words(app) or "of 8 heads matter" in words(app)


def test_explore_lays_series_on_one_axis_with_their_differences(shipped, monkeypatch):
    series = "caprev.demo.co-trained,caprev.demo.alone-same-steps,caprev.long.co-trained"
    app = opened("pages/explore.py", shipped, monkeypatch, series=series, layout="On one axis")
    assert not app.exception and not app.error
    drawn = app.session_state["lgt-drawn"]
    assert {"overlay", "differences-by-length"} <= set(drawn) and not any(key.startswith("graph-") for key in drawn)
    table = drawn["differences-by-length"].table
    assert table.other_series.nunique() == 1 and "alone" in table.other_series.iloc[0]
    assert set(table.n) == {10} and table.series.nunique() == 1
    assert "no seed and length in common" in words(app) and "long" in words(app), "its seeds are other ones"
    engine = open_store(str(shipped), read_only=True)
    runs = comparisons(engine)[Setting("caprev", "demo", "rope")].runs
    together, alone = (transfer_by_seed(queries.accuracy(engine, runs[arm].values())).mean
                       for arm in ("co-trained", "alone-same-steps"))  # fmt: skip
    region = table[table.length.between(9, 16)]
    assert region.difference.mean() == pytest.approx(together - alone)


def test_explore_shows_chosen_series_single_seeds_and_earlier_steps(shipped, monkeypatch):
    app = opened("pages/explore.py", shipped, monkeypatch, series="caprev.demo.co-trained,caprev.demo.alone-same-steps")
    assert not app.exception and "Flip case and reverse + Flip case + Reverse · demo · co-trained" in words(app)
    app.toggle(key="seeds").set_value(True).run()
    assert not app.exception
    slider = app.select_slider(key="at")
    slider.set_value(slider.options[0] if not isinstance(slider.options[0], str) else int(slider.options[0])).run()
    assert not app.exception and "no ablation maps at this point of training, only at its end" in words(app)
    app.multiselect(key="choice-series").set_value([]).run()
    assert not app.exception and "Choose at least one series" in words(app)
