"""docs/EXTENDING.md: every code block is a file that works as an extension.

Each section has its test functions. :func:`blocks` gives a section's Python blocks, :func:`extension` writes them as
files, and the fixture ``loaded`` loads such files into this process and removes what they registered.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lgt.charts.theme import DARK, LIGHT, task_colour
from lgt.core import extensions
from lgt.core.config import TaskOptions
from lgt.recipes import presets
from lgt.recipes.groups import GROUPS
from lgt.recipes.presets import group_config
from lgt.tasks import TASKS
from lgt.tasks.prompts import typed
from lgt.tasks.vocabulary import decode
from tests.conftest import ROOT

DOCUMENT = ROOT / "docs" / "EXTENDING.md"
SHORT = [
    "training.steps=20", "evaluation.examples=24", "evaluation.progress_examples=8", "evaluation.snapshots=1",
    "evaluation.attribution_examples=8", "evaluation.attribution_lengths=1",
]  # fmt: skip


def blocks(heading: str) -> list[str]:
    """The Python blocks of the section with this heading, in order."""
    (section,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", DOCUMENT.read_text(), re.M | re.S)
    return re.findall(r"```python\n(.*?)```", section, re.S)


def extension(folder: Path, *sources: str) -> str:
    """A value of LGT_EXTENSIONS that names a file for each of ``sources``, in order."""
    paths = []
    for number, source in enumerate(sources):
        path = folder / f"extension_{number}.py"
        path.write_text(source)
        paths.append(str(path))
    return ",".join(paths)


def lgt(*arguments: str, named: str, store: Path) -> str:
    """What ``python -m lgt`` prints in a process of its own, with these extensions and this store."""
    environment = os.environ | {"LGT_EXTENSIONS": named, "LGT_DATABASE_URL": str(store), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "lgt", *arguments], cwd=store.parent, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture()
def loaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Sequence[object]]]:
    """Loads what a value of LGT_EXTENSIONS names; tasks and groups are removed after the test."""

    def load(named: str) -> Sequence[object]:
        monkeypatch.setenv("LGT_EXTENSIONS", named)
        return extensions.load()

    monkeypatch.setattr(extensions, "_loaded", {})
    with presets.isolated():
        yield load


def opened(page: str, store: Path, monkeypatch: pytest.MonkeyPatch, **address: str) -> AppTest:
    """A page of the dashboard on ``store``."""
    monkeypatch.setenv("LGT_DATABASE_URL", str(store))
    app = AppTest.from_file(str(ROOT / "pages" / f"{page}.py"), default_timeout=60)
    for key, value in address.items():
        app.query_params[key] = value
    return app.run()


def words(app: AppTest) -> str:
    """The text of a page, with the titles of its selections and the specifications of its charts."""
    elements = [*app.title, *app.markdown, *app.caption, *app.info, *app.subheader]
    options = [option for box in [*app.selectbox, *app.multiselect] for option in box.options]
    charts = [chart.proto.spec for chart in app.get("vega_lite_chart")]
    return "\n".join([*(str(element.value) for element in elements), *options, *charts])


@pytest.fixture(scope="module")
def rotate_store(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """(extensions, store) after twenty steps of the group of docs/EXTENDING.md, trained by the real command line."""
    folder = tmp_path_factory.mktemp("rotate")
    named = extension(folder, blocks("A task")[0], *blocks("A task group"))
    settings = [part for setting in SHORT for part in ("--set", setting)]
    said = lgt(
        "train", "--group", "rotate-copy", "--preset", "demo", "--threads", "1", *settings,
        named=named, store=folder / "store.db",
    )  # fmt: skip
    assert "rotate-copy 8<-16 co-trained, seed 0" in said
    return named, folder / "store.db"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("which", "address", "says"),
    [
        ("explore", {}, [r"Rotate \+ Copy", r"Length \(characters\)"]),
        ("heads", {}, ["Rotating, helped by copying", "Rotate"]),
        ("playground", {"text": "aBcd"}, ["Rotate", "letter read", "The model reads `aBcd=`", "4 characters: trained"]),
        ("matrix", {}, ["Rotating, helped by copying"]),
    ],
)
def test_the_task_and_the_group_are_seen_on_the_pages(which, address, says, rotate_store, loaded, monkeypatch):
    named, store = rotate_store
    loaded(named)
    app = opened(which, store, monkeypatch, **address)
    assert not app.exception and not app.error, [error.value for error in app.error]
    text = words(app)
    for part in says:
        assert re.search(part, text), (part, text)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["overview", "explore", "heads", "matrix", "playground", "runs"])
def test_without_the_extension_every_page_says_what_it_leaves_out(which, rotate_store, monkeypatch):
    _, store = rotate_store
    app = opened(which, store, monkeypatch, **({"run": "1"} if which == "runs" else {}))
    assert not app.exception and not app.error, [error.value for error in app.error]
    assert "Task groups with these tasks are not shown: rotate." in words(app)


@pytest.mark.slow
def test_commands_know_the_task_and_the_group(rotate_store):
    named, store = rotate_store
    assert "rotate" in lgt("tasks", "--json", named=named, store=store)
    groups = {group["key"]: group for group in json.loads(lgt("groups", "--json", named=named, store=store))}
    assert groups["rotate-copy"]["lengths"] == {"demo": [8, 16], "small": [12, 24], "long": [16, 32], "paper": [16, 32]}
    assert "rotate" in lgt("show", "1", "--json", named=named, store=store)


def test_the_tasks_of_the_document_answer_as_they_say(tmp_path, loaded):
    loaded(extension(tmp_path, *blocks("A task")))
    assert list(TASKS)[-2:] == ["rotate", "parity"]
    assert (task_colour("rotate", LIGHT), task_colour("rotate", DARK)) == ("#1F7A3D", "#63C98A")
    for name, text, answer in (("rotate", "aBcd", "Bcda"), ("parity", "1101", "[odd]"), ("parity", "0110", "[even]")):
        prompt = typed(name, (text,), 0, TaskOptions())
        assert decode(prompt.tokens) == f"<bos><{name}>{text}={answer}<eos>"


def test_the_group_of_the_document_has_its_lengths_and_steps(tmp_path, loaded):
    loaded(extension(tmp_path, blocks("A task")[0], *blocks("A task group")))
    config = group_config("rotate-copy", "demo")
    assert list(GROUPS)[-1] == "rotate-copy" and config.training.steps == 2000
    assert (config.main.training_length, config.transfer_length) == (8, 16)


def test_every_block_of_the_document_belongs_to_a_section():
    text = DOCUMENT.read_text()
    headings = re.findall(r"^## (.+)$", text, re.M)
    assert headings[:2] == ["A task", "A task group"]
    assert sum(len(blocks(heading)) for heading in headings) == text.count("```python")
