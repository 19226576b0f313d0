"""R3: kill -9 at any point. R4: a resumed run equals an uninterrupted one. R5: a suspended worker cannot
write. R6: a lost worker is replaced.
R14: a failing run fails alone."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

import lgt.model.decoder
from lgt.execution import worker
from lgt.store import blobs, checkpoints, integrity, leases, queries, queue, writes
from lgt.store.engine import LeaseLost, open_store, write_transaction
from lgt.store.schema import RunState
from tests.faults import size
from tests.faults.processes import config, ended, started, work, work_and_die

POINTS = {"statement": 300, "commit": 100, "committed": 100, "file": 40}
"""Kinds of points at which a worker dies, and how many of each a run has at least."""


def silent(line: str) -> None:
    """Ignore a report."""


def outcome(store, run_id):
    """All stored results of a run except names and times."""
    log = queries.training_log(store, [run_id])[["step", "loss", "learning_rate"]]
    tables = [queries.accuracy(store, [run_id], "all"), queries.head_scores(store, [run_id], "all"),
              queries.attention_differences(store, [run_id], "all"), log]  # fmt: skip
    counts = [table.drop(columns="run_id", errors="ignore").to_dict("records") for table in tables]
    return counts, checkpoints.read_checkpoint(store, run_id).sha256


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The stored results of a run that was not interrupted."""
    store = open_store(str(tmp_path_factory.mktemp("whole") / "results.db"))
    run_id = writes.create_run(store, config())
    worker.work(store, report=silent)
    return outcome(store, run_id)


def expire(store, run_id: int) -> None:
    """Let the time of a lease pass."""
    with write_transaction(store) as connection:
        connection.execute(text("UPDATE runs SET lease_until = 0, heartbeat_at = 0, lost_workers = 0"))


@pytest.mark.slow
def test_r3_r4_kill_9_at_any_point(tmp_path: Path, uninterrupted) -> None:
    source, deaths = random.Random(7), 0
    for round_number in range(size(5, 100)):
        place = tmp_path / str(round_number)
        place.mkdir()
        path, notes = str(place / "results.db"), place / "acknowledged"
        store = open_store(path)
        run_id = writes.create_run(store, config())
        for _ in range(5):
            kind = source.choice(list(POINTS))
            code = ended(started(work_and_die, path, kind, source.randrange(POINTS[kind]), str(notes)))
            assert code in (0, -signal.SIGKILL)
            deaths += code == -signal.SIGKILL
            whole_and_kept(store, run_id, notes)
            expire(store, run_id)
        queue.retry(store, run_id)
        worker.work(store, report=silent)
        assert queries.run(store, run_id).state is RunState.DONE
        assert outcome(store, run_id) == uninterrupted
        left = blobs.files_folder(store.url)
        blobs.remove_orphans(store, older_than=-1.0)
        assert not left.exists() or not list(left.iterdir())
    assert deaths >= size(15, 300), "most workers must die before the end"


def whole_and_kept(store, run_id: int, notes: Path) -> None:
    """Check that no row is partial and that no acknowledged row is lost."""
    assert integrity.integrity(store) == []
    rows = queries.accuracy(store, [run_id], "all")
    assert set(rows.groupby("step").size()) <= {3 * 7}, "an evaluation is there with all tasks and lengths, or not"
    acknowledged = {int(line) for line in notes.read_text().split()} if notes.exists() else set()
    assert acknowledged <= set(rows.step)
    with store.connect() as connection:
        state = connection.execute(text("SELECT file, size, sha256 FROM training_states")).first()
    if state is not None:
        assert blobs.read_file(blobs.files_folder(store.url), state.file, state.size, state.sha256)


def wait_until(answer, seconds: float = 300.0) -> None:
    """Wait until ``answer`` returns True; the test fails if it never does."""
    end = time.monotonic() + seconds
    while not answer():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def stopped(number: int) -> bool:
    """Whether every thread of a process is stopped after SIGSTOP."""
    threads = Path(f"/proc/{number}/task").glob("*/stat")
    return all(thread.read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)


def stop_outside_a_transaction(number: int, path: str) -> None:
    """Send SIGSTOP to a process while it does not hold SQLite's lock, which it would then keep."""
    while True:
        os.kill(number, signal.SIGSTOP)
        wait_until(lambda: stopped(number))  # a thread within the kernel may still take a lock before it stops
        try:
            with closing(sqlite3.connect(path, timeout=0.1, isolation_level=None)) as connection:
                connection.execute("BEGIN EXCLUSIVE")
            return
        except sqlite3.OperationalError:
            os.kill(number, signal.SIGCONT)
            time.sleep(0.013)


