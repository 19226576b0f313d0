"""The house: a module imports only from lower floors, and the web process stays free of torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = {
    0: {"checks", "config", "presets", "groups", "seeding", "records", "labels", "paper", "places", "version",
        "__init__"},
    1: {"tasks", "vocabulary", "statistics", "limits", "verdicts", "prompts"},
    2: {"model", "taps", "batches", "fused"},
    3: {"evaluate", "attribution", "checkpoint", "playground", "interventions"},
    4: {"train", "resume", "ensemble", "steps", "optimizers", "prefetch", "sinks", "snapshots"},
    5: {"store"},
    6: {"execution", "experiments", "series", "claims", "summaries", "dynamics", "judgements", "runtable"},
    7: {"charts", "ui", "cli", "cli_bench", "cli_options", "cli_runs", "cli_tables", "doctor", "report", "figures",
        "__main__"},
}  # fmt: skip
FLOOR = {name: floor for floor, names in FLOORS.items() for name in names}
LIBRARIES = {
    "torch": {2, 3, 4, 6}, "sqlalchemy": {5, 6, 7}, "streamlit": {7}, "altair": {7}, "pandas": {5, 6, 7},
    "transformers": set(), "typer": {7}, "alembic": {5},
}  # fmt: skip


def modules() -> list[Path]:
    return sorted((ROOT / "lgt").rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(ROOT / "lgt").parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names if node.module == "lgt"}
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_from_its_floor_or_below(path):
    own = FLOOR[room(path)]
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "lgt" and len(parts) > 1 and parts[1] in FLOOR:
            assert FLOOR[parts[1]] <= own, f"{path} (floor {own}) imports {name} (floor {FLOOR[parts[1]]})"
        if parts[0] in LIBRARIES:
            assert own in LIBRARIES[parts[0]], f"{path} (floor {own}) imports {name}"


def test_streamlit_sql_and_torch_never_meet():
    for path in [*modules(), ROOT / "app.py", *(ROOT / "pages").glob("*.py")]:
        heavy = {name.split(".")[0] for name in imports(path)} & {"streamlit", "torch"}
        assert len(heavy) < 2, path
        assert not {"streamlit", "sqlalchemy"} <= {name.split(".")[0] for name in imports(path)}, path
    for path in [ROOT / "app.py", *(ROOT / "pages").glob("*.py")]:
        assert not {name.split(".")[0] for name in imports(path)} & {"torch", "sqlalchemy", "altair"}, path
    for path in (ROOT / "lgt" / "charts").glob("*.py"):
        assert not {name.split(".")[0] for name in imports(path)} & {"streamlit", "sqlalchemy", "torch"}, path


@pytest.mark.parametrize(
    "statement",
    [
        "import lgt.store.queries, lgt.store.writes, lgt.store.transfer, lgt.store.comparisons",
        "import lgt.charts",
        "import lgt.ui.panels, lgt.ui.data, lgt.ui.frame",
        "import lgt.cli, lgt.doctor",
        "from streamlit.testing.v1 import AppTest; AppTest.from_file('app.py').run(timeout=60)",
    ],
)
def test_the_web_process_and_quick_commands_do_not_import_torch(statement):
    check = f"{statement}; import sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=False).returncode == 0


def test_modules_stay_short():
    for path in modules():
        assert len(path.read_text().splitlines()) <= 350, path
