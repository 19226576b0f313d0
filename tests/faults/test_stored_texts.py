"""Hostile texts in a store, on every page, in every command and in every file: they stay text.

Pages are run whole, and all that they send to the browser is judged: what is Markdown there by a parser of Markdown,
HTML by a parser of HTML. No address outside this machine may be asked for because of a text in a store.
"""

from __future__ import annotations

import io
import json
import os
import re
import sqlite3
import sys
import zipfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lgt.cli.main import main
from lgt.core import terminal
from lgt.core.config import RunConfig
from lgt.recipes.settings import setting_of
from lgt.report.html import page as report_page
from lgt.store import opening, queries
from lgt.store.engine import open_store
from lgt.ui import downloads
from lgt.ui.drawing import DRAWN
from tests.faults import FULL, hostile_store
from tests.faults.hostile_strings import HOSTILE
from tests.faults.oracles import MARK, csv_problems, elements, hidden, markdown_problems, svg_problems
from tests.faults.page_texts import Texts, opened

pytestmark = pytest.mark.slow
FIRSTS = range(0, len(HOSTILE), 5) if FULL else (0,)
"""With which text a store begins; full: in seventeen stores each text stands in many columns."""


@pytest.fixture(scope="module", params=FIRSTS)
def path(request: pytest.FixtureRequest, few_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("![x](www.folder.example) \x1b[31m\u202e$(id)")
    return hostile_store.build(few_runs, folder / "mine.db", request.param)


@pytest.fixture()
def store(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hostile store as the workspace, and beside it a file that is no store, with a hostile name."""
    broken = path.with_name("<img src=x> ![b](www.broken.example) \u202e.db")
    broken.write_bytes(b"no store" * 1000)
    monkeypatch.setenv("LGT_DATABASE_URL", str(path))
    monkeypatch.setenv("LGT_ALSO", f'"{broken}"')
    return path


def sql(path: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(statement).fetchall()


def ids(path: Path, condition: str) -> list[str]:
    return [str(number) for (number,) in sql(path, f"SELECT id FROM runs WHERE {condition} ORDER BY id")]


def test_every_text_is_in_the_store(path: Path) -> None:
    columns = ["label", "experiment", "code_version", "device", "notes", "tags", "error", "log_tail", "task_group",
               "preset", "owner"]  # fmt: skip
    said = repr(sql(path, f"SELECT {', '.join(columns)} FROM runs"))
    said += repr(sql(path, "SELECT task FROM run_tasks")) + repr(sql(path, "SELECT tags, notes FROM annotations"))
    found = {int(mark[1:-1]) % len(HOSTILE) for mark in MARK.findall(said)}
    assert found >= {number for number, text in enumerate(HOSTILE) if "@" in text}


# --- pages ------------------------------------------------------------------------------------------------------


def settings(path: Path) -> list[tuple[str, str]]:
    """(key, arm) of the settings that have a hostile text in their name."""
    engine = open_store(str(path), read_only=True)
    runs = queries.runs(engine)
    found = [queries.run(engine, int(run_id)).config for run_id in runs[runs.state == "done"].id]
    keys = [setting_of(config).key for config in found if config.auxiliaries]
    return list(dict.fromkeys((key, "co-trained") for key in keys if MARK.search(key)))


def visits(path: Path) -> list[tuple[str, dict[str, str]]]:
    """The pages and the addresses under which a hostile text is on them; several texts on each."""
    named = [key for key, _ in settings(path)]
    imported = [key for key in named if ".imported" in key]
    own = [key for key in named if key not in imported]
    done, failed = ids(path, "state = 'done'"), ids(path, "state = 'failed'")
    free = ids(path, "task_group = 'custom'")
    found = [(page, {"pair": key}) for page in ("overview", "heads") for key in (imported[0], own[0])]
    series = [f"{key}.{arm}" for key in (imported[0], own[0], own[-1]) for arm in ("co-trained", "alone-same-steps")]
    found += [("explore", {"series": ",".join(name for name in series if "," not in name)})]
    found += [("matrix", {}), ("matrix", {"preset": "imported"}), ("claims", {"fig4c": "true"}), ("launch", {})]
    found += [
        ("launch", {"seeds": HOSTILE[0], "group": HOSTILE[0], "sides": HOSTILE[1]}),
        ("runs", {"search": "x ![a](b)"}),
    ]
    found += [("runs", {"run": run}) for run in (done[0], *failed, free[0], done[-1], "![b](https://asked.example)")]
    found += [("overview", {"pair": imported[0], "tour": str(step)}) for step in (1, 4, 7)]
    return [*found, ("playground", {})]


def checked(page: str, address: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Texts]:
    app, texts = opened(page, monkeypatch, **address)
    where = f"{page} {address}"
    assert not app.exception, where
    assert not [error.value for error in app.error if "error id" in error.value], where
    problems = [problem for text in texts.markdown for problem in markdown_problems(text)]
    problems += [f"{text[:80]!r}: hidden {sign}" for text in texts.plain for sign in hidden(text)]
    problems += [f"in a chart: {problem}" for chart in texts.charts for problem in chart_problems(chart)]
    for html in texts.html:
        made = elements(html)
        problems += [f"HTML {one}" for one in made.found if one[0] not in OWN_ELEMENTS]
        problems += [f"HTML {one}" for one in made.found if set(one[1]) - {"class"}] + hidden("".join(made.text))
    assert not problems, (where, problems[:5], len(problems))
    return app, texts


OWN_ELEMENTS = ("style", "div", "h2", "b", "span", "small", "p", "code")
EXPRESSIONS = ("expr", "calculate", "filter", "test", "labelExpr", "signal", "update")
LOADS = ("url", "href", "image")


def chart_problems(part: Any, key: str = "") -> list[str]:
    """Hidden signs, texts of a store inside an expression, and values that load something."""
    if isinstance(part, dict):
        found = [problem for name, value in part.items() for problem in chart_problems(value, name)]
        return found + [f"{name} in a chart" for name in LOADS if name in part]
    if isinstance(part, list):
        return [problem for value in part for problem in chart_problems(value, key)]
    if not isinstance(part, str):
        return []
    return [f"hidden {sign}" for sign in hidden(part)] + [
        f"an expression with a text: {part[:80]}" for name in EXPRESSIONS if key == name and MARK.search(part)
    ]


LEAST = {"overview": 10, "explore": 15, "heads": 10, "matrix": 5, "claims": 0, "launch": 5, "runs": 60, "playground": 0}
"""How many different texts must have come to a page, so that the test sees them there."""


@pytest.mark.parametrize("name", LEAST)
def test_a_page_shows_hostile_texts_as_text(name: str, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    for address in (address for page, address in visits(store) if page == name):
        app, texts = checked(name, address, monkeypatch)
        seen.update(MARK.findall(texts.all))
        if name in ("explore", "heads"):
            check_bundle(app)
    assert len(seen) >= LEAST[name]


def check_bundle(app: Any) -> None:
    """The zip with the charts of a page: tables, specifications, pictures and the README."""
    charts = app.session_state[DRAWN]
    stem = "lgt-page"
    files = downloads.file_names(stem, charts)
    library = opening.open_library([("workspace", os.environ["LGT_DATABASE_URL"])]).library
    content = downloads.bundle({files[key]: chart for key, chart in charts.items()}, library, "page", datetime.now(UTC))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            assert re.fullmatch(r"[a-zA-Z0-9.-]+", name)
            data = archive.read(name)
            if name.endswith(".csv"):
                assert csv_problems(data) == [], name
            elif name.endswith(".svg"):
                assert svg_problems(data.decode()) == [], name
            elif name.endswith(".json"):
                assert chart_problems(json.loads(data)) == [], name
            else:
                assert hidden(data.decode()) == [], name
        assert {Path(name).suffix for name in archive.namelist()} == {".csv", ".svg", ".json", ".txt"}


# --- commands and files -----------------------------------------------------------------------------------------


@pytest.fixture()
def said(monkeypatch: pytest.MonkeyPatch):
    """Runs a command; returns what it printed and its exit code. The two outputs are those that :func:`main` makes."""

    def run(*arguments: str) -> tuple[str, int]:
        raw = io.BytesIO()
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(sys, name, terminal.PlainStream(raw, "utf-8", write_through=True))
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        return raw.getvalue().decode(), int(ended.value.code or 0)

    return run


FORGED = re.compile("lgt: all|ok   store: q|lgt: fine|touch q|x?=q")
"""How a line begins that a text makes when it ends a line of the program; lines of a log are indented."""


def test_commands_print_hostile_texts_on_one_line(store: Path, said) -> None:
    done, failed = ids(store, "state = 'done'"), ids(store, "state = 'failed'")
    asked = [["runs"], *(["show", run] for run in (*done, *failed)), ["doctor"], ["claims"], ["claims", "--markdown"],
             ["experiment", "fig4c", "--status"], ["export", str(store.parent / "rows.csv")]]  # fmt: skip
    seen: set[str] = set()
    for words in asked:
        text, code = said(*words)
        assert code in (0, 1), (words, text)
        assert hidden(text) == [], words
        assert not [line for line in text.splitlines() if FORGED.match(line)], words
        seen |= set(MARK.findall(text))
    assert len(seen) > 100


def test_json_of_commands_has_the_exact_texts(store: Path, said) -> None:
    stored = {str(number): (label, notes) for number, label, notes in sql(store, "SELECT id, label, notes FROM runs")}
    text, code = said("runs", "--json")
    rows = json.loads(text[text.index("\n[") if not text.startswith("[") else 0 :])
    assert code == 0 and {str(row["id"]): (row["label"], row["notes"]) for row in rows} == stored
    assert text.isascii()
    for run in ids(store, "state IN ('done', 'failed')"):
        text, code = said("show", run, "--json")
        shown = json.loads(text[text.index("\n{") if not text.startswith("{") else 0 :])
        assert code == 0 and (shown["label"], shown["notes"]) == stored[run]


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_exported_files_have_no_formula_and_the_exact_texts(kind: str, store: Path, said, tmp_path: Path) -> None:
    text, code = said("export", str(tmp_path / "out"), "--format", kind)
    assert code == 0 and hidden((tmp_path / "out/README.txt").read_text(encoding="utf-8")) == []
    notes = [note for (note,) in sql(store, "SELECT notes FROM runs ORDER BY id")]
    if kind == "csv":
        for file in (tmp_path / "out").glob("*.csv"):
            assert csv_problems(file.read_bytes()) == [], file
    else:
        read = {"json": pd.read_json, "parquet": pd.read_parquet}[kind]
        assert read(tmp_path / f"out/runs.{kind}").notes.tolist() == notes
    one = tmp_path / f"rows.{kind}"
    text, code = said("export", str(one))
    assert code == 0 and (kind != "csv" or csv_problems(one.read_bytes()) == [])
    text, code = said("import", str(one), "--database", str(tmp_path / "new.db"))
    assert code == 0 and hidden(text) == []


def test_the_table_of_runs_as_csv_has_no_formula(store: Path) -> None:
    from lgt.store.library import with_stores
    from lgt.ui import run_table

    library = opening.open_library([("workspace", str(store))]).library
    runs = with_stores(library, queries.runs(library))
    content = downloads.runs_csv(run_table.table(runs, queries.final_accuracy(library)), library)
    assert csv_problems(content) == [] and len(MARK.findall(content.decode("utf-8-sig"))) > 100


REPORT = {"html", "meta", "title", "style", "h1", "h2", "h3", "p", "cite", "figure", "span", "div", "code", "table",
          "thead", "tbody", "tr", "th", "td"}  # fmt: skip


def test_the_report_has_no_element_of_a_text(store: Path) -> None:
    text = "\n".join(report_page(open_store(str(store), read_only=True)))
    assert hidden(text) == [] and MARK.search(text)
    pictures = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert pictures and not [problem for picture in pictures for problem in svg_problems(picture)]
    found = elements(re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL)).found
    assert {name for name, _ in found} <= REPORT
    attributes = {name for _, names in found for name in names}
    assert attributes <= {"lang", "charset", "name", "content", "class", "style", "border"}


def test_commands_of_runs_are_one_line_for_a_shell(store: Path) -> None:
    import shlex

    from lgt.store.readable import runs_table

    engine = open_store(str(store), read_only=True)
    commands = runs_table(engine, queries.runs(engine).id).command.dropna()
    assert len(commands) and MARK.search(" ".join(commands))
    for command in filter(None, commands):
        words = shlex.split(command)
        assert words[:3] == [".venv/bin/python", "-m", "lgt"] and words[3] in ("train", "experiment")
        assert hidden(command) == [] and "\n" not in command
        options = [word for word in words[4:] if MARK.search(word)]
        assert len(options) <= 1 and all(words[words.index(word) - 1] == "--aux" for word in options)


def test_a_config_of_the_store_is_really_hostile(path: Path) -> None:
    """Guards the tests above: the names of tasks, groups and presets in configs are the texts, not cleaned ones."""
    configs = [RunConfig.from_json(text) for (text,) in sql(path, "SELECT config FROM configs")]
    names = [
        name for config in configs for name in (config.group, config.preset, *(spec.task for spec in config.tasks))
    ]
    assert len({mark for name in names for mark in MARK.findall(name)}) >= 10
