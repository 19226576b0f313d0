"""A run written to a store reads back the same, may be sent twice, and is written only by the attempt that owns it."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from lgt.core.config import RunConfig, TaskSpec
from lgt.core.records import AccuracyRow, AttentionDifferenceRow, HeadScoreRow, LogRow
from lgt.store import blobs, checkpoints, leases, queries, revisions, tags, writes
from lgt.store.engine import LeaseLost, StoreError, database_url, open_store, read_connection, write_transaction
from lgt.store.schema import Base, RunState

REPOSITORY = Path(writes.__file__).parents[2]
MAIN = TaskSpec("reverse_add", "main", 4)
CONFIG = RunConfig(
    tasks=(MAIN, TaskSpec("no_carry", "auxiliary", 8)), group="add-carry", preset="demo", transfer_length=8
)
ACCURACY = [AccuracyRow(task, length, length, 16) for task in ("no_carry", "reverse_add") for length in range(1, 11)]
SCORES = [HeadScoreRow("reverse_add", length, layer, 1, 0.5, 0.25, 64) for length in (2, 6) for layer in (0, 1)]
DIFFERENCES = [AttentionDifferenceRow("reverse_add", "no_carry", 6, layer, 0, 1.5) for layer in (0, 1)]
WEIGHTS = random.Random(0).randbytes(5120)


def finished_run(engine: Engine, config: RunConfig = CONFIG, label: str = "first") -> int:
    """The id of a run with rows in every table that a run writes."""
    run_id = writes.create_run(engine, config, label=label, code_version="abc")
    attempt = leases.start_run(engine, run_id, "worker", "cpu")
    send(engine, run_id, attempt)
    leases.finish_run(engine, run_id, attempt, "done")
    return run_id


def send(engine: Engine, run_id: int, attempt: int) -> None:
    """Send everything that a run reports, at two steps."""
    tasks = {spec.task for spec in queries.run(engine, run_id).config.tasks}
    accuracy = [row for row in ACCURACY if row.task in tasks]
    differences = [row for row in DIFFERENCES if {row.task_a, row.task_b} <= tasks]
    for step in (10, 20):
        log = [LogRow(step, 2.0 / step, 0.01, 1000.0)]
        writes.record_progress(engine, run_id, attempt, step=step, tokens=step * 100, seconds=step / 10, log_rows=log)
        writes.record_accuracy(engine, run_id, attempt, step, accuracy)
    writes.record_head_scores(engine, run_id, attempt, 20, SCORES)
    writes.record_attention_differences(engine, run_id, attempt, 20, differences)
    writes.record_checkpoint(engine, run_id, attempt, 20, WEIGHTS)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An empty store: a SQLite file, and a database of the PostgreSQL server that the tests start (it is emptied)."""
    if request.param == "sqlite":
        yield open_store(str(tmp_path / "results.db"))
        return
    url = request.getfixturevalue("postgresql")
    monkeypatch.setenv("LGT_FILES", str(tmp_path / "files"))
    engine = open_store(url)
    yield engine
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


def test_a_run_reads_back_as_it_was_written(engine: Engine) -> None:
    run_id = finished_run(engine)
    record = queries.run(engine, run_id)
    assert record.config == CONFIG
    assert (record.state, record.step, record.tokens, record.seconds) == (RunState.DONE, 20, 2000, 2.0)
    assert (record.label, record.code_version, record.attempt, record.device) == ("first", "abc", 1, "cpu")
    assert [(t.task, t.role, t.training_length, t.transfer_length) for t in record.tasks] == [
        ("reverse_add", "main", 4, 8),
        ("no_carry", "auxiliary", 8, 8),
    ]
    assert checkpoints.read_checkpoint(engine, run_id).weights == WEIGHTS
    assert queries.existing_with_hash(engine, CONFIG.hash(), ["done"]) == run_id
    assert queries.training_log(engine, [run_id]).loss.tolist() == [0.2, 0.1]


def test_accuracy_has_counts_and_what_decides_zones(engine: Engine) -> None:
    run_id = finished_run(engine)
    final = queries.accuracy(engine, [run_id])
    assert list(final.columns) == [
        "run_id", "task_group", "arm", "preset", "position", "model_seed", "data_seed", "step", "task", "role",
        "training_length", "transfer_length", "length", "correct", "total",
    ]  # fmt: skip
    assert [AccuracyRow(*row) for row in final[["task", "length", "correct", "total"]].itertuples(index=False)] == (
        ACCURACY
    )
    assert set(final.step) == {20}
    main = final[final.task == "reverse_add"].iloc[0]
    assert (main.role, main.training_length, main.transfer_length) == ("main", 4, 8)
    assert sorted(set(queries.accuracy(engine, [run_id], step="all").step)) == [10, 20]
    assert queries.accuracy(engine, [run_id], step=10).correct.sum() == final.correct.sum()


