"""Cells and numbers of pages, beside the same numbers computed here in SQL on the shipped store."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from lgt.core.config import Arm
from lgt.store.comparisons import Comparison, comparisons
from lgt.store.engine import open_store
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

SHARES = """
    SELECT runs.id, runs.model_seed, accuracy.length, 1.0 * accuracy.correct / accuracy.total AS share,
           run_tasks.training_length AS lm, run_tasks.transfer_length AS la
    FROM runs JOIN run_tasks ON run_tasks.run_id = runs.id AND run_tasks.role = 'main'
    JOIN accuracy ON accuracy.run_id = runs.id AND accuracy.task = run_tasks.task
    WHERE accuracy.step = (SELECT max(step) FROM accuracy AS later WHERE later.run_id = runs.id)
"""
"""The main task's exact match of every run at its last step, by length."""
TRANSFER = f"SELECT id, avg(share) FROM ({SHARES}) WHERE length > lm AND length <= la GROUP BY id"
TRAINED = f"SELECT id, avg(share) FROM ({SHARES}) WHERE length <= lm GROUP BY id"
GAP = """
    SELECT id, avg(of_task) FROM (
        SELECT main.run_id AS id,
               avg(abs(1.0 * main.correct / main.total - 1.0 * other.correct / other.total)) AS of_task
        FROM accuracy AS main
        JOIN run_tasks AS m ON m.run_id = main.run_id AND m.task = main.task AND m.role = 'main'
        JOIN run_tasks AS o ON o.run_id = main.run_id AND o.role != 'main'
        JOIN accuracy AS other ON other.run_id = main.run_id AND other.task = o.task
             AND other.step = main.step AND other.length = main.length
        WHERE main.step = (SELECT max(step) FROM accuracy WHERE run_id = main.run_id)
              AND main.length <= m.transfer_length
        GROUP BY main.run_id, o.task
    ) GROUP BY id
"""


@pytest.fixture(scope="module")
def sql() -> Iterator[sqlite3.Connection]:
    """The shipped store, opened for reading only."""
    with closing(sqlite3.connect(f"{(ROOT / 'results.db').as_uri()}?mode=ro", uri=True)) as connection:
        yield connection


@pytest.fixture(scope="module")
def transfer(sql: sqlite3.Connection) -> dict[int, float]:
    """Transfer accuracy by run id."""
    return dict(sql.execute(TRANSFER).fetchall())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shipped store for all pages of this module, which only read it."""
    path = tmp_path_factory.mktemp("cells") / "results.db"
    path.write_bytes((ROOT / "results.db").read_bytes())
    return path


@pytest.fixture(scope="module")
def pairs(store: Path) -> dict[str, Comparison]:
    """The comparisons of the presets with rotary positions as they stand, by ``group.preset``."""
    found = comparisons(open_store(str(store), read_only=True)).items()
    return {f"{s.group}.{s.preset}": one for s, one in found if not s.changes and s.position == "rope"}


def opened(page: str, store: Path, monkeypatch: pytest.MonkeyPatch, **address: str) -> AppTest:
    monkeypatch.setenv("LGT_DATABASE_URL", str(store))
    app = AppTest.from_file(str(ROOT / "pages" / page), default_timeout=120)
    for key, value in address.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception and not app.error
    return app


def drawn(app: AppTest, column: str) -> list[dict[str, Any]]:
    """The rows with this column that the page's charts draw; Streamlit sends them beside the specification."""
    found = []
    for chart in app.get("arrow_vega_lite_chart") or app.get("vega_lite_chart"):
        for dataset in chart.proto.datasets:
            table = pa.ipc.open_stream(dataset.data.data).read_pandas()
            found += table.to_dict("records") if column in table else []
    return found


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


ARMS: dict[str, Arm] = {"optimizer steps": "alone-same-steps", "main-task examples": "alone-same-examples"}
MATCHED = pytest.mark.parametrize("matched", list(ARMS))


def test_the_arms_of_a_comparison_are_what_their_runs_say(sql, pairs) -> None:
    stored = dict(sql.execute("SELECT id, arm FROM runs"))
    for comparison in pairs.values():
        for arm, of in comparison.runs.items():
            assert {stored[run_id] for run_id in of.values()} <= {arm}


