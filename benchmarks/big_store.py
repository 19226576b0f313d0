"""Make large stores from the shipped one: ``python -m benchmarks.big_store PATH RUNS``; never committed.

The runs are copies of those of ``results.db`` with other data seeds. Each copy is a setting of its own, and every
series keeps its seeds, so the pages show as much as before from a larger store. Only the shipped runs have weights.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
import uuid
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.harness import ROOT
from lgt.store.configs import config_of
from lgt.store.schema import AccuracyCounts, AttentionMap, HeadMap, PackedLog, Run, RunTask, column_names

ROWS_PER_RUN = 500  # accuracy counts a run, so 10,000 runs have five million
COPIED = tuple(table.__tablename__ for table in (RunTask, AccuracyCounts, HeadMap, AttentionMap, PackedLog))
MEASURED = ("accuracy_counts", "head_maps", "attention_maps")
COUNTS = "(SELECT max(stop) FROM number_lists WHERE list = lengths)"


def build(path: Path, runs: int) -> Path:
    """A store at ``path`` of ``runs`` runs, on average with ROWS_PER_RUN accuracy counts or more each."""
    with _copy_of_shipped(path) as connection:
        add_snapshots(connection)
        clone(connection, runs)
    return path


def build_compact(path: Path, runs: int, checkpoints: int, courses: Collection[int]) -> Path:
    """A store at ``path`` of ``runs`` runs as one would ship it: what is measured before the last step stays only of
    the runs ``courses`` and their copies, and there are ``checkpoints`` weights in all."""
    with _copy_of_shipped(path) as connection:
        marks = ", ".join("?" * len(courses))
        for table in MEASURED:
            earlier = f"step < (SELECT max(step) FROM {table} AS m WHERE m.run_id = {table}.run_id)"
            connection.execute(f"DELETE FROM {table} WHERE run_id NOT IN ({marks}) AND {earlier}", list(courses))
        clone(connection, runs)
        there = connection.execute("SELECT count(*) FROM checkpoints").fetchone()[0]
        names = "step, sha256, size, coding, weights, uri"
        connection.execute(
            f"INSERT INTO checkpoints (run_id, {names}) SELECT c.new, {', '.join('w.' + n for n in names.split(', '))}"
            " FROM copies c JOIN checkpoints w ON w.run_id = c.old ORDER BY c.new LIMIT ?", (checkpoints - there,)
        )  # fmt: skip
    return path


@contextmanager
def _copy_of_shipped(path: Path) -> Iterator[sqlite3.Connection]:
    """A copy of the shipped store to change in one transaction. It is at ``path`` when the block ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".part")
    shutil.copy(ROOT / "results.db", scratch)
    with closing(sqlite3.connect(scratch, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")  # after a crash the file is built again
        connection.execute("PRAGMA cache_size = -400000")
        connection.execute("BEGIN")
        yield connection
        connection.execute("UPDATE store_state SET revision = revision + 1")
        connection.execute("COMMIT")
        connection.execute("VACUUM")
    scratch.replace(path)


def add_snapshots(connection: sqlite3.Connection) -> None:
    """Repeat every run's accuracy at as many other steps as it takes to have ROWS_PER_RUN counts a run."""
    there = connection.execute(f"SELECT sum({COUNTS}) FROM accuracy_counts").fetchone()[0]
    runs = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
    connection.execute("CREATE TEMP TABLE measured AS SELECT * FROM accuracy_counts")
    for earlier in range(1, -(-ROWS_PER_RUN * runs // there)):
        connection.execute(
            "INSERT INTO accuracy_counts SELECT run_id, step - ?, slot, lengths, totals, correct FROM measured",
            (earlier,),
        )


def clone(connection: sqlite3.Connection, runs: int) -> None:
    """Copy all runs with the next data seed until there are ``runs``; the last round may be cut short."""
    names = column_names(Run)
    rows = connection.execute(f"SELECT {', '.join(names)} FROM runs").fetchall()
    texts = dict(connection.execute("SELECT key, config FROM configs"))
    originals = [dict(zip(names, row, strict=True)) for row in rows]
    offset = max(run["id"] for run in originals)
    connection.execute("CREATE TEMP TABLE copies (old INTEGER, new INTEGER PRIMARY KEY)")
    for number in range(runs - len(originals)):
        round_, original = number // len(originals) + 1, originals[number % len(originals)]
        config = config_of(texts[original["config_key"]], original["model_seed"], original["data_seed"])
        changed = {"data_seed": round_, "config_hash": replace(config, data_seed=round_).hash(), "token": None,
                   "uuid": str(uuid.uuid4()), "id": original["id"] + round_ * offset}  # fmt: skip
        copy, marks = original | changed, ", ".join("?" * len(names))
        connection.execute(f"INSERT INTO runs ({', '.join(names)}) VALUES ({marks})", [copy[name] for name in names])
        connection.execute("INSERT INTO copies VALUES (?, ?)", (original["id"], copy["id"]))
    for table in COPIED:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] != "run_id"]
        chosen = ", ".join(f"t.{name}" for name in columns)
        connection.execute(
            f"INSERT INTO {table} (run_id, {', '.join(columns)})"
            f" SELECT c.new, {chosen} FROM copies c JOIN {table} t ON t.run_id = c.old ORDER BY c.new"
        )


def sizes(path: Path) -> tuple[int, int]:
    """Runs and accuracy counts of the store at ``path``."""
    with closing(sqlite3.connect(path)) as connection:
        runs = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
        return runs, connection.execute(f"SELECT sum({COUNTS}) FROM accuracy_counts").fetchone()[0]


if __name__ == "__main__":
    print(*sizes(build(Path(sys.argv[1]), int(sys.argv[2]))))
