"""R16: stores that merge each other end with the same rows, whatever happened before, and lose nothing."""

from __future__ import annotations

import hashlib
import itertools
import random
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from lgt.core.records import AccuracyRow, AttentionDifferenceRow, HeadScoreRow, LogRow
from lgt.store import imports, integrity, leases, queries, remarks, tags, writes
from lgt.store.engine import open_store, read_connection, write_transaction
from lgt.store.exchange import ImportedRun
from lgt.store.merge import merge
from lgt.store.schema import Checkpoint, DeletedRun, Run, RunTask, column_names
from lgt.store.upserts import upsert
from tests.faults import size
from tests.store.test_store import CONFIG

HISTORIES = size(6, 200)
STORES = ("a.db", "b.db", "c.db")
TASKS = tuple(spec.task for spec in CONFIG.tasks)


@dataclass
class World:
    """Three stores, a clock that may stand still, and what should be true at the end."""

    folder: Path
    random: random.Random
    clock: float = 1_000.0
    stores: dict[str, Engine] = field(default_factory=dict)
    measured: dict[str, set[tuple[Any, ...]]] = field(default_factory=dict)
    said: dict[tuple[str, str], tuple[float, str]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)

    def now(self) -> float:
        """The time: the same as before, or later."""
        self.clock += self.random.choice([0.0, 1.0, 2.5])
        return self.clock


def any_run(world: World, store: Engine) -> tuple[int, str] | None:
    with read_connection(store) as connection:
        runs = connection.execute(select(Run.id, Run.uuid).where(Run.state == "done", Run.origin == "trained")).all()
    return tuple(world.random.choice(runs)) if runs else None  # type: ignore[return-value]


def finish_run(world: World, store: Engine) -> None:
    number = writes.create_run(store, CONFIG, label=f"run {world.random.random()}")
    if world.random.random() < 0.2:
        return  # it stays in the queue
    attempt = leases.start_run(store, number, "worker", world.random.choice(["cpu", "cuda"]))
    length = world.random.randint(1, 6)
    rows = [AccuracyRow(task, at, world.random.randint(0, 8), 8) for task in TASKS for at in range(1, length + 1)]
    writes.record_accuracy(store, number, attempt, 20, rows)
    log = [LogRow(step, world.random.random(), 0.01, 100.0) for step in (10, 20)]
    writes.record_progress(store, number, attempt, step=20, tokens=9, seconds=1.0, log_rows=log)
    writes.record_checkpoint(store, number, attempt, 20, world.random.randbytes(40))
    leases.finish_run(store, number, attempt, "done")
    remember(world, queries.run(store, number).uuid, [("accuracy", 20, row.task, row.length) for row in rows])


def remember(world: World, uuid: str, keys: list[tuple[Any, ...]]) -> None:
    world.measured.setdefault(uuid, set()).update(keys)


def add_maps(world: World, store: Engine) -> None:
    found = any_run(world, store)
    if found is None:
        return
    number, uuid = found
    step, examples = world.random.choice([10, 20]), world.random.choice([16, 32, 32])
    lengths = world.random.sample(range(1, 9), 3)
    drawn = world.random
    scores = [
        HeadScoreRow(task, length, layer, head, drawn.randint(-9, 16) / examples, drawn.random(), examples)
        for task in TASKS for length in lengths for layer in range(2) for head in range(2)
    ]  # fmt: skip
    differences = [AttentionDifferenceRow(*TASKS[:2], length, 0, 1, world.random.random()) for length in lengths]
    writes.record_attribution(store, number, step, scores, differences)
    remember(world, uuid, [("head_scores", step, row.task, row.length) for row in scores])
    remember(world, uuid, [("attention_differences", step, row.task_a, row.length) for row in differences])


def say(world: World, store: Engine) -> None:
    found = any_run(world, store)
    if found is None:
        return
    number, uuid = found
    when, words = world.now(), f"note {world.random.randint(0, 99)}"
    if world.random.random() < 0.5:
        tags.set_note(store, [number], words)
        kind, value = "notes", words
    else:
        chosen = world.random.choice(["star", "archived", "deleted", "mine"])
        if not tags.change_tags(store, [number], add=[chosen]):
            return
        kind, value = "tags", ",".join(queries.run(store, number).tags)
    before = world.said.get((uuid, kind), (0.0, ""))
    world.said[uuid, kind] = max(before, (when, value))


def annotate(world: World, store: Engine) -> None:
    """Say something about a run of another store, as a viewer does about a shipped run."""
    other = world.stores[world.random.choice(STORES)]
    found = any_run(world, other)
    if found is None or not queries.runs(store).query("uuid == @found[1]").empty:
        return
    when, words = world.now(), f"note {world.random.randint(0, 99)}"
    with write_transaction(store) as connection:
        remarks.write(connection, found[1], {"notes": words, "notes_at": when})
    before = world.said.get((found[1], "notes"), (0.0, ""))
    world.said[found[1], "notes"] = max(before, (when, words))


def add_weights(world: World, store: Engine) -> None:
    """Weights of an earlier step, as an interrupted and resumed campaign leaves them."""
    found = any_run(world, store)
    if found is None:
        return
    data = world.random.randbytes(30)
    row = {"run_id": found[0], "step": 10, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data),
           "coding": "", "weights": data, "uri": None}  # fmt: skip
    with write_transaction(store) as connection:
        upsert(connection, Checkpoint, [row])


def delete_run(world: World, store: Engine) -> None:
    found = any_run(world, store)
    if found is not None:
        writes.delete_runs(store, [found[0]])
        world.deleted.add(found[1])


