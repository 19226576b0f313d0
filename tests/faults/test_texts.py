"""Stored text in every medium: 85 hostile texts through each exit function, judged by parsers of other people."""

from __future__ import annotations

import io
import json
import logging
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace

import altair as alt
import pandas as pd
import pytest
import yaml

from lgt.cli.main import main
from lgt.core import plain_text, terminal
from lgt.core.config import RunConfig, TaskSpec
from lgt.core.plain_text import as_code, for_html, for_markdown, for_shell, for_terminal, visible
from lgt.execution import worker
from lgt.execution.log_tail import LogTail, utc_formatter
from lgt.recipes.commands import experiment_command, stored_experiment_command, train_command
from lgt.recipes.presets import custom_config
from lgt.report.model_card import Exported, model_card
from lgt.store import writes
from lgt.store.csv_files import as_csv
from lgt.store.engine import open_store
from lgt.store.schema import RunState
from lgt.ui import drawing
from tests.conftest import tiny
from tests.faults.hostile_strings import all_marked
from tests.faults.oracles import csv_problems, elements, hidden, markdown_problems, shown_text

READABLE = (
    "plain", "añb ß 中文 한국어 עברית العربية", "می‌خواهم", "क्‍ष", "👨‍👩‍👧 👩🏽‍💻 ❤️ 1️⃣ 🇪🇺",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "Copy beside Reverse (8 ← 16)", "5 → 6 · 3–4 …", "葛\U000e0100",
)  # fmt: skip
PLACES = ("{}", "- {}", "**{}** and", "run 3: {}.", "Deleted: {} · (more)", "{}, {}")


def each_text(test: Callable[[str], None]) -> Callable[[], None]:
    """``test`` for every hostile text, as one test, whose message names the text."""

    def all_texts() -> None:
        for text in all_marked():
            try:
                test(text)
            except Exception as error:
                raise AssertionError(f"with the text {text!a}: {error}") from error

    return all_texts


@each_text
def test_a_text_has_no_hidden_sign_in_any_medium(text: str) -> None:
    for made in (visible(text), for_terminal(text), for_markdown(text), as_code(text), for_html(text), for_shell(text)):
        assert not hidden(made)
    assert not set("\n\t\r") & set(for_terminal(text) + for_markdown(text) + for_shell(text))


@pytest.mark.parametrize("text", READABLE)
def test_scripts_and_emoji_stay_as_they_are(text: str) -> None:
    assert visible(text) == for_terminal(text) == text
    assert shown_text(for_markdown(text)) == text


@each_text
def test_markdown_shows_the_text_and_nothing_else(text: str) -> None:
    shown = visible(" ".join(text.split()))
    for made in (for_markdown(text), as_code(text)):
        assert shown_text(made) == shown
        for place in PLACES:
            assert markdown_problems(place.format(made, made)) == []


@each_text
def test_markdown_is_one_cell_of_a_table(text: str) -> None:
    from markdown_it import MarkdownIt

    row = f"| {for_markdown(text, in_table=True)} | {as_code(text, in_table=True)} | end |"
    tokens = MarkdownIt("commonmark").enable("table").parse(f"| a | b | c |\n| --- | --- | --- |\n{row}\n")
    cells = [tokens[place + 1] for place, token in enumerate(tokens) if token.type == "td_open"]
    shown = visible(" ".join(text.split()))
    assert len(cells) == 3
    assert ["".join(one.content for one in cell.children) for cell in cells] == [shown, shown, "end"]


@each_text
def test_html_has_no_element_or_attribute_of_the_text(text: str) -> None:
    made = elements(f'<p title="{for_html(text)}">{for_html(text)}</p>')
    assert made.found == [("p", ("title",))]
    assert "".join(made.text) == visible(text)


@each_text
def test_a_shell_takes_the_text_as_one_word(text: str) -> None:
    assert shlex.split(f"lgt show {for_shell(text)} --json") == ["lgt", "show", for_terminal(text), "--json"]


def test_a_real_shell_takes_each_text_as_one_word(tmp_path) -> None:
    texts = all_marked()
    script = f"printf '%s\\0' {' '.join(map(for_shell, texts))}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, cwd=tmp_path, check=True)
    assert done.stdout.decode().split("\0")[:-1] == [for_terminal(text) for text in texts]
    assert list(tmp_path.iterdir()) == []


