"""How a claimed run ends for every kind of error, how it retries writes, and which runs are trained together.

Nothing is trained here: what trains is replaced.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from sqlalchemy import Engine

from lgt.core.checks import ConfigError
from lgt.core.config import RunConfig
from lgt.core.records import AccuracyRow, AttentionDifferenceRow, HeadScoreRow, LogRow
from lgt.core.version import code_version
from lgt.execution import ensemble_worker, run_session, worker, worker_processes
from lgt.execution.campaign import campaign_status, queue_missing
from lgt.execution.device import device_name
from lgt.execution.log_tail import LogTail
from lgt.execution.run_session import ClaimedRun, StoreRecorder, at_most_every, heartbeats
from lgt.execution.stop_signal import StopSignal
from lgt.experiments.registry import Experiment
from lgt.recipes.builders import three_arms
from lgt.store import checkpoints, leases, queries, writes
from lgt.store.engine import open_store
from lgt.store.errors import DISK_FULL, LeaseLost, StoreBusy, StoreError
from lgt.store.patience import LONGEST_PAUSE, LONGEST_SECONDS, OTHER_TRIES, jittered, patiently
from lgt.store.schema import RunState
from lgt.training.loop import Stopped, TrainingFailed
from tests.conftest import tiny


@pytest.fixture()
def engine(tmp_path: Path) -> Engine:
    return open_store(str(tmp_path / "a.db"))


@pytest.fixture()
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A list of the pauses between retries, which take no time here."""
    taken: list[float] = []
    monkeypatch.setattr(run_session.time, "sleep", taken.append)
    return taken


def config(**changes: object) -> RunConfig:
    return tiny(steps=4, **changes)


def session(engine: Engine) -> ClaimedRun:
    """A run that this process has claimed."""
    run_id = writes.create_run(engine, config())
    return ClaimedRun(engine, run_id, leases.start_run(engine, run_id, "me", "cpu"), LogTail())


# --- writing with patience


@pytest.mark.parametrize("busy", [0, 1, 7])
def test_a_busy_store_is_tried_again_after_longer_and_longer_pauses(naps: list[float], busy: int) -> None:
    answers: list[Exception | str] = [StoreBusy("locked")] * busy + ["written"]

    def write() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert patiently(write) == "written" and len(naps) == busy
    for nap, middle in zip(naps, [1, 2, 4, 8, 15, 15, 15], strict=False):
        assert middle / 2 <= nap <= middle * 3 / 2


def test_pauses_differ_between_workers_and_are_shorter_than_a_lease(naps: list[float]) -> None:
    assert len({jittered(1.0) for _ in range(20)}) == 20
    assert 1.5 * LONGEST_PAUSE < leases.LEASE_SECONDS, (
        "a worker that comes back after a restart renews its lease in time"
    )


def test_a_store_that_stays_busy_for_minutes_is_an_error(naps: list[float]) -> None:
    def write() -> None:
        raise StoreBusy("locked")

    with pytest.raises(StoreBusy):
        patiently(write)
    assert LONGEST_SECONDS <= sum(naps) < LONGEST_SECONDS + 1.5 * LONGEST_PAUSE


def test_an_end_that_is_refused_for_another_reason_is_tried_a_few_times(naps: list[float]) -> None:
    tries = []

    def write() -> None:
        tries.append(1)
        raise StoreError("the disk is full")

    with pytest.raises(StoreError):
        patiently(write, StoreError)
    assert len(tries) == OTHER_TRIES and sum(naps) < leases.LEASE_SECONDS


@pytest.mark.parametrize("refusal", [LeaseLost("gone"), StoreError("full")])
def test_an_error_that_a_retry_cannot_solve_is_raised_at_once(naps: list[float], refusal: StoreError) -> None:
    def write() -> None:
        raise refusal

    with pytest.raises(type(refusal)):
        patiently(write)
    assert naps == []


