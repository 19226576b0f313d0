"""R7: runs continue without the web process. R12: overload."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lgt.core.checks import ConfigError
from lgt.execution import worker_processes
from lgt.recipes.presets import group_config
from lgt.store import backup, integrity, merge, queries, tags, writes
from lgt.store.engine import open_store
from lgt.store.errors import StoreError
from lgt.ui import actions
from tests.conftest import ROOT, own_cache
from tests.faults import size
from tests.faults.processes import config
from tests.faults.test_workers import wait_until
from tests.servers import BROWSER_ARGUMENTS, CHROMIUM, READY, Server


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine; `make test` installs it on Debian")
def test_r7_runs_outlive_the_server_that_started_their_workers(tmp_path: Path, monkeypatch) -> None:
    from playwright.sync_api import sync_playwright

    path, cache = tmp_path / "results.db", str(own_cache(tmp_path / "cache"))
    monkeypatch.setenv("LGT_CACHE", cache)
    store = open_store(str(path))
    ids = [writes.create_run(store, config(steps=size(800, 3000), model_seed=seed)) for seed in range(size(3, 5))]
    server = Server(path, LGT_CACHE=cache)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER_ARGUMENTS)
            tabs = [browser.new_page() for _ in range(size(3, 10))]
            for tab in tabs:
                tab.goto(f"{server.address}/launch")
            tabs[0].wait_for_selector(READY)
            tabs[0].get_by_role("button", name="Start workers").click()
            wait_until(lambda: not (queries.runs(store).step == 0).all())
            for _ in range(size(3, 20)):
                server.kill()
                server = Server(path, port=server.port, LGT_CACHE=cache)
                time.sleep(0.5)
            wait_until(lambda: (queries.runs(store).state == "done").all(), 900)
            browser.close()
    finally:
        server.kill()
        stop_workers(str(path))
    frame = queries.runs(store)
    assert frame.id.tolist() == ids and (frame.attempt == 1).all(), "no run was made twice or taken over"
    assert integrity.integrity(store) == []


def stop_workers(path: str) -> None:
    """End the workers of the dashboard that wait for more runs."""
    found = subprocess.run(["pgrep", "-f", "lgt worker --slot"], capture_output=True, text=True).stdout.split()
    for number in found:
        environment = Path(f"/proc/{number}/environ")
        if environment.exists() and path.encode() in environment.read_bytes():
            os.kill(int(number), signal.SIGTERM)


def test_no_more_workers_start_than_there_are_slots(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("LGT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LGT_MAX_WORKERS", "2")
    url = f"sqlite:///{tmp_path / 'results.db'}"
    open_store(url)
    slots = [worker_processes.take_slot(url) for _ in range(3)]
    assert [slot is not None for slot in slots] == [True, True, False] and worker_processes.busy_slots(url) == 2
    assert worker_processes.ensure_workers(url, 9) == 0
    slots[0].release()
    assert worker_processes.busy_slots(url) == 1 and worker_processes.busy_slots(f"{url}.other") == 0


@pytest.mark.slow
def test_r12_the_queue_is_bounded(tmp_path: Path, monkeypatch) -> None:
    store = open_store(str(tmp_path / "results.db"))
    submissions, most = size(300, 2000), size(150, 1000)
    monkeypatch.setenv("LGT_MAX_QUEUE", str(most))
    accepted = refused = 0
    for _ in range(submissions):
        try:
            writes.create_run(store, config())
            accepted += 1
        except StoreError as error:
            refused += 1
            assert f"exceed the limit of {most:,} (LGT_MAX_QUEUE sets this limit)" in str(error)
    assert (accepted, refused) == (most, submissions - most)
    with pytest.raises(StoreError, match="LGT_MAX_QUEUE"):
        writes.create_runs(store, [config()] * 2, labels=["", ""])
    assert len(queries.runs(store)) == most


@pytest.mark.slow
def test_r12_thirty_clicks_make_one_job(tmp_path: Path, monkeypatch) -> None:
    store = tmp_path / "results.db"
    monkeypatch.setenv("LGT_DATABASE_URL", str(store))
    monkeypatch.setattr(worker_processes, "ensure_workers", lambda url, runs: 0)
    page = str(ROOT / "pages/launch.py")
    tabs = [AppTest.from_file(page, default_timeout=60).run() for _ in range(size(6, 30))]
    for tab in tabs:  # all were opened before the first click
        tab.button(key="start").click().run()
        assert not tab.exception and not tab.error and tab.button(key="start").disabled
    assert len(queries.runs(open_store(str(store)))) == 2, "with auxiliary and alone, once each"
    ids = [actions.submit([group_config("caprev", "demo", seed=5)], "one token") for _ in range(30)]
    assert ids == [ids[0]] * 30


@pytest.mark.slow
def test_a_page_with_a_thousand_waiting_runs_shows_a_few_and_counts_the_rest(tmp_path: Path, monkeypatch) -> None:
    store = tmp_path / "results.db"
    shutil.copy(ROOT / "results.db", store)
    engine = open_store(str(store))
    writes.create_runs(engine, [config()] * 1000, labels=["waiting"] * 1000)
    monkeypatch.setenv("LGT_DATABASE_URL", str(store))
    app = AppTest.from_file(str(ROOT / "pages/launch.py"), default_timeout=60).run()
    assert not app.exception and "and 995 more waiting" in [caption.value for caption in app.caption]
    assert len(app.button) < 20


@pytest.mark.parametrize(
    ("variable", "value", "group", "says"),
    [
        ("LGT_MAX_STEPS", "999", "caprev", "training.steps: 1000 is not accepted; accepted: at most 999 steps"),
        ("LGT_MAX_PARAMETERS", "1000", "caprev", "model: "),
        ("LGT_MAX_LENGTH", "15", "caprev", "length: 20 is not accepted; accepted: at most 15 (LGT_MAX_LENGTH"),
        ("LGT_MAX_STEPS", "many", "caprev", "LGT_MAX_STEPS: 'many' is not accepted; accepted: a whole number above 0"),
    ],
)
def test_limits_are_held_by_the_store_itself(tmp_path: Path, monkeypatch, variable, value, group, says) -> None:
    store = open_store(str(tmp_path / "results.db"))
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as caught:
        writes.create_run(store, group_config(group, "demo"))
    assert str(caught.value).startswith(says) and variable in str(caught.value)
    monkeypatch.delenv(variable)
    assert queries.runs(store).empty


def test_read_only_refuses_every_write_in_the_write_functions(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "results.db"
    store = open_store(str(path))
    run_id = writes.create_run(store, config())
    copy = backup.backup(store, tmp_path / "backup.db")
    before = path.read_bytes()
    monkeypatch.setenv("LGT_READ_ONLY", "1")
    from lgt.store import leases, queue

    for write in (
        lambda: writes.create_run(store, config()), lambda: leases.cancel_run(store, run_id),
        lambda: leases.start_run(store, run_id, "w", "cpu"), lambda: queue.claim(store, "w", "cpu"),
        lambda: queue.retry(store, run_id), lambda: writes.delete_runs(store, [run_id]),
        lambda: tags.set_note(store, [run_id], "x"), lambda: backup.restore(copy, str(path)),
        lambda: open_store(str(path)), lambda: open_store(str(tmp_path / "new.db")),
        lambda: worker_processes.ensure_workers(str(path), 1), lambda: merge.merge(store, str(copy)),
    ):  # fmt: skip
        with pytest.raises(StoreError, match="LGT_READ_ONLY is set"):
            write()
    assert path.read_bytes() == before and not (tmp_path / "new.db").exists()
    assert len(queries.runs(open_store(str(path), read_only=True))) == 1
    monkeypatch.setenv("LGT_DATABASE_URL", str(path))
    app = AppTest.from_file(str(ROOT / "pages/launch.py"), default_timeout=60).run()
    assert not app.exception and app.button(key="start").disabled and "read-only" in app.info[0].value
    assert app.button(key=f"cancel-{run_id}").disabled
