"""What is locked in a read-only dashboard is open in another one: a control that is locked anyway shows nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lgt.core.config import RunConfig
from lgt.recipes.presets import group_config
from lgt.store import leases, tags, writes
from lgt.store.engine import open_store
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

CONFIG = group_config("caprev", "demo")
TICKED = {
    "star": ["done"], "archive": ["done"], "delete": ["done"], "cancel": ["running", "queued"], "retry": ["failed"],
    "restore": ["deleted"],
}  # fmt: skip
"""Button -> states of the runs that must be ticked for it to be open."""


@pytest.fixture()
def store(tmp_path: Path) -> dict[str, int]:
    """A store with a run in every state: state -> run id."""
    engine, ids = open_store(str(tmp_path / "a.db")), {}
    for state in ("queued", "running", "done", "failed", "deleted"):
        ids[state] = writes.create_run(engine, RunConfig(tasks=CONFIG.tasks, model_seed=len(ids), group="caprev"))
        if state == "queued":
            continue
        attempt = leases.start_run(engine, ids[state], "w", "cpu")
        if state != "running":
            leases.finish_run(engine, ids[state], attempt, "failed" if state == "failed" else "done")
    tags.change_tags(engine, [ids["deleted"]], add=["deleted"])
    return ids


def opened(store: Path, ticked: list[int], monkeypatch: pytest.MonkeyPatch, **address: str) -> AppTest:
    monkeypatch.setenv("LGT_DATABASE_URL", str(store))
    monkeypatch.setattr("lgt.ui.pages.runs.show_table", lambda *arguments: ticked)
    app = AppTest.from_file(str(ROOT / "pages" / "runs.py"), default_timeout=60)
    for key, value in address.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception and not app.error
    return app


@pytest.mark.parametrize("button", sorted(TICKED))
def test_a_button_is_open_for_ticked_runs_and_locked_for_none_and_when_read_only(
    button: str, store: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, ids = tmp_path / "a.db", [store[state] for state in TICKED[button]]
    assert not opened(path, ids, monkeypatch).button(key=button).disabled
    if button != "restore":  # it is there for deleted runs only
        assert opened(path, [], monkeypatch).button(key=button).disabled
    monkeypatch.setenv("LGT_READ_ONLY", "1")
    assert opened(path, ids, monkeypatch).button(key=button).disabled


@pytest.mark.parametrize(("button", "states"), [("cancel", ["done", "failed"]), ("retry", ["done", "running"])])
def test_a_button_is_locked_for_runs_that_it_cannot_change(
    button: str, states: list[str], store: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(tmp_path / "a.db", [store[state] for state in states], monkeypatch)
    assert app.button(key=button).disabled


def test_one_run_is_opened_at_a_time(store: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for ticked, locked in (([], True), ([store["done"]], False), ([store["done"], store["failed"]], True)):
        assert opened(tmp_path / "a.db", ticked, monkeypatch).button(key="open").disabled == locked


def test_launch_starts_runs_unless_it_is_read_only(
    store: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LGT_DATABASE_URL", str(tmp_path / "a.db"))
    for locked in (False, True):
        monkeypatch.setenv("LGT_READ_ONLY", str(int(locked)))
        app = AppTest.from_file(str(ROOT / "pages" / "launch.py"), default_timeout=60)
        app.query_params["seeds"] = "77"
        app.run()
        assert not app.exception and app.button(key="start").disabled == locked
        assert app.button(key=f"cancel-{store['running']}").disabled == locked
