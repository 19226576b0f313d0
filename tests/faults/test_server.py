"""R21: a PostgreSQL server that stops and starts under its workers, and workers that a scheduler warns."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from lgt.execution import worker
from lgt.store import patience, queries, writes
from lgt.store.engine import open_store
from lgt.store.schema import RunState
from tests.faults import size
from tests.faults.processes import config, ended, started, work, work_through_restarts
from tests.faults.test_workers import outcome, silent, wait_until
from tests.servers import PostgreSQL

pytestmark = pytest.mark.slow
COUNT_ENDS = """
CREATE TABLE ends (run_id integer);
CREATE FUNCTION note_end() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO ends VALUES (NEW.id); RETURN NEW; END $$;
CREATE TRIGGER note_end AFTER UPDATE OF state ON runs FOR EACH ROW
  WHEN (NEW.state IN ('done', 'failed', 'cancelled')) EXECUTE FUNCTION note_end();
"""


@pytest.fixture()
def machine() -> Iterator[PostgreSQL]:
    found = PostgreSQL()
    yield found
    found.remove()


def test_r21_every_run_finishes_exactly_once_on_a_server_that_is_stopped_again_and_again(
    machine: PostgreSQL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LGT_FILES", str(tmp_path / "files"))
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.1)
    source, over = random.Random(3), tmp_path / "over"
    alone = open_store(str(tmp_path / "alone.db"))
    expected = writes.create_run(alone, config())
    worker.work(alone, report=silent)
    store = open_store(machine.url)
    with store.begin() as connection:
        connection.execute(text(COUNT_ENDS))
    workers = [started(work_through_restarts, machine.url, str(over)) for _ in range(size(3, 8))]
    ids = []
    with patience.waiting():
        for number in range(size(4, 20)):
            ids += [writes.create_run(store, config()) for _ in range(2)]
            time.sleep(source.uniform(0.5, 2.0))
            machine.stop("immediate" if number % 2 else "fast")
            time.sleep(source.uniform(0.0, 1.0))
            machine.start()
        wait_until(lambda: all(queries.run(store, run_id).state.terminal for run_id in ids), 500.0)
        over.touch()
        assert [ended(process) for process in workers] == [0] * len(workers)
        found = {run_id: queries.run(store, run_id) for run_id in ids}
        assert {run_id: (run.state, run.error) for run_id, run in found.items()} == dict.fromkeys(
            ids, (RunState.DONE, None)
        )
        with store.connect() as connection:
            assert sorted(connection.scalars(text("SELECT run_id FROM ends"))) == ids
        for run_id in ids:
            assert outcome(store, run_id) == outcome(alone, expected), "no row is lost, doubled or of another attempt"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGUSR2"])
def test_r21_a_worker_that_a_scheduler_warns_gives_its_run_back(tmp_path: Path, name: str) -> None:
    path = str(tmp_path / "results.db")
    store = open_store(path)
    run_id = writes.create_run(store, config(steps=3000))
    warned = started(work, path)
    wait_until(lambda: queries.run(store, run_id).step > 5)
    os.kill(warned.pid, getattr(signal, name))
    assert ended(warned) == 0
    record = queries.run(store, run_id)
    assert (record.state, record.attempt, record.lost_workers, record.owner) == (RunState.QUEUED, 1, 0, None)
    assert record.step > 5
