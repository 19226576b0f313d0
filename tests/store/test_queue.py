"""A queued run is claimed once, and comes back when its worker is lost."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine

from lgt.store import leases, queries, revisions, writes
from lgt.store.engine import LeaseLost, open_store
from lgt.store.queue import claim, requeue_expired, retry
from lgt.store.schema import RunState
from tests.store.test_store import CONFIG, REPOSITORY, engine

__all__ = ["engine"]

CLAIM_ALL = """
import sys
from lgt.store.engine import open_store
from lgt.store.queue import claim
engine = open_store(sys.argv[1])
while taken := claim(engine, sys.argv[2], "cpu"):
    print(*taken)
"""


def claim_all(engine: Engine, owner: str) -> list[tuple[int, int]]:
    taken = []
    while (claimed := claim(engine, owner, "cpu")) is not None:
        taken.append(claimed)
    return taken


@pytest.mark.slow
def test_threads_claim_each_run_once(engine: Engine) -> None:
    jobs = [writes.create_run(engine, CONFIG) for _ in range(100)]
    with ThreadPoolExecutor(8) as pool:
        taken = [one for many in pool.map(lambda n: claim_all(engine, f"worker {n}"), range(8)) for one in many]
    assert sorted(taken) == [(job, 1) for job in jobs]


@pytest.mark.slow
def test_processes_claim_each_run_once(tmp_path: Path) -> None:
    path = str(tmp_path / "results.db")
    store = open_store(path)
    jobs = [writes.create_run(store, CONFIG) for _ in range(40)]
    command = [sys.executable, "-c", CLAIM_ALL, path]
    workers = [
        subprocess.Popen([*command, f"worker {n}"], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) for n in range(3)
    ]
    printed = [worker.communicate()[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 3
    assert sorted(int(line.split()[0]) for text in printed for line in text.splitlines()) == jobs


def test_a_claim_takes_the_oldest_of_its_experiment(engine: Engine) -> None:
    other, mine = writes.create_run(engine, CONFIG), writes.create_run(engine, CONFIG, experiment="fig3")
    assert claim(engine, "w", "cpu", experiment="fig4") is None
    assert claim(engine, "w", "cpu", experiment="fig3") == (mine, 1)
    assert claim(engine, "w", "cpu") == (other, 1)
    record = queries.run(engine, mine)
    assert (record.state, record.owner, record.device) == (RunState.RUNNING, "w", "cpu")


def test_an_empty_queue_writes_nothing(engine: Engine) -> None:
    before = revisions.revision(engine)
    assert claim(engine, "w", "cpu") is None
    assert requeue_expired(engine) == []
    assert revisions.revision(engine) == before


def test_the_run_of_a_lost_worker_is_requeued_and_the_workers_writes_are_refused(engine: Engine) -> None:
    run_id = writes.create_run(engine, CONFIG)
    alive = writes.create_run(engine, CONFIG)
    assert claim(engine, "lost", "cpu", lease_seconds=-1) == (run_id, 1)
    assert claim(engine, "alive", "cpu") == (alive, 1)
    assert requeue_expired(engine) == [run_id]
    assert claim(engine, "next", "cpu") == (run_id, 2)
    with pytest.raises(LeaseLost):
        leases.finish_run(engine, run_id, 1, "done")
    leases.finish_run(engine, run_id, 2, "done")


def test_a_run_fails_after_three_lost_workers(engine: Engine) -> None:
    run_id = writes.create_run(engine, CONFIG)
    for attempt in (1, 2, 3):
        assert claim(engine, "lost", "cpu", lease_seconds=-1) == (run_id, attempt)
        assert requeue_expired(engine) == [run_id]
    record = queries.run(engine, run_id)
    assert record.state is RunState.FAILED and "3 times" in str(record.error)
    assert claim(engine, "w", "cpu") is None
    assert retry(engine, run_id)
    assert claim(engine, "w", "cpu") == (run_id, 4)


def test_a_run_that_gets_on_is_not_failed_for_its_lost_workers(engine: Engine) -> None:
    run_id = writes.create_run(engine, CONFIG)
    for attempt in range(1, 7):
        assert claim(engine, "lost", "cpu", lease_seconds=-1) == (run_id, attempt)
        leases.save_state(engine, run_id, attempt, step=attempt // 2, state=b"x", code_version="c")
        assert requeue_expired(engine) == [run_id]
        assert queries.run(engine, run_id).state is RunState.QUEUED
    for attempt in (7, 8):  # from here it stays at the same step: three lost workers in a row fail it
        assert claim(engine, "lost", "cpu", lease_seconds=-1) == (run_id, attempt)
        leases.save_state(engine, run_id, attempt, step=3, state=b"x", code_version="c")
        assert requeue_expired(engine) == [run_id]
    assert queries.run(engine, run_id).state is RunState.FAILED


def test_a_resumed_run_keeps_the_names_of_all_devices_it_ran_on(engine: Engine) -> None:
    run_id, seen = writes.create_run(engine, CONFIG), []
    for attempt, device in enumerate(("cpu EPYC", "cpu Xeon", "cpu EPYC", "cuda H100"), start=1):
        assert claim(engine, "w", "cpu") == (run_id, attempt)
        seen.append(queries.run(engine, run_id).device)
        leases.record_device(engine, run_id, attempt, device, resumed=attempt > 1)
        leases.release_run(engine, run_id, attempt)
    assert seen == ["cpu", "cpu EPYC", "cpu EPYC; then cpu Xeon", "cpu EPYC; then cpu Xeon"]
    assert queries.run(engine, run_id).device == "cpu EPYC; then cpu Xeon; then cuda H100"
    claim(engine, "w", "cpu")
    leases.record_device(engine, run_id, 5, "cpu Xeon")
    assert queries.run(engine, run_id).device == "cpu Xeon", "a run that starts over is the work of one device"


def test_a_foreground_run_that_never_started_is_reclaimed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "LEASE_SECONDS", -1.0)
    run_id = writes.create_run(engine, CONFIG, state="running")
    assert requeue_expired(engine) == [run_id]


def test_only_failed_and_cancelled_runs_are_retried(engine: Engine) -> None:
    run_id = writes.create_run(engine, CONFIG)
    assert not retry(engine, run_id)
    assert leases.cancel_run(engine, run_id)
    assert retry(engine, run_id)
    assert queries.run(engine, run_id).state is RunState.QUEUED
