"""R1: no write is lost or fails on a lock. R2: a run is claimed once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from lgt.store import integrity, queries, writes
from lgt.store.engine import open_store
from tests.faults import size
from tests.faults.processes import SERVER, claim_all, config, ended, poll, started, write_hot, write_steadily
from tests.store.test_store import engine

__all__ = ["engine"]
pytestmark = pytest.mark.slow


def test_r1_steady_writers_beside_polling_readers(tmp_path: Path) -> None:
    path, stop = str(tmp_path / "results.db"), tmp_path / "stop"
    store = open_store(path)
    readers = [started(poll, path, str(stop)) for _ in range(4)]
    seconds, pause = size(6, 60), 0.5
    writers = [started(write_steadily, path, number, seconds, pause) for number in range(8)]
    assert [ended(writer) for writer in writers] == [0] * 8
    stop.touch()
    assert [ended(reader) for reader in readers] == [0] * 4
    frame = queries.runs(store)
    assert (frame.state == "done").all() and len(frame) == 8 and frame.step.min() > 0
    rows = queries.accuracy(store, frame.id.tolist(), step="all")
    for run in frame.itertuples():
        own = rows[rows.run_id == run.id]
        expected = [step % 40 for step in range(1, run.step + 1) for _ in range(7)]
        assert own.sort_values(["step", "length"]).correct.tolist() == expected
        assert len(queries.training_log(store, [run.id])) == run.step
    assert integrity.integrity(store) == []


def test_r1_hot_transactions(tmp_path: Path) -> None:
    path, count = str(tmp_path / "results.db"), size(40, 500)
    store = open_store(path)
    writers = [started(write_hot, path, number, count) for number in range(8)]
    assert [ended(writer) for writer in writers] == [0] * 8
    tokens = queries.runs(store).token
    assert set(tokens) == {f"{number}-{n}/0" for number in range(8) for n in range(count)} and tokens.is_unique
    assert integrity.integrity(store) == []


def test_r2_every_job_is_claimed_once(engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGT_MAX_QUEUE", "100000")
    jobs = writes.create_runs(engine, [config()] * size(150, 1000), labels=[""] * size(150, 1000))
    url, results = engine.url.render_as_string(hide_password=False), SERVER.Queue()
    workers = [started(claim_all, url, f"worker {number}", results) for number in range(size(6, 16))]
    claimed = Counter(job for _ in workers for job in results.get())
    assert [ended(worker) for worker in workers] == [0] * len(workers)
    assert claimed == Counter(jobs)