def test_a_recorder_writes_with_its_own_attempt(engine: Engine) -> None:
    run = session(engine)
    sink = StoreRecorder(engine, run.run_id, run.attempt)
    sink.progress(3, 30, 0.3, [LogRow(3, 0.5, 0.01, 9.0)])
    sink.accuracy(3, [AccuracyRow("reverse", 2, 4, 9)])
    sink.head_scores(3, [HeadScoreRow("reverse", 2, 0, 1, 0.5, 0.25, 9)])
    sink.attention_differences(3, [AttentionDifferenceRow("capitalize_reverse", "reverse", 2, 0, 1, 0.75)])
    sink.checkpoint(3, b"weights")
    sink.training_state(3, b"state")
    record = queries.run(engine, run.run_id)
    assert (record.step, record.tokens, record.seconds) == (3, 30, 0.3)
    row = queries.accuracy(engine, [run.run_id]).iloc[0]
    assert (row.step, row.task, row.length, row.correct, row.total) == (3, "reverse", 2, 4, 9)
    assert queries.head_scores(engine, [run.run_id]).accuracy_drop.tolist() == [0.5]
    assert queries.attention_differences(engine, [run.run_id]).difference.tolist() == [0.75]
    assert checkpoints.read_checkpoint(engine, run.run_id).weights == b"weights"
    assert replace(run, attempt=2).state() == b"state", "kept with this code's version"
    other = StoreRecorder(engine, run.run_id, run.attempt + 1)
    with pytest.raises(LeaseLost):
        other.accuracy(3, [])


# --- how a run ends

ENDS = [
    (None, RunState.DONE, None),
    (Stopped(), RunState.QUEUED, None),
    (TrainingFailed("the loss is not finite"), RunState.FAILED, "the loss is not finite"),
    (StoreError("it is damaged"), RunState.FAILED, "it is damaged"),
    (ConfigError("steps", 0, "above 0"), RunState.FAILED, "steps"),
    (MemoryError(), RunState.FAILED, "out of memory"),
    (torch.OutOfMemoryError("cuda"), RunState.FAILED, "out of memory"),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory"), RunState.FAILED, "out of memory"),
    (OSError(28, "No space left on device"), RunState.FAILED, DISK_FULL),
    (StoreError(f"x cannot be written: {DISK_FULL}"), RunState.FAILED, DISK_FULL),
    (OSError(5, "broken"), RunState.FAILED, "OSError: [Errno 5] broken"),
    (ZeroDivisionError("two\nlines"), RunState.FAILED, "ZeroDivisionError: two lines"),
]


@pytest.mark.parametrize(("error", "state", "reason"), ENDS, ids=[str(error)[:30] for error, _, _ in ENDS])
def test_the_error_decides_the_final_state_of_a_run(
    engine: Engine, error: Exception | None, state: RunState, reason: str
) -> None:
    run = session(engine)
    with run.log:
        logging.getLogger("lgt").warning("a line of the log")
        assert run.finish(error) is state
    record = queries.run(engine, run.run_id)
    assert record.state is state
    assert (record.error is None) if reason is None else record.error.startswith(reason)
    assert ("a line of the log" in (record.log_tail or "")) == (state is RunState.FAILED)


@pytest.mark.parametrize("error", [None, Stopped(), LeaseLost("gone"), MemoryError()])
def test_a_run_with_a_lost_lease_is_not_changed(engine: Engine, error: Exception | None) -> None:
    cancelled, deleted, taken = session(engine), session(engine), session(engine)
    leases.cancel_run(engine, cancelled.run_id)
    writes.delete_runs(engine, [deleted.run_id])
    leases.heartbeat(engine, taken.run_id, taken.attempt, lease_seconds=-1)
    leases.start_run(engine, taken.run_id, "another", "cpu")
    assert cancelled.finish(error) is RunState.CANCELLED
    assert deleted.finish(error) is RunState.CANCELLED
    assert taken.finish(error) is RunState.RUNNING
    assert queries.run(engine, taken.run_id).owner == "another"


def test_an_interrupted_run_is_cancelled_by_its_user(engine: Engine) -> None:
    run = session(engine)
    assert run.interrupt() is RunState.CANCELLED
    record = queries.run(engine, run.run_id)
    assert (record.state, record.error, record.log_tail) == (RunState.CANCELLED, "interrupted by the user", None)


def test_a_first_attempt_has_no_state_and_a_later_one_without_it_starts_over(engine: Engine) -> None:
    first = session(engine)
    writes.record_accuracy(engine, first.run_id, first.attempt, 2, [AccuracyRow("reverse", 2, 4, 9)])
    leases.save_state(engine, first.run_id, first.attempt, 2, b"state", code_version())
    assert first.state() is None, "nobody was before the first attempt"
    leases.release_run(engine, first.run_id, first.attempt)
    second = replace(first, attempt=leases.start_run(engine, first.run_id, "me", "cpu"))
    assert second.state() == b"state" and len(queries.accuracy(engine, [first.run_id], "all")) == 1
    leases.save_state(engine, first.run_id, second.attempt, 3, b"old", "another code")
    assert second.state() is None and queries.accuracy(engine, [first.run_id], "all").empty


