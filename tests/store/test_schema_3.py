"""What schema 3 added: identities that copies of a store share, texts that seeds share, traces of what was deleted."""

from __future__ import annotations

import shutil
import sqlite3
import time
import uuid
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text

from lgt.core.records import AccuracyRow, LogRow
from lgt.store import configs, integrity, leases, merge, queries, tags, writes
from lgt.store.engine import StoreError, open_store, read_connection, write_transaction
from lgt.store.schema import AccuracyCounts, Config, DeletedRun, NumberList, PackedLog, RunTask, TrainingLogRow
from tests.conftest import ROOT
from tests.store.test_store import CONFIG, engine, finished_run

__all__ = ["engine"]

OLD = sorted((ROOT / "tests" / "stores").glob("schema-[12].db"))


def scalars(store: Engine, statement: object) -> list[object]:
    with read_connection(store) as connection:
        return list(connection.scalars(statement))  # type: ignore[call-overload]


@pytest.mark.parametrize("stored", OLD, ids=lambda path: path.stem)
def test_copies_of_an_old_store_give_a_run_the_same_uuid_wherever_migrated(stored: Path, tmp_path: Path) -> None:
    found = []
    for name in ("a.db", "b.db"):
        path = Path(shutil.copy(stored, tmp_path / name))
        if name == "b.db":  # what people change is no part of the identity
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("UPDATE runs SET notes = 'mine', tags = 'star', label = 'x', state = 'done'")
                connection.commit()
        found.append(queries.runs(open_store(str(path))).uuid.tolist())
    assert found[0] == found[1] and len(set(found[0])) == 4
    assert all(str(uuid.UUID(one)) == one and uuid.UUID(one).version == 5 for one in found[0])


def test_the_uuid_of_an_old_run_never_changes(tmp_path: Path) -> None:
    """Stores were migrated with this function: another one would make their runs different runs."""
    path = Path(shutil.copy(OLD[0], tmp_path / "a.db"))
    assert queries.runs(open_store(str(path))).uuid[0] == FIRST


FIRST = "b1cce5ef-77de-5ef3-bf95-df689469708c"


def test_equal_old_rows_and_imports_get_uuids_of_their_own(tmp_path: Path) -> None:
    path = Path(shutil.copy(OLD[1], tmp_path / "a.db"))
    identity = str(uuid.uuid4())
    with closing(sqlite3.connect(path)) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(runs)") if row[1] not in ("id", "token")]
        connection.execute(f"INSERT INTO runs ({', '.join(names)}) SELECT {', '.join(names)} FROM runs WHERE id = 1")
        connection.execute("UPDATE runs SET token = ?, preset = 'imported' WHERE id = 2", (f"import:{identity}",))
        connection.commit()
    runs = queries.runs(open_store(str(path))).set_index("id")
    assert runs.uuid.is_unique and len(runs) == 5 and runs.uuid[2] == identity
    assert runs.origin.to_dict() == {1: "trained", 2: "imported", 3: "trained", 4: "trained", 5: "trained"}