def test_final_is_each_runs_own_last_step(engine: Engine) -> None:
    longer, shorter = finished_run(engine), writes.create_run(engine, CONFIG)
    attempt = leases.start_run(engine, shorter, "w", "cpu")
    writes.record_accuracy(engine, shorter, attempt, 5, ACCURACY[:1])
    final = queries.accuracy(engine, [longer, shorter])
    assert final.groupby("run_id").step.unique().map(list).to_dict() == {longer: [20], shorter: [5]}


def test_maps_read_back_per_length(engine: Engine) -> None:
    run_id = finished_run(engine)
    scores = queries.head_scores(engine, [run_id])
    columns = ["task", "length", "layer", "head", "accuracy_drop", "loss_rise", "examples"]
    assert [HeadScoreRow(*row) for row in scores[columns].itertuples(index=False)] == SCORES
    differences = queries.attention_differences(engine, [run_id])
    columns = ["task_a", "task_b", "length", "layer", "head", "difference"]
    assert [AttentionDifferenceRow(*row) for row in differences[columns].itertuples(index=False)] == DIFFERENCES
    assert set(differences.training_length) == {4}, "zones are the main task's"


def test_column_types_do_not_depend_on_rows(engine: Engine) -> None:
    alone = finished_run(engine, RunConfig(tasks=(MAIN,)))
    for read in (queries.accuracy, queries.head_scores, queries.attention_differences):
        assert read(engine, [alone]).dtypes.equals(read(engine, []).dtypes), read.__name__
    assert queries.runs(engine).dtypes.equals(queries.runs(engine, ids=[]).dtypes)
    assert queries.accuracy(engine, [alone]).transfer_length.isna().all()


def test_sending_everything_twice_changes_nothing(engine: Engine) -> None:
    run_id = writes.create_run(engine, CONFIG)
    attempt = leases.start_run(engine, run_id, "worker", "cpu")
    send(engine, run_id, attempt)
    before = [f(engine, [run_id]) for f in (queries.accuracy, queries.head_scores, queries.training_log)]
    send(engine, run_id, attempt)
    after = [f(engine, [run_id]) for f in (queries.accuracy, queries.head_scores, queries.training_log)]
    assert all(a.equals(b) for a, b in zip(before, after, strict=True))
    writes.record_accuracy(engine, run_id, attempt, 20, [AccuracyRow("no_carry", 1, 7, 16)])
    assert queries.accuracy(engine, [run_id]).correct.sum() == before[0].correct.sum() + 6, "a later value replaces"


