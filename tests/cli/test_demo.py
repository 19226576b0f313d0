"""``lgt demo``: two runs, one sentence, and the dashboard on them."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lgt.store import queries
from lgt.store.engine import open_store
from tests.cli.test_cli import QUICK, lgt
from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def test_it_trains_the_pair_once_says_what_came_out_and_starts_the_dashboard_on_it(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("LGT_DATABASE_URL", "unset")  # so that the test puts back what the command changes
    started = []
    monkeypatch.setattr("os.execv", lambda program, words: started.append(words))
    store = str(tmp_path / "workspace.db")
    code, out, _ = lgt(capsys, "demo", "--seed", "901", "--no-app", "--database", store, *QUICK)
    assert code == 0 and started == [] and "http" not in out
    assert "1 of 2: run 1: " in out and "2 of 2: run 2: " in out and out.count("step      3 ") == 2
    runs = queries.runs(open_store(store))
    assert runs.arm.tolist() == ["co-trained", "alone-same-steps"] and set(runs.state) == {"done"}
    assert set(runs.model_seed) == {901} and set(runs.preset) == {"demo"}
    share = queries.final_accuracy(open_store(store)).transfer
    said = "Flip case and reverse, never trained at lengths 9 to 16: {:.0%} of its answers there are right when"
    assert said.format(share[0]) in out and f"{share[1]:.0%} when it is trained alone." in out

    code, out, _ = lgt(capsys, "demo", "--seed", "901", "--port", "8600", "--database", store, *QUICK)
    assert code == 0 and len(queries.runs(open_store(store))) == 2, "they are not trained again"
    assert "1 of 2: run 1 is finished already\n2 of 2: run 2 is finished already\n" in out
    ((python, *words),) = started
    assert python == sys.executable and words[words.index("--server.port") + 1] == "8600"
    assert os.environ["LGT_DATABASE_URL"] == store
    query = re.search(r"http://127\.0\.0\.1:8600/\?stores=workspace&pair=(\S+)", out)
    monkeypatch.setenv("LGT_SHIPPED", str(ROOT / "results.db"))
    app = AppTest.from_file(str(ROOT / "pages/overview.py"), default_timeout=120)
    app.query_params["stores"], app.query_params["pair"] = "workspace", query.group(1)
    app.run()
    assert not app.exception and app.selectbox(key="choice-pair").value == query.group(1)
    assert Path(store).exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [(["--seed", "-1"], "model_seed"), (["--port", "0"], "--port"), (["--set", "training.steps=0"], "training.steps"),
     (["--database", "/nowhere/a.db"], "/nowhere")],
)  # fmt: skip
def test_a_mistake_is_one_line_and_nothing_is_trained(capsys, tmp_path, monkeypatch, words, says):
    monkeypatch.setenv("LGT_DATABASE_URL", str(tmp_path / "none.db"))
    code, out, err = lgt(capsys, "demo", *words)
    assert code == 2 and out == "" and err.count("\n") == 1 and says in err
    assert not (tmp_path / "none.db").exists()


def test_a_run_that_fails_ends_the_command_without_a_dashboard(capsys, tmp_path, monkeypatch):
    def fail(*arguments, **named):
        raise MemoryError

    monkeypatch.setattr("lgt.execution.worker.train", fail)
    monkeypatch.setattr("os.execv", lambda *words: pytest.fail("a dashboard is started"))
    code, out, _ = lgt(capsys, "demo", "--database", str(tmp_path / "a.db"))
    assert code == 1 and "run 1: failed: out of memory" in out
