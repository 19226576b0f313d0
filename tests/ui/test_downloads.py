"""Every download of every page: a byte-order mark, described columns, titles, shares, whose run it is, its numbers."""

from __future__ import annotations

import ast
import io
import json
import re
import zipfile
from datetime import UTC, datetime

import pandas as pd
import pytest
from sqlalchemy import text

import lgt
from lgt.metrics.intervals import wilson_interval
from lgt.recipes.labels import task_title
from lgt.store import columns, queries
from lgt.store.csv_files import as_csv
from lgt.store.engine import open_store, read_connection
from lgt.store.export import export
from lgt.store.library import Library, library_of
from lgt.store.readable import TITLES, readable, runs_table
from lgt.ui import downloads as handout
from lgt.ui.chart_tables import chart_table
from lgt.ui.drawing import DRAWN, Drawn, safe_name
from tests.conftest import ROOT
from tests.ui.test_pages import opened

VIEWS: dict[str, tuple[str, dict[str, str]]] = {
    "overview": ("overview", {"pair": "caprev.demo"}),
    "overview, revealed guess": ("overview", {"pair": "caprev.demo", "predict": "1", "guess": "50-50-50-50"}),
    "explore": ("explore", {}),
    "matrix": ("matrix", {}),
    "claims": ("claims", {"fig3a": "true", "fig10": "true", "fig11-seeds": "true", "fig18-maps": "true"}),
    "heads": ("heads", {"pair": "caprev.demo", "head": "1.1"}),
    "one run": ("runs", {"run": "7"}),
    "playground": ("playground", {}),
    "a maze": ("playground", {"run": "maze"}),
}
WITHOUT_RUNS = {"guess_curve", "gap_grid"}
"""Charts with a table that may be about no run of the store: the viewer's guess, and the paper's numbers."""
WITHOUT_SEEDS = {"transfer_matrix"}
DOWNLOADS = {"downloads.py": 2, "one_run.py": 1, "pages/runs.py": 1, "race.py": 2}
"""The buttons in the code of the pages: the ones here are what the tests below look at; those of the race are no tables
(tests/report/test_race_files.py)."""


@pytest.fixture()
def library(shipped) -> Library:
    return library_of([("workspace", open_store(str(shipped), read_only=True))])


def drawn_in(view: str, shipped, library: Library, monkeypatch) -> dict[str, Drawn]:
    page, address = VIEWS[view]
    if address.get("run") == "maze":
        kept = queries.runs(library, group="path-dfs")
        weights = pd.read_sql(text("SELECT run_id FROM checkpoints"), library.members[0].engine).run_id
        address = {"run": str(kept.id[kept.id.isin(weights)].iloc[0])}
    app = opened(f"pages/{page}.py", shipped, monkeypatch, **address)
    assert not app.exception and not app.error
    found: dict[str, Drawn] = app.session_state[DRAWN]
    return found


def read(data: bytes) -> pd.DataFrame:
    assert data.startswith(b"\xef\xbb\xbf") and b"\r" not in data
    return pd.read_csv(io.BytesIO(data), dtype={"run": str, "runs": str}, keep_default_na=False, na_values=[""])


