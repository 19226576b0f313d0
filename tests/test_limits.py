"""Every size that somebody can ask for has a limit, and the limit holds at every door through which it can be asked.

Each probe asks for one more than a limit through one door. The list of probes must be the list of limits and doors.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import select, update
from streamlit.testing.v1 import AppTest

import lgt
from lgt.cli.main import main
from lgt.core import bounds
from lgt.core.checks import ConfigError
from lgt.core.config import MAXIMUM_LENGTH, RunConfig
from lgt.execution import reattribute, worker_processes
from lgt.execution.ensemble_worker import claim_oldest_readable
from lgt.recipes.limits import check_limits
from lgt.store import coding, dropped, exchange, leases, queries, queue, remarks, tags, writes
from lgt.store.engine import Engine, open_store, write_transaction
from lgt.store.errors import StoreError
from lgt.store.opening import open_to_read
from lgt.store.schema import Config, Run
from lgt.tasks import TASKS, prompts
from lgt.ui import actions, navigation
from tests.conftest import ROOT, tiny
from tests.store.test_imports import written

REFUSED = (ConfigError, StoreError)
PROBES: dict[tuple[str, str], Callable[[Bench], str | None]] = {}


@dataclass
class Bench:
    """An empty store and what a probe needs. ``set``: limits of the environment; ``lower``: one without variable."""

    path: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    request: pytest.FixtureRequest

    @property
    def engine(self) -> Engine:
        return open_store(str(self.path / "store.db"))

    def set(self, **most: int) -> None:
        for name, number in most.items():
            self.monkeypatch.setenv(f"LGT_MAX_{name.upper()}", str(number))

    def lower(self, bound: bounds.Bound, most: int) -> None:
        self.monkeypatch.setattr(bounds, bound.name.upper(), replace(bound, default=most))

    def command(self, *words: str) -> str:
        """What a command says when it refuses: one line."""
        self.monkeypatch.setenv("LGT_DATABASE_URL", str(self.path / "store.db"))
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        said = self.capsys.readouterr().err
        assert ended.value.code == 2 and said.count("\n") == 1, said
        return said

    def page(self, name: str, *, store: Path | None = None, **address: str) -> AppTest:
        self.monkeypatch.setenv("LGT_DATABASE_URL", str(store or self.path / "store.db"))
        app = AppTest.from_file(str(ROOT / f"pages/{name}.py"), default_timeout=60)
        for key, value in address.items():
            app.query_params[key] = value
        app.run()
        assert not app.exception
        return app

    @property
    def few(self) -> Path:
        """A store with some runs, to read only."""
        found: Path = self.request.getfixturevalue("few_runs")
        return found


def probe(door: str, *names: str) -> Callable[[Callable[..., str | None]], Callable[..., str | None]]:
    """Make a function the probe of these limits at a door. With several names it is called with the name, too."""

    def register(ask: Callable[..., str | None]) -> Callable[..., str | None]:
        for name in names:
            PROBES[name, door] = partial(ask, name=name) if len(names) > 1 else ask
        return ask

    return register


@pytest.fixture()
def bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> Iterator[Bench]:
    yield Bench(tmp_path, monkeypatch, capsys, request)


# --- runs: commands, rows of the store, retries, measuring again


def of_training(**changes: Any) -> RunConfig:
    return replace(tiny(), training=replace(tiny().training, **changes))


def of_evaluation(**changes: Any) -> RunConfig:
    return replace(tiny(), evaluation=replace(tiny().evaluation, **changes))


USUAL = {"steps": 150, "parameters": tiny().model.parameters(149), "length": 7, "batch": 64, "examples": 40,
         "snapshots": 2}  # fmt: skip
"""The sizes of the run ``tiny()``."""
ABOVE = {
    "steps": of_training(steps=151), "batch": of_training(batch_size=65), "length": of_evaluation(maximum_length=8),
    "examples": of_evaluation(progress_examples=41), "snapshots": of_evaluation(snapshots=3),
    "parameters": replace(tiny(), model=replace(tiny().model, hidden=tiny().model.hidden + 1)),
}  # fmt: skip
"""A run that is above the size of ``tiny()`` in one way."""
SETTING = {
    "steps": "training.steps=151", "batch": "training.batch_size=65", "length": "evaluation.maximum_length=21",
    "examples": "evaluation.attribution_examples=257", "snapshots": "evaluation.attribution_snapshots=9",
    "parameters": "model.hidden=178",
}  # fmt: skip
OF_CONFIG = {
    "config_steps": ("training.steps", 1_000_001), "pool": ("training.pool", 65), "layers": ("model.layers", 65),
    "heads": ("model.heads", 65), "width": ("model.width", 4097), "hidden": ("model.hidden", 16_385),
    "digits": ("options.multiplier_digits", 10), "grid": ("options.grid", 9),
    "config_batch": ("training.batch_size", 65_537), "config_examples": ("evaluation.examples", 100_001),
    "config_snapshots": ("evaluation.snapshots", 1_001), "depth": ("model.schedule", "six-times"),
    "parts": ("model.parts", "x" * 1_001), "source": ("training.start", "gguf:" + "x" * 496),
}  # fmt: skip


@probe("command", *SETTING)
def submit_above(bench: Bench, name: str) -> str:
    most = {"length": 20, "examples": 256, "snapshots": 8, "parameters": 10, "steps": 150, "batch": 64}
    bench.set(**{name: most[name]})
    return bench.command("submit", "--group", "caprev", "--set", SETTING[name])


@probe("command", *OF_CONFIG)
def submit_above_config(bench: Bench, name: str) -> str:
    bench.set(**dict.fromkeys(("steps", "batch", "examples", "snapshots"), 2**31 - 1))
    path, value = OF_CONFIG[name]
    bench.lower(bounds.DEPTH, 4)  # of two layers
    said = bench.command("submit", "--group", "caprev", "--set", f"{path}={value}")
    assert path in said and "2,147,483,647" not in said
    return said


@probe("row", *ABOVE)
def row_above(bench: Bench, name: str) -> str:
    """Somebody else queued the run, under other limits; the worker goes on with the next run."""
    large, good = (writes.create_run(bench.engine, config) for config in (ABOVE[name], tiny()))
    bench.set(**USUAL)
    return claimed_next(bench, large, good)


def claimed_next(bench: Bench, large: int, good: int) -> str:
    """What the run that a worker refused says, after the worker has taken the next one."""
    claimed = claim_oldest_readable(bench.engine, "worker", "cpu", None)
    assert claimed is not None and claimed[0].id == good
    with bench.engine.connect() as connection:
        state, step, error = connection.execute(select(Run.state, Run.step, Run.error).where(Run.id == large)).one()
    assert (state, step) == ("failed", 0) and "\n" not in error
    return str(error)


@probe("row", *OF_CONFIG)
def row_above_config(bench: Bench, name: str) -> str:
    path, value = OF_CONFIG[name]
    section, field = path.split(".")
    bench.lower(bounds.DEPTH, 4)
    said = changed_row(bench, lambda plain: plain[section].update({field: value}))
    assert path in said
    return said


def changed_row(bench: Bench, change: Callable[[dict[str, Any]], object]) -> str:
    """Change the stored text of a queued run; returns what a worker stores as its error."""
    large, good = writes.create_run(bench.engine, tiny(group="add-carry")), writes.create_run(bench.engine, tiny())
    with write_transaction(bench.engine) as connection:
        key, stored = connection.execute(select(Config.key, Config.config).join(Run).where(Run.id == large)).one()
        plain = json.loads(stored)
        change(plain)
        connection.execute(update(Config).where(Config.key == key).values(config=json.dumps(plain)))
    return claimed_next(bench, large, good)


@probe("row", "tasks", "name", "config_text")
def row_with_a_large_text(bench: Bench, name: str) -> str:
    specs = [{"task": f"task{number}", "role": "auxiliary", "training_length": 8} for number in range(16)]
    changes: dict[str, Callable[[dict[str, Any]], object]] = {
        "tasks": lambda plain: plain["tasks"].extend(specs),
        "name": lambda plain: plain["tasks"][0].update(task="x" * 201),
        "config_text": lambda plain: plain.update(colour="x" * 100_000),
    }  # fmt: skip
    return changed_row(bench, changes[name])


@probe("retry", *ABOVE)
def retry_above(bench: Bench, name: str) -> str:
    run_id = failed(bench.engine, ABOVE[name])
    bench.set(**USUAL)
    with pytest.raises(ConfigError) as refused:
        queue.retry(bench.engine, run_id)
    said = bench.command("retry", str(run_id))
    assert str(refused.value) in said
    record = queries.run(bench.engine, run_id)
    assert (record.state, record.error, record.finished_at is None) == ("failed", "out of memory", False)
    return said


def failed(engine: Engine, config: RunConfig) -> int:
    run_id = writes.create_run(engine, config)
    leases.finish_run(engine, run_id, leases.start_run(engine, run_id, "test", "cpu"), "failed", "out of memory")
    return run_id


@probe("measuring", "parameters", "length", "examples")
def measure_above(bench: Bench, name: str) -> str:
    """A stored run is measured again: by `attribute` and by `evaluate`. What training it cost does not count."""
    run_id = writes.create_run(bench.engine, ABOVE[name])
    leases.finish_run(bench.engine, run_id, leases.start_run(bench.engine, run_id, "test", "cpu"), "done")
    bench.set(**USUAL | {"steps": 1, "batch": 1, "snapshots": 1})
    with pytest.raises(ConfigError) as refused:
        reattribute.attribute(bench.engine, run_id)
    said = bench.command("evaluate", str(run_id))
    assert str(refused.value) in said and bench.command("attribute", str(run_id)) == said
    return said


@probe("form", "length")
def form_with_a_long_task(bench: Bench) -> str:
    bench.set(length=15)
    return started(bench.page("launch", group="caprev", preset="demo", seeds="0"))


def started(app: AppTest) -> str:
    """What Launch says to Start."""
    app.button(key="start").click().run()
    assert not app.exception and len(app.error) == 1
    return str(app.error[0].value)


def test_retry_on_a_page_says_why_the_run_stays_as_it_was(bench: Bench) -> None:
    run_id = failed(bench.engine, ABOVE["steps"])
    bench.monkeypatch.setattr(worker_processes, "ensure_workers", lambda *arguments: 0)
    bench.set(steps=150)
    app = bench.page("launch")
    app.button(key=f"retry-{run_id}").click().run()
    assert not app.exception and ["LGT_MAX_STEPS" in error.value for error in app.error] == [True]
    assert queries.run(bench.engine, run_id).state == "failed"
    bench.set(steps=151)
    app.button(key=f"retry-{run_id}").click().run()
    assert not app.error and queries.run(bench.engine, run_id).state == "queued"


# --- tasks of a run


@probe("command", "tasks")
def command_with_many_tasks(bench: Bench) -> str:
    return bench.command("submit", "--main", "reverse:3", *["--aux", "capitalize:8"] * 16)


@probe("program", "tasks", "name")
def program_with_a_large_run(bench: Bench, name: str) -> str:
    main, others = ("x" * 201 + ":3", {}) if name == "name" else ("a:3", {f"task{number}": 8 for number in range(16)})
    for further in ({}, {"label": "x" * 201, "main": "a:3", "auxiliaries": {}}) if name == "name" else ({},):
        asked = {"main": main, "auxiliaries": others} | further
        with pytest.raises(ConfigError) as refused, lgt.record(**asked, database=str(bench.path / "store.db")):  # type: ignore[arg-type]
            pass
    return str(refused.value)


@probe("file", "tasks", "name")
def file_with_a_large_run(bench: Bench, name: str) -> str:
    rows = [{"run": "x" * 201, "task": "a", "length": 1, "correct": 1, "total": 1}]
    if name == "tasks":
        rows = [rows[0] | {"run": "one", "task": f"task{number}"} for number in range(17)]
    return bench.command("import", str(written(bench.path / "runs.csv", rows)))


@probe("form", "auxiliaries")
def form_with_many_auxiliaries(bench: Bench) -> None:
    app = bench.page("launch", group="own", main="reverse")
    assert app.multiselect(key="choice-aux").proto.max_selections == bounds.AUXILIARIES.most  # Streamlit refuses more


@probe("address", "auxiliaries")
def address_with_many_auxiliaries(bench: Bench) -> None:
    names = [name for name in TASKS if name != "reverse"][:5]
    app = bench.page("launch", group="own", main="reverse", aux=",".join(names))
    assert app.multiselect(key="choice-aux").value == names[:3]


# --- requests


@probe("form", "seeds")
def form_with_many_seeds(bench: Bench) -> str:
    app = bench.page("launch", group="caprev")
    app.text_input(key="seeds").input("0-1000").run()
    return str(app.error[0].value)


@probe("address", "seeds", "request")
def address_with_many_runs(bench: Bench, name: str) -> str:
    if name == "request":
        bench.set(request=3)
    app = bench.page("launch", group="caprev", seeds="0-600,700-1100" if name == "seeds" else "0-1")
    assert not [button for button in app.button if button.key == "start"]
    return str(app.error[0].value)


@probe("form", "request")
def form_with_many_runs(bench: Bench) -> str:
    app = bench.page("launch", group="caprev")
    bench.set(request=3)
    app.text_input(key="seeds").input("0-1").run()
    return str(app.error[0].value)


@probe("command", "seeds", "ranges")
def command_with_many_seeds(bench: Bench, name: str) -> str:
    seeds = "0-1000" if name == "seeds" else ",".join(["1"] * 10_001)
    said = bench.command("submit", "--group", "caprev", "--seeds", seeds)
    assert "--seeds" in bench.command("experiment", "fig3a", "--status", "--seeds", seeds) or name != "seeds"
    assert "--seeds" in said
    return said if name == "seeds" else None  # type: ignore[return-value]


@probe("command", "request")
def command_with_many_runs(bench: Bench) -> str:
    bench.set(request=3)
    bench.engine.dispose()
    said = bench.command("submit", "--group", "caprev", "--seeds", "0-3")
    experiment = bench.command("experiment", "fig3a", "--status", "--seeds", "0-3")
    assert "LGT_MAX_REQUEST" in experiment and queries.runs(bench.engine).empty
    return said


@probe("command", "queue")
def command_on_a_full_queue(bench: Bench) -> str:
    bench.set(queue=3)
    return bench.command("submit", "--group", "caprev", "--seeds", "0-3")


@probe("form", "queue")
def form_on_a_full_queue(bench: Bench) -> str:
    bench.set(queue=1)
    return started(bench.page("launch", group="caprev", preset="demo", seeds="0"))


@probe("retry", "queue")
def retry_on_a_full_queue(bench: Bench) -> str:
    run_id = failed(bench.engine, tiny())
    writes.create_run(bench.engine, tiny())
    bench.set(queue=1)
    said = bench.command("retry", str(run_id))
    assert queries.run(bench.engine, run_id).state == "failed"
    return said


@probe("form", "workers")
def form_that_starts_many_workers(bench: Bench) -> None:
    bench.set(workers=2)
    started: list[Any] = []
    bench.monkeypatch.setenv("LGT_DATABASE_URL", str(bench.path / "store.db"))
    bench.monkeypatch.setattr(worker_processes, "busy_slots", lambda url: 1)
    bench.monkeypatch.setattr(worker_processes.subprocess, "Popen", lambda *of, **named: started.append(of))
    actions.start_workers(50)
    assert len(started) == 1


@probe("command", "processes", "threads", "together", "samples")
def command_with_a_large_option(bench: Bench, name: str) -> str:
    asked = {
        "processes": [["worker", "--count", "257"], ["experiment", "fig3a", "--workers", "257"],
                      ["launch", "local", "--workers", "257"], ["launch", "slurm", "--workers", "257"]],
        "threads": [["worker", "--threads", "1025"], ["train", "--group", "caprev", "--threads", "1025"],
                    ["launch", "local", "--threads", "1025"],
                    ["launch", "slurm", "--workers", "1", "--threads", "1025"],
                    ["bench", "--list", "--threads", "1025"]],
        "together": [["worker", "--device", "cuda", "--together", "65"]],
        "samples": [["sample", "reverse", "--length", "3", "--count", "100001"]],
    }  # fmt: skip
    said = [bench.command(*words) for words in asked[name]]
    most = f"{getattr(bounds, name.upper()).most:,}"
    assert all(f"to {most}" in line for line in said), said
    return None  # type: ignore[return-value]


# --- stores and files


@probe("command", "stores")
def command_with_many_stores(bench: Bench) -> str:
    bench.set(stores=2)
    bench.monkeypatch.setenv("LGT_ALSO", "b.db;c.db")
    by_variable = bench.command("runs")
    bench.monkeypatch.delenv("LGT_ALSO")
    said = bench.command("runs", "--also", "b.db", "--also", "c.db")
    assert "LGT_MAX_STORES" in by_variable
    return said


@probe("form", "stores", "path")
def form_with_another_store(bench: Bench, name: str) -> str | None:
    if name == "stores":
        bench.set(stores=1)
    app = bench.page("runs", store=bench.few)
    box = app.text_input(key="stores-path")
    assert box.proto.max_chars == bounds.PATH.most
    box.input(str(bench.few)).run()
    return str(app.error[0].value) if name == "stores" else None


@probe("form", "upload")
def form_with_a_large_file(bench: Bench) -> str:
    from lgt.ui import stores

    class File:
        name = "large.db"

        def getvalue(self) -> bytes:
            return b"x" * 1_000_001

    bench.set(upload=1)
    session: dict[str, Any] = {stores.FILE: File()}
    bench.monkeypatch.setattr(stores.st, "session_state", session)
    bench.monkeypatch.setattr(dropped, "keep", None)  # a kept file would be an error here
    stores._open_file()
    return str(session[stores.REFUSED])


@probe("form", "dropped")
def many_dropped_stores(bench: Bench) -> None:
    bench.monkeypatch.setenv("LGT_CACHE", str(bench.path / "cache"))
    kept = [dropped.keep(str(number).encode()) for number in range(bounds.DROPPED.most + 2)]
    assert sorted(kept[0].parent.glob("*.db")) == sorted(kept[2:])
    assert dropped.keep(b"2") == kept[2] and kept[2].exists(), "what is dropped again stays"


@probe("file", "import_bytes", "import_rows", "import_columns")
def large_import(bench: Bench, name: str) -> str:
    row = {"run": "one", "task": "a", "length": 1, "correct": 1, "total": 1}
    bound: bounds.Bound = getattr(bounds, name.upper())
    bench.lower(bound, {"import_bytes": 50, "import_rows": 3, "import_columns": 6}[name])
    rows = [row | {"length": 1 + number} for number in range(4)]
    if name == "import_columns":
        rows = [row | {f"further{number}": 1 for number in range(2)}]
    for ending in (".csv", ".json", ".parquet"):
        said = bench.command("import", str(written(bench.path / f"runs{ending}", rows)))
        assert f"runs{ending}" in said and f"accepted: at most {getattr(bounds, name.upper()).most}" in said
    return said


def test_a_small_json_file_of_many_names_makes_no_large_table(bench: Bench) -> None:
    """A table of 3,000 rows with a name of its own each would have nine million cells."""
    path = bench.path / "names.json"
    path.write_text(json.dumps([{f"name{number}": 1} for number in range(3_000)]))
    bench.monkeypatch.setattr(pd, "DataFrame", None)
    with pytest.raises(StoreError, match="101 columns; accepted: at most 100 columns"):
        exchange.read_file(path)


def test_a_parquet_file_is_measured_before_it_is_unpacked(bench: Bench) -> None:
    """A text that is repeated is in the file once, so a small file unpacks to any size."""
    row = {"run": "x" * 1_000, "task": "a", "length": 1, "correct": 1, "total": 1}
    path = written(bench.path / "many.parquet", [row] * 20_000)
    assert path.stat().st_size < 10_000
    bench.lower(bounds.IMPORT_ROWS, 19_999)
    bench.monkeypatch.setattr(pd, "read_parquet", None)
    with pytest.raises(StoreError, match="20,000 rows; accepted: at most 19,999 rows"):
        exchange.read_file(path)


def test_texts_of_a_parquet_file_are_read_once(bench: Bench) -> None:
    row = {"run": "one", "task": "a", "correct": 1, "total": 1, "seed": 3}
    path = written(bench.path / "runs.parquet", [row | {"length": length} for length in (1, 2)])
    (run,) = exchange.read_file(path).runs
    assert run.config.model_seed == 3 and [row.length for row in run.rows[1]] == [1, 2]


@probe("file", "stored_text", "stored_value", "schema_objects")
def large_store(bench: Bench, name: str) -> str | None:
    writes.create_run(bench.engine, tiny())
    statements = {
        "stored_text": ["UPDATE runs SET label = printf('%.*c', 1000001, 'x')"],
        "stored_value": ["UPDATE runs SET label = CAST(zeroblob(67108865) AS TEXT)"],
        "schema_objects": [f"CREATE TABLE further{number} (a)" for number in range(101)],
    }  # fmt: skip
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(bench.path / "store.db")) as connection, connection:
        for statement in statements[name]:
            connection.execute(statement)
    with pytest.raises(StoreError) as refused:
        open_to_read("store", str(bench.path / "store.db"))
    said = str(refused.value)
    if name == "stored_text":
        return said
    assert "too long" in said if name == "stored_value" else "objects" in said, said
    return None


@probe("file", "copied_store", "row_weights")
def large_bytes_of_a_store(bench: Bench, name: str) -> str | None:
    if name == "row_weights":
        small = zlib.compress(bytes(bounds.ROW_WEIGHTS.most + 1))
        assert len(small) < 10_000
        with pytest.raises(ValueError, match="8388609 bytes"):
            coding.decoded(coding.SHUFFLED, small, bounds.ROW_WEIGHTS.most + 1)
        return None
    bench.lower(bounds.COPIED_STORE, 1_000)
    bench.monkeypatch.setenv("LGT_CACHE", str(bench.path / "cache"))
    return bench.command("runs", "--database", str(ROOT / "tests/stores/schema-2.db"))


# --- texts


@probe("program", "note", "tags")
def long_remark(bench: Bench, name: str) -> str:
    run_id = writes.create_run(bench.engine, tiny())
    tags.change_tags(bench.engine, [run_id], add=["old"])
    ask = {
        "note": [lambda: tags.set_note(bench.engine, [run_id], "x" * 2_001),
                 lambda: remarks.set_note(bench.engine, ["u"], "x" * 2_001)],
        "tags": [lambda: tags.change_tags(bench.engine, [run_id], add=["x" * 1_000]),
                 lambda: remarks.change_tags(bench.engine, {"u": ""}, add=["x" * 1_001])],
    }[name]  # fmt: skip
    said = []
    for write in ask:
        with pytest.raises(ConfigError) as refused:
            write()
        said.append(str(refused.value))
    record = queries.run(bench.engine, run_id)
    assert (record.tags, record.notes, remarks.read(bench.engine)) == (("old",), "", {}) and len(set(said)) <= 2
    return said[0]


@probe("form", "note", "tags")
def form_with_a_long_remark(bench: Bench, name: str) -> str:
    run_id = writes.create_run(bench.engine, tiny())
    app = bench.page("runs", run=str(run_id))
    label = {"note": "Note", "tags": "Tags, separated by commas"}[name]
    (box,) = [box for box in app.text_input if box.label == label]
    assert box.proto.max_chars == getattr(bounds, name.upper()).most
    bench.monkeypatch.setattr("streamlit.session_state", session := {})
    ask = partial(actions.note, [run_id], "x" * 2_001) if name == "note" else partial(
        actions.retag, [run_id], add=["x" * 1_001]
    )  # fmt: skip
    bench.monkeypatch.setattr(actions, "own_and_others", lambda ids: (ids, []))
    bench.monkeypatch.setattr(actions, "in_workspace", lambda ids: list(ids))
    actions.try_action(ask)
    return str(session[actions.REFUSAL])


def test_tags_of_another_store_that_are_too_long_can_be_made_shorter() -> None:
    long = ",".join(sorted(f"tag{number:04}" for number in range(200)))
    assert tags.with_changes(long, [], ["tag0003"]) == long.replace("tag0003,", "")
    with pytest.raises(ConfigError):
        tags.with_changes(long, ["new"], [])


@probe("form", "search")
def form_with_a_long_search(bench: Bench) -> None:
    app = bench.page("runs", store=bench.few)
    assert app.text_input(key="search").proto.max_chars == 200
    app.text_input(key="search").input("x" * 5_000).run()
    assert len(app.text_input(key="search").value) <= 200


@probe("address", "search")
def address_with_a_long_search(bench: Bench) -> None:
    asked: list[str] = []
    import lgt.ui.run_table as run_table

    real = run_table.filtered
    bench.monkeypatch.setattr(
        run_table,
        "filtered",
        lambda rows, search, *of, **named: asked.append(search) or real(rows, search, *of, **named),
    )
    bench.page("runs", store=bench.few, search="x" * 5_000)
    assert asked and max(map(len, asked)) <= 200


# --- addresses and pages


@probe("address", "address", "address_values")
def long_address(bench: Bench, name: str) -> str:
    """No page reads its address or a store before it has refused the address."""
    bench.monkeypatch.setattr("lgt.ui.open_stores.opened", None)
    value = "x" * 8_001 if name == "address" else ",".join("1" * 1_001)
    said = set()
    for page in navigation.PAGES:
        (error,) = bench.page(page, seeds=value).error
        said.add(error.value)
    assert len(said) == 1
    return said.pop()


def test_an_address_at_its_limits_is_read(bench: Bench) -> None:
    app = bench.page("launch", group="caprev", seeds="1," * 997 + "2", other="x" * 5_900)
    assert not app.error and app.text_input(key="seeds").value.endswith("1,2")


@probe("address", "series")
def address_with_many_series(bench: Bench) -> None:
    bench.lower(bounds.SERIES, 2)
    asked = ("caprev.demo.co-trained", "caprev.demo.nope.co-trained", "caprev.demo.alone-same-steps")
    app = bench.page("explore", store=bench.few, series=",".join((asked[0], asked[0], *asked)))
    assert app.multiselect(key="choice-series").value == list(asked[:2])


@probe("form", "series")
def form_with_many_series(bench: Bench) -> None:
    app = bench.page("explore", store=bench.few)
    assert app.multiselect(key="choice-series").proto.max_selections == bounds.SERIES.most


@probe("address", "pictured")
def address_with_many_lengths(bench: Bench) -> None:
    app = bench.page("runs", store=bench.few, run="97", lengths="2,3,4,5,6")
    assert app.multiselect(key="choice-lengths-capitalize_reverse").value == ["2", "3", "4"]


@probe("form", "pictured")
def form_with_many_lengths(bench: Bench) -> None:
    app = bench.page("runs", store=bench.few, run="97")
    chosen = app.multiselect(key="choice-lengths-capitalize_reverse")
    assert chosen.proto.max_selections == bounds.PICTURED.most == 3


@probe("form", "compared")
def form_with_many_compared(bench: Bench) -> None:
    def page(ids: list[int]) -> None:
        from lgt.ui.pages.runs import show_comparison

        show_comparison(ids)

    bench.monkeypatch.setattr("lgt.ui.data.read_run", None)
    app = AppTest.from_function(page, args=(list(range(7)),)).run()
    assert not app.exception and app.caption[0].value == "Tick at most 6 runs to compare them."


@probe("address", "prompt", "prompt_text")
def address_with_a_long_prompt(bench: Bench, name: str) -> None:
    address = {"length": "61"} if name == "prompt" else {"a": "1" * 5_000}
    app = bench.page("playground", store=bench.few, task="reverse_add", **address)
    if name == "prompt":
        assert app.slider[0].max <= bounds.PROMPT.most and app.slider[0].value <= bounds.PROMPT.most
    else:
        assert max(len(box.value) for box in app.text_input) <= bounds.PROMPT_TEXT.most


@probe("form", "prompt", "prompt_text", "answer")
def form_with_a_long_prompt(bench: Bench, name: str) -> str | None:
    options = tiny().options
    if name == "prompt":
        with pytest.raises(ConfigError) as refused:
            prompts.typed("reverse_add", ["1" * 61, "2"], 0, options)
        assert "60" in refused.value.accepted
        return None
    if name == "prompt_text":
        app = bench.page("playground", store=bench.few, task="reverse_add")
        boxes = [box for box in app.text_input if box.key and box.key.startswith(("a-", "b-", "text-"))]
        assert boxes and all(box.proto.max_chars == bounds.PROMPT_TEXT.most for box in boxes)
        return None
    from lgt.evaluation.generation import answer

    prompt = prompts.drawn("reverse", 3, 0, options)
    long = replace(prompt, tokens=prompt.tokens[:5] + (1,) * 1_025, scored=(False,) * 5 + (True,) * 1_025)
    with pytest.raises(ConfigError) as refused:
        answer(None, replace(long, prompt_length=5))  # type: ignore[arg-type]
    return str(refused.value)


# --- the list


@pytest.mark.parametrize(
    "name, door",
    [
        pytest.param(bound.name, door, marks=[pytest.mark.slow] if door in ("form", "address") else [])
        for bound in bounds.BOUNDS for door in bound.doors
    ],
)  # fmt: skip
def test_a_limit_holds_at_a_door(name: str, door: str, bench: Bench) -> None:
    bound: bounds.Bound = getattr(bounds, name.upper())
    said = PROBES[name, door](bench)
    if said is not None:
        number = f"{getattr(bounds, name.upper()).most:,}"
        assert (bound.variable in said) if bound.settable else re.search(rf"\b{number}\b", said), said


def test_every_probe_is_one_of_the_list() -> None:
    assert set(PROBES) == {(bound.name, door) for bound in bounds.BOUNDS for door in bound.doors}
    assert len({bound.name for bound in bounds.BOUNDS}) == len(bounds.BOUNDS)
    assert all(getattr(bounds, bound.name.upper()) is bound for bound in bounds.BOUNDS)
    assert bounds.LENGTH.default == MAXIMUM_LENGTH


def test_security_md_has_the_list_that_the_code_has() -> None:
    found = (ROOT / "SECURITY.md").read_text().split("<!-- limits: begin -->\n")[1].split("<!-- limits: end -->")[0]
    assert found.splitlines() == bounds.markdown_table(), "paste what lgt.core.bounds.markdown_table returns"


def test_shipped_runs_are_within_the_usual_limits(shipped: Path) -> None:
    engine = open_store(str(shipped), read_only=True)
    with engine.connect() as connection:
        texts = connection.scalars(select(Config.config)).all()
    for stored in texts:
        check_limits(RunConfig.from_json(stored))
    assert len(texts) > 20
