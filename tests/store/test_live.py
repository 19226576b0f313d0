"""Runs that wait or run, and how long they take still."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from lgt.core.config import RunConfig, TaskSpec
from lgt.core.records import LogRow
from lgt.store import leases, writes
from lgt.store.engine import open_store
from lgt.store.live import live_runs

CONFIG = RunConfig(tasks=(TaskSpec("reverse_add", "main", 4),))
STEPS = 2_000


@pytest.fixture()
def engine(tmp_path: Path) -> Engine:
    return open_store(str(tmp_path / "a.db"))


def started(engine: Engine, steps: int = STEPS, **changes: object) -> tuple[int, int]:
    """A running run of so many steps: its id and attempt."""
    config = replace(CONFIG, training=replace(CONFIG.training, steps=steps))
    run_id = writes.create_run(engine, config, **changes)  # type: ignore[arg-type]
    return run_id, leases.start_run(engine, run_id, "me", "cpu")


def test_the_time_left_counts_the_steps_that_remain(engine: Engine) -> None:
    run_id, attempt = started(engine, label="a run")
    logs = [LogRow(100, 2.5, 0.1, 700.0), LogRow(150, 0.75, 0.05, 900.0)]
    writes.record_progress(engine, run_id, attempt, step=160, tokens=1, seconds=8.0, log_rows=logs)
    (run,) = live_runs(engine)
    assert run.seconds_left == pytest.approx(8.0 / 160 * (STEPS - 160))
    assert (run.step, run.total_steps, run.seconds) == (160, STEPS, 8.0)
    assert (run.loss, run.tokens_per_second) == (0.75, 900.0), "the last that was logged"
    assert (run.id, run.label, run.owner, run.attempt, run.stale) == (run_id, "a run", "me", attempt, False)


def test_before_the_first_step_nobody_knows_the_time_left(engine: Engine) -> None:
    started(engine)
    (run,) = live_runs(engine)
    assert run.seconds_left is None and run.loss is None and run.tokens_per_second is None


def test_running_runs_come_first_and_ended_ones_not_at_all(engine: Engine) -> None:
    waiting = writes.create_run(engine, CONFIG)
    ended, attempt = started(engine)
    running, _ = started(engine)
    other, at = started(engine)
    later = writes.create_run(engine, CONFIG)
    writes.record_progress(engine, ended, attempt, step=9, tokens=1, seconds=1.0, log_rows=[LogRow(9, 9.0, 0.1, 9.0)])
    writes.record_progress(engine, other, at, step=7, tokens=1, seconds=1.0, log_rows=[LogRow(7, 7.0, 0.1, 7.0)])
    leases.finish_run(engine, ended, attempt, "done")
    found = live_runs(engine)
    assert [run.id for run in found] == [running, other, waiting, later]
    assert [run.loss for run in found] == [None, 7.0, None, None]


def test_each_run_shows_its_own_last_line_and_state(engine: Engine) -> None:
    first, at_first = started(engine)
    second, at_second = started(engine)
    writes.create_run(engine, CONFIG)
    for run_id, attempt, lines in ((first, at_first, [(4, 4.5), (9, 9.5)]), (second, at_second, [(4, 0.25)])):
        logs = [LogRow(step, loss, 0.1, 9.0) for step, loss in lines]
        writes.record_progress(engine, run_id, attempt, step=9, tokens=1, seconds=1.0, log_rows=logs)
    assert [run.loss for run in live_runs(engine)] == [9.5, 0.25, None]
    assert [run.state for run in live_runs(engine)] == ["running", "running", "queued"]


def test_a_run_is_stale_when_its_worker_missed_two_heartbeats(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    started(engine)
    writes.create_run(engine, CONFIG)
    assert [run.stale for run in live_runs(engine)] == [False, False]
    monkeypatch.setattr(leases, "STALE_SECONDS", -60.0)
    assert [run.stale for run in live_runs(engine)] == [True, False], "a waiting run has no worker to miss"