def test_csv_has_no_formula_and_keeps_the_text() -> None:
    texts = all_marked()
    table = pd.DataFrame({"text": texts, "kind": pd.Categorical(texts), "mixed": [*texts[:-1], 7], "number": -1.5})
    content = as_csv(table)
    assert csv_problems(content) == []
    back = pd.read_csv(io.BytesIO(content), encoding="utf-8-sig", keep_default_na=False)
    assert back.text.tolist() == back.kind.tolist()
    for text, read in zip((re.sub("\r\n?", "\n", text) for text in texts), back.text, strict=True):
        assert read in (text, f"'{text}")
    assert len(back) == len(texts) and (back.number == -1.5).all()


def test_csv_has_no_formula_in_the_names_of_columns() -> None:
    texts = all_marked()
    assert csv_problems(as_csv(pd.DataFrame([[1] * len(texts)], columns=texts))) == []


# --- terminals and logs -----------------------------------------------------------------------------------------


def plain_stream(*, tty: bool = False) -> tuple[terminal.PlainStream, io.BytesIO]:
    raw = io.BytesIO()
    if tty:
        raw = type("Tty", (io.BytesIO,), {"isatty": lambda self: True})()
    return terminal.PlainStream(raw, "utf-8", write_through=True), raw


def test_whatever_is_printed_has_no_hidden_sign() -> None:
    stream, raw = plain_stream()
    for text in all_marked():
        print(text, file=stream)
        stream.write(text)
        stream.writelines([text, "\n"])
    assert not hidden(raw.getvalue().decode()) and "é" not in raw.getvalue().decode()


def test_the_console_colours_a_table_and_cleans_its_texts(monkeypatch) -> None:
    from rich.table import Table
    from rich.text import Text

    stream, raw = plain_stream(tty=True)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    console = terminal.console()
    assert console.is_terminal
    console.width = 200
    table = Table(header_style="bold red")
    table.add_column("name")
    for text in all_marked():
        table.add_row(Text(text))
        console.print(Text(text))
    console.print(table)
    shown = raw.getvalue().decode()
    own = re.compile(r"\x1b\[(0|1|31|1;31|2|22|39)m")
    assert own.search(shown), "colours of the program itself stay"
    assert not hidden(own.sub("", shown))
    assert r"\x1b[31mred" in shown


@pytest.mark.slow
def test_a_command_prints_no_hidden_sign_also_in_its_errors(tmp_path) -> None:
    """Through the real entry point, with a name on its command line that comes from a link or a message."""
    for arguments in (["show", "\x1b[31m\u202ered"], ["runs", "--database", f"{tmp_path}/\x1b[2J\u2066x.db"],
                      ["experiment", "a\x9bb"], ["train", "--main", "x\x07:y"]):  # fmt: skip
        done = subprocess.run([sys.executable, "-m", "lgt", *arguments], capture_output=True, encoding="utf-8")
        assert done.returncode == 2 and not hidden(done.stdout + done.stderr), arguments
        assert len(done.stderr.splitlines()) == 1, done.stderr


def log_lines(form: logging.Formatter, text: str) -> list[str]:
    record = logging.LogRecord("lgt.x", logging.WARNING, "p", 1, "run %s failed: %s", ("7", text), None)
    return form.format(record).split("\n")


@each_text
def test_a_message_in_a_log_is_one_line(text: str) -> None:
    for form in (utc_formatter(), terminal.PlainFormatter("%(message)s")):
        (line,) = log_lines(form, text)
        assert not hidden(line) and "run 7 failed: " in line
    tail = LogTail()
    tail.emit(logging.LogRecord("lgt.x", logging.WARNING, "p", 1, "%s", (text,), None))
    assert len(tail.lines) == 1 and not hidden(tail.text())


def test_a_traceback_in_a_log_has_no_hidden_sign() -> None:
    form = terminal.PlainFormatter("%(message)s")
    for text in all_marked():
        try:
            raise ValueError(text)
        except ValueError:
            record = logging.LogRecord("lgt.x", logging.ERROR, "p", 1, "failed", (), sys.exc_info())
        assert not hidden(form.format(record)) and "Traceback" in form.format(record)


def test_the_log_of_the_dashboard_is_plain(capsys) -> None:
    name = "lgt-test-of-texts"
    terminal.log_plainly(name)
    terminal.log_plainly(name)
    logging.getLogger(name).warning("page %s", "\x1b[31m\u202e\nERROR")
    logging.getLogger(name).handlers.clear()
    assert capsys.readouterr().err == "page \\x1b[31m\\u202e\\nERROR\n"


# --- commands, the card, JSON -----------------------------------------------------------------------------------


def free_config(name: str) -> RunConfig:
    specs = [TaskSpec("reverse", "main", 4), TaskSpec(name, "auxiliary", 8)]
    return custom_config(specs, "demo", "strings")


