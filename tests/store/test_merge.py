"""Stores merge without doubles, export in tables anybody can read, and come back from a backup."""

from __future__ import annotations

import csv
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import Engine, text

from lgt.core.config import Arm, Position, RunConfig
from lgt.core.records import AccuracyRow, AttentionDifferenceRow, HeadScoreRow, LogRow
from lgt.recipes.presets import group_config
from lgt.store import backup, checkpoints, export, integrity, leases, merge, merge_rows, queries, thinning, writes
from lgt.store.engine import StoreError, open_store, read_connection, write_transaction
from lgt.store.schema import RUN_TABLES
from tests.store.test_store import ACCURACY, CONFIG, WEIGHTS, finished_run


@pytest.fixture
def store(tmp_path: Path) -> Engine:
    """A store with one finished run."""
    engine = open_store(str(tmp_path / "results.db"))
    finished_run(engine)
    return engine


def counts(engine: Engine) -> dict[str, int]:
    with read_connection(engine) as connection:
        return {table.__tablename__: connection.scalar(text(f"SELECT count(*) FROM {table.__tablename__}")) or 0
                for table in RUN_TABLES}  # fmt: skip


def test_merging_copies_finished_runs_once(store: Engine, tmp_path: Path) -> None:
    other_path = str(tmp_path / "other.db")
    other = open_store(other_path)
    finished_run(other)
    theirs = finished_run(other, label="theirs")
    writes.create_run(other, queries.run(other, theirs).config, token="still queued")
    report = merge.merge(store, other_path)
    assert report == merge.MergeReport(
        added=2,
        skipped=1,
        reasons=("run 3 of other.db: skipped, it has not finished (queued)",),
        now_counting=("run 3 counts now instead of run 1: the same config, finished later",),
    )
    assert queries.runs(store).label.tolist() == ["first", "first", "theirs"]
    merged = queries.run(store, 3)
    original = queries.run(other, theirs)
    assert (merged.config, merged.created_at, merged.tasks) == (original.config, original.created_at, original.tasks)
    assert checkpoints.read_checkpoint(store, 3).weights == WEIGHTS
    assert counts(store) == {name: 3 * n // 2 for name, n in counts_of_finished(other).items()}
    once = counts(store)
    assert merge.merge(store, other_path) == merge.MergeReport(unchanged=2)
    assert counts(store) == once
    assert merge.merge(other, str(tmp_path / "results.db")) == merge.MergeReport(added=1, unchanged=2)


def counts_of_finished(other: Engine) -> dict[str, int]:
    writes.delete_runs(other, queries.runs(other, states="queued").id)
    return counts(other)


def test_damaged_weights_and_runs_are_not_merged(store: Engine, tmp_path: Path) -> None:
    other = open_store(str(tmp_path / "other.db"))
    finished_run(other)
    finished_run(other)
    with write_transaction(other) as connection:
        connection.execute(text("UPDATE checkpoints SET size = size + 1 WHERE run_id = 1"))
        connection.execute(text("UPDATE head_maps SET loss_rises = x'00' WHERE run_id = 2"))
    report = merge.merge(store, str(tmp_path / "other.db"))
    assert (report.added, report.skipped, len(report.reasons)) == (1, 1, 2)
    assert report.reasons[0] == "run 1 of other.db: added, the damaged weights of step 20 were left out"
    assert report.reasons[1].startswith("run 2 of other.db: skipped, ") and "head_maps" in report.reasons[1]
    assert integrity.integrity(store) == [] and len(checkpoints.list_checkpoints(store)) == 1


def test_two_workers_of_one_copied_queue_give_one_version(tmp_path: Path) -> None:
    """Two people copy a store with a queued run, and both train it: the run that finished last counts, whole."""
    one, two = (open_store(str(tmp_path / name)) for name in ("one.db", "two.db"))
    writes.create_run(one, CONFIG)
    one.dispose()
    Path(shutil.copy(tmp_path / "one.db", tmp_path / "two.db"))
    for engine, correct in ((one, 1), (two, 2)):
        attempt = leases.start_run(engine, 1, "worker", "cpu")
        writes.record_accuracy(engine, 1, attempt, 20, [AccuracyRow(CONFIG.main.task, 1, correct, 9)])
        leases.finish_run(engine, 1, attempt, "done")
    assert merge.merge(one, str(tmp_path / "two.db")).updated == 1
    assert merge.merge(two, str(tmp_path / "one.db")) == merge.MergeReport(unchanged=1)
    assert [queries.accuracy(engine, [1]).correct.tolist() for engine in (one, two)] == [[2], [2]]


def test_a_run_that_is_running_here_is_not_replaced(tmp_path: Path) -> None:
    one, two = (open_store(str(tmp_path / name)) for name in ("one.db", "two.db"))
    writes.create_run(one, CONFIG)
    one.dispose()
    Path(shutil.copy(tmp_path / "one.db", tmp_path / "two.db"))
    leases.start_run(one, 1, "worker", "cpu")
    attempt = leases.start_run(two, 1, "worker", "cpu")
    leases.finish_run(two, 1, attempt, "done")
    report = merge.merge(one, str(tmp_path / "two.db"))
    assert report.reasons == ("run 1 of two.db: skipped, a worker of this store is running it",)
    assert queries.run(one, 1).state == "running"


def test_a_merge_that_fails_midway_leaves_nothing_of_that_run(
    store: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_path = str(tmp_path / "other.db")
    finished_run(open_store(other_path))
    before = counts(store)
    sent = merge_rows.upsert

    def broken(connection: object, table: type, rows: list[dict[str, object]]) -> None:
        if table is RUN_TABLES[3]:
            raise StoreError("disk full")
        sent(connection, table, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(merge_rows, "upsert", broken)
    with pytest.raises(StoreError, match="disk full"):
        merge.merge(store, other_path)
    assert (counts(store), len(queries.runs(store))) == (before, 1)
    monkeypatch.undo()
    assert merge.merge(store, other_path).added == 1


def test_merging_needs_an_existing_store(store: Engine, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        merge.merge(store, str(tmp_path / "other.db"))
    assert not (tmp_path / "other.db").exists()


@pytest.mark.parametrize("format", ["csv", "parquet", "json"])
def test_export_writes_every_table_with_counts(store: Engine, tmp_path: Path, format: export.Format) -> None:
    folder = tmp_path / "out" / format
    paths = export.export(store, folder, format)
    assert sorted(paths) == sorted(path for path in folder.rglob("*") if path.is_file())
    assert {path.name for path in paths} == {
        *(f"{table}.{format}" for table in export.TABLES), "run-1-step-20.safetensors", "README.txt",
    }  # fmt: skip
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet, "json": pd.read_json}[format]
    accuracy = read(folder / f"accuracy.{format}")
    assert set(accuracy.columns) >= {"run", "step", "task", "task_title", "length", "correct", "total", "accuracy"}
    assert len(accuracy) == 2 * len(ACCURACY) and accuracy.correct.sum() == 2 * sum(row.correct for row in ACCURACY)
    assert (folder / "checkpoints" / "run-1-step-20.safetensors").read_bytes() == WEIGHTS
    config = json.loads(read(folder / f"runs.{format}").config[0])
    assert RunConfig.from_dict(config) == queries.run(store, 1).config
    assert export.export(store, folder, format) == paths, "exporting again replaces"


def test_csv_cells_cannot_become_formulas(store: Engine, tmp_path: Path) -> None:
    dangerous = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "safe", "a=b"]
    for label in dangerous:
        finished_run(store, label=label)
    export.export(store, tmp_path / "out", "csv")
    with (tmp_path / "out" / "runs.csv").open(newline="") as lines:
        labels = [row["label"] for row in csv.DictReader(lines)]
    assert labels == ["first", *("'" + label for label in dangerous[:5]), "safe", "a=b"]


def test_export_of_an_empty_store_has_headers(tmp_path: Path) -> None:
    export.export(open_store(str(tmp_path / "results.db")), tmp_path / "out", "csv")
    assert (tmp_path / "out" / "training_log.csv").read_text(
        encoding="utf-8-sig"
    ) == "run,step,loss_nats,learning_rate,tokens_per_second\n"


def test_export_says_where_it_cannot_write(store: Engine, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(StoreError, match="out cannot be written"):
        export.export(store, tmp_path / "out")
    with pytest.raises(StoreError, match="xlsx"):
        export.export(store, tmp_path / "other", "xlsx")  # type: ignore[arg-type]


def test_a_backup_restores_what_it_saw(store: Engine, tmp_path: Path) -> None:
    path, saved = tmp_path / "results.db", tmp_path / "saved.db"
    assert backup.backup(store, saved) == saved
    with pytest.raises(StoreError, match="exists"):
        backup.backup(store, saved)
    path.write_bytes(b"garbage" * 1000)
    kept = backup.restore(saved, str(path))
    assert kept is not None and kept.read_bytes() == b"garbage" * 1000
    restored = open_store(str(path))
    assert integrity.integrity(restored) == []
    assert checkpoints.read_checkpoint(restored, 1).weights == WEIGHTS
    assert sorted(os.listdir(tmp_path)) == sorted([path.name, saved.name, kept.name])


def test_restoring_keeps_a_journal_with_its_own_store(store: Engine, tmp_path: Path) -> None:
    saved = backup.backup(store, tmp_path / "saved.db")
    journal = tmp_path / "results.db-journal"
    journal.write_bytes(b"\xd9\xd5\x05\xf9 \xa1c\xd7" * 100)
    kept = backup.restore(saved, str(tmp_path / "results.db"))
    assert not journal.exists() and (tmp_path / f"{kept}-journal").exists()
    assert backup.restore(saved, str(tmp_path / "new.db")) is None


def test_a_damaged_backup_is_not_restored(store: Engine, tmp_path: Path) -> None:
    saved = backup.backup(store, tmp_path / "saved.db")
    damaged = bytearray(saved.read_bytes())
    damaged[damaged.rindex(WEIGHTS[:200]) + 5] ^= 1
    saved.write_bytes(damaged)
    before = (tmp_path / "results.db").read_bytes()
    with pytest.raises(StoreError, match="choose another backup"):
        backup.restore(saved, str(tmp_path / "results.db"))
    assert (tmp_path / "results.db").read_bytes() == before


def test_a_damaged_store_makes_no_backup(store: Engine, tmp_path: Path) -> None:
    with write_transaction(store) as connection:
        connection.execute(text("UPDATE checkpoints SET sha256 = 'wrong'"))
    with pytest.raises(StoreError, match="no backup was made"):
        backup.backup(store, tmp_path / "saved.db")
    assert os.listdir(tmp_path) == ["results.db"]


def measured_run(store: Engine, config: RunConfig, transfer: float) -> int:
    """A finished run with weights whose main task has this transfer accuracy."""
    run_id = writes.create_run(store, config)
    attempt = leases.start_run(store, run_id, "worker", "cpu")
    lengths = range(config.main.training_length + 1, (config.transfer_length or 0) + 1)
    rows = [AccuracyRow(config.main.task, length, round(100 * transfer), 100) for length in lengths]
    writes.record_accuracy(store, run_id, attempt, config.training.steps, rows)
    writes.record_checkpoint(store, run_id, attempt, config.training.steps, WEIGHTS)
    leases.finish_run(store, run_id, attempt, "done")
    return run_id


def test_thinning_out_keeps_typical_and_weakest_runs_and_makes_the_file_smaller(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = open_store(str(path))

    def run(transfer: float, seed: int, arm: Arm = "co-trained", position: Position = "rope") -> int:
        return measured_run(store, group_config("caprev", "demo", arm=arm, position=position, seed=seed), transfer)

    old = run(0.9, 1)
    often = replace(group_config("caprev", "demo", seed=1).evaluation, snapshots=20)
    measured_often = measured_run(store, replace(group_config("caprev", "demo", seed=1), evaluation=often), 0.6)
    together = {seed: run(share, seed) for seed, share in ((0, 0.8), (2, 0.7), (3, 0.2), (4, 0.9))}
    alone = {seed: run(0.0, seed, "alone-same-steps") for seed in range(5)}
    nope = {seed: run(0.1 * seed, seed, position="nope") for seed in (0, 1, 2)}
    free = measured_run(store, replace(CONFIG, group="custom"), 0.5)
    waiting = writes.create_run(store, CONFIG)
    writes.record_checkpoint(store, waiting, leases.start_run(store, waiting, "worker", "cpu"), 5, WEIGHTS)
    kept = sorted([together[2], together[3], alone[2], nope[1], waiting])
    gone = [
        i for i in (old, measured_often, free, *together.values(), *alone.values(), *nope.values()) if i not in kept
    ]
    before, accuracy = path.stat().st_size, queries.accuracy(store, gone, "all")
    assert thinning.thin(store) == thinning.ThinReport(len(gone), 0) and path.stat().st_size < before - 20_000
    assert checkpoints.list_checkpoints(store).run_id.tolist() == kept
    assert queries.accuracy(store, gone, "all").equals(accuracy) and integrity.integrity(store) == []
    assert thinning.thin(store) == thinning.ThinReport(0, 0)


def test_thinning_out_leaves_fifty_losses_and_the_last(store: Engine) -> None:
    runs = [writes.create_run(store, CONFIG) for _ in range(3)]
    for run_id, count in zip(runs, (205, 80, 205), strict=True):
        attempt = leases.start_run(store, run_id, "worker", "cpu")
        log = [LogRow(step, 1 / step, 0.01, 1000.0) for step in range(1, count + 1)]
        writes.record_progress(store, run_id, attempt, step=count, tokens=1, seconds=1.0, log_rows=log)
        if run_id != runs[2]:
            leases.finish_run(store, run_id, attempt, "done")
    assert thinning.thin(store) == thinning.ThinReport(1, 153), "the weights of the store's first run"
    steps = [queries.training_log(store, [run_id]).step.tolist() for run_id in runs]
    assert steps == [list(range(1, 206, 4)), list(range(1, 81)), list(range(1, 206))], "the last one still runs"
    assert thinning.thin(store) == thinning.ThinReport(0, 0)


def test_thinning_out_keeps_earlier_maps_up_to_the_transfer_region(store: Engine) -> None:
    run_id = writes.create_run(store, replace(CONFIG, training=replace(CONFIG.training, steps=20)))
    attempt = leases.start_run(store, run_id, "worker", "cpu")
    for step in (10, 20):
        lengths = (2, 6, 9)  # trained, transfer region, beyond
        scores = [HeadScoreRow("reverse_add", length, 0, 0, 0.5, 0.25, 64) for length in lengths]
        differences = [AttentionDifferenceRow("reverse_add", "no_carry", length, 0, 0, 1.5) for length in lengths]
        writes.record_head_scores(store, run_id, attempt, step, scores)
        writes.record_attention_differences(store, run_id, attempt, step, differences)

    def left() -> list[list[tuple[int, int]]]:
        tables = (queries.head_scores, queries.attention_differences)
        frames = [read(store, [run_id], "all") for read in tables]
        return [sorted(zip(frame.step.tolist(), frame.length.tolist(), strict=True)) for frame in frames]

    everything = [(step, length) for step in (10, 20) for length in (2, 6, 9)]
    thinning.thin(store)
    assert left() == [everything, everything], "a run that goes on is not touched"
    leases.finish_run(store, run_id, attempt, "done")
    assert thinning.thin(store) == thinning.ThinReport(0, 2)
    assert left() == 2 * [[pair for pair in everything if pair != (10, 9)]]
