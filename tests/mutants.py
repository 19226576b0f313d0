"""Mutation run: change the code in every small way, one at a time, and count how many changes the tests notice.

``make mutants`` runs it over every package below, ``make mutants ONLY=metrics`` over one, and
``make mutants ONLY="store lgt.store.leases*"`` over the functions of a package whose names fit, and ``make mutants
ONLY="store 500"`` over 500 changes drawn at random, always the same ones for the same code. It works in a copy under
``build/mutants``, which keeps what is known: a run that was broken off goes on, and only changed functions run again.
What survived and why is in docs/MUTANTS.md.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES: dict[str, tuple[list[str], list[str]]] = {
    "core": (
        ["lgt/core/*"],
        ["tests/core", "tests/recipes", "tests/tasks", "tests/model", "tests/test_extending_networks.py"],
    ),
    "tasks": (["lgt/tasks/*"], ["tests/tasks"]),
    "recipes": (["lgt/recipes/*"], ["tests/recipes", "tests/core", "tests/tasks/test_registration.py"]),
    "metrics": (["lgt/metrics/*"], ["tests/metrics"]),
    "evaluation": (["lgt/evaluation/*"], ["tests/evaluation", "tests/training/test_counts.py"]),
    "store": (
        ["lgt/store/*"],
        [
            "tests/store",
            "tests/faults/test_hostile_stores.py",
            "tests/faults/test_merging.py",
            "tests/ui/test_downloads.py",
        ],
    ),
    "experiments": (["lgt/experiments/*"], ["tests/experiments", "tests/metrics"]),
}
"""By package: the files whose code is changed, and the tests that should notice."""
COPIED = ("lgt", "tests", "pages", "docs", "benchmarks", "app.py", "results.db", "pyproject.toml", "requirements.txt",
          "README.md")  # fmt: skip
# test_names has tests whose names contain line ends and quotes; pytest cannot find them by name, and runs none at all.
LEFT_OUT = "not test_names and not postgresql and not two_users and not test_server"
CONFIG = """

[tool.mutmut]
source_paths = ["lgt"]
only_mutate = {only}
do_not_mutate = ["lgt/store/migrations/*"]
also_copy = {copied}
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-x", "-p", "no:cacheprovider", "-p", "no:randomly", "-k", "{left_out}"]
process_isolation = "forkserver"
timeout_constant = 8.0
"""
# "timeout_constant": seconds that are added to the time of the tests before it is multiplied by 15, which is the time a
# child may take, including the time to collect the tests.
# "forkserver": each change is tried in a child of a process that has run no test. A child of a process in which PyTorch
# has used threads would wait for ever, and would be counted as noticed.
MEMORY = Path("/dev/shm")
"""Where the tests write their stores: on a disk, SQLite waits at each write, which takes most of the time of a test."""
NOT_NOTICED = (None, 0, 5, 33, 255)
"""Exit statuses of a change that no test noticed: not tried, all tests passed, no test found, no test reaches it, the
tests could not be run. mutmut calls the last one a time-out."""
SEED = 16
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""A child that is forked while another thread holds a lock of the library would wait for ever."""


def prepared(package: str) -> Path:
    """The folder with a copy of the code and the configuration of the run for ``package``."""
    only, tests = PACKAGES[package]
    folder = ROOT / "build" / "mutants" / package
    for name in COPIED:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    found = [path for path in tests if (ROOT / path).exists()]
    text = CONFIG.format(only=json.dumps(only), copied=json.dumps(COPIED), tests=json.dumps(found), left_out=LEFT_OUT)
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + text)
    return folder


def results(folder: Path) -> dict[str, int | None]:
    """The known changes and what came of each: the exit status of its tests, or None if it was not tried."""
    found: dict[str, int | None] = {}
    for path in sorted((folder / "mutants" / "lgt").rglob("*.meta")):
        found |= json.loads(path.read_text())["exit_code_by_key"]
    return found


def drawn(folder: Path, count: int) -> list[str]:
    """``count`` changes drawn from all."""
    return sorted(random.Random(SEED).sample(sorted(results(folder)), count))


def run(package: str, names: list[str], count: int = 0) -> None:
    """Run the mutants of ``package`` (those whose name fits one of ``names``, if any, or ``count`` that are drawn).
    Prints survivors and counts."""
    folder = prepared(package)
    environment = os.environ | ONE_THREAD | {"UNCHANGED_SOURCE": str(folder / "lgt")}
    mutmut = [sys.executable, "-m", "mutmut"]
    in_memory = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="pytest-", dir=in_memory) as scratch, open(folder / "log.txt", "w") as log:
        options = {
            "PYTEST_ADDOPTS": f"--basetemp={scratch}/pytest"
        }  # emptied by each child, of which there is one at a time
        command = [*mutmut, "run", "--max-children", "1"]
        if count:  # a name that fits nothing: all changes are written, none is tried
            subprocess.run([*command, "none"], cwd=folder, env=environment | options, stdout=log, check=False)
            names = drawn(folder, count)
        subprocess.run([*command, *names], cwd=folder, env=environment | options, stdout=log, check=False)
    if count:
        codes = [results(folder)[name] for name in names]
        print(f"{package}: {sum(code not in NOT_NOTICED for code in codes)} of {count} drawn changes noticed")
    subprocess.run([*mutmut, "results"], cwd=folder, env=environment, check=True)
    subprocess.run([*mutmut, "export-cicd-stats"], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    counts = json.loads((folder / "mutants" / "mutmut-cicd-stats.json").read_text())
    noticed = counts["killed"] + counts["timeout"]
    print(f"{package}: {noticed} of {counts['total']} noticed ({noticed / max(counts['total'], 1):.1%})", counts)


if __name__ == "__main__":
    patterns = [word for word in sys.argv[1:] if "." in word]
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    packages = [word for word in sys.argv[1:] if "." not in word and not word.isdigit()]
    unknown = [word for word in packages if word not in PACKAGES]
    if unknown:
        sys.exit(f"{unknown[0]!r} is not accepted; accepted: {', '.join(PACKAGES)}, a name with a dot, or a number")
    for chosen in packages or PACKAGES:
        run(chosen, patterns, sum(numbers))