@pytest.mark.slow
def test_r5_a_worker_that_slept_past_its_lease_is_fenced(tmp_path: Path) -> None:
    path = str(tmp_path / "results.db")
    store = open_store(path)
    run_id = writes.create_run(store, config(steps=2000))
    sleeper = started(work, path, 0.0, 0.1, 0.5)
    wait_until(lambda: queries.run(store, run_id).step > 20)
    stop_outside_a_transaction(sleeper.pid, path)
    wait_until(lambda: queue.requeue_expired(store) == [run_id])
    assert queue.claim(store, "the next", "cpu") == (run_id, 2)
    leases.reset_run(store, run_id, 2)
    with write_transaction(store) as connection:  # alive for the whole test; the sleeper calls 0.2 s of silence late
        connection.execute(text("UPDATE runs SET heartbeat_at = heartbeat_at + 600, lease_until = lease_until + 600"))
    os.kill(sleeper.pid, signal.SIGCONT)
    assert ended(sleeper) == 0, "it finds out and goes on with other runs"
    record = queries.run(store, run_id)
    assert (record.state, record.owner, record.attempt, record.step) == (RunState.RUNNING, "the next", 2, 0)
    assert queries.accuracy(store, [run_id], "all").empty and queries.training_log(store, [run_id]).empty
    with pytest.raises(LeaseLost):
        leases.heartbeat(store, run_id, 1)


@pytest.mark.slow
def test_r6_a_lost_worker_is_shown_and_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "STALE_SECONDS", 0.4)
    path = str(tmp_path / "results.db")
    store = open_store(path)
    run_id = writes.create_run(store, config(steps=150))
    lost = started(work, path, 0.0, 0.2, 2.0)
    wait_until(lambda: queries.run(store, run_id).step > 20)
    os.kill(lost.pid, signal.SIGKILL)
    wait_until(lambda: queries.run(store, run_id).stale)
    assert ended(started(work, path, 0.0, 0.2, 2.0)) == 0, "a worker waits for a run that seems to be lost"
    record = queries.run(store, run_id)
    assert (record.state, record.attempt, record.lost_workers) == (RunState.DONE, 2, 0), "it got on since then"
    assert not record.stale


@pytest.mark.slow
def test_r6_a_heartbeat_keeps_a_long_measurement_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.6)
    monkeypatch.setattr(leases, "HEARTBEAT_SECONDS", 0.1)
    store = open_store(str(tmp_path / "results.db"))
    run_id = writes.create_run(store, config(steps=2))
    measure = worker.train

    def slow(*arguments, **options):
        for _ in range(4):
            time.sleep(0.4)
            assert queue.requeue_expired(store) == []
        return measure(*arguments, **options)

    monkeypatch.setattr(worker, "train", slow)
    worker.work(store, report=silent)
    assert (queries.run(store, run_id).state, queries.run(store, run_id).attempt) == (RunState.DONE, 1)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda n: n.name)
def test_a_worker_asked_to_leave_keeps_the_state_and_gives_the_run_back(tmp_path: Path, uninterrupted, number) -> None:
    path = str(tmp_path / "results.db")
    store = open_store(path)
    run_id = writes.create_run(store, config(steps=2000))
    leaving = started(work, path)
    wait_until(lambda: queries.run(store, run_id).step > 20)
    os.kill(leaving.pid, number)
    assert ended(leaving) == 0
    record = queries.run(store, run_id)
    assert (record.state, record.owner, record.lost_workers) == (RunState.QUEUED, None, 0)
    assert json_step(store, run_id) == record.step > 20


def json_step(store, run_id: int) -> int:
    with store.connect() as connection:
        return connection.execute(text("SELECT step FROM training_states WHERE run_id = :id"), {"id": run_id}).scalar()


def test_r14_a_run_that_diverges_or_needs_too_much_memory_fails_alone(tmp_path: Path, monkeypatch) -> None:
    store = open_store(str(tmp_path / "results.db"))
    ids = [writes.create_run(store, config(steps=8, model_seed=seed)) for seed in (0, 1, 2)]
    real, initialise = worker.train, lgt.model.decoder.initialise

    def train(run, *arguments, **options):
        if run.model_seed == 1:
            raise MemoryError
        return real(run, *arguments, **options)

    def broken(model, seed):
        initialise(model, seed)
        if seed == 0:
            model.layers[0].attention.key.weight.data.fill_(float("nan"))

    monkeypatch.setattr(worker, "train", train)
    monkeypatch.setattr(lgt.model.decoder, "initialise", broken)
    worker.work(store, report=silent)
    diverged, starved, done = (queries.run(store, run_id) for run_id in ids)
    assert diverged.state == "failed" and "the loss is not finite at step" in str(diverged.error)
    assert "the loss is not finite" in str(diverged.log_tail)
    assert starved.state == "failed" and str(starved.error).startswith("out of memory")
    assert "MemoryError" in str(starved.log_tail), "the traceback is kept"
    assert done.state == "done" and done.log_tail is None