def import_again(world: World, store: Engine) -> None:
    """The same file, corrected again and again, imported into several stores, deleted and imported again."""
    identity = "00000000-0000-4000-8000-000000000000"
    if world.random.random() < 0.4:
        with read_connection(store) as connection:
            numbers = list(connection.scalars(select(Run.id).where(Run.uuid == identity)))
        writes.delete_runs(store, numbers)
        return
    rows = [AccuracyRow(task, length, world.random.randint(0, 9), 9) for task in TASKS for length in (1, 2)]
    imports.import_runs(store, [ImportedRun(identity, "theirs", CONFIG, {5: rows})])


def take_over(world: World, store: Engine) -> None:
    merge(store, str(world.folder / world.random.choice(STORES)))


ACTIONS = (finish_run, add_maps, say, annotate, add_weights, delete_run, import_again)


def contents(store: Engine) -> dict[str, Any]:
    """All that a store says about finished runs, by uuid, read with plain SQL through the views."""
    names = [name for name in column_names(Run) if name not in ("id", "token", "config_key")]
    found: dict[str, Any] = {}
    with read_connection(store) as connection:
        columns = [Run.id, *(getattr(Run, name) for name in names)]
        for number, *values in connection.execute(select(*columns).where(Run.state == "done")):
            rows = {}
            for view in ("accuracy", "head_scores", "attention_differences", "training_log"):
                of_run = connection.execute(text(f"SELECT * FROM {view} WHERE run_id = {number}")).mappings()
                rows[view] = sorted(repr({**row, "run_id": 0}) for row in of_run)
            kept = select(Checkpoint.step, Checkpoint.sha256).where(Checkpoint.run_id == number)
            rows["weights"] = sorted(map(repr, connection.execute(kept)))
            tasks = select(RunTask.slot, RunTask.task).where(RunTask.run_id == number)
            rows["tasks"] = sorted(map(repr, connection.execute(tasks)))
            run = dict(zip(names, values, strict=True))
            found[run["uuid"]] = (run, rows)
        found["deleted"] = sorted(map(repr, connection.execute(select(DeletedRun.uuid, DeletedRun.deleted_at))))
        found["remarks"] = {row["run_uuid"]: row for row in remarks.all_rows(connection)}
        owned = set(connection.scalars(select(Run.uuid)))
        assert not owned & set(found["remarks"]), "what is said about an own run is the run's own"
    return found


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "empty.db"
    open_store(str(path)).dispose()
    return path


def history(seed: int, folder: Path, empty: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A random history of three stores that have had the same runs, with merges in between."""
    world = World(folder, random.Random(seed))
    monkeypatch.setattr(time, "time", world.now)
    for name in STORES:
        shutil.copy(empty, folder / name)
        world.stores[name] = open_store(str(folder / name))
    first, *others = world.stores.values()
    finish_run(world, first)
    finish_run(world, first)
    for store in others:
        merge(store, str(folder / STORES[0]))
    few = world.random.sample(ACTIONS, 3)  # few kinds of action, so that two stores often change the same thing
    for action in world.random.choices([*few, take_over], k=world.random.randint(5, 30)):
        action(world, world.stores[world.random.choice(STORES)])
    return world


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(HISTORIES))
def test_r16_merging_converges(seed: int, tmp_path: Path, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = history(seed, tmp_path, empty, monkeypatch)
    found = [merged(tmp_path, hub) for hub in (STORES[0], STORES[2])]
    first = found[0][0]
    assert all(other == first for of_hub in found for other in of_hub), "whoever asks whom first"
    check_nothing_is_lost(world, tmp_path / f"from-{STORES[0]}" / STORES[0], first)


def merged(folder: Path, hub: str) -> list[dict[str, Any]]:
    """The contents of copies of the stores, after one of them has merged all others, and all others have merged it."""
    copies = folder / f"from-{hub}"
    copies.mkdir()
    paths = {name: shutil.copy(folder / name, copies / name) for name in STORES}
    stores = {name: open_store(str(path)) for name, path in paths.items()}
    others = [name for name in STORES if name != hub]
    for into, other in [*((hub, other) for other in others), *((other, hub) for other in others)]:
        merge(stores[into], str(paths[other]))
    found = [contents(store) for store in stores.values()]
    for into, other in itertools.pairwise((*STORES, STORES[0])):
        report = merge(stores[into], str(paths[other]))
        assert (report.added, report.updated, report.deleted) == (0, 0, 0), report.reasons
    assert [contents(store) for store in stores.values()] == found
    assert [integrity.integrity(store) for store in stores.values()] == [[], [], []]
    return found


def check_nothing_is_lost(world: World, store: Path, found: dict[str, Any]) -> None:
    uuids = set(found) - {"deleted", "remarks"}
    trained = {uuid for uuid in uuids if found[uuid][0]["origin"] == "trained"}
    assert trained == set(world.measured) - world.deleted
    with read_connection(open_store(str(store))) as connection:
        for uuid in trained:
            number = connection.scalar(select(Run.id).where(Run.uuid == uuid))
            for view, task in (("accuracy", "task"), ("head_scores", "task"), ("attention_differences", "task_a")):
                rows = connection.execute(text(f"SELECT step, {task}, length FROM {view} WHERE run_id = {number}"))
                keys = {(view, *row) for row in rows}
                assert {key for key in world.measured[uuid] if key[0] == view} == keys
    for (uuid, kind), (_, words) in world.said.items():
        if uuid in trained:
            assert found[uuid][0][kind] == words