def test_a_heartbeat_returns_whether_the_process_still_owns_the_run(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = session(engine)
    assert run.heartbeat() and not run.cancelled()
    with monkeypatch.context() as patch:
        patch.setattr(leases, "heartbeat", lambda *arguments: (_ for _ in ()).throw(StoreBusy("locked")))
        assert run.heartbeat(), "a locked store is no loss: perhaps the next beat gets through"
    leases.cancel_run(engine, run.run_id)
    assert not run.heartbeat() and run.cancelled()


def test_heartbeats_stop_for_lost_runs_and_continue_for_others(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    lost, held = session(engine), session(engine)
    leases.cancel_run(engine, lost.run_id)
    beats: list[int] = []
    real = leases.heartbeat
    monkeypatch.setattr(leases, "heartbeat", lambda e, run_id, at: (beats.append(run_id), real(e, run_id, at)))
    monkeypatch.setattr(leases, "HEARTBEAT_SECONDS", 0.01)
    with heartbeats([lost, held]):
        for _ in range(1000):
            time.sleep(0.01)
            if beats.count(held.run_id) >= 3:
                break
    after = len(beats)
    assert beats.count(lost.run_id) == 1 and beats.count(held.run_id) >= 3 and len(beats) == after


def test_a_condition_is_checked_at_most_once_per_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked = [100.0], []
    monkeypatch.setattr(run_session.time, "monotonic", lambda: now[0])
    ask = at_most_every(2.0, lambda: bool(asked.append(now[0]) or True))
    answers = []
    for step in (0.0, 1.9, 0.1, 1.9, 0.2):
        now[0] += step
        answers.append(ask())
    assert answers == [False, False, True, False, True] and len(asked) == 2


# --- workers


def test_runs_claimed_together_are_of_one_experiment_and_differ_in_the_seed_only(engine: Engine) -> None:
    def queued(experiment: str | None = "a", **changes: object) -> int:
        return writes.create_run(engine, config(**changes), experiment=experiment)

    first, second = queued(), queued(model_seed=3)
    others = [queued("b", model_seed=4), queued(None, model_seed=5), queued(data_seed=7, model_seed=6)]
    third, fourth = queued(model_seed=8), queued(model_seed=9)
    lot = ensemble_worker.claim_together(engine, most=3)
    assert [record.id for record, _ in lot] == [first, second, third]
    states = queries.runs(engine).set_index("id").state
    assert [states[run_id] for run_id in (first, second, third)] == ["running"] * 3
    assert [states[run_id] for run_id in (*others, fourth)] == ["queued"] * 4
    single = ensemble_worker.claim_together(engine, experiment="a", most=1)
    assert [(record.id, attempt) for record, attempt in single] == [(others[2], 1)]
    assert ensemble_worker.claim_together(engine, experiment="c", most=3) == []
    leases.cancel_run(engine, others[0])
    without = ensemble_worker.claim_together(engine, most=3)
    assert [record.id for record, _ in without] == [others[1]], "a run of no experiment is trained with none of one"


def test_an_ensemble_is_named_with_its_size_and_never_with_the_fused_step() -> None:
    assert device_name("cpu", config(), 3).endswith("up to 3 runs together")
    assert "fused step" not in device_name("cpu", config(), 3) and "together" not in device_name("cpu", config())


def test_a_run_that_another_worker_claimed_is_not_claimed_together(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [writes.create_run(engine, config(model_seed=seed)) for seed in range(3)]
    real = leases.start_run

    def start(engine: Engine, run_id: int, *arguments: object, **named: object) -> int:
        if run_id == ids[1]:
            real(engine, run_id, "another", "cpu")
        return real(engine, run_id, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(leases, "start_run", start)
    assert [record.id for record, _ in ensemble_worker.claim_together(engine, most=3)] == [ids[0], ids[2]]
    assert queries.run(engine, ids[1]).owner == "another"


@pytest.fixture()
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list of the seeds of the runs that a worker trains. Training is replaced and takes no time."""
    seeds: list[int] = []
    monkeypatch.setattr(worker, "train", lambda config, recorder, **options: seeds.append(config.model_seed))
    monkeypatch.setattr(worker, "prepare_device", lambda device: None)
    return seeds


def test_a_worker_ends_with_an_empty_queue_after_once_or_on_request(engine: Engine, trained: list[int]) -> None:
    for seed in (0, 1, 2, 3):
        writes.create_run(engine, config(model_seed=seed), experiment="a" if seed else "b")
    said: list[str] = []
    assert worker.work(engine, experiment="a", once=True, report=said.append) == 1 and trained == [1]
    assert worker.work(engine, stop_requested=lambda: len(trained) == 2, report=said.append) == 1 and trained == [1, 0]
    assert worker.work(engine, report=said.append) == 2 and trained == [1, 0, 2, 3]
    assert [line.split()[-1] for line in said] == ["started", "done"] * 4
    assert worker.work(engine, report=said.append) == 0


def test_an_idle_worker_waits_as_long_as_it_is_told(
    engine: Engine, trained: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(worker.time, "monotonic", lambda: now[0])

    def sleep(seconds: float) -> None:
        now[0] += seconds
        if now[0] == 3.0:
            writes.create_run(engine, config())

    monkeypatch.setattr(worker.time, "sleep", sleep)
    assert worker.work(engine, idle_seconds=4.0, report=lambda line: None) == 1
    assert now[0] == 7.0, "three seconds before the run came and four after it"


def test_an_idle_worker_of_a_server_asks_less_and_less_often_and_not_at_fixed_times() -> None:
    class OfServer:
        class dialect:
            name = "postgresql"

    asked: list[float] = []
    for _ in range(3):
        waits, slept = worker.Waits(OfServer()), []  # type: ignore[arg-type]
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(worker, "sleep_until", lambda stop, seconds, slept=slept: slept.append(seconds))
            for _ in range(12):
                waits.idle(lambda: False)
        assert all(low <= nap <= 3 * low for low, nap in zip([0.5, 1, 2, 4, *[5.0] * 8], slept, strict=True))
        asked += slept
    assert len(set(asked)) == 36


def test_a_stop_signal_ends_the_wait_of_a_worker_soon(naps: list[float]) -> None:
    worker.sleep_until(lambda: len(naps) == 2, 100.0)
    assert naps == [1.0, 1.0]


def test_a_store_that_is_busy_for_minutes_ends_an_idle_worker_and_a_stop_signal_at_once(
    engine: Engine, naps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*arguments: object, **named: object) -> None:
        raise StoreBusy("it restarts")

    monkeypatch.setattr(worker.queue, "requeue_expired", busy)
    with pytest.raises(StoreBusy):
        worker.work(engine, report=lambda line: None)
    assert LONGEST_SECONDS <= sum(naps) < LONGEST_SECONDS + 2 * LONGEST_PAUSE
    naps.clear()
    assert worker.work(engine, stop_requested=lambda: len(naps) > 2, report=lambda line: None) == 0


def test_a_run_goes_on_while_nobody_knows_whether_it_was_cancelled(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = session(engine)

    def busy(*arguments: object) -> bool:
        raise StoreBusy("it restarts")

    monkeypatch.setattr(run_session.leases, "lease_lost", busy)
    assert run.cancelled() is False


def test_a_worker_removes_orphans_and_requeues_expired_runs(
    engine: Engine, trained: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    swept = []
    monkeypatch.setattr(worker.blobs, "remove_orphans", swept.append)
    lost = session(engine)
    leases.heartbeat(engine, lost.run_id, lost.attempt, lease_seconds=-1)
    assert worker.work(engine, report=lambda line: None) == 1 and swept == [engine]
    record = queries.run(engine, lost.run_id)
    assert (record.state, record.attempt, record.lost_workers) == (RunState.DONE, 2, 1)


# --- campaigns, slots, signals, logs


def test_a_campaign_reports_the_state_of_every_run(engine: Engine) -> None:
    experiment = Experiment("trial", 1, "0", "demo", "?", three_arms("caprev", "demo"))
    assert campaign_status(engine, experiment, [0])[0][-1] == "0 of 3 runs done"
    done, failed, waiting = queue_missing(engine, experiment, [0])
    assert {queries.run(engine, run_id).experiment for run_id in (done, failed, waiting)} == {"trial"}
    leases.finish_run(engine, done, leases.start_run(engine, done, "w", "cpu"), "done")
    leases.finish_run(engine, failed, leases.start_run(engine, failed, "w", "cpu"), "failed", "why")
    lines, complete = campaign_status(engine, experiment, [0, 1])
    assert [line.split()[0] for line in lines[:6]] == ["done", "failed", "queued", *["missing"] * 3]
    assert lines[-1] == "1 of 6 runs done" and not complete and f"(run {done})" in lines[0]
    assert len(queue_missing(engine, experiment, [0])) == 1, "what failed is queued again"
    for run_id in queries.runs(engine, states="queued").id:
        leases.finish_run(engine, int(run_id), leases.start_run(engine, int(run_id), "w", "cpu"), "done")
    assert campaign_status(engine, experiment, [0])[1]


def test_the_number_of_slots_is_the_limit_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGT_CACHE", str(tmp_path))
    monkeypatch.setenv("LGT_MAX_WORKERS", "2")
    started: list[list[str]] = []
    monkeypatch.setattr(worker_processes.subprocess, "Popen", lambda command, **options: started.append(command))
    first = worker_processes.take_slot("url")
    assert first is not None and worker_processes.busy_slots("url") == 1 and worker_processes.busy_slots("another") == 0
    assert worker_processes.ensure_workers("url", 5) == 1 and len(started) == 1 and "--slot" in started[0]
    second = worker_processes.take_slot("url")
    assert worker_processes.take_slot("url") is None and worker_processes.ensure_workers("url", 5) == 0
    second.release()
    assert worker_processes.busy_slots("url") == 1 and worker_processes.ensure_workers("url", 0) == 0
    monkeypatch.setenv("LGT_READ_ONLY", "1")
    with pytest.raises(StoreError, match="LGT_READ_ONLY"):
        worker_processes.ensure_workers("url", 1)


def test_a_dashboard_without_workers_starts_none_and_has_no_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LGT_CACHE", str(tmp_path))
    monkeypatch.setenv("LGT_MAX_WORKERS", "0")
    monkeypatch.setattr(worker_processes.subprocess, "Popen", lambda *a, **k: pytest.fail("a worker is started"))
    assert worker_processes.ensure_workers("url", 5) == 0 and worker_processes.take_slot("url") is None
    for text in ("-1", "none"):
        monkeypatch.setenv("LGT_MAX_WORKERS", text)
        with pytest.raises(ConfigError, match="a whole number from 0"):
            worker_processes.ensure_workers("url", 1)


def test_the_highest_exit_code_of_workers_is_returned() -> None:
    class Ended:
        def __init__(self, code: int) -> None:
            self.returncode = code

        def poll(self) -> int:
            return self.returncode

    assert worker_processes.wait_for_workers([Ended(0), Ended(-9), Ended(2)]) == 9  # type: ignore[list-item]
    assert worker_processes.wait_for_workers([]) == 0


def test_a_signal_asks_once_and_a_second_interrupt_ends_at_once() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopSignal() as leaving:
        assert not leaving()
        os.kill(os.getpid(), signal.SIGTERM)
        assert leaving()
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_log_is_kept_without_passwords_inside_its_block_only() -> None:
    tail = LogTail([None, "", "s3cret"])
    logging.getLogger("lgt").warning("before")
    with tail:
        logging.getLogger("lgt").warning("the password is s3cret,\nfor example")
    assert "before" not in tail.text() and "s3cret" not in tail.text()
    assert tail.text().endswith("WARNING lgt: the password is ***,\\nfor example"), "a message is one line"


def test_a_password_with_a_sign_that_is_not_seen_is_not_kept_either() -> None:
    tail = LogTail(["se\tc\u202eret"])
    with tail:
        logging.getLogger("lgt").warning("it is se\tc\u202eret")
    assert tail.text().endswith("WARNING lgt: it is ***")


@pytest.mark.parametrize("leaving", [True, False])
def test_a_stopped_worker_requeues_its_run_unless_it_was_cancelled(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, leaving: bool
) -> None:
    def stop(config: RunConfig, recorder: object, *, should_stop: Callable[[], bool], **options: object) -> None:
        if not leaving:
            leases.cancel_run(engine, run.run_id)
        raise Stopped

    monkeypatch.setattr(worker, "train", stop)
    run = session(engine)
    state = worker.execute(engine, run.run_id, run.attempt, config(), stop_requested=lambda: leaving)
    assert state is (RunState.QUEUED if leaving else RunState.CANCELLED)
    assert queries.run(engine, run.run_id).state is state


@pytest.mark.slow
def test_the_log_file_of_a_worker_has_times_in_utc_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = str(tmp_path / "workspace.db")
    writes.create_runs(open_store(store), [tiny(steps=4)], labels=["a run"])
    command = worker_processes.worker_command("--slot", "--once")
    variables = {"TZ": "Asia/Kolkata", "LGT_CACHE": str(tmp_path / "cache"), "CXX": "no-such-compiler"}
    with open(tmp_path / "log", "w") as log:
        environment = worker_processes.worker_environment(store) | variables
        subprocess.run(command, env=environment, stdout=log, stderr=subprocess.STDOUT, check=True)
    lines = (tmp_path / "log").read_text().splitlines()
    assert any("a run started" in line for line in lines) and any("plain PyTorch" in line for line in lines)
    for line in lines:
        at = datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
        assert abs((datetime.now(UTC) - at).total_seconds()) < 600, line
