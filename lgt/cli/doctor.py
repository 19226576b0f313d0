"""The checks of ``lgt doctor``: versions, the machine, the store."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lgt.core import bounds
from lgt.core.checks import ConfigError
from lgt.core.processors import usable_cores
from lgt.core.version import code_version
from lgt.fused.library import attempt
from lgt.recipes.limits import READ_ONLY, read_only
from lgt.store import integrity, leases, locations, queries
from lgt.store.engine import open_store
from lgt.store.errors import StoreError, store_name
from lgt.store.opening import is_missing

PACKAGES = ("streamlit", "altair", "pandas", "sqlalchemy", "alembic", "scipy", "safetensors", "torch", "typer")


@dataclass(frozen=True)
class Finding:
    """The result of one check: whether it passed, and one line with what was found and what to do. ``degraded``: all
    works, but slower."""

    subject: str
    ok: bool
    text: str
    degraded: bool = False

    @property
    def word(self) -> str:
        """``ok``, ``slow`` or ``FAIL``."""
        return "FAIL" if not self.ok else "slow" if self.degraded else "ok"


def examine(database: str | None, also: Sequence[str] = ()) -> list[Finding]:
    """All findings, the environment first, then each store that is read. Changes nothing and creates no store."""
    found = [python_finding(), *package_findings(), compiler_finding(), limits_finding()]
    for name, url in locations.to_read(database, also):
        missing = name == locations.WORKSPACE and is_missing(url)
        found += [Finding(name, True, f"{url}: not there yet; the first run creates it")] if missing else (
            store_findings(name if name in (locations.SHIPPED, locations.WORKSPACE) else "store", url)
        )  # fmt: skip
    return found


def python_finding() -> Finding:
    """Whether this Python version is new enough."""
    cores = f"{usable_cores()} of {os.cpu_count()} cores usable"
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {cores}"
    ok = sys.version_info >= (3, 11)
    return Finding("python", ok, found if ok else found + "; install Python 3.11 or newer")


def package_findings() -> list[Finding]:
    """One finding with the installed packages, one for each missing package, and one with the code version."""
    versions, missing = [], []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(Finding(name, False, "not installed; run `make setup`"))
    return [Finding("packages", True, ", ".join(versions)), *missing, Finding("code", True, code_version())]


def compiler_finding() -> Finding:
    """Whether the fused training step can be compiled. Without it runs are slower, but their results are right."""
    loaded, text = attempt()
    if loaded is None:
        fix = "install g++" if "found" in text else "repair the compiler"
        return Finding("fused training step", True, f"{text}; runs train in plain PyTorch, several times slower; {fix}",
                       degraded=True)  # fmt: skip
    return Finding("fused training step", True, f"compiled by {text}, cached in {Path(loaded._name).parent}")


def limits_finding() -> Finding:
    """The limits of runs and stores on this machine."""
    try:
        text = ", ".join(f"{bound.variable}={bound.most}" for bound in bounds.SETTABLE)
    except ConfigError as error:
        return Finding("limits", False, str(error))
    return Finding("limits", True, text + (f"; {READ_ONLY} is set: all writes are refused" if read_only() else ""))


def store_findings(subject: str, url: str) -> list[Finding]:
    """Findings about one store: its address, whether it opens, its number of runs by state, and any damage."""
    try:
        engine = open_store(url, create=False, read_only=True)
        runs = queries.runs(engine)
        problems = integrity.integrity(engine)
    except StoreError as error:
        return [Finding(subject, False, str(error))]
    states = ", ".join(f"{count} {state}" for state, count in runs.state.value_counts().items()) or "no runs"
    return [
        Finding(subject, True, f"{store_name(engine.url)}: {states}"),
        *queue_findings(runs),
        *(Finding("integrity", False, text) for text in problems),
    ]


def queue_findings(runs: pd.DataFrame) -> list[Finding]:
    """Whether queued runs have a worker, and whether a worker was lost."""
    running, waiting = runs[runs.state == "running"], int((runs.state == "queued").sum())
    shown = map(leases.shown_state, running.state, running.heartbeat_at, running.origin)
    silent: dict[str, list[str]] = {}
    for run, state in zip(running.id, shown, strict=True):
        silent.setdefault(state, []).append(str(run))
    found = []
    if "abandoned" in silent:
        text = f"run {', '.join(silent['abandoned'])}: abandoned, no numbers for an hour; if its program "
        found.append(Finding("recorded runs", True, text + "has ended, end the run with `python -m lgt cancel RUN`"))
    if "stale" in silent:
        text = f"run {', '.join(silent['stale'])}: no heartbeat; start `python -m lgt worker`, which takes over"
        found.append(Finding("workers", True, text))
    elif waiting and running.empty:
        text = f"{waiting} queued and none running; start `python -m lgt worker`"
        found.append(Finding("workers", True, text))
    return found