@MATCHED
@pytest.mark.parametrize("pair", ["caprev.demo", "dfs-path.small"])
def test_overview_compares_with_the_baseline_that_was_chosen(pair, matched, store, monkeypatch, pairs, transfer, sql):
    runs = pairs[pair].runs
    alone, together = runs[ARMS[matched]], runs["co-trained"]
    app = opened("overview.py", store, monkeypatch, pair=pair, matched=matched)
    heads = [found for part in app.get("html") for found in re.findall(r"<h2>.*?</h2><b>(.*?)</b>", part.proto.body)]
    shown = [f"{mean([transfer[run_id] for run_id in arm.values()]):.0%}" for arm in (alone, together)]
    assert heads == shown
    gains = [transfer[together[seed]] - transfer[alone[seed]] for seed in together if seed in alone]
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Transfer gain"] == f"{100 * mean(gains):+.0f} points"
    gap = dict(sql.execute(GAP))
    assert metrics["Generalization gap"] == f"{mean([gap[run_id] for run_id in together.values()]):.2f}"
    text = " ".join(markdown.value for markdown in app.markdown)
    trained = dict(sql.execute(TRAINED))
    assert f"{mean([trained[run_id] for run_id in alone.values()]):.0%} of the answers right at these" in text
    assert f"{mean([trained[run_id] for run_id in together.values()]):.0%} right at its own trained lengths" in text


def test_the_two_baselines_differ_so_that_exchanging_them_would_show(pairs, transfer) -> None:
    for pair in ("caprev.demo", "dfs-path.small"):
        means = {mean([transfer[run_id] for run_id in pairs[pair].runs[arm].values()]) for arm in ARMS.values()}
        assert len({f"{value:.0%}" for value in means}) == 2, pair


@pytest.mark.parametrize("preset", ["demo", "small"])
def test_a_cell_of_the_matrix_is_the_gain_over_the_same_number_of_steps(preset, store, monkeypatch, pairs, transfer):
    app = opened("matrix.py", store, monkeypatch, preset=preset)
    shown = {(row["main"], frozenset(row["auxiliaries"].split("+"))): row for row in drawn(app, "gain")}
    checked = 0
    for name, comparison in pairs.items():
        together, alone = comparison.runs["co-trained"], comparison.runs["alone-same-steps"]
        seeds = sorted(together.keys() & alone.keys())
        config = comparison.config
        key = (config.main.task, frozenset(spec.task for spec in config.auxiliaries))
        group, _, of = name.partition(".")
        if of != preset or not seeds or group != config.group or "+" in group:  # pairs of one's own come second
            continue
        gains = [transfer[together[seed]] - transfer[alone[seed]] for seed in seeds]
        assert shown[key]["gain"] == pytest.approx(mean(gains)), name
        assert shown[key]["n"] == len(seeds) and shown[key]["gain_text"].replace("−", "-") == f"{mean(gains):+.2f}"
        assert shown[key]["control"] == any(spec.role == "control" for spec in config.auxiliaries)
        checked += 1
    assert checked >= 3


def test_the_table_of_runs_shows_each_runs_own_numbers(store, monkeypatch, transfer, sql) -> None:
    table = opened("runs.py", store, monkeypatch).dataframe[0].value.set_index("number")
    trained = dict(sql.execute(TRAINED))
    stored = {row[0]: row[1:] for row in sql.execute("SELECT id, model_seed, state, step, seconds, preset FROM runs")}
    assert list(table.index) == sorted(stored, reverse=True)[: len(table)]
    for run_id, row in table.iterrows():
        seed, state, step, seconds, preset = stored[run_id]
        assert (row.seed, row.state, row.steps, row.preset) == (seed, state, step, preset), run_id
        assert row.seconds == pytest.approx(seconds)
        assert row.trained == pytest.approx(100 * trained[run_id]), run_id
        if run_id in transfer:
            assert row.transfer == pytest.approx(100 * transfer[run_id]), run_id
        else:
            assert row.transfer != row.transfer, "no transfer region: an empty cell"


FIGURES = {"fig4c": "caprev.demo", "fig3c": "add-multiply.demo", "fig7": "path-dfs.demo"}
"""Entries of claim 1 and 4 -> their runs: the difference is that to the better of the two baselines."""


def test_a_verdict_is_drawn_from_the_difference_to_the_better_baseline(store, monkeypatch, pairs, transfer) -> None:
    app = opened("claims.py", store, monkeypatch)
    rows = drawn(app, "difference")
    for figure, pair in FIGURES.items():
        runs = pairs[pair].runs
        expected = {
            seed: transfer[run_id] - max(transfer[runs[arm][seed]] for arm in ARMS.values())
            for seed, run_id in runs["co-trained"].items() if all(seed in runs[arm] for arm in ARMS.values())
        }  # fmt: skip
        shown = {row["seed"]: row["difference"] for row in rows if row["figure"] == figure}
        assert shown and shown == pytest.approx({seed: expected[seed] for seed in shown}), figure
        (drawn_mean,) = {row["mean"] for row in rows if row["figure"] == figure}
        assert drawn_mean == pytest.approx(mean(list(shown.values())))