def test_ids_of_runs_that_an_old_store_deleted_are_not_used_again(tmp_path: Path) -> None:
    path = Path(shutil.copy(OLD[1], tmp_path / "a.db"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE sqlite_sequence SET seq = 40 WHERE name = 'runs'")
        connection.commit()
    assert writes.create_run(open_store(str(path)), CONFIG) == 41


def test_an_old_store_whose_rows_cannot_be_moved_says_so_and_stays(tmp_path: Path) -> None:
    path = Path(shutil.copy(OLD[1], tmp_path / "a.db"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE accuracy SET length = 'x' WHERE run_id = 1 AND length = 3")
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"a\.db is damaged \(.*\); restore"):
        open_store(str(path))
    assert path.read_bytes() == before


def test_rows_of_a_task_that_a_run_does_not_have_are_left_out(tmp_path: Path) -> None:
    path = Path(shutil.copy(OLD[1], tmp_path / "a.db"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO accuracy VALUES (1, 20, 'another', 1, 1, 2)")
        connection.commit()
    store = open_store(str(path))
    assert "another" not in set(queries.accuracy(store, [1]).task) and integrity.integrity(store) == []


def test_new_runs_have_uuids_of_their_own_and_the_main_task_first(engine: Engine) -> None:
    turned = replace(CONFIG, tasks=CONFIG.tasks[::-1])
    ids = [writes.create_run(engine, turned) for _ in range(2)]
    assert queries.runs(engine).uuid.map(lambda one: uuid.UUID(one).version).tolist() == [4, 4]
    assert queries.run(engine, ids[0]).uuid != queries.run(engine, ids[1]).uuid
    assert queries.run(engine, ids[0]).config == turned
    tasks = select(RunTask.task).where(RunTask.run_id == ids[0]).order_by(RunTask.slot)
    assert scalars(engine, tasks) == ["reverse_add", "no_carry"]


def test_seeds_share_a_text_which_goes_with_the_last_of_them(engine: Engine) -> None:
    seeds = [writes.create_run(engine, replace(CONFIG, model_seed=seed, data_seed=2**60 + seed)) for seed in range(3)]
    other = writes.create_run(engine, replace(CONFIG, preset="small"))
    assert len(scalars(engine, select(Config.key))) == 2
    for number, run_id in enumerate(seeds):
        config = queries.run(engine, run_id).config
        assert (config.model_seed, config.data_seed) == (number, 2**60 + number)
        assert config.hash() == queries.runs(engine, ids=[run_id]).config_hash[0]
    writes.delete_runs(engine, seeds[:2])
    assert len(scalars(engine, select(Config.key))) == 2
    writes.delete_runs(engine, seeds[2:])
    assert scalars(engine, select(Config.config)) == [configs.shared_text(*seeded(CONFIG, preset="small"))[1]]
    assert queries.run(engine, other).config.preset == "small"


def seeded(config: object, **changes: object) -> tuple[str, int, int]:
    changed = replace(config, **changes)  # type: ignore[type-var]
    return changed.canonical_json(), changed.model_seed, changed.data_seed


OTHER_TEXTS = ('{"a":1}', '{"model_seed":4,"a":1}', "no json", "[1]", "{", "", '{"a":1, "b":2}', "é", " {}", "null")


@pytest.mark.parametrize("given", OTHER_TEXTS)
def test_any_text_comes_back(given: str) -> None:
    key, stored = configs.shared_text(given, 5, 6)
    assert len(key) == 32 and configs.whole_text(stored, 5, 6) == given
    seeds = (CONFIG.model_seed, CONFIG.data_seed)
    _, shared = configs.shared_text(CONFIG.canonical_json(), *seeds)
    assert "_seed" not in shared and configs.whole_text(shared, *seeds) == CONFIG.canonical_json()
    assert configs.config_of(shared, 8, 9) == replace(CONFIG, model_seed=8, data_seed=9)


def test_a_deleted_run_leaves_its_uuid(engine: Engine) -> None:
    kept, gone = finished_run(engine), finished_run(engine)
    identity, before = queries.run(engine, gone).uuid, time.time()
    assert writes.delete_runs(engine, [gone, 99]) == 1
    with read_connection(engine) as connection:
        ((found, when),) = connection.execute(select(DeletedRun.uuid, DeletedRun.deleted_at)).all()
    assert found == identity and before <= when <= time.time() and queries.runs(engine).id.tolist() == [kept]


def test_a_change_of_tags_or_notes_has_its_time(engine: Engine) -> None:
    one, two = finished_run(engine), finished_run(engine)
    before = time.time()
    assert tags.change_tags(engine, [one, two], remove=["star"]) == []
    assert queries.run(engine, one).tags_at is None
    tags.change_tags(engine, [one], add=["star"])
    first = queries.run(engine, one).tags_at
    assert first is not None and before <= first <= time.time() and queries.run(engine, two).tags_at is None
    tags.set_note(engine, [one], "look")
    second = queries.run(engine, one).notes_at
    assert second is not None and second >= first


def test_a_copy_of_a_run_is_known_by_its_uuid(tmp_path: Path) -> None:
    store, other = (open_store(str(tmp_path / name)) for name in ("a.db", "b.db"))
    finished_run(other)
    assert merge.merge(store, str(tmp_path / "b.db")).added == 1
    assert queries.run(store, 1).uuid == queries.run(other, 1).uuid
    assert merge.merge(store, str(tmp_path / "b.db")) == merge.MergeReport(unchanged=1)
    assert integrity.integrity(store) == [] and len(scalars(store, select(Config.key))) == 1


@pytest.mark.parametrize("end", ["done", "failed", "cancel"])
def test_the_log_of_a_run_is_packed_when_it_ends_and_grows_after_a_retry(engine: Engine, end: str) -> None:
    run_id = writes.create_run(engine, CONFIG)
    attempt = leases.start_run(engine, run_id, "w", "cpu")

    def report(*steps: int) -> None:
        log = [LogRow(step, 1.0 / step, 0.1, 9.0) for step in steps]
        writes.record_progress(engine, run_id, attempt, step=1, tokens=1, seconds=1.0, log_rows=log)

    report(1, 2, 3)
    before = queries.training_log(engine, [run_id])
    assert len(scalars(engine, select(TrainingLogRow.step))) == 3
    leases.cancel_run(engine, run_id) if end == "cancel" else leases.finish_run(engine, run_id, attempt, end, "why")
    assert scalars(engine, select(TrainingLogRow.step)) == [] and scalars(engine, select(PackedLog.steps)) == ["1-3"]
    assert queries.training_log(engine, [run_id]).equals(before)
    if end == "failed":
        from lgt.store import queue

        assert queue.retry(engine, run_id)
        attempt = leases.start_run(engine, run_id, "w", "cpu")
        report(3, 4)
        assert queries.training_log(engine, [run_id]).step.tolist() == [1, 2, 3, 4]
        leases.finish_run(engine, run_id, attempt, "done")
        assert scalars(engine, select(PackedLog.steps)) == ["1-4"]


def test_integrity_names_packed_rows_that_are_wrong(engine: Engine) -> None:
    run_id = finished_run(engine)
    assert integrity.integrity(engine) == []
    for change, said in (
        ("UPDATE accuracy_counts SET correct = :bytes WHERE step = 10", "run {run}"),
        ("UPDATE run_tasks SET slot = 7 WHERE slot = 1", "has a task that the run does not have"),
        ("DELETE FROM number_lists WHERE list LIKE '16%'", "names a list that is not stored"),
    ):
        with write_transaction(engine) as connection:
            connection.execute(text(change), {"bytes": b"123"} if ":bytes" in change else {})
        assert [line for line in integrity.integrity(engine) if said.format(run=run_id) in line], change
    with pytest.raises(StoreError, match=r"is damaged: a row of accuracy_counts of run \d+ has 3 bytes for 10 numbers"):
        queries.accuracy(engine, [run_id], "all")


def test_a_measurement_of_an_unknown_task_is_refused(engine: Engine) -> None:
    run_id = writes.create_run(engine, CONFIG)
    attempt = leases.start_run(engine, run_id, "w", "cpu")
    said = f"^run {run_id}: 'reverse' is not one of its tasks; accepted: reverse_add, no_carry$"
    with pytest.raises(StoreError, match=said):
        writes.record_accuracy(engine, run_id, attempt, 1, [AccuracyRow("reverse", 1, 1, 2)])
    said = f"^run {run_id}, step 1, no_carry: cannot be stored \\(counts of length 3: 5 right of 4\\)$"
    with pytest.raises(StoreError, match=said):
        writes.record_accuracy(engine, run_id, attempt, 1, [AccuracyRow("no_carry", 3, 5, 4)])
    assert scalars(engine, select(AccuracyCounts.step)) == [] == scalars(engine, select(NumberList.list))


@pytest.mark.parametrize("stored", OLD, ids=lambda path: path.stem)
def test_an_old_store_is_merged_from_a_read_only_folder_and_only_once(stored: Path, tmp_path: Path) -> None:
    folder = tmp_path / "medium"
    folder.mkdir()
    old = Path(shutil.copy(stored, folder / "old.db"))
    old.chmod(0o444)
    folder.chmod(0o555)
    before = old.read_bytes()
    store = open_store(str(tmp_path / "new.db"))
    report, again = merge.merge(store, str(old)), merge.merge(store, str(old))
    finished = [one for one in report.reasons if "it has not finished" not in one]
    assert report.added > 0 and finished == [] and again.added == again.updated == 0
    assert again.unchanged == report.added and integrity.integrity(store) == []
    assert old.read_bytes() == before and [path.name for path in folder.iterdir()] == ["old.db"]
