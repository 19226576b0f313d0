"""Several stores on the pages: what counts, whose a run is, what may be changed, and what is never written."""

from __future__ import annotations

import hashlib
import re
import shutil

import pytest
from streamlit.testing.v1 import AppTest

from lgt.recipes.presets import group_config
from lgt.recipes.settings import Setting
from lgt.store import exchange, imports, leases, queries, writes
from lgt.store.comparisons import comparisons
from lgt.store.engine import open_store
from lgt.store.errors import StoreError
from lgt.store.library import STRIDE
from lgt.ui import actions, open_stores
from tests.conftest import ROOT
from tests.store.test_library import finished
from tests.ui.test_pages import words

pytestmark = pytest.mark.slow

PAGES = ("overview", "explore", "heads", "matrix", "pretraining", "claims", "launch", "runs", "playground")
OWN_SEEDS = (0, 900)


@pytest.fixture(scope="session")
def own_store(tmp_path_factory):
    """A workspace with co-trained runs and baselines of caprev.demo: seed 0 as shipped, seed 900 of its own."""
    path = tmp_path_factory.mktemp("own") / "workspace.db"
    engine = open_store(str(path))
    for seed in OWN_SEEDS:
        for arm in ("co-trained", "alone-same-steps"):
            finished(engine, group_config("caprev", "demo", arm=arm, seed=seed), 3)
    failed = writes.create_run(engine, group_config("caprev", "demo", seed=901))
    leases.finish_run(engine, failed, leases.start_run(engine, failed, "test", "cpu"), "failed", "out of memory")
    return path


@pytest.fixture()
def stores(few_runs, own_store, tmp_path, monkeypatch):
    """(shipped, workspace): both are set in the environment; the workspace is this test's own copy."""
    own = shutil.copy(own_store, tmp_path / "workspace.db")
    monkeypatch.setenv("LGT_SHIPPED", str(few_runs))
    monkeypatch.setenv("LGT_DATABASE_URL", str(own))
    return few_runs, own


def opened(page: str, **address: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / f"pages/{page}.py"), default_timeout=60)
    for key, value in address.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception and not app.error
    return app


