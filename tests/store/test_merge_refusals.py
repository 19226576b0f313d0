"""What a merge leaves out, and that one bad run, row or file neither stops it nor changes this store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from lgt.core.config import TrainingConfig
from lgt.core.records import AccuracyRow
from lgt.store import blobs, checkpoints, imports, integrity, merge, queries, writes
from lgt.store.engine import open_store, write_transaction
from lgt.store.exchange import ImportedRun
from lgt.store.stored_runs import check_store
from tests.store.test_store import CONFIG, WEIGHTS, finished_run


@pytest.fixture
def stores(tmp_path: Path) -> tuple[Engine, Engine, str]:
    """This store, another one with two runs, and its path."""
    own, other = (open_store(str(tmp_path / name)) for name in ("own.db", "other.db"))
    finished_run(own)
    finished_run(other)
    finished_run(other)
    return own, other, str(tmp_path / "other.db")


def changed(engine: Engine, *statements: str) -> None:
    with write_transaction(engine) as connection:
        for statement in statements:
            connection.execute(text(statement))


WRONG = {
    "a config under another key": "UPDATE configs SET config = replace(config, '\"steps\":', '\"steps\": ')",
    "tasks in another order": "UPDATE run_tasks SET slot = 1 - slot + 10 WHERE run_id = 1",
    "a time to come": "UPDATE runs SET finished_at = 1e12 WHERE id = 1",
    "a text in a number": "UPDATE runs SET seconds = 'long' WHERE id = 1",
    "another hash": "UPDATE runs SET config_hash = 'x' WHERE id = 1",
    "more right answers than prompts": "UPDATE accuracy_counts SET totals = '1', lengths = '1', correct = x'09' "
                                       "WHERE run_id = 1",
    "no prompt": "UPDATE accuracy_counts SET totals = '0', lengths = '1', correct = x'00' WHERE run_id = 1",
    "a length twice": "UPDATE accuracy_counts SET totals = '9x2', lengths = '5,5', correct = x'0101' WHERE run_id = 1",
    "a state with a line break": "UPDATE runs SET state = 'queued\x1b[31m' || char(10) || 'x' WHERE id = 1",
    "no uuid": "UPDATE runs SET uuid = 'mine' WHERE id = 1",
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_run_that_cannot_be_is_left_out_and_the_others_come(name: str, stores: tuple[Engine, Engine, str]) -> None:
    own, other, path = stores
    changed(other, WRONG[name])
    report = merge.merge(own, path)
    all_wrong = name == "a config under another key"
    assert (report.added, report.skipped) == ((0, 2) if all_wrong else (1, 1))
    assert all("it is damaged" in line and "\n" not in line and "\x1b" not in line for line in report.reasons)
    assert integrity.integrity(own) == [] and len(queries.runs(own)) == (1 if all_wrong else 2)
    check_store(own)
    with pytest.raises(Exception, match=r"other\.db is damaged: run 1: "):
        check_store(other)
    again = replace(CONFIG, training=TrainingConfig(steps=77))
    assert queries.run(own, writes.create_run(own, again)).config == again, "configs are those of this store"


ROWS = {
    "a deletion at no time": "INSERT INTO deleted_runs VALUES ('u', 'abc')",
    "a deletion to come": "INSERT INTO deleted_runs SELECT uuid, 1e300 FROM runs",
    "tags at no time": "INSERT INTO annotations VALUES ('u', 'star', '', 'abc', NULL)",
    "tags to come": "INSERT INTO annotations SELECT uuid, 'deleted', '', 1e12, NULL FROM runs",
    "a note that is a number": "INSERT INTO annotations VALUES ('u', '', x'00', NULL, 1.0)",
}


@pytest.mark.parametrize("name", ROWS)
def test_deletions_and_remarks_that_cannot_be_are_left_out(name: str, stores: tuple[Engine, Engine, str]) -> None:
    own, other, path = stores
    merge.merge(own, path)
    changed(other, ROWS[name])
    report = merge.merge(own, path)
    assert (report.unchanged, report.deleted) == (2, 0) and "left out" in report.reasons[0]
    assert len(queries.runs(own)) == 3 and set(queries.runs(own).tags) == {""}
    check_store(own)
    with pytest.raises(Exception, match=r"other\.db is damaged"):
        check_store(other)


def test_the_import_that_was_made_last_counts_wherever_the_first_was(tmp_path: Path) -> None:
    one, two = (open_store(str(tmp_path / name)) for name in ("one.db", "two.db"))
    for store, correct in ((one, 1), (two, 2), (one, 7)):
        rows = {5: [AccuracyRow(CONFIG.main.task, 1, correct, 9)]}
        imports.import_runs(store, [ImportedRun("00000000-0000-4000-8000-000000000001", "x", CONFIG, rows)])
    merge.merge(one, str(tmp_path / "two.db"))
    merge.merge(two, str(tmp_path / "one.db"))
    assert [queries.accuracy(store, [1], "all").correct.tolist() for store in (one, two)] == [[7], [7]]


def test_copies_with_and_without_a_code_version_are_compared(stores: tuple[Engine, Engine, str]) -> None:
    own, other, path = stores
    merge.merge(own, path)
    changed(other, "UPDATE runs SET code_version = ''")
    assert merge.merge(own, path) == merge.MergeReport(unchanged=2)
    changed(own, "UPDATE runs SET code_version = '' WHERE id > 1")
    changed(other, "UPDATE runs SET code_version = 'v'")
    assert merge.merge(own, path).updated == 2


def test_a_missing_file_of_weights_is_named_and_the_rest_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lgt.store.writes.MAXIMUM_ROW_BYTES", 1)
    own, other = (open_store(str(tmp_path / name)) for name in ("own.db", "other.db"))
    finished_run(other)
    finished_run(other)
    (blobs.files_folder(other.url) / blobs.checkpoint_name(1, 20)).unlink()
    report = merge.merge(own, str(tmp_path / "other.db"))
    assert (
        report.added == 2 and len(report.reasons) == 1 and "the weights of step 20 were left out" in report.reasons[0]
    )
    assert checkpoints.read_checkpoint(own, 2).weights == WEIGHTS and integrity.integrity(own) == []


def test_a_merge_that_fails_leaves_the_weights_of_this_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lgt.store.writes.MAXIMUM_ROW_BYTES", 1)
    own, other = (open_store(str(tmp_path / name)) for name in ("own.db", "other.db"))
    finished_run(own)
    merge.merge(other, str(tmp_path / "own.db"))
    found = [(store, queries.run(store, 1)) for store in (own, other)]
    for store, weights in ((own, b"mine"), (other, b"theirs")):
        leases_free = "UPDATE runs SET state = 'running', attempt = 9, owner = 'w', lease_until = 9e9"
        changed(store, leases_free)
        writes.record_checkpoint(store, 1, 9, 20, weights)
        changed(store, "UPDATE runs SET state = 'done', owner = NULL, lease_until = NULL")
    assert found[0][1].uuid == found[1][1].uuid
    monkeypatch.setattr("lgt.store.remarks.merge_into_run", lambda *_: (_ for _ in ()).throw(RuntimeError("killed")))
    for into, path in ((own, "other.db"), (other, "own.db")):
        with pytest.raises(RuntimeError, match="killed"):
            merge.merge(into, str(tmp_path / path))
    assert [checkpoints.read_checkpoint(store, 1).weights for store in (own, other)] == [b"mine", b"theirs"]
