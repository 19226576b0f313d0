"""Workers and campaigns: from a queued run to its rows; failures and cancellations."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from lgt.core.version import code_version
from lgt.evaluation import exact_match
from lgt.evaluation.interchange import interchange_rows
from lgt.execution import worker, worker_processes
from lgt.execution.campaign import campaign_status, queue_missing
from lgt.execution.log_tail import LogTail
from lgt.experiments.experiment import Experiment
from lgt.fused.library import library
from lgt.metrics.zones import IN_DISTRIBUTION, TRANSFER_REGION
from lgt.model.batch import Batch
from lgt.model.checkpoint import from_bytes
from lgt.model.decoder import Decoder
from lgt.recipes.builders import three_arms
from lgt.store import backup, checkpoints, export, integrity, leases, merge, queries, writes
from lgt.store.engine import open_store, write_transaction
from lgt.store.schema import Config, Run
from lgt.training.loop import TrainingFailed
from lgt.training.snapshots import attribution_lengths
from tests.conftest import tiny


@pytest.fixture()
def engine(tmp_path):
    return open_store(str(tmp_path / "a.db"))


def quick(**changes):
    return tiny(steps=8, **changes)


def test_a_worker_fills_the_store_and_stops_when_the_queue_is_empty(engine):
    run_id = writes.create_run(engine, quick(), label="a run")
    assert worker.work(engine, report=lambda line: None) == 1
    record = queries.run(engine, run_id)
    assert record.state == "done" and record.step == record.total_steps == 8 and record.tokens > 0
    assert record.code_version == code_version() and "1 thread" in record.device
    assert sorted(queries.accuracy(engine, [run_id], "all").step.unique()) == [4, 8]
    heads = queries.head_scores(engine, [run_id])
    assert len(heads) == 3 * 3 * 8, "3 tasks, one length in each of 3 zones, 8 heads"
    assert len(queries.attention_differences(engine, [run_id])) == 2 * 3 * 8
    assert checkpoints.read_checkpoint(engine, run_id).step == 8
    assert queries.training_log(engine, [run_id]).step.tolist() == list(range(1, 9))
    assert worker.work(engine, report=lambda line: None) == 0


def test_interchanges_are_stored_at_the_last_step_where_they_are_asked_for(engine):
    asked = quick()
    asked = replace(asked, evaluation=replace(asked.evaluation, interchange_examples=5))
    plain, run_id = writes.create_run(engine, quick(model_seed=4)), writes.create_run(engine, asked)
    assert worker.work(engine, report=lambda line: None) == 2
    rows = queries.interchanges(engine, [run_id], "all")
    assert set(rows.step) == {8} and set(rows.examples) == {5}
    lengths = set(attribution_lengths(asked, (IN_DISTRIBUTION, TRANSFER_REGION)))
    assert len(lengths) == 2 and set(rows.length) == lengths, "none beyond the transfer region"
    model = from_bytes(checkpoints.read_checkpoint(engine, run_id).weights, asked.model, {})
    expected = interchange_rows(model, asked, sorted(lengths))
    assert len(rows) == len(expected) and rows.loss_rise.sum() == pytest.approx(sum(r.loss_rise for r in expected))
    assert queries.interchanges(engine, [plain]).empty


def test_a_run_that_fails_says_why_and_the_next_one_goes_on(engine, monkeypatch):
    first, second = (writes.create_run(engine, quick(model_seed=seed)) for seed in (0, 1))
    real = worker.train

    def train(config, recorder, **options):
        if config.model_seed == 0:
            raise TrainingFailed("the loss is not finite at step 3")
        return real(config, recorder, **options)

    monkeypatch.setattr(worker, "train", train)
    worker.work(engine, report=lambda line: None)
    assert queries.run(engine, first).state == "failed" and "not finite" in queries.run(engine, first).error
    assert queries.run(engine, second).state == "done"


def test_an_unforeseen_error_ends_its_run_only_and_is_logged(engine, monkeypatch, caplog):
    run_id = writes.create_run(engine, quick())
    monkeypatch.setattr(worker, "train", lambda *a, **k: (_ for _ in ()).throw(RuntimeError("no\ncompiler")))
    assert worker.work(engine, report=lambda line: None) == 1
    record = queries.run(engine, run_id)
    assert record.state == "failed" and record.error == "RuntimeError: no compiler"
    assert "no\ncompiler" in caplog.text


def test_large_weights_are_files_that_backups_and_merges_copy(engine, monkeypatch, tmp_path):
    monkeypatch.setattr(writes, "MAXIMUM_ROW_BYTES", 1000)
    run_id = writes.create_run(engine, quick())
    worker.work(engine, report=lambda line: None)
    weights = checkpoints.read_checkpoint(engine, run_id).weights
    (path,) = (tmp_path / "a.db.files").iterdir()
    assert path.read_bytes() == weights and from_bytes(weights, quick().model)
    backup.backup(engine, tmp_path / "backup.db")
    other = open_store(str(tmp_path / "other.db"))
    assert merge.merge(other, str(tmp_path / "backup.db")).added == 1
    assert checkpoints.read_checkpoint(other, 1).weights == weights and integrity.integrity(other) == []
    backup.restore(tmp_path / "backup.db", str(tmp_path / "restored.db"))
    assert checkpoints.read_checkpoint(open_store(str(tmp_path / "restored.db")), run_id).weights == weights
    export.export(other, tmp_path / "out")
    assert (tmp_path / "out" / "checkpoints" / "run-1-step-8.safetensors").read_bytes() == weights
    path.unlink()
    assert "cannot be read" in integrity.integrity(engine)[0]


@pytest.mark.parametrize("error", [MemoryError(), None], ids=["out of memory", "bad config"])
def test_memory_and_config_failures_are_stored_not_raised(engine, monkeypatch, error):
    config = quick() if error else replace(quick(), transfer_length=100)
    run_id = writes.create_run(engine, config)
    if error:
        monkeypatch.setattr(worker, "train", lambda *a, **k: (_ for _ in ()).throw(error))
    worker.work(engine, report=lambda line: None)
    record = queries.run(engine, run_id)
    assert record.state == "failed"
    assert ("out of memory" if error else "evaluation.maximum_length") in record.error


def test_a_cancelled_run_stops_and_writes_no_more(engine, monkeypatch):
    run_id = writes.create_run(engine, quick())
    real = worker.train

    def train(config, recorder, **options):
        leases.cancel_run(engine, run_id)
        return real(config, recorder, **options)

    monkeypatch.setattr(worker, "train", train)
    worker.work(engine, report=lambda line: None)
    assert queries.run(engine, run_id).state == "cancelled"
    assert queries.accuracy(engine, [run_id], "all").empty


def test_the_same_run_twice_stores_the_same_counts(engine):
    ids = [writes.create_run(engine, quick()) for _ in range(2)]
    worker.work(engine, report=lambda line: None)
    first, second = (queries.accuracy(engine, [i], "all").drop(columns="run_id") for i in ids)
    assert first.equals(second)
    assert checkpoints.read_checkpoint(engine, ids[0]).sha256 == checkpoints.read_checkpoint(engine, ids[1]).sha256


def test_a_campaign_queues_what_is_missing_once(engine):
    experiment = Experiment("trial", 1, "0", "demo", "?", three_arms("caprev", "demo"))
    new = queue_missing(engine, experiment, [0, 1])
    assert len(new) == 6 and queue_missing(engine, experiment, [0, 1]) == []
    leases.cancel_run(engine, new[0])
    assert len(queue_missing(engine, experiment, [0, 1, 2])) == 4, "the cancelled one and a new seed"
    lines, complete = campaign_status(engine, experiment, [0])
    assert not complete and lines[-1] == "0 of 3 runs done" and lines[0].startswith("queued")


def test_a_password_is_in_no_log_and_no_store(engine, monkeypatch):
    tail = LogTail(["s3cret/+"])
    with tail:
        logging.getLogger("lgt").error("cannot reach postgresql://lgt:s3cret/+@host/db")
    assert tail.text().endswith("postgresql://lgt:***@host/db")
    command = worker_processes.worker_command("--slot")
    assert "s3cret" not in " ".join(command)
    assert worker_processes.worker_environment("postgresql://lgt:s3cret@host/db")["LGT_DATABASE_URL"].endswith(
        "s3cret@host/db"
    )


def test_only_the_newest_lines_of_a_log_are_kept():
    with LogTail() as tail:
        for number in range(100):
            logging.getLogger("lgt").warning("line %d", number)
    logging.getLogger("lgt").warning("after the block")
    lines = tail.text().splitlines()
    assert len(lines) == 60 and lines[-1].endswith("line 99")


def test_a_queued_run_that_this_code_cannot_read_fails_and_the_next_one_goes_on(engine):
    newer, good = writes.create_run(engine, quick(preset="newer")), writes.create_run(engine, quick())
    with write_transaction(engine) as connection:
        key, text = connection.execute(select(Config.key, Config.config).join(Run).where(Run.id == newer)).one()
        changed = text.replace('"arm":', '"colour":"red","arm":')
        connection.execute(update(Config).where(Config.key == key).values(config=changed))
    assert worker.work(engine, report=lambda line: None) == 1
    assert queries.run(engine, good).state == "done"
    with engine.connect() as connection:
        state, error = connection.execute(select(Run.state, Run.error).where(Run.id == newer)).one()
    assert state == "failed" and "cannot read its stored config" in error and "colour" in error


def test_a_queued_run_above_this_worker_s_limits_fails_and_the_next_one_goes_on(engine, monkeypatch):
    large, good = writes.create_run(engine, tiny(steps=7)), writes.create_run(engine, tiny(steps=6))
    monkeypatch.setenv("LGT_MAX_STEPS", "6")
    assert worker.work(engine, report=lambda line: None) == 1
    record = queries.run(engine, large)
    assert (record.state, record.step) == ("failed", 0) and queries.run(engine, good).state == "done"
    assert (
        record.error == "training.steps: 7 is not accepted; accepted: at most 6 steps (LGT_MAX_STEPS sets this limit)"
    )


@pytest.mark.slow
def test_the_stored_device_is_the_one_that_trained_the_run(engine):
    fused, plain = quick(), quick(model_seed=1)
    plain = replace(plain, training=replace(plain.training, precision="bfloat16"))
    ids = [writes.create_run(engine, config) for config in (fused, plain)]
    worker.work(engine, report=lambda line: None)
    first, second = (str(queries.run(engine, run_id).device) for run_id in ids)
    assert ("fused step" in first) == (library() is not None) and "fused step" not in second
    assert "1 thread" in second and second.startswith("cpu ")


def test_a_task_without_a_test_prompt_of_a_length_has_no_row_there(monkeypatch):
    config = quick()
    real = exact_match.test_set

    def some_empty(config, task, length, count):
        batch = real(config, task, length, count)
        return batch if length != 2 else Batch(*(value[:0] for value in vars(batch).values() if value is not None))

    monkeypatch.setattr(exact_match, "test_set", some_empty)
    rows = exact_match.accuracy_rows(Decoder(config.model), config, 10)
    assert {row.length for row in rows} == {1, 3, 4, 5, 6, 7}