def digest(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_overview_and_claims_stand_on_the_shipped_results_until_the_viewer_adds_others(stores):
    for page in ("overview", "claims"):
        app = opened(page)
        assert "stand on the shipped results. Other runs do not count" in words(app)
        added = opened(page, stores="shipped.workspace")
        assert "Counted here: shipped results, my workspace" in words(added)


def test_an_own_seed_changes_the_numbers_of_overview_only_when_it_is_added(stores):
    found = comparisons(open_store(str(stores[0]), read_only=True))
    seeds = len(found[Setting("caprev", "demo", "rope")].runs["co-trained"])
    shown = [opened("overview", pair="caprev.demo", **stores_) for stores_ in ({}, {"stores": "shipped.workspace"})]
    said = [re.findall(r"(\d+) seeds", words(app)) for app in shown]
    assert set(said[0]) == {str(seeds)}
    assert str(seeds + 1) in said[1], "seed 0 is in both stores and counts once"


def test_the_choice_holds_on_other_pages_of_the_session(stores):
    app = opened("runs")
    total = len(queries.runs(open_store(str(stores[0]), read_only=True)))
    assert f"{total + 5} of {total + 5} runs." in words(app)
    pills = next(group for group in app.get("button_group") if "Results that count" in group.label)
    pills.set_value(["workspace"]).run()
    assert "5 of 5 runs." in words(app) and app.session_state["stores-counted"] == ["workspace"]


def test_a_run_is_named_by_its_store_and_carries_its_badge(stores):
    app = opened("runs", run="workspace.1")
    assert "Run workspace.1" in words(app).replace("\\", "") and "my workspace" in words(app)
    shipped_run = opened("runs", run="1")
    assert "Run 1 ·" in words(shipped_run).replace("\\", "") and "shipped results" in words(shipped_run)


def test_explore_lays_the_same_setting_of_two_stores_over_each_other(stores):
    app = opened("explore", series="caprev.demo.co-trained")
    said = [str(one.value) for one in app.caption if ": transfer accuracy" in str(one.value)]
    assert [text.split(":")[0] for text in said] == ["shipped results", "my workspace"]
    assert f"over {len(OWN_SEEDS)} seeds" in said[1]
    drawn = app.get("vega_lite_chart")[0].proto.spec
    assert "my workspace" in drawn and "shipped results" in drawn, "one chart names both curves"
    alone = opened("explore", series="caprev.demo.co-trained", stores="shipped")
    assert not [one for one in alone.caption if ": transfer accuracy" in str(one.value)]


def test_what_a_viewer_says_about_a_shipped_run_is_kept_in_the_workspace(stores):
    before = digest(stores[0])
    app = opened("runs", run="1")
    assert "This run belongs to shipped results" in words(app)
    app.button(key="star").click().run()
    form = {one.label: one for one in app.text_input}
    form["Note"].input("a clear case")
    form["Tags, separated by commas"].input("talk")
    next(one for one in app.button if one.label == "Save").click().run()
    assert not app.exception and not app.error and digest(stores[0]) == before
    again = opened("runs", run="1")
    assert "★ Run 1" in words(again) and {one.label: one.value for one in again.text_input}["Note"] == "a clear case"
    assert again.button(key="star").label == "Unstar"
    again.button(key="star").click().run()
    assert "★ Run 1" not in words(opened("runs", run="1"))
    actions.retag([1], add=["archived"])
    with pytest.raises(StoreError, match="belongs to shipped results; only runs of your workspace can be changed or d"):
        actions.retag([1], add=["deleted"])


def test_a_run_of_the_workspace_is_starred_and_a_shipped_one_is_not_written(stores):
    before = digest(stores[0])
    own = opened("runs", run="workspace.1")
    own.button(key="star").click().run()
    assert "star" in queries.run(open_store(str(stores[1]), read_only=True), 1).tags and digest(stores[0]) == before
    with pytest.raises(StoreError, match="belongs to shipped results"):
        actions.in_workspace([1])


def test_a_launched_run_goes_to_the_workspace(stores, monkeypatch):
    monkeypatch.setattr("lgt.execution.worker_processes.ensure_workers", lambda url, runs: 0)
    before = digest(stores[0])
    app = opened("launch", group="caprev", preset="demo")
    app.button(key="start").click().run()
    assert not app.exception and not app.error and digest(stores[0]) == before
    rows = queries.runs(open_store(str(stores[1]), read_only=True))
    assert (rows.state == "queued").sum() == 2


def test_a_damaged_store_is_one_line_and_the_others_are_shown(stores, tmp_path, monkeypatch):
    (tmp_path / "broken.db").write_text("not a database")
    monkeypatch.setenv("LGT_ALSO", str(tmp_path / "broken.db"))
    for page in PAGES:
        app = opened(page)
        assert len(app.warning) == 1 and "broken.db" in app.warning[0].value.replace("\\", "")


@pytest.mark.parametrize("page", PAGES)
def test_no_page_writes_a_store_that_it_reads(page, stores):
    before = [digest(path) for path in stores]
    opened(page, stores="shipped.workspace")
    assert [digest(path) for path in stores] == before
    assert sorted(path.name for path in stores[1].parent.iterdir() if path.name.startswith("workspace")) == [
        "workspace.db"
    ]


def test_a_path_opens_one_more_store_for_this_session(stores, own_store, tmp_path):
    other = shutil.copy(own_store, tmp_path / "colleague.db")
    app = opened("runs")
    app.text_input(key="stores-path").set_value(str(other)).run()
    assert not app.exception and not app.error
    again = [*app.session_state["stores-further"]]
    assert again == [("colleague", str(other))]
    app.run()
    total = len(queries.runs(open_store(str(stores[0]), read_only=True)))
    assert f"{total + 10} of {total + 10} runs." in words(app)


def test_a_path_to_nothing_is_one_line_and_read_only_has_no_such_box(stores, tmp_path, monkeypatch):
    app = AppTest.from_file(str(ROOT / "pages/runs.py"), default_timeout=60).run()
    app.text_input(key="stores-path").set_value(str(tmp_path / "none.db")).run()
    assert len(app.error) == 1 and "none.db does not exist" in app.error[0].value
    monkeypatch.setenv("LGT_READ_ONLY", "1")
    assert not [field for field in opened("runs").text_input if field.key == "stores-path"]


def test_ids_of_the_workspace_do_not_meet_shipped_ones(stores):
    app = opened("runs", stores="workspace")
    assert app.dataframe[0].value["number"].max() < STRIDE


@pytest.fixture()
def imported(few_runs, tmp_path, monkeypatch):
    """A workspace with the runs of docs/examples/import.csv, beside the shipped results."""
    own = tmp_path / "workspace.db"
    imports.import_runs(open_store(str(own)), exchange.read_file(ROOT / "docs/examples/import.csv").runs)
    monkeypatch.setenv("LGT_SHIPPED", str(few_runs))
    monkeypatch.setenv("LGT_DATABASE_URL", str(own))
    return own


PAIR = "sort_words:4+count_words:8.imported"


@pytest.mark.parametrize(
    ("page", "address"),
    [("overview", {"pair": PAIR, "stores": "workspace"}),
     ("overview", {"pair": PAIR, "stores": "workspace", "tour": "1"}),
     ("explore", {"series": f"{PAIR}.co-trained"}), ("matrix", {"preset": "imported"}),
     ("runs", {"run": "workspace.1"})],
)  # fmt: skip
def test_imported_runs_of_unknown_tasks_are_shown_with_their_badge(page, address, imported):
    said = words(opened(page, **address)).replace("\\", "")
    assert "imported" in said or "other programs" in said
    assert "sort_words" in said or page == "matrix"


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_beside_and_on_imported_runs_alone(page, imported):
    opened(page)
    opened(page, stores="workspace")


def test_the_gain_of_imported_runs_is_that_of_their_counts(imported):
    app = opened("overview", pair=PAIR, stores="workspace")
    gain = (0.85 + 0.71 + 0.55 + 0.40) / 4 - (0.40 + 0.12 + 0.03 + 0.0) / 4
    assert {metric.label: metric.value for metric in app.metric}["Transfer gain"] == f"{100 * gain:+.0f} points"


def test_a_verdict_on_any_page_stands_on_the_shipped_results_until_the_viewer_chooses(stores):
    app = opened("matrix")
    assert app.session_state["stores-judged"] == ["shipped"]
    assert app.session_state["stores-counted"] == ["shipped", "workspace"]
    assert opened("matrix", stores="workspace").session_state["stores-judged"] == ["workspace"]
    pills = next(group for group in app.get("button_group") if "Results that count" in group.label)
    pills.set_value(["workspace"]).run()
    pills = next(group for group in app.get("button_group") if "Results that count" in group.label)
    pills.set_value(["shipped", "workspace"]).run()
    assert app.session_state["stores-judged"] == ["shipped", "workspace"], "chosen, though it is what counts by default"


def test_a_read_only_dashboard_with_one_store_has_no_button_for_stores(shipped, monkeypatch):
    monkeypatch.setenv("LGT_DATABASE_URL", str(shipped))
    monkeypatch.setenv("LGT_READ_ONLY", "1")
    assert not [group for group in opened("runs").get("button_group") if "Results that count" in group.label]


def test_of_an_imported_run_nothing_is_told_that_nobody_knows(imported):
    app = opened("runs", run="workspace.1")
    said = words(app) + " ".join(table.value.to_string() for table in [*app.table, *app.dataframe])
    assert "Nothing more is known of its configuration" in said and "sort_words" in said
    for guessed in ("layers", "muon", "learning_rate", "rotary", "tokens", "data 0", "fused"):
        assert guessed not in said, guessed
    table = opened("runs", stores="workspace").dataframe[0].value
    assert set(table.position) == {"–"}


@pytest.mark.parametrize("page", ["runs", "launch"])
def test_a_page_looks_for_its_stores_at_most_three_times(page, stores, monkeypatch):
    """Once for its control, once for its body, and once more where a part of it is drawn again by itself."""
    asked, look = [], open_stores._opened
    monkeypatch.setattr(open_stores, "_opened", lambda: asked.append(1) or look())
    opened(page)
    assert 1 <= len(asked) <= 3


def test_a_store_that_is_created_while_a_page_is_drawn_is_found(tmp_path, monkeypatch, shipped):
    """What was found before is kept for the page, so an action that creates the workspace must say so."""
    monkeypatch.setenv("LGT_SHIPPED", str(shipped))
    monkeypatch.setenv("LGT_DATABASE_URL", str(tmp_path / "new.db"))
    monkeypatch.setattr(actions.worker_processes, "ensure_workers", lambda *_: 0)
    with open_stores.stores_looked_for_once():
        assert len(open_stores.opened().library.members) == 1
        (run_id,) = actions.submit([group_config("caprev", "demo", seed=900)], token="t")
        assert run_id >= STRIDE and len(open_stores.opened().library.members) == 2
