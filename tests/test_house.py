"""The structure of the code: modules import only from their own or lower packages; the web process has no torch."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = (
    "core", "tasks", "recipes", "metrics", "model", "fused", "evaluation", "training", "store", "experiments", "charts",
    "report", "execution", "ui", "cli",
)  # fmt: skip
"""The packages of ``lgt``, lowest first: a module imports only from its own package or from lower ones."""
LIBRARIES = {
    "torch": {"model", "fused", "evaluation", "training", "execution"},
    "sqlalchemy": {"store", "experiments", "report", "execution", "ui", "cli"},
    "alembic": {"store"},
    "streamlit": {"ui"},
    "starlette": {"ui"},
    "altair": {"charts", "report", "ui"},
    "pandas": {"recipes", "metrics", "store", "experiments", "charts", "report", "execution", "ui", "cli"},
    "typer": {"cli"},
    "transformers": set(),
}  # fmt: skip
"""The packages that may import each of these libraries."""


def modules() -> list[Path]:
    return sorted((ROOT / "lgt").rglob("*.py"))


def package(path: Path) -> str:
    """The package of a module; empty for ``lgt/__init__.py`` and ``lgt/__main__.py``."""
    parts = path.relative_to(ROOT / "lgt").parts
    return parts[0] if len(parts) > 1 else ""


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names if node.module == "lgt"}
    return found


def test_every_module_lives_in_a_listed_package():
    assert {package(path) for path in modules()} == {"", *FLOORS}
    assert {path.name for path in modules() if not package(path)} == {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_from_its_own_package_or_lower_ones(path):
    own = package(path)
    for name in imports(path) if own else ():
        parts = name.split(".")
        if parts[0] == "lgt" and len(parts) > 1 and parts[1] in FLOORS:
            assert FLOORS.index(parts[1]) <= FLOORS.index(own), f"{path} imports {name}, which is above {own}"
        if parts[0] in LIBRARIES:
            assert own in LIBRARIES[parts[0]], f"{path} imports {name}"


def test_no_module_imports_streamlit_together_with_torch_or_sql():
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
        "import lgt.store.queries, lgt.store.writes, lgt.store.merge, lgt.store.comparisons",
        "import lgt.charts",
        "import lgt.ui.panels, lgt.ui.data, lgt.ui.frame",
        "import lgt.cli.main, lgt.cli.doctor",
        "from streamlit.testing.v1 import AppTest; AppTest.from_file('app.py').run(timeout=60)",
    ],
)
def test_the_web_process_and_quick_commands_do_not_import_torch(statement):
    check = f"{statement}; import sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=False).returncode == 0


def functions() -> list[int]:
    """Lines of every function in ``lgt``, from ``def`` to its end, docstring included, shortest first."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    nodes = [node for path in modules() for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]
    return sorted((node.end_lineno or 0) - node.lineno + 1 for node in nodes)


def depth() -> dict[str, int]:
    """By package, the number of packages in the longest chain of imports that begins with it."""
    imported: dict[str, set[str]] = {name: set() for name in FLOORS}
    for path in modules():
        if own := package(path):
            imported[own] |= {name.split(".")[1] for name in imports(path) if name.startswith("lgt.")}
    found: dict[str, int] = {}
    for name in FLOORS:  # lowest first, so that whatever it imports is there already
        found[name] = 1 + max((found[other] for other in imported[name] & found.keys()), default=0)
    return found


def test_modules_stay_short():
    for path in [*modules(), ROOT / "app.py", *(ROOT / "pages").glob("*.py")]:
        assert len(path.read_text().splitlines()) <= 350, path


def test_functions_stay_short():
    lines = functions()
    assert len(lines) > 1000
    assert statistics.median(lines) <= 7 and statistics.quantiles(lines, n=10)[8] <= 19


def test_the_package_has_few_entries_and_short_import_chains():
    entries = [path for path in (ROOT / "lgt").iterdir() if path.name != "__pycache__"]
    assert len(entries) < 20
    assert max(depth().values()) < 10
