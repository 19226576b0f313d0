"""Documents: their numbers are those of the shipped store; commands, paths and modules that they name exist."""

from __future__ import annotations

import importlib
import re

import pytest

from lgt.cli.main import app
from lgt.experiments.judging import judge_all
from lgt.experiments.registry import EXPERIMENTS
from lgt.experiments.tables import markdown_table
from lgt.metrics.by_seed import transfer_by_seed
from lgt.recipes.settings import Setting
from lgt.store import queries
from lgt.store.comparisons import comparisons
from lgt.store.engine import open_store
from tests.conftest import ROOT
from tests.test_house import FLOORS

DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/REPRODUCTION.md", "docs/CLAIMS.md")
FOLDERS = (ROOT, ROOT / "docs", ROOT / "benchmarks")
TODAY = sorted(path for folder in FOLDERS for path in folder.glob("*.md") if path.name != "CHANGELOG.md")
"""Documents about the code as it is now. The changelog also names what earlier releases had."""
PATH = re.compile(r"(?<![\w/.-])((?:lgt|tests|benchmarks|pages|docs)/[\w./-]*\w)")
NAME = re.compile(r"(?<![\w/.-])(lgt(?:\.[a-z_]\w*)+)")


@pytest.mark.slow
def test_the_table_of_verdicts_is_what_the_shipped_store_says(shipped):
    engine = open_store(str(shipped), read_only=True)
    runs = queries.runs(engine)
    table = markdown_table(judge_all(engine), dict(zip(runs.id, runs.seconds, strict=True)))
    text = (ROOT / "docs/REPRODUCTION.md").read_text()
    assert "\n".join(table) in text, "paste what `lgt claims --markdown` prints"


@pytest.mark.parametrize(
    ("group", "preset"), [("caprev", "long"), ("add-carry", "small"), ("caprev", "demo"), ("control-add", "small")]
)
def test_the_readme_says_what_the_shipped_store_says(shipped, group, preset):
    engine = open_store(str(shipped), read_only=True)
    found = comparisons(engine)[Setting(group, preset, "rope")]
    sides = [transfer_by_seed(queries.accuracy(engine, found.ids(arm))) for arm in found.runs]
    row = " | ".join(side.text() for side in sides if side is not None)
    assert f"| {row} |" in (ROOT / "README.md").read_text()


def test_every_command_and_experiment_that_a_document_names_exists():
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    for name in DOCUMENTS:
        text = (ROOT / name).read_text()
        assert set(re.findall(r"-m lgt ([a-z]+)", text)) <= commands, name
        assert set(re.findall(r"lgt experiment ([a-z][\w-]+)", text)) <= set(EXPERIMENTS), name


@pytest.mark.parametrize("path", TODAY, ids=lambda path: path.name)
def test_every_path_and_module_that_a_document_names_exists(path):
    text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("<sub>"))
    missing = {name for name in PATH.findall(text) if not (ROOT / name).exists()}
    assert not missing and not {name for name in NAME.findall(text) if not exists(name)}


def test_the_picture_of_the_packages_has_every_package_in_its_order():
    picture = (ROOT / "ARCHITECTURE.md").read_text().split("```")[1]
    drawn = [line[22:].split()[0] for line in picture.splitlines() if line.strip()]
    assert drawn == list(reversed(FLOORS))


def exists(name: str) -> bool:
    """Whether ``name`` is a module of ``lgt``, or an attribute of one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        if (ROOT.joinpath(*parts[:count]).with_suffix(".py")).exists() or ROOT.joinpath(*parts[:count]).is_dir():
            found: object = importlib.import_module(".".join(parts[:count]))
            return all((found := getattr(found, part, None)) is not None for part in parts[count:])
    return False


@pytest.mark.slow
def test_the_table_of_partitioned_heads_is_what_the_shipped_store_says(shipped):
    lines = (ROOT / "docs/FINDINGS.md").read_text().splitlines()
    found = {line.split(" | ")[0].removeprefix("| "): line for line in lines if line.startswith("| ")}
    checked = 0
    for one in judge_all(open_store(str(shipped), read_only=True)):
        if not one.experiment.name.startswith("heads-") or not one.seeds:
            continue
        for series, of in one.measured.values.items():
            values = list(of.values())
            if len(values) < len(one.experiment.planned):
                continue
            mean, half = sum(values) / len(values), sum(value >= 0.5 for value in values)
            reach = f"{mean:.2f} ({min(values):.2f} to {max(values):.2f})"
            assert found[str(series)] == f"| {series} | {reach} | {half} of {len(values)} |"
            checked += 1
    assert checked >= 4