def test_every_write_of_a_lost_attempt_is_refused(engine: Engine) -> None:
    run_id = writes.create_run(engine, CONFIG)
    stale = leases.start_run(engine, run_id, "slept", "cpu", lease_seconds=-1)
    current = leases.start_run(engine, run_id, "took over", "cpu")
    assert current == stale + 1
    for write in (
        lambda: writes.record_progress(engine, run_id, stale, step=1, tokens=1, seconds=1.0, log_rows=[]),
        lambda: writes.record_accuracy(engine, run_id, stale, 1, ACCURACY),
        lambda: writes.record_head_scores(engine, run_id, stale, 1, SCORES),
        lambda: writes.record_attention_differences(engine, run_id, stale, 1, DIFFERENCES),
        lambda: writes.record_checkpoint(engine, run_id, stale, 1, WEIGHTS),
        lambda: leases.heartbeat(engine, run_id, stale),
        lambda: leases.finish_run(engine, run_id, stale, "done"),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert leases.lease_lost(engine, run_id, stale)
    assert not leases.lease_lost(engine, run_id, current)
    assert queries.run(engine, run_id).state is RunState.RUNNING
    assert queries.accuracy(engine, [run_id], step="all").empty
    send(engine, run_id, current)


@pytest.mark.parametrize("end", ["done", "failed", "cancelled"])
def test_a_run_that_ended_takes_no_more_rows(engine: Engine, end: str) -> None:
    run_id = writes.create_run(engine, CONFIG)
    attempt = leases.start_run(engine, run_id, "w", "cpu")
    if end == "cancelled":
        assert leases.cancel_run(engine, run_id)
    else:
        leases.finish_run(engine, run_id, attempt, end, error="reason" if end == "failed" else None)
    with pytest.raises(LeaseLost):
        writes.record_accuracy(engine, run_id, attempt, 1, ACCURACY)
    with pytest.raises(StoreError, match=end):
        leases.start_run(engine, run_id, "w", "cpu")
    assert not leases.cancel_run(engine, run_id)
    record = queries.run(engine, run_id)
    assert record.state.terminal and record.finished_at is not None and record.lease_until is None


def test_a_live_lease_is_not_taken(engine: Engine) -> None:
    run_id = writes.create_run(engine, CONFIG, state="running")
    leases.start_run(engine, run_id, "first", "cpu")
    with pytest.raises(StoreError, match="owner first"):
        leases.start_run(engine, run_id, "second", "cpu")


def test_a_read_only_store_can_be_read_and_not_written(engine: Engine) -> None:
    run_id = finished_run(engine)
    reader = open_store(engine.url.render_as_string(hide_password=False), read_only=True)
    assert queries.run(reader, run_id).step == 20
    with pytest.raises(StoreError):
        writes.create_run(reader, CONFIG)
    assert len(queries.runs(engine)) == 1
    reader.dispose()


def test_one_token_makes_one_run(engine: Engine) -> None:
    first = writes.create_run(engine, CONFIG, token="click")
    assert writes.create_run(engine, CONFIG, token="click") == first
    assert writes.create_run(engine, CONFIG, token="other") != first
    assert len(queries.runs(engine)) == 2


def test_runs_filters(engine: Engine) -> None:
    done, queued = finished_run(engine), writes.create_run(engine, RunConfig(tasks=(MAIN,)), experiment="fig3")
    assert queries.runs(engine).id.tolist() == [done, queued]
    assert queries.runs(engine, states="done").id.tolist() == [done]
    assert queries.runs(engine, states=["queued", "running"], experiment="fig3").id.tolist() == [queued]
    assert queries.runs(engine, group="add-carry", preset=("demo", "small"), ids=[done]).id.tolist() == [done]
    assert queries.runs(engine, arm="alone-same-steps").empty
    row = queries.runs(engine, ids=[done]).iloc[0]
    assert (row.main_task, row.main_length, row.transfer_length) == ("reverse_add", 4, 8)
    assert "config" not in queries.runs(engine).columns


def test_a_run_without_la_gets_that_of_its_longest_auxiliary(engine: Engine) -> None:
    pair = RunConfig(tasks=(MAIN, TaskSpec("no_carry", "auxiliary", 12)))
    assert queries.run(engine, writes.create_run(engine, pair)).tasks[0].transfer_length == 12
    alone = RunConfig(tasks=(MAIN,))
    assert queries.run(engine, writes.create_run(engine, alone)).tasks[0].transfer_length is None


def test_revision_changes_with_every_write_and_only_then(engine: Engine) -> None:
    seen = [revisions.revision(engine)]
    run_id = writes.create_run(engine, CONFIG)
    seen.append(revisions.revision(engine))
    attempt = leases.start_run(engine, run_id, "w", "cpu")
    seen.append(revisions.revision(engine))
    writes.record_accuracy(engine, run_id, attempt, 1, ACCURACY)
    seen.append(revisions.revision(engine))
    assert len(set(seen)) == len(seen)
    queries.runs(engine)
    assert revisions.revision(engine) == seen[-1]


def test_not_a_number_is_stored_as_missing(engine: Engine) -> None:
    run_id = writes.create_run(engine, CONFIG)
    attempt = leases.start_run(engine, run_id, "w", "cpu")
    row = LogRow(1, math.nan, 0.1, math.inf)
    writes.record_progress(engine, run_id, attempt, step=1, tokens=1, seconds=1.0, log_rows=[row])
    log = queries.training_log(engine, [run_id])
    assert math.isnan(log.loss[0]) and math.isinf(log.tokens_per_second[0])


def test_counts_that_cannot_be_are_refused_and_nothing_of_the_write_stays(engine: Engine) -> None:
    run_id = writes.create_run(engine, CONFIG)
    attempt = leases.start_run(engine, run_id, "w", "cpu")
    with pytest.raises(StoreError, match="counts"):
        writes.record_accuracy(engine, run_id, attempt, 1, [ACCURACY[0], AccuracyRow("no_carry", 9, 17, 16)])
    assert queries.accuracy(engine, [run_id]).empty


def test_deleting_a_run_deletes_its_rows_and_its_number_is_not_used_again(engine: Engine) -> None:
    first, second = finished_run(engine), finished_run(engine)
    assert writes.delete_runs(engine, [second]) == 1
    with read_connection(engine) as connection:
        left = {t.name: connection.scalar(text(f"SELECT count(*) FROM {t.name} WHERE run_id = {second}"))
                for t in Base.metadata.sorted_tables if "run_id" in t.c}  # fmt: skip
    assert set(left.values()) == {0} and "accuracy_counts" in left
    assert writes.create_run(engine, CONFIG) > second
    assert not queries.accuracy(engine, [first]).empty


def test_notes_can_change_and_tags_are_tidied(engine: Engine) -> None:
    run_id = finished_run(engine)
    tags.set_note(engine, [run_id], "<b>50% \N{SNOWMAN}</b>")
    assert tags.change_tags(engine, [run_id, 99], add=["b", " a,c ", "b", ""]) == [run_id]
    record = queries.run(engine, run_id)
    assert (record.label, record.notes, record.tags) == ("first", "<b>50% \N{SNOWMAN}</b>", ("a c", "b"))


def test_missing_runs_and_checkpoints_say_so_in_one_line(engine: Engine) -> None:
    run_id = writes.create_run(engine, CONFIG)
    for read in (lambda: queries.run(engine, 99), lambda: checkpoints.read_checkpoint(engine, run_id)):
        with pytest.raises(StoreError, match=r"run \d+: .*python -m lgt runs") as caught:
            read()
        assert "\n" not in str(caught.value)
    with pytest.raises(StoreError):
        queries.run(engine, 10**30)


def test_a_checkpoint_is_checked_before_it_is_used(engine: Engine) -> None:
    run_id = finished_run(engine)
    with write_transaction(engine) as connection:
        connection.execute(text("UPDATE checkpoints SET weights = :w"), {"w": WEIGHTS[:-1] + b"x"})
    with pytest.raises(StoreError, match="SHA-256"):
        checkpoints.read_checkpoint(engine, run_id)


def test_weights_above_8_mb_lie_beside_the_store_and_are_checked_all_the_same(engine: Engine) -> None:
    run_id = writes.create_run(engine, CONFIG)
    attempt = leases.start_run(engine, run_id, "w", "cpu")
    writes.record_checkpoint(engine, run_id, attempt, 1, bytes(8 * 1024 * 1024))
    large = bytes(8 * 1024 * 1024) + b"!"
    writes.record_checkpoint(engine, run_id, attempt, 2, large)
    (path,) = blobs.files_folder(engine.url).iterdir()
    assert path.read_bytes() == large == checkpoints.read_checkpoint(engine, run_id).weights
    path.write_bytes(large[:-1] + b"?")
    with pytest.raises(StoreError, match="SHA-256 differs"):
        checkpoints.read_checkpoint(engine, run_id)
    path.write_bytes(large + b"!")
    with pytest.raises(StoreError, match="8,388,610 bytes instead of 8,388,609"):
        checkpoints.read_checkpoint(engine, run_id)
    path.unlink()
    with pytest.raises(StoreError, match="cannot be read: No such file"):
        checkpoints.read_checkpoint(engine, run_id)


def test_database_url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LGT_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    assert database_url(None) == str(REPOSITORY / "workspace.db")
    monkeypatch.setenv("LGT_DATABASE_URL", "postgresql+psycopg://me:secret@host/lab")
    assert database_url(None) == "postgresql+psycopg://me:secret@host/lab"
    assert database_url("mine.db") == str(tmp_path / "mine.db")
    assert database_url("sqlite:///mine.db") == str(tmp_path / "mine.db")
    for bad in ("mysql://host/lab", "sqlite://", "sqlite:///a?b.db", "sqlite:///x.db?mode=ro", "://"):
        with pytest.raises(StoreError):
            database_url(bad)


def test_the_store_does_not_import_torch_or_streamlit() -> None:
    program = (
        "import sys, lgt.store.queries, lgt.store.queue, lgt.store.merge, lgt.store.writes\n"
        "sys.exit(' '.join({'torch', 'streamlit', 'altair'} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
