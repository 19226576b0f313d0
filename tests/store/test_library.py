"""A library reads several stores as one: its numbers are those of SQL over each store, and ids never meet."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pandas as pd
import pytest

from lgt.core.records import AccuracyRow, LogRow
from lgt.store import checkpoints, imports, leases, queries, revisions, tags, writes
from lgt.store.comparisons import comparisons
from lgt.store.engine import open_store
from lgt.store.errors import StoreError
from lgt.store.library import STRIDE, Library, library_of
from tests.conftest import tiny


def finished(engine, config, correct: int, state: str = "done") -> int:
    """A finished run that has ``correct`` right answers of 10 at each length."""
    run_id = writes.create_run(engine, config)
    attempt = leases.start_run(engine, run_id, "test", "cpu")
    rows = [
        AccuracyRow(spec.task, length, correct, 10)
        for spec in config.tasks for length in range(1, config.evaluation.maximum_length + 1)
    ]  # fmt: skip
    steps = config.training.steps
    writes.record_accuracy(engine, run_id, attempt, steps, rows)
    log = [LogRow(steps, 0.5, 0.01, 100.0)]
    writes.record_progress(engine, run_id, attempt, step=steps, tokens=9, seconds=1.0, log_rows=log)
    writes.record_checkpoint(engine, run_id, attempt, steps, f"{run_id} {correct}".encode())
    leases.finish_run(engine, run_id, attempt, state)
    return run_id


@pytest.fixture()
def stores(tmp_path):
    """Two stores: the first has seeds 0 and 1 (5 of 10 right), the second seeds 1 and 2 (8 of 10) and a queued run."""
    first, second = (open_store(str(tmp_path / name)) for name in ("first.db", "second.db"))
    for arm in ("co-trained", "alone-same-steps"):
        for engine, seeds, correct in ((first, (0, 1), 5), (second, (1, 2), 8)):
            for seed in seeds:
                finished(engine, tiny(arm=arm, model_seed=seed), correct)
    writes.create_run(second, tiny(model_seed=9), label="waiting")
    return first, second


@pytest.fixture()
def library(stores) -> Library:
    return library_of([("shipped", stores[0]), ("workspace", stores[1])])


def test_every_run_of_every_store_is_there_once(library, stores):
    rows = queries.runs(library)
    alone = [queries.runs(engine) for engine in stores]
    assert rows.id.tolist() == [*alone[0].id, *(alone[1].id + STRIDE)]
    for column in set(alone[0]) - {"id"}:
        assert rows[column].dtype == alone[0][column].dtype
        assert rows[column].dropna().tolist() == [value for one in alone for value in one[column].dropna()]


@pytest.mark.parametrize(
    "read", [queries.accuracy, queries.head_scores, queries.attention_differences, queries.training_log]
)
def test_rows_of_runs_are_those_of_their_stores(read, library, stores):
    ids = [1, 2, STRIDE + 2, 3]
    wanted = [read(stores[0], [1, 2, 3]), read(stores[1], [2])]
    wanted[1]["run_id"] += STRIDE
    both = pd.concat([one for one in wanted if len(one)] or wanted[:1], ignore_index=True)
    pd.testing.assert_frame_equal(read(library, ids), both)
    assert read(library, []).empty and list(read(library, [])) == list(wanted[0])


def test_counts_equal_those_that_sql_finds(library, stores):
    rows = queries.accuracy(library, [1, STRIDE + 1])
    for engine, number, run_id in ((stores[0], 1, 1), (stores[1], 1, STRIDE + 1)):
        with sqlite3.connect(str(engine.url.database)) as connection:
            total = connection.execute("SELECT sum(correct) FROM accuracy WHERE run_id = ?", [number]).fetchone()[0]
        assert rows[rows.run_id == run_id].correct.sum() == total
    finals = queries.final_accuracy(library).set_index("run_id")
    assert len(finals) == 8 and finals.transfer[1] == 0.5 and finals.transfer[STRIDE + 1] == pytest.approx(0.8)


def test_the_run_of_the_first_store_counts_and_seeds_of_both_add_up(library):
    (comparison,) = comparisons(library).values()
    runs = comparison.runs["co-trained"]
    assert set(runs) == {0, 1, 2}
    assert [run_id < STRIDE for _, run_id in sorted(runs.items())] == [True, True, False]
    (own,) = comparisons(library.chosen(["workspace"])).values()
    assert all(run_id > STRIDE for of in own.runs.values() for run_id in of.values())
    done = queries.finished_by_hash(library)
    assert done[tiny(model_seed=1).hash()] == runs[1] and done[tiny(model_seed=2).hash()] == runs[2]
    assert queries.existing_with_hash(library, tiny(model_seed=2).hash(), ["done"]) == runs[2]
    assert queries.existing_with_hash(library, tiny(model_seed=77).hash(), ["done"]) is None
    assert queries.ended_seeds(library) == [0, 1, 2]


def test_one_run_is_read_from_its_store_under_the_library_s_id(library, stores):
    record = queries.run(library, STRIDE + 2)
    assert replace(record, id=2) == queries.run(stores[1], 2) and record.id == STRIDE + 2
    weights = checkpoints.read_checkpoint(library, STRIDE + 2)
    assert weights.run_id == STRIDE + 2 and weights.weights == b"2 8"
    assert set(checkpoints.list_checkpoints(library).run_id) == {1, 2, 3, 4, *range(STRIDE + 1, STRIDE + 5)}


def test_names_are_numbers_in_the_first_store_and_have_the_store_s_name_in_others(library):
    assert library.name(3) == "3" and library.name(STRIDE + 3) == "workspace.3"
    assert queries.runs(library, ids=[2, STRIDE + 1]).id.tolist() == [2, STRIDE + 1]
    with pytest.raises(StoreError, match="no open store has it"):
        library.name(5 * STRIDE + 1)


def test_waiting_runs_and_failed_ones_name_their_store(library, stores):
    from lgt.store.live import live_runs

    assert [run.id for run in live_runs(library)] == [STRIDE + 5]
    failed = finished(stores[1], tiny(model_seed=5), 0, state="failed")
    assert queries.unsuccessful_by_hash(library)[tiny(model_seed=5).hash()] == f"run {failed} in my workspace failed"


def test_a_write_to_any_store_changes_the_revision(library, stores):
    for engine in stores:
        before = revisions.revision(library)
        tags.set_note(engine, [1], "seen")
        assert revisions.revision(library) != before


def test_a_store_stands_once_and_equal_names_get_numbers(stores, tmp_path):
    third = open_store(str(tmp_path / "third.db"))
    found = library_of([("Müller's runs", stores[0]), ("m-ller-s-runs", stores[1]), ("other", stores[0]), ("", third)])
    assert [member.name for member in found.members] == ["m-ller-s-runs", "m-ller-s-runs-2", "store"]
    assert len({member.offset for member in found.members}) == 3


def test_a_name_leads_back_to_its_run(library):
    for run_id in (1, 4, STRIDE + 3):
        assert library.parse(library.name(run_id)) == run_id
    assert library.parse("shipped.2") == 2
    for text in ("", "x", "other.2", "workspace.", "-1", "1.5", "٣", "9" * 12, "workspace.2.1"):
        assert library.parse(text) is None


def test_a_store_that_appears_later_moves_no_run_id(stores):
    before = library_of([("shipped", stores[0]), ("workspace", None), ("other", stores[1])])
    after = library_of([("shipped", stores[0]), ("workspace", stores[1]), ("third", stores[0])])
    assert [member.offset for member in before.members] == [0, 2 * STRIDE]
    assert [member.offset for member in after.members] == [0, STRIDE], "the first store stands there twice"


def test_written_accuracies_name_runs_as_the_pages_do(library, stores):
    ids = queries.runs(library).id.tolist()
    assert set(imports.exchange_rows(library, ids).run) == {f"run {name}" for name in (1, 2, 3, 4)} | {
        f"run workspace.{number}" for number in (1, 2, 3, 4)
    }
    assert set(imports.exchange_rows(stores[1], [1]).run) == {"run 1"}
