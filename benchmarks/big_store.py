"""Make a large store from the shipped one: ``python -m benchmarks.big_store PATH RUNS``; never committed.

The runs are copies of those of ``results.db`` with other data seeds. Each copy is a setting of its own, and every
series keeps its seeds, so the pages show as much as before from a larger store. Only the shipped runs have weights.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from benchmarks.harness import ROOT
from lgt.core.config import RunConfig
from lgt.store.schema import AttentionDifference, HeadScore, Run, RunTask, TrainingLog, column_names

ROWS_PER_RUN = 500  # accuracy rows a run, so 10,000 runs have five million
COPIED = (RunTask, HeadScore, AttentionDifference, TrainingLog)


def build(path: Path, runs: int) -> Path:
    """A store at ``path`` of ``runs`` runs, on average with ROWS_PER_RUN accuracy rows or more each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".part")
    shutil.copy(ROOT / "results.db", scratch)
    with closing(sqlite3.connect(scratch, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")  # after a crash the file is built again
        connection.execute("PRAGMA cache_size = -400000")
        connection.execute("BEGIN")
        add_snapshots(connection)
        clone(connection, runs)
        connection.execute("UPDATE store_state SET revision = revision + 1")
        connection.execute("COMMIT")
        connection.execute("VACUUM")
    scratch.replace(path)
    return path


def add_snapshots(connection: sqlite3.Connection) -> None:
    """Repeat every run's accuracy at as many other steps as it takes to have ROWS_PER_RUN rows a run."""
    there, runs = (connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("accuracy", "runs"))
    connection.execute("CREATE TEMP TABLE measured AS SELECT * FROM accuracy")
    for earlier in range(1, -(-ROWS_PER_RUN * runs // there)):
        connection.execute(
            "INSERT INTO accuracy SELECT run_id, step - ?, task, length, correct, total FROM measured", (earlier,)
        )


def clone(connection: sqlite3.Connection, runs: int) -> None:
    """Copy all runs with the next data seed until there are ``runs``; the last round may be cut short."""
    names = column_names(Run)
    rows = connection.execute(f"SELECT {', '.join(names)} FROM runs").fetchall()
    originals = [dict(zip(names, row, strict=True)) for row in rows]
    offset = max(run["id"] for run in originals)
    connection.execute("CREATE TEMP TABLE copies (old INTEGER, new INTEGER PRIMARY KEY)")
    for number in range(runs - len(originals)):
        round_, original = number // len(originals) + 1, originals[number % len(originals)]
        copy = original | other_seed(original, round_) | {"id": original["id"] + round_ * offset, "token": None}
        marks = ", ".join("?" * len(names))
        connection.execute(f"INSERT INTO runs ({', '.join(names)}) VALUES ({marks})", [copy[name] for name in names])
        connection.execute("INSERT INTO copies VALUES (?, ?)", (original["id"], copy["id"]))
    for table in ("accuracy", *(table.__tablename__ for table in COPIED)):
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] != "run_id"]
        chosen = ", ".join(f"t.{name}" for name in columns)
        connection.execute(
            f"INSERT INTO {table} (run_id, {', '.join(columns)})"
            f" SELECT c.new, {chosen} FROM copies c JOIN {table} t ON t.run_id = c.old ORDER BY c.new"
        )


def other_seed(run: dict[str, object], seed: int) -> dict[str, object]:
    """The columns of ``run`` that change with its data seed."""
    config = replace(RunConfig.from_json(str(run["config"])), data_seed=seed)
    return {"data_seed": seed, "config": config.canonical_json(), "config_hash": config.hash()}


def sizes(path: Path) -> tuple[int, int]:
    """Runs and accuracy rows of the store at ``path``."""
    with closing(sqlite3.connect(path)) as connection:
        runs, rows = (connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("runs", "accuracy"))
    return runs, rows


if __name__ == "__main__":
    print(*sizes(build(Path(sys.argv[1]), int(sys.argv[2]))))