def check(table: pd.DataFrame) -> None:
    """What holds for every table that somebody takes along."""
    assert len(table) and not set(table) - set(columns.COLUMNS), set(table) - set(columns.COLUMNS)
    assert table.columns.tolist() == columns.ordered(table.columns)
    assert all(re.fullmatch("[a-z0-9_]+", name) for name in table)
    for name in set(TITLES) & set(table):
        assert f"{name}_title" in table, f"{name} has no title"
    if "task_group" in table:
        assert table.task_group_title.notna().all()
    if "task" in table:
        assert table.task_title.tolist() == [task_title(task) for task in table.task]
    if "length" in table:
        assert {"length_unit", "zone"} <= set(table) and set(table.zone) <= {"trained", "transfer region", "beyond"}
    if "head" in table and {"source_input"} <= set(table):  # several heads may be replaced together
        assert table["head"].str.fullmatch(r"(L\d+)?(·?H\d+)?|all").all()
    elif "head" in table:
        names = [f"L{a}·H{b}" for a, b in zip(table.layer_number, table.head_number, strict=True)]
        assert table["head"].tolist() == names and table.layer_number.min() >= 1
    if {"correct", "total"} & set(table):
        assert (table.correct / table.total - table.accuracy).abs().max() < 1e-12
        first = table.iloc[len(table) // 2]
        limits = wilson_interval(int(first.correct), int(first.total))
        assert [first.accuracy_low, first.accuracy_high] == pytest.approx(limits)


@pytest.mark.slow
@pytest.mark.parametrize("view", VIEWS)
def test_every_download_of_a_page_can_be_read_alone(view, shipped, library, monkeypatch):
    found = drawn_in(view, shipped, library, monkeypatch)
    assert found
    for name, chart in found.items():
        table = read(handout.numbers(chart, library))
        check(table)
        if chart.chart in WITHOUT_RUNS and "run" not in table:
            continue
        assert {"run", "run_uuid", "steps"} <= set(table) or "runs" in table, name
        assert {"model_seed"} <= set(table) or chart.chart in WITHOUT_SEEDS, name


@pytest.mark.slow
@pytest.mark.parametrize("view", ["overview", "claims", "heads", "one run"])
def test_a_zip_explains_its_columns_and_says_how_to_repeat_the_runs(view, shipped, library, monkeypatch):
    found = drawn_in(view, shipped, library, monkeypatch)
    files = {name: found[key] for key, name in handout.file_names("lgt-x", found).items()}
    assert len(files) == len(found) and all(safe_name(name) == name for name in files)
    packed = zipfile.ZipFile(io.BytesIO(handout.bundle(files, library, view, datetime(2026, 1, 2, 3, 4, tzinfo=UTC))))
    readme = packed.read("README.txt").decode()
    flat = " ".join(readme.split())
    assert f"Length Transfer Lab {lgt.__version__}" in readme and "my workspace" in readme
    assert "Written on 2026-01-02 at 03:04 UTC" in readme and str(shipped.parent) not in readme
    tables = [name for name in packed.namelist() if name.endswith(".csv")]
    assert {*tables} == {"runs.csv", *(f"{name}.csv" for name in files)}
    for name in tables:
        table = read(packed.read(name))
        check(table)
        assert f"{name}: {', '.join(table.columns)}" in readme
        assert all(f"{column}: {columns.COLUMNS[column]}" in flat for column in table)
    commands = readme.split("HOW TO MAKE THE RUNS AGAIN\n")[1]
    assert "-m lgt train --" in commands or "-m lgt experiment " in commands


@pytest.mark.slow
def test_the_numbers_of_a_curve_are_the_stored_counts(shipped, library, monkeypatch):
    chart = drawn_in("overview", shipped, library, monkeypatch)["curve-together"]
    table = read(handout.numbers(chart, library))
    ids = ", ".join(sorted(set(table.run)))
    query = f"""SELECT a.run_id AS run, r.uuid AS run_uuid, a.task, a.length, a.correct, a.total
                FROM accuracy a JOIN runs r ON r.id = a.run_id
                WHERE a.run_id IN ({ids}) AND a.step = r.total_steps ORDER BY a.run_id, a.task, a.length"""
    with read_connection(library.members[0].engine) as connection:
        stored = pd.DataFrame(connection.execute(text(query)).mappings().all()).astype({"run": str})
    keys = ["run", "task", "length"]
    ours = table.assign(number=table.run.astype(int)).sort_values(["number", "task", "length"])
    pd.testing.assert_frame_equal(ours[stored.columns].reset_index(drop=True), stored, check_dtype=False)
    assert not table.duplicated(keys).any()
    means = (stored.correct / stored.total).groupby([stored.task, stored.length]).mean()
    drawn = table.drop_duplicates(["task", "length"]).set_index(["task", "length"])
    pd.testing.assert_series_equal(drawn.curve_accuracy.sort_index(), means.sort_index(), check_names=False)
    main = drawn.loc["capitalize_reverse"]
    at = stored[(stored.task == "capitalize_reverse") & (stored.length == 12)]
    assert main.curve_low[12] == (at.correct / at.total).min() and main.curve_seeds[12] == len(at)
    assert main.zone[[8, 9, 16, 17]].tolist() == ["trained", "transfer region", "transfer region", "beyond"]


@pytest.mark.slow
def test_the_points_of_training_are_means_over_the_lengths_of_a_zone(shipped, library, monkeypatch):
    chart = drawn_in("one run", shipped, library, monkeypatch)["training-7"]
    table = read(handout.numbers(chart, library))
    means = table.groupby(["task", "zone", "step"]).agg(ours=("accuracy", "mean"), drawn=("curve_accuracy", "first"))
    assert len(means) > 5 and (means.ours - means.drawn).abs().max() < 1e-12


@pytest.mark.slow
def test_the_knock_out_test_has_the_counts_of_every_choice(shipped, library, monkeypatch):
    app = opened("pages/heads.py", shipped, monkeypatch, pair="caprev.demo")
    app.button(key="test").click().run()
    table = read(handout.numbers(app.session_state[DRAWN]["strip"], library))
    check(table)
    assert table.run.nunique() == 1 and {"run_uuid", "model_seed"} <= set(table)
    choices = table.heads.fillna("")
    assert (
        "" in set(choices)
        and choices.nunique() > 3
        and all(re.fullmatch(r"(L\d·H\d(, )?)*", of) for of in set(choices))
    )
    assert table.groupby(choices).length.nunique().nunique() == 1


@pytest.mark.slow
def test_a_hidden_guess_has_no_result(shipped, library, monkeypatch):
    app = opened("pages/overview.py", shipped, monkeypatch, pair="caprev.demo", predict="1")
    table = read(handout.numbers(app.session_state[DRAWN]["curve-guess"], library))
    assert not {"correct", "accuracy", "curve_accuracy", "run"} & set(table) and "guess" in table


def test_the_downloads_of_runs(shipped, library):
    one = read(handout.readable_csv(queries.accuracy(library, [7]), library))
    check(one)
    assert set(one.run) == {"7"} and len(one) == len(queries.accuracy(library, [7]))
    marks = pd.DataFrame({"run_id": [7, 9], "tags": ["=1+1", ""], "notes": ["", "a note"]})
    runs = read(handout.runs_csv(marks, library))
    check(runs)
    assert runs.run.tolist() == ["7", "9"] and runs.tags[0] == "'=1+1" and runs.notes[1] == "a note"
    assert runs.command.str.contains("-m lgt train").all() and runs.transfer_accuracy.between(0, 1).all()


def test_a_run_of_another_store_is_named_as_on_the_pages(shipped, own_shipped):
    paths = {"shipped": shipped, "workspace": own_shipped}
    library = library_of([(name, open_store(str(path), read_only=True)) for name, path in paths.items()])
    offset = library.members[1].offset
    table = readable(queries.accuracy(library, [7, offset + 7]), library)
    assert list(dict.fromkeys(table.run)) == ["7", "workspace.7"]
    assert list(dict.fromkeys(table.store)) == ["shipped results", "my workspace"]
    assert table.run_uuid.nunique() == 1


def test_every_button_is_one_that_these_tests_know():
    found = {}
    for path in sorted((ROOT / "lgt" / "ui").rglob("*.py")):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
        if count := sum(node.attr == "download_button" for node in calls):
            found[str(path.relative_to(ROOT / "lgt" / "ui"))] = count
        assert "to_csv" not in path.read_text(), f"{path} writes CSV by itself; use lgt.store.csv_files.as_csv"
    assert found == DOWNLOADS


@pytest.mark.slow
def test_an_exported_folder_is_described_and_readable(shipped, tmp_path):
    paths = export(open_store(str(shipped), read_only=True), tmp_path / "out")
    readme = (tmp_path / "out" / "README.txt").read_text(encoding="utf-8")
    flat = " ".join(readme.split())
    assert f"Length Transfer Lab {lgt.__version__}" in readme and str(tmp_path) not in readme
    assert str(shipped.parent) not in readme and "HOW TO MAKE THE RUNS AGAIN" in readme
    for path in (path for path in paths if path.suffix == ".csv"):
        table = read(path.read_bytes())
        assert f"{path.name}: {', '.join(table.columns)}" in readme and "run" in table
        assert all(f"{column}: {columns.COLUMNS[column]}" in flat for column in table)
        if len(table):
            check(table)
    runs = read((tmp_path / "out" / "runs.csv").read_bytes())
    assert {"run_uuid", "model_seed", "data_seed", "steps", "main_length", "transfer_length", "command"} <= set(runs)
    assert json.loads(runs.config[0])["model_seed"] == runs.model_seed[0]


def test_the_document_has_every_column():
    document = (ROOT / "docs/DOWNLOADS.md").read_text()
    assert document.endswith(columns.document()), "paste what `python -m lgt.store.columns` prints"
    assert len(columns.COLUMNS) == sum(map(len, columns.SECTIONS.values())), "a column is described twice"
    assert all(text[0].isupper() or text[0] == "`" for text in columns.COLUMNS.values())
    assert all(text.endswith((".", "...")) for text in columns.COLUMNS.values())


def test_texts_that_a_spreadsheet_would_run_are_escaped_wherever_they_stand():
    table = pd.DataFrame({"notes": ["=1+1", "fine", None], "tags": pd.Series(["+a", 3, None], dtype=object)})
    assert read(as_csv(table)).notes.tolist()[:2] == ["'=1+1", "fine"]
    assert read(as_csv(table)).tags.tolist()[:2] == ["'+a", "3"]


def test_an_unknown_column_of_an_extension_is_kept_and_named_as_one():
    drawn = Drawn("Theirs", {}, pd.DataFrame({"whatever": [1], "task": ["reverse"]}), "their_chart")
    table = chart_table(drawn, library_of([]))
    assert table.columns.tolist() == ["task", "task_title", "whatever"]
    assert columns.sentence("whatever") == columns.UNKNOWN


def test_a_run_that_another_program_made_has_no_command_and_no_encoding(tmp_path):
    from lgt.store import exchange, imports

    engine = open_store(str(tmp_path / "mine.db"))
    imports.import_runs(engine, exchange.read_file(ROOT / "docs/examples/import.csv").runs)
    table = runs_table(engine, queries.runs(engine).id)
    assert len(table) == 2 and (table.command == "").all() and table.position.isna().all()
    check(readable(queries.accuracy(engine, [1, 2]), engine))
