"""What a store says when it refuses, and what exactly stands in its rows after a write; without PostgreSQL."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import Engine, select, text, update
from sqlalchemy.engine import make_url

import lgt
from lgt.core.checks import ConfigError
from lgt.core.config import RunConfig, TaskSpec
from lgt.core.records import AccuracyRow, LogRow
from lgt.store import (
    blobs,
    checkpoints,
    comparisons,
    exchange,
    export,
    integrity,
    leases,
    merge,
    queries,
    queue,
    tags,
    thinning,
    writes,
)
from lgt.store.atomic_files import check_new_folder, write_folder
from lgt.store.engine import open_store, read_connection, write_transaction
from lgt.store.errors import LeaseLost, StoreBusy, StoreError, error_message, store_name, translate_errors
from lgt.store.schema import Checkpoint, Config, Run, RunTask, TrainingLogRow, TrainingState

MAIN = TaskSpec("reverse_add", "main", 4)
CONFIG = RunConfig(
    tasks=(MAIN, TaskSpec("no_carry", "auxiliary", 8)), group="add-carry", preset="demo", transfer_length=8
)


@pytest.fixture()
def store(tmp_path: Path) -> Engine:
    return open_store(str(tmp_path / "store.db"))


def refused(call: Callable[..., object], *arguments: object, **named: object) -> str:
    with pytest.raises(StoreError) as caught:
        call(*arguments, **named)
    return str(caught.value)


def row(engine: Engine, run_id: int) -> dict[str, object]:
    with read_connection(engine) as connection:
        return dict(connection.execute(select(*Run.__table__.columns).where(Run.id == run_id)).mappings().one())


def started(engine: Engine, config: RunConfig = CONFIG, **named: object) -> tuple[int, int]:
    run_id = writes.create_run(engine, config, **named)  # type: ignore[arg-type]
    return run_id, leases.start_run(engine, run_id, "worker", "cpu")


# --- messages


def test_a_message_is_one_line() -> None:
    assert str(StoreError("a\n  b\tc ")) == "a b c" and issubclass(StoreBusy, StoreError)


def sqlite_error(code: int, message: str) -> sqlite3.Error:
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return error


WAIT = "wait for it to finish, then try again"
RESTORE = "restore a backup (`python -m lgt restore`) or move the file away to start a new store"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (sqlite_error(5, "database is locked"), f"a.db is locked by another process (database is locked); {WAIT}"),
        (sqlite_error(6, "x"), f"a.db is locked by another connection (x); {WAIT}"),
        (sqlite_error(5 + 256, "snapshot"), f"a.db is locked by another process (snapshot); {WAIT}"),
        (
            sqlite_error(8, "x"),
            "a.db cannot be written (x); make the file and its folder writable, or choose --database",
        ),
        (sqlite_error(10, "x"), f"a.db could not be read or written by the disk (x); check the disk, then {RESTORE}"),
        (sqlite_error(11, "x\ny"), f"a.db is damaged (x); {RESTORE}"),
        (
            sqlite_error(26, "x"),
            f"a.db is not a SQLite database (x); choose another file with --database, or {RESTORE}",
        ),
        (sqlite_error(13, "x"), "a.db could not grow (x); disk full; free some space, then try again"),
        (
            sqlite_error(14, "x"),
            "a.db cannot be opened (x); check that the file exists and that you may read and write it",
        ),
        (sqlite_error(1, "no such table"), "a.db refused the request (no such table); see `python -m lgt doctor`"),
        (ValueError(" " + "y" * 200), f"a.db refused the request ({'y' * 160}); see `python -m lgt doctor`"),
        (ValueError(""), "a.db refused the request (unknown error); see `python -m lgt doctor`"),
        (
            ValueError("could not decode to UTF-8 column"),
            f"a.db is damaged (could not decode to UTF-8 column); {RESTORE}",
        ),
    ],
)
def test_an_error_of_the_database_says_what_is_wrong_and_what_to_do(error: Exception, message: str) -> None:
    assert error_message("a.db", error) == message


def test_a_text_that_is_not_utf_8_is_damage() -> None:
    with pytest.raises(UnicodeDecodeError) as caught:
        b"\xff".decode()
    assert error_message("a.db", caught.value).startswith("a.db is damaged ('utf-8' codec can't decode byte 0xff")


def test_errors_of_the_driver_become_errors_of_the_store_and_others_pass(store: Engine) -> None:
    said = r"store\.db refused the request \(no such table: gone\)"
    with pytest.raises(StoreError, match=said) as caught, translate_errors(store.url), store.connect() as connection:
        connection.execute(text("SELECT * FROM gone"))
    assert not isinstance(caught.value, StoreBusy)
    with pytest.raises(StoreError, match="refused the request"), translate_errors(store.url):
        raise OverflowError("too large")
    with pytest.raises(KeyError), translate_errors(store.url):
        raise KeyError("other")


def test_a_store_is_named_by_its_file_or_by_its_address_without_the_password() -> None:
    assert store_name(make_url("sqlite:////tmp/a.db")) == "/tmp/a.db"
    address = store_name(make_url("postgresql+psycopg://me:secret@host:5/lab"))
    assert address == "postgresql+psycopg://me:***@host:5/lab"


# --- runs


def test_a_new_run_has_every_column(store: Engine) -> None:
    before = time.time()
    run_id = writes.create_run(store, CONFIG, label="one", experiment="fig3a", code_version="v", token="t")
    found = row(store, run_id)
    assert before <= float(str(found.pop("created_at"))) <= time.time()
    wanted = {
        "id": run_id, "label": "one", "experiment": "fig3a", "code_version": "v", "token": "t/0", "state": "queued",
        "task_group": "add-carry", "arm": "co-trained", "preset": "demo", "position": "rope", "model_seed": 0,
        "data_seed": 0, "origin": "trained", "config_hash": CONFIG.hash(), "total_steps": 5000,
        "attempt": 0, "step": 0, "tokens": 0, "seconds": 0.0, "lost_workers": 0, "tags": "", "notes": "",
    }  # fmt: skip
    assert str(uuid.UUID(str(found.pop("uuid")))) and len(str(found.pop("config_key"))) == 32
    assert {name: value for name, value in found.items() if value is not None} == wanted
    with read_connection(store) as connection:
        tasks = connection.execute(select(RunTask.task, RunTask.role, RunTask.training_length, RunTask.transfer_length))
        assert sorted(map(tuple, tasks)) == [("no_carry", "auxiliary", 8, 8), ("reverse_add", "main", 4, 8)]


def test_a_run_that_the_caller_starts_has_a_lease_before_it_starts(store: Engine) -> None:
    before = time.time()
    found = row(store, writes.create_run(store, CONFIG, state="running"))
    assert found["state"] == "running" and found["attempt"] == 0
    assert before <= float(str(found["heartbeat_at"])) <= time.time()
    assert float(str(found["lease_until"])) - float(str(found["heartbeat_at"])) == pytest.approx(45.0)
    assert row(store, writes.create_run(store, CONFIG))["lease_until"] is None


@pytest.mark.parametrize("state", ["done", "failed", "cancelled"])
def test_a_new_run_has_not_ended(store: Engine, state: str) -> None:
    with pytest.raises(ValueError, match=f"^a new run is queued or running, not {state}$"):
        writes.create_run(store, CONFIG, state=state)


def test_runs_of_one_token_are_numbered_in_order(store: Engine) -> None:
    configs = [replace(CONFIG, model_seed=seed) for seed in (3, 1, 2)]
    ids = writes.create_runs(store, configs, labels=["a", "b", "c"], experiment="e", code_version="v", token="t")
    assert [(row(store, i)["token"], row(store, i)["model_seed"], row(store, i)["label"]) for i in ids] == [
        ("t/0", 3, "a"), ("t/1", 1, "b"), ("t/2", 2, "c"),
    ]  # fmt: skip
    assert writes.create_runs(store, configs, labels=["x", "y", "z"], token="t") == ids
    assert writes.create_runs(store, configs[:1], labels=[""]) == [ids[-1] + 1], "no token, no memory"


def test_a_full_queue_says_how_many_wait(store: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGT_MAX_QUEUE", "3")
    writes.create_runs(store, [CONFIG, CONFIG], labels=["", ""])
    assert refused(writes.create_runs, store, [CONFIG, CONFIG], labels=["", ""]) == (
        "2 runs are waiting; 2 more would exceed the limit of 3 (LGT_MAX_QUEUE sets this limit); cancel some, or wait "
        "for workers"
    )
    writes.create_run(store, CONFIG)
    assert len(queries.runs(store)) == 3


# --- leases


def test_a_run_that_cannot_start_says_why(store: Engine) -> None:
    assert refused(leases.start_run, store, 7, "me", "cpu") == "run 7 cannot be started: it is not in the store"
    run_id, attempt = started(store)
    said = f"run {run_id} cannot be started: it is running (attempt 1, owner worker)"
    assert refused(leases.start_run, store, run_id, "me", "cpu") == said
    with pytest.raises(LeaseLost) as lost:
        leases.heartbeat(store, run_id, 2)
    assert str(lost.value) == f"attempt 2 no longer owns run {run_id}: it is running (attempt 1, owner worker)"
    with pytest.raises(LeaseLost, match=f"^attempt 5 no longer owns run {run_id}$"):
        leases.save_state(store, run_id, 5, 1, b"s", "v")
    leases.finish_run(store, run_id, attempt, "done")
    said = f"run {run_id} cannot be started: it is done (attempt 1, owner worker)"
    assert refused(leases.start_run, store, run_id, "me", "cpu") == said


def test_an_expired_run_is_started_again_by_another_owner(store: Engine) -> None:
    run_id, attempt = started(store)
    leases.heartbeat(store, run_id, attempt, lease_seconds=-1.0)
    assert leases.start_run(store, run_id, "me", "cuda", 9.0, code_version="new") == attempt + 1
    found = row(store, run_id)
    assert (found["owner"], found["device"], found["code_version"]) == ("me", "cpu", "new"), "the device so far"
    assert float(str(found["lease_until"])) - float(str(found["heartbeat_at"])) == pytest.approx(9.0)
    assert found["started_at"] == found["heartbeat_at"]


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_ends_in_a_state_that_ends_it(store: Engine, state: str) -> None:
    run_id, attempt = started(store)
    with pytest.raises(ValueError, match=f"^a run ends done, failed or cancelled, not {state}$"):
        leases.finish_run(store, run_id, attempt, state)


def test_the_end_of_a_run_is_stored(store: Engine) -> None:
    run_id, attempt = started(store)
    before = time.time()
    leases.finish_run(store, run_id, attempt, "failed", "a reason", log_tail="last lines")
    found = row(store, run_id)
    assert (found["state"], found["error"], found["log_tail"]) == ("failed", "a reason", "last lines")
    assert before <= float(str(found["finished_at"])) <= time.time()
    assert found["lease_until"] is None and found["heartbeat_at"] is None and found["owner"] == "worker"


def test_only_an_unfinished_run_is_cancelled(store: Engine) -> None:
    waiting, (running, attempt) = writes.create_run(store, CONFIG), started(store)
    before = time.time()
    assert leases.cancel_run(store, waiting) and leases.cancel_run(store, running) and not leases.cancel_run(store, 99)
    assert not leases.cancel_run(store, waiting)
    for run_id in (waiting, running):
        found = row(store, run_id)
        assert found["state"] == "cancelled" and before <= float(str(found["finished_at"])) <= time.time()
        assert found["lease_until"] is None and found["heartbeat_at"] is None
    with pytest.raises(LeaseLost):
        leases.heartbeat(store, running, attempt)
    assert leases.lease_lost(store, running, attempt) and leases.lease_lost(store, 99, 1)


def test_a_reset_run_starts_from_nothing(store: Engine) -> None:
    run_id, attempt = started(store)
    other, other_attempt = started(store)
    for one, of in ((run_id, attempt), (other, other_attempt)):
        log = [LogRow(5, 1.0, 0.1, 9.0)]
        writes.record_progress(store, one, of, step=5, tokens=50, seconds=1.5, log_rows=log)
        leases.save_state(store, one, of, 5, b"state", "v")
    leases.reset_run(store, run_id, attempt)
    assert [row(store, run_id)[name] for name in ("step", "tokens", "seconds")] == [0, 0, 0.0]
    assert [row(store, other)[name] for name in ("step", "tokens", "seconds")] == [5, 50, 1.5]
    assert blobs.newest_state(store, run_id, "v") is None and blobs.newest_state(store, other, "v") == b"state"
    with read_connection(store) as connection:
        assert list(connection.scalars(select(TrainingLogRow.run_id))) == [other]
    assert [path.name for path in blobs.files_folder(store.url).iterdir()] == [
        f"run-{other}-attempt-1-step-5.safetensors"
    ]


def test_progress_extends_the_lease_by_what_is_asked(store: Engine) -> None:
    run_id, attempt = started(store)
    writes.record_progress(store, run_id, attempt, step=3, tokens=9, seconds=2.0, log_rows=[], lease_seconds=7.0)
    found = row(store, run_id)
    assert float(str(found["lease_until"])) - float(str(found["heartbeat_at"])) == pytest.approx(7.0)
    assert (found["step"], found["tokens"], found["seconds"]) == (3, 9, 2.0)


# --- the queue


def test_a_run_that_lost_its_workers_says_so(store: Engine) -> None:
    run_id = writes.create_run(store, CONFIG)
    for lost in (1, 2, 3):
        assert queue.claim(store, "worker", "cpu", lease_seconds=-1.0, code_version=f"v{lost}") == (run_id, lost)
        assert row(store, run_id)["code_version"] == f"v{lost}"
        before = time.time()
        assert queue.requeue_expired(store) == [run_id]
        found = row(store, run_id)
        assert found["lost_workers"] == lost and found["lease_until"] is None and found["heartbeat_at"] is None
        assert found["state"] == ("failed" if lost == 3 else "queued")
    assert found["error"] == "its worker stopped reporting 3 times; perhaps it ran out of memory"
    assert before <= float(str(found["finished_at"])) <= time.time() and found["owner"] == "worker"
    assert queue.requeue_expired(store) == [] and queue.claim(store, "worker", "cpu") is None


def test_a_limit_of_one_lost_worker_fails_a_run_at_once(store: Engine) -> None:
    run_id, attempt = started(store)
    leases.heartbeat(store, run_id, attempt, lease_seconds=-1.0)
    assert queue.requeue_expired(store, 1) == [run_id] and row(store, run_id)["state"] == "failed"


def test_a_retried_run_has_nothing_of_its_end(store: Engine) -> None:
    run_id, attempt = started(store)
    assert not queue.retry(store, run_id), "it is running"
    leases.finish_run(store, run_id, attempt, "failed", "reason", log_tail="tail")
    assert queue.retry(store, run_id) and not queue.retry(store, run_id)
    found = row(store, run_id)
    assert found["state"] == "queued" and found["lost_workers"] == 0
    assert [found[n] for n in ("error", "owner", "lease_until", "finished_at", "log_tail")] == [None] * 5


def test_a_stale_run_is_one_of_its_experiment(store: Engine) -> None:
    run_id, attempt = started(store, experiment="fig3a")
    assert not queue.has_stale_run(store)
    with write_transaction(store) as connection:
        connection.execute(update(Run).values(heartbeat_at=time.time() - 60))
    assert queue.has_stale_run(store) and queue.has_stale_run(store, "fig3a") and not queue.has_stale_run(store, "fig6")
    leases.finish_run(store, run_id, attempt, "cancelled")
    assert not queue.has_stale_run(store)


# --- files, checkpoints, integrity


def test_the_files_of_a_store_lie_in_its_own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert blobs.files_folder(make_url("sqlite:////data/a.db")) == Path("/data/a.db.files")
    monkeypatch.setenv("LGT_CACHE", str(tmp_path / "cache"))
    postgresql = make_url("postgresql+psycopg://me:secret@host:5/lab")
    name = "files-" + hashlib.sha256(b"postgresql host 5 lab").hexdigest()[:16]
    assert blobs.files_folder(postgresql) == tmp_path / "cache" / name
    monkeypatch.setenv("LGT_FILES", str(tmp_path / "shared"))
    assert blobs.files_folder(make_url("postgresql+psycopg://you@host:5/lab")) == tmp_path / "shared" / name
    other = "files-" + hashlib.sha256(b"sqlite None None /data/a.db").hexdigest()[:16]
    assert blobs.files_folder(make_url("sqlite:////data/a.db")) == tmp_path / "shared" / other


def test_a_file_of_another_size_or_content_is_damaged(tmp_path: Path) -> None:
    name = "checkpoint-run-1-step-2.safetensors"
    blobs.write_file(tmp_path / "files", name, b"1234")
    digest = hashlib.sha256(b"1234").hexdigest()
    path = tmp_path / "files" / name
    assert blobs.read_file(tmp_path / "files", name, 4, digest) == b"1234"
    assert (tmp_path / "files").stat().st_mode & 0o777 == 0o700 and [*(tmp_path / "files").iterdir()] == [path]
    said = f"{path} is damaged: 4 bytes instead of 2,000"
    assert refused(blobs.read_file, tmp_path / "files", name, 2000, digest) == said
    said = f"{path} is damaged: its SHA-256 differs"
    assert refused(blobs.read_file, tmp_path / "files", name, 4, "0" * 64) == said
    said = "'../a' is not the name of a file of a store"
    assert refused(blobs.read_file, tmp_path / "files", "../a", 4, digest) == said
    missing = refused(blobs.read_file, tmp_path / "files", name.replace("1", "7"), 4, digest)
    assert missing.startswith(f"{tmp_path / 'files' / name.replace('1', '7')} cannot be read: ")
    (tmp_path / "plain").write_text("")
    said = f"{tmp_path / 'plain'} is no folder; remove it, or name another folder with LGT_FILES"
    assert refused(blobs.write_file, tmp_path / "plain", "a", b"") == said


def test_orphans_are_files_of_ours_without_a_row(store: Engine) -> None:
    run_id, attempt = started(store)
    assert blobs.remove_orphans(store) == []
    leases.save_state(store, run_id, attempt, 3, b"state", "v")
    folder = blobs.files_folder(store.url)
    orphans = (".run-7-attempt-1-step-3.safetensors.99.new", "checkpoint-run-7-step-3.safetensors")
    foreign = ("a.new", "notes.txt", "thesis.safetensors")
    for name in (*orphans, *foreign):
        (folder / name).write_text("x")
        os.utime(folder / name, (time.time() - 7200,) * 2)
    young = "run-8-attempt-1-step-3.safetensors"
    (folder / young).write_text("x")
    os.utime(folder / f"run-{run_id}-attempt-1-step-3.safetensors", (0, 0))
    assert blobs.remove_orphans(store) == list(orphans)
    kept = {*foreign, f"run-{run_id}-attempt-1-step-3.safetensors"}
    assert {path.name for path in folder.iterdir()} == kept | {young}
    assert blobs.remove_orphans(store, older_than=-10.0) == [young]


def test_the_row_of_a_state_names_its_file(store: Engine) -> None:
    run_id, attempt = started(store)
    leases.save_state(store, run_id, attempt, 3, b"one", "v")
    leases.save_state(store, run_id, attempt, 4, b"second", "w")
    with read_connection(store) as connection:
        (found,) = connection.execute(select(*TrainingState.__table__.columns)).mappings()
    assert {name: found[name] for name in ("run_id", "step", "file", "size", "sha256", "code_version")} == {
        "run_id": run_id, "step": 4, "file": f"run-{run_id}-attempt-1-step-4.safetensors", "size": 6,
        "sha256": hashlib.sha256(b"second").hexdigest(), "code_version": "w",
    }  # fmt: skip
    assert [path.name for path in blobs.files_folder(store.url).iterdir()] == [found["file"]]


def test_a_missing_or_damaged_checkpoint_says_which(store: Engine, tmp_path: Path) -> None:
    run_id, attempt = started(store)
    name = str(tmp_path / "store.db")
    said = f"run {run_id}: no checkpoint in the store {name}; see `python -m lgt runs`"
    assert refused(checkpoints.read_checkpoint, store, run_id) == said
    writes.record_checkpoint(store, run_id, attempt, 3, b"three")
    writes.record_checkpoint(store, run_id, attempt, 20, b"twenty")
    newest = checkpoints.read_checkpoint(store, run_id)
    assert (newest.run_id, newest.step, newest.size, newest.weights) == (run_id, 20, 6, b"twenty")
    assert checkpoints.read_checkpoint(store, run_id, 3).weights == b"three" and integrity.integrity(store) == []
    said = f"run {run_id}, step 4: no checkpoint in the store {name}; see `python -m lgt runs`"
    assert refused(checkpoints.read_checkpoint, store, run_id, 4) == said
    listed = checkpoints.list_checkpoints(store)
    assert listed.step.tolist() == [3, 20] and listed["size"].tolist() == [5, 6]
    assert listed.sha256.tolist() == [hashlib.sha256(b).hexdigest() for b in (b"three", b"twenty")]
    assert len(checkpoints.list_checkpoints(store, [run_id])) == 2 and checkpoints.list_checkpoints(store, [99]).empty
    with write_transaction(store) as connection:
        connection.execute(update(Checkpoint).where(Checkpoint.step == 3).values(weights=b"other"))
    said = f"run {run_id}, step 3: its checkpoint is damaged (size or SHA-256 differ); {RESTORE}"
    assert refused(checkpoints.read_checkpoint, store, run_id, 3) == said
    assert integrity.integrity(store) == [f"run {run_id}: the checkpoint of step 3 is damaged"]


@pytest.mark.parametrize(("weights", "size"), [(b"ab", 3), ("ab", 2), (None, 0)])
def test_a_checksum_is_that_of_bytes_of_the_size(weights: object, size: int) -> None:
    digest = hashlib.sha256(b"ab").hexdigest()
    assert checkpoints.checksum_matches(b"ab", 2, digest) and not checkpoints.checksum_matches(weights, size, digest)
    assert not checkpoints.checksum_matches(b"ab", 2, "0")


def test_integrity_names_a_missing_file_of_weights(
    store: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(writes, "MAXIMUM_ROW_BYTES", 3)
    run_id, attempt = started(store)
    writes.record_checkpoint(store, run_id, attempt, 5, b"abc")
    writes.record_checkpoint(store, run_id, attempt, 6, b"abcd")
    file = blobs.files_folder(store.url) / f"checkpoint-run-{run_id}-step-6.safetensors"
    assert file.read_bytes() == b"abcd" and integrity.integrity(store) == []
    (problem,) = integrity.integrity(store, tmp_path / "elsewhere")
    place = tmp_path / "elsewhere" / file.name
    assert problem.startswith(f"run {run_id}: the checkpoint of step 6: {place} cannot be read: ")


# --- reading, measuring later, exporting, thinning, merging


def test_heads_are_measured_later_of_a_finished_run_only(store: Engine) -> None:
    end = "heads can only be measured of a finished run"
    assert refused(writes.record_attribution, store, 9, 1, [], []) == f"run 9 is not in the store; {end}"
    run_id, _ = started(store)
    assert refused(writes.record_attribution, store, run_id, 1, [], []) == f"run {run_id} is running; {end}"


def test_a_run_that_cannot_be_read_says_so(store: Engine, tmp_path: Path) -> None:
    said = f"run 9: not in the store {tmp_path / 'store.db'}; see `python -m lgt runs`"
    assert refused(queries.run, store, 9) == said
    run_id = writes.create_run(store, CONFIG)
    with write_transaction(store) as connection:
        connection.execute(update(Config).values(config="{}"))
    said = refused(queries.run, store, run_id)
    assert said == (
        f"run {run_id}: this code cannot read its stored config (tasks: [] is not accepted; accepted: exactly one task "
        f"with role main); update the code, or {RESTORE}"
    )


def test_an_unknown_format_of_an_export_is_refused(store: Engine, tmp_path: Path) -> None:
    said = "export format 'xml' is not known; choose csv, parquet or json"
    assert refused(export.export, store, tmp_path / "out", "xml") == said and not (tmp_path / "out").exists()


def test_an_export_names_its_columns_and_has_the_weights(store: Engine, tmp_path: Path) -> None:
    run_id, attempt = started(store, label="=1+1")
    writes.record_accuracy(store, run_id, attempt, 3, [AccuracyRow("no_carry", 2, 5, 7)])
    writes.record_checkpoint(store, run_id, attempt, 3, b"weights")
    paths = export.export(store, tmp_path / "out")
    assert {path.name for path in paths} >= {
        "runs.csv",
        "accuracy.csv",
        "README.txt",
        f"run-{run_id}-step-3.safetensors",
    }
    assert all(path.is_file() for path in paths)
    assert (tmp_path / "out" / "checkpoints" / f"run-{run_id}-step-3.safetensors").read_bytes() == b"weights"
    assert "'=1+1" in (tmp_path / "out" / "runs.csv").read_text()
    readme = (tmp_path / "out" / "README.txt").read_text()
    named = "accuracy.csv: run, main_length, transfer_length, step, task, task_title, role, training_length, length, "
    assert named in readme and readme.endswith("\n") and str(tmp_path) not in readme
    assert readme.startswith(f"Length Transfer Lab {lgt.__version__}: runs and their measurements.\nFrom: store.")
    (row,) = pd.read_csv(tmp_path / "out" / "accuracy.csv").to_dict(orient="records")
    plain = {name: row[name] for name in ("run", "step", "task", "length", "correct", "total", "accuracy")}
    assert plain == dict(run=run_id, step=3, task="no_carry", length=2, correct=5, total=7, accuracy=5 / 7)


def test_merged_runs_have_new_ids_and_no_token(store: Engine, tmp_path: Path) -> None:
    other = open_store(str(tmp_path / "other.db"))
    waiting = writes.create_run(store, CONFIG)
    first, attempt = started(other, label="theirs", token="t", code_version="v")
    writes.record_accuracy(other, first, attempt, 3, [AccuracyRow("no_carry", 2, 5, 7)])
    leases.finish_run(other, first, attempt, "done")
    started(other)
    report = merge.merge(store, str(tmp_path / "other.db"))
    assert (report.added, report.unchanged) == (1, 0)
    (copied,) = set(queries.runs(store).id) - {waiting}
    found, theirs = row(store, copied), row(other, first)
    assert found == theirs | {"id": copied, "token": None} and copied != first
    assert queries.accuracy(store, [copied])[["step", "task", "correct", "total"]].values.tolist() == [
        [3, "no_carry", 5, 7]
    ]
    again = merge.merge(store, str(tmp_path / "other.db"))
    assert (again.added, again.unchanged) == (0, 1)


def test_thinning_keeps_about_fifty_losses_of_a_finished_run(store: Engine) -> None:
    done, attempt = started(store)
    log = [LogRow(step, 1.0, 0.1, 9.0) for step in range(1, 161)]
    writes.record_progress(store, done, attempt, step=160, tokens=1, seconds=1.0, log_rows=log)
    leases.finish_run(store, done, attempt, "done")
    running, attempt = started(store)
    writes.record_progress(store, running, attempt, step=160, tokens=1, seconds=1.0, log_rows=log)
    report = thinning.thin(store)
    kept, whole = (queries.training_log(store, [run_id]).step.tolist() for run_id in (done, running))
    assert sorted(kept) == [step for step in range(1, 161) if (160 - step) % 3 == 0] and len(whole) == 160
    assert (report.weights, report.rows) == (0, 160 - len(kept))


# --- tags


def test_tags_are_tidied_and_changed_for_the_given_runs(store: Engine) -> None:
    one, two = writes.create_run(store, CONFIG), writes.create_run(store, CONFIG)
    assert tags.joined_tags([" b  c ", "a,b", "", "a b"]) == "a b,b c"
    assert tags.change_tags(store, [one, two], add=["star", "x, y"]) == [one, two]
    assert tags.change_tags(store, [one, 99], add=["star"], remove=["gone"]) == []
    assert tags.change_tags(store, [one], add=["new"], remove=["star"]) == [one]
    assert (row(store, one)["tags"], row(store, two)["tags"]) == ("new,x y", "star,x y")
    assert queries.run(store, two).tags == ("star", "x y")
    for tag, deleted in (("deleted", True), ("undeleted", False), ("deleted x", False)):
        tags.change_tags(store, [one], add=[tag])
        with read_connection(store) as connection:
            present = set(connection.scalars(select(Run.id).where(tags.not_deleted())))
        assert (one not in present) == deleted and two in present
        tags.change_tags(store, [one], remove=[tag])
    tags.set_note(store, [two], "a note")
    assert (row(store, one)["notes"], row(store, two)["notes"]) == ("", "a note")


# --- imports, recordings and folders

ROW = {"run": "r1", "task": "a", "length": "3", "correct": "1", "total": "4"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ([{"role": "main"}, {"role": "auxiliary", "length": "4"}],
         "column role: 'auxiliary' is not accepted; accepted: the same role in all rows of task 'a' of run 'r1': main"),
        ([{"training_length": "3"}, {"training_length": "5", "length": "4"}],
         "column training_length: '5' is not accepted; accepted: the same in all rows of task 'a' of run 'r1': 3"),
        ([{"arm": "co-trained"}],
         "column arm: 'co-trained' is not accepted; accepted: co-trained for a run with auxiliary tasks, one of the "
         "others for the main task alone"),
        ([{"step": "0"}], "column step: '0' is not accepted; accepted: a step above 0 in some row of run 'r1'"),
        ([{"length": "x"}], "column length: 'x' is not accepted; accepted: a whole number from 1 to 512"),
        ([{"total": ""}], "column total: '' is not accepted; accepted: a whole number from 1 to 2147483647"),
        ([{}, {}],
         "column length: '3' is not accepted; accepted: each length once for each run, step and task (a, step 1)"),
    ],
)  # fmt: skip
def test_an_import_names_column_value_and_what_is_accepted(tmp_path: Path, changes: list[dict], says: str) -> None:
    path = tmp_path / "in.csv"
    pd.DataFrame([ROW | change for change in changes]).to_csv(path, index=False)
    assert says in refused(exchange.read_file, path)


def test_a_recording_names_its_tasks(tmp_path: Path) -> None:
    with lgt.record("a:4", {"b": 8}, database=str(tmp_path / "r.db")) as run, pytest.raises(ConfigError) as caught:
        run.accuracy(1, "c", {1: (1, 1)})
    assert str(caught.value) == "task: 'c' is not accepted; accepted: one of a, b"


def test_a_new_folder_is_free_or_empty_and_lies_in_one_that_exists(tmp_path: Path) -> None:
    full, empty = tmp_path / "full", tmp_path / "empty"
    for folder in (full, empty):
        folder.mkdir()
    (full / "file").write_text("x")
    check_new_folder(empty)
    check_new_folder(tmp_path / "new")
    assert refused(check_new_folder, full) == f"{full} is not empty; name a new folder"
    assert refused(check_new_folder, full / "file") == f"{full / 'file'} is a file; name a new folder"
    far = tmp_path / "not" / "there"
    assert refused(check_new_folder, far) == f"{far} cannot be made, because the folder {far.parent} does not exist"
    assert sorted(path.name for path in write_folder(empty, {"a": b"1", "b": b"2"}).iterdir()) == ["a", "b"]
    text_of_a_name_that_the_system_refuses = refused(write_folder, tmp_path / "new", {"no/such": b""})
    assert text_of_a_name_that_the_system_refuses.startswith(f"{tmp_path / 'new'} cannot be written: ")
    assert not (tmp_path / "new").exists()


def test_an_unreadable_config_is_logged_with_its_reason(store: Engine, caplog: pytest.LogCaptureFixture) -> None:
    run_id = writes.create_run(store, CONFIG)
    attempt = leases.start_run(store, run_id, "w", "cpu")
    writes.record_accuracy(store, run_id, attempt, 1, [AccuracyRow("reverse_add", 3, 1, 2)])
    leases.finish_run(store, run_id, attempt, "done")
    with write_transaction(store) as connection:
        connection.execute(update(Config).values(config=Config.config.concat("x")))
    comparisons.comparisons(store)
    assert any(f"run {run_id} is left out: " in line and not line.endswith("is left out: ")
               for line in caplog.messages)  # fmt: skip


def test_a_run_that_was_given_up_is_described(store: Engine) -> None:
    found = {}
    for seed, state in enumerate(("failed", "cancelled", "deleted")):
        run_id = writes.create_run(store, replace(CONFIG, model_seed=seed))
        attempt = leases.start_run(store, run_id, "w", "cpu")
        leases.finish_run(store, run_id, attempt, "done" if state == "deleted" else state)
        if state == "deleted":
            tags.change_tags(store, [run_id], add=["deleted"])
        found[replace(CONFIG, model_seed=seed).hash()] = f"run {run_id} {state}"
    assert queries.unsuccessful_by_hash(store) == found