@each_text
def test_the_command_of_a_run_has_its_tasks_as_one_word(text: str) -> None:
    command = train_command(free_config(text))
    assert command is not None and not hidden(command)
    words = shlex.split(command)
    assert words[words.index("--aux") + 1] == f"{for_terminal(text)}:8" and len(words) == 12


@each_text
def test_the_name_of_an_experiment_that_cannot_be_one_makes_no_command(text: str) -> None:
    assert stored_experiment_command(text) is None
    assert shlex.split(experiment_command(text))[4:] == [for_terminal(text)]


def test_a_run_of_a_known_experiment_has_its_command() -> None:
    assert stored_experiment_command("fig4c") == ".venv/bin/python -m lgt experiment fig4c"
    assert stored_experiment_command(None) is stored_experiment_command("") is None


@each_text
def test_the_card_of_a_network_is_text(text: str) -> None:
    """A card with the text as device, code version, folder and name of a task: the same parts as a harmless one."""
    harmless, made = (card_of(of) for of in ("harmless", text))
    assert yaml.safe_load(made.split("---\n")[1]) == yaml.safe_load(harmless.split("---\n")[1])
    assert not hidden(made)
    kinds = [block_kinds(one) for one in (harmless, made)]
    assert kinds[0] == kinds[1]


def card_of(text: str) -> str:
    config = tiny()
    config = RunConfig.from_dict(config.as_dict() | {"tasks": [
        *config.as_dict()["tasks"], {"task": text, "role": "auxiliary", "training_length": 6},
    ]})  # fmt: skip
    exported = Exported("5", 150, "LlamaForCausalLM", text, f"lgt export-model 5 {for_shell(text)}", ())
    rows = pd.DataFrame({"task": [text], "length": [1], "correct": [1], "total": [2]})
    record = SimpleNamespace(config=config, config_hash=config.hash(), code_version=text, device=text)
    return model_card(record, exported, rows)  # type: ignore[arg-type]


def block_kinds(card: str) -> list[str]:
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").enable("table").parse(card.split("---\n", 2)[2])
    inline = [one.type for block in tokens for one in block.children or [] if not one.type.startswith(("text", "code"))]
    return [block.type for block in tokens] + inline


def test_json_of_a_text_survives_the_terminal() -> None:
    stream, raw = plain_stream()
    print(json.dumps(all_marked()), file=stream)
    assert json.loads(raw.getvalue()) == all_marked()


def test_all_texts_of_a_chart_are_cleaned() -> None:
    chart = {"title": ["a\x1b", {"text": "b\u202e"}], "data": {"values": [{"x": "c\x9b", "n": 1}]}}
    assert plain_text.in_all_texts(chart) == {
        "title": ["a\\x1b", {"text": "b\\u202e"}], "data": {"values": [{"x": "c\\x9b", "n": 1}]},
    }  # fmt: skip


def test_a_chart_on_a_page_has_cleaned_texts() -> None:
    def chart() -> alt.Chart:
        return alt.Chart(alt.Data(values=[{"x": "a\x1b"}]), title="b\u202e").mark_bar().encode(x="x:N")

    drawn = drawing.specification(chart)
    assert drawn["title"] == "b\\u202e" and drawn["data"]["values"] == [{"x": "a\\x1b"}]


def test_the_list_of_runs_has_one_line_for_each_run(tmp_path, capsys) -> None:
    store = open_store(str(tmp_path / "workspace.db"))
    writes.create_runs(store, [tiny(model_seed=seed) for seed, _ in enumerate(all_marked())], labels=all_marked())
    with pytest.raises(SystemExit):
        main(["runs", "--database", str(tmp_path / "workspace.db")])
    lines = capsys.readouterr().out.rstrip("\n").split("\n")
    assert len(lines) == 1 + len(all_marked())
    assert [line for line in lines if for_terminal(all_marked()[0]) in line] == lines[1:2]


@pytest.mark.slow
def test_a_worker_reports_the_label_of_each_run_on_one_line(tmp_path, monkeypatch) -> None:
    store = open_store(str(tmp_path / "workspace.db"))
    writes.create_runs(store, [tiny(model_seed=seed) for seed, _ in enumerate(all_marked())], labels=all_marked())
    lines: list[str] = []
    monkeypatch.setattr(worker, "execute", lambda *arguments, **options: RunState.DONE)
    worker.work(store, report=lines.append)
    assert len(lines) == 2 * len(all_marked()) and not hidden("".join(lines)) and "\n" not in "".join(lines)
    for text, line in zip(all_marked(), lines[::2], strict=True):
        assert line.endswith(f": {for_terminal(text)} started")
