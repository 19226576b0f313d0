"""A PostgreSQL server, which this starts: a claim beside finished runs, and writes per second."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from benchmarks import harness
from benchmarks.harness import NotHere, Section, Settings, say
from lgt.core.records import LogRow
from lgt.recipes.presets import group_config
from lgt.store import leases, queue, server, writes
from lgt.store.engine import full_url, open_store
from lgt.store.schema import Run
from tests.servers import PostgreSQL

FINISHED, WAITING = 200_000, 20_000
CLAIMS, SECONDS = 40, 5.0
"""How many claims one repetition times, and how long processes write."""
WRITERS = (1, 2, 8)


@contextmanager
def a_server() -> Iterator[PostgreSQL]:
    """A server that writes to the disk as one would run it. Raises NotHere without PostgreSQL."""
    try:
        found = PostgreSQL(fsync="on")
    except pytest.skip.Exception as reason:
        raise NotHere(str(reason)) from reason
    try:
        yield found
    finally:
        found.remove()


def store_with(machine: PostgreSQL, name: str, finished: int, waiting: int) -> Engine:
    """A store in a database of its own, with so many finished runs and after them so many that wait."""
    with open_store(machine.url).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine = open_store(machine.url.replace("/postgres?", f"/{name}?"))
    add_runs(engine, finished, "done")
    add_runs(engine, waiting, "queued")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE runs"))
    return engine


def add_runs(engine: Engine, count: int, state: str) -> None:
    """Add so many runs by SQL, copies of one."""
    writes.create_run(engine, group_config("caprev", "demo"))
    kept = ", ".join(column.name for column in Run.__table__.columns if column.name not in ("id", "uuid", "state"))
    with engine.begin() as connection:
        connection.execute(text("UPDATE runs SET state = 'done' WHERE state = 'queued'"))
        copies = f"SELECT gen_random_uuid()::text, '{state}', {kept} FROM runs, generate_series(1, {count})"
        connection.execute(
            text(f"INSERT INTO runs (uuid, state, {kept}) {copies} WHERE id = (SELECT max(id) FROM runs)")
        )


def claim_seconds(engine: Engine) -> float:
    """The median seconds of a claim of the oldest waiting run."""
    found: list[tuple[int, int] | None] = []
    times = [harness.seconds(lambda: found.append(queue.claim(engine, "w", "cpu"))) for _ in range(CLAIMS)]
    if None in found:
        raise harness.Failed("a claim found no waiting run")
    return statistics.median(times)


def server_milliseconds(engine: Engine) -> float:
    """What the server needs for the statement of a claim, planning included, without the round trips and the disk."""
    seen: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("UPDATE runs"):
            seen.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    queue.claim(engine, "w", "cpu")
    event.remove(engine, "before_cursor_execute", note)
    statement, parameters = seen[0]
    with engine.connect() as connection:  # rolled back at its end
        asked = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
        ((plan,),) = [connection.exec_driver_sql(asked, parameters).scalar() for _ in range(2)][1:]
    return float(plan["Planning Time"] + plan["Execution Time"])


def write_for(url: str, seconds: float, what: str) -> dict[str, Any]:
    """Writes of one process, one after the other: reports of progress of a run, or claims that are finished at once."""
    engine, count = open_store(url), 0
    run_id = writes.create_run(engine, group_config("caprev", "demo"), state="running")
    attempt = leases.start_run(engine, run_id, "w", "cpu")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        count += 1
        if what == "reports":
            row = LogRow(count, 1.0, 0.1, 1.0)
            writes.record_progress(engine, run_id, attempt, step=count, tokens=1, seconds=1.0, log_rows=[row])
        else:
            claimed = queue.claim(engine, "w", "cpu")
            assert claimed is not None, "the queue was too short for this machine"
            leases.finish_run(engine, *claimed, "failed", "for a benchmark")
    leases.finish_run(engine, run_id, attempt, "cancelled")
    return {"rate": count / seconds}


def rate(url: str, writers: int, what: str, settings: Settings) -> float:
    """Writes per second of so many processes together."""
    arguments = {"url": url, "seconds": 1.0 if settings.quick else SECONDS, "what": what}
    with ThreadPoolExecutor(writers) as pool:
        done = pool.map(lambda _: harness.child("server:write_for", arguments, settings), range(writers))
        return float(sum(one["rate"] for one in done))


def claims(machine: PostgreSQL, settings: Settings) -> list[str]:
    """The table of claims: an empty store, many finished runs, and the same without the index of the queue."""
    count, waiting = (FINISHED // 100, WAITING // 100) if settings.quick else (FINISHED, WAITING)
    few, many, without = (
        store_with(machine, name, finished, waiting)
        for name, finished in (("few", 0), ("many", count), ("without", count))
    )
    with without.begin() as connection:
        connection.execute(text(f"DROP INDEX {server.QUEUE_INDEX}"))
    sides: list[tuple[str, Engine, list[float], list[float]]] = [
        ("no finished runs", few, [], []), (f"{count:,} finished runs", many, [], []),
        (f"{count:,} finished runs, no index", without, [], []),
    ]  # fmt: skip
    for _ in range(settings.repetitions):
        for _, engine, times, of_server in sides:
            times.append(claim_seconds(engine))
            of_server.append(server_milliseconds(engine))
    base = statistics.median(sides[0][2])
    rows = [
        [name, harness.spread([1000 * one for one in times], "ms"), f"{statistics.median(times) / base:.2f}x",
         harness.spread(of_server, "ms")]
        for name, _, times, of_server in sides
    ]  # fmt: skip
    headers = ["store", "a claim", "against no finished runs", "its statement on the server alone"]
    return harness.table(headers, rows)


def rates(machine: PostgreSQL, settings: Settings) -> list[str]:
    """The table of writes per second by number of processes, on the server and in a SQLite file."""
    on_server = full_url(open_store(machine.url))
    with tempfile.TemporaryDirectory() as folder:
        in_file = str(Path(folder) / "a.db")
        open_store(in_file)
        measured: dict[str, Callable[[int], float]] = {
            "reports of progress, PostgreSQL": lambda n: rate(on_server, n, "reports", settings),
            "reports of progress, SQLite": lambda n: rate(in_file, n, "reports", settings),
            "claim and finish, PostgreSQL": lambda n: rate(on_server, n, "claims", settings),
        }
        add_runs(open_store(machine.url), 1_000 if settings.quick else 40_000, "queued")
        rows = []
        for name, measure in measured.items():
            rows.append([name, *(harness.number(measure(writers)) for writers in WRITERS)])
            say(f"  {name} done")
    return harness.table(["per second, by number of processes", *map(str, WRITERS)], rows)


def run(settings: Settings) -> Section:
    """Both tables."""
    with a_server() as machine:
        lines = claims(machine, settings)
        say("  claims done")
        return Section([*lines, "", *rates(machine, settings)])
