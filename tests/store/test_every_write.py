"""Properties of every public write of the store: revision, read-only, fencing, limits.

The writes are found in the source of ``lgt.store``; one without an entry in ``WRITES`` fails the first test.
"""

from __future__ import annotations

import ast
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update

import lgt.store
from lgt.core.checks import ConfigError
from lgt.core.config import RunConfig, TaskSpec
from lgt.core.records import AccuracyRow, AttentionDifferenceRow, HeadScoreRow, InterchangeRow, LogRow
from lgt.store import (
    backup,
    blobs,
    checkpoints,
    exchange,
    imports,
    leases,
    merge,
    queries,
    queue,
    record,
    remarks,
    revisions,
    tags,
    thinning,
    writes,
)
from lgt.store.engine import open_store, read_connection, write_transaction
from lgt.store.errors import LeaseLost, StoreError
from lgt.store.schema import Base, Run, RunState, TrainingState

CONFIG = RunConfig(
    tasks=(TaskSpec("reverse_add", "main", 4), TaskSpec("no_carry", "auxiliary", 8)), group="add-carry",
    preset="demo", transfer_length=8,
)  # fmt: skip
ACCURACY = [AccuracyRow("no_carry", 3, 5, 7)]
SCORES = [HeadScoreRow("no_carry", 3, 0, 1, 0.5, 0.25, 9)]
DIFFERENCES = [AttentionDifferenceRow("reverse_add", "no_carry", 3, 0, 1, 0.75)]
INTERCHANGES = [InterchangeRow("reverse_add", "no_carry", "other", 3, 0, 1, 0.5, 0.25, 8)]
LOG = [LogRow(4, 0.5, 0.01, 900.0)]
SOURCE = Path(os.environ.get("UNCHANGED_SOURCE") or Path(lgt.store.__file__).parents[1])
"""The sources of the package. A mutation run imports other code and sets this to the original sources."""
LARGE = bytes(writes.MAXIMUM_ROW_BYTES) + b"!"


@dataclass
class Bench:
    """A store with a run in every state, each with a measured row, and another store to merge with."""

    engine: Engine
    folder: Path
    queued: int
    running: int
    attempt: int
    done: int
    failed: int
    cancelled: int
    expired: int

    def files(self) -> dict[str, bytes]:
        """Everything in the store's folder of files."""
        place = blobs.files_folder(self.engine.url)
        return {path.name: path.read_bytes() for path in sorted(place.iterdir())} if place.is_dir() else {}


@dataclass(frozen=True)
class Write:
    """A call, and what must hold for it. ``shows``: pages show something new after it. ``queues``: it makes waiting
    runs."""

    call: Callable[[Bench], object]
    shows: bool = True
    queues: bool = False


def of_run(write: Callable[..., object], *arguments: object, **named: object) -> Callable[[Bench], object]:
    """A call under the attempt number of the running run."""
    return lambda b: write(b.engine, b.running, b.attempt, *arguments, **named)


IMPORTED_RUNS = exchange.read_file(Path(__file__).parents[2] / "docs/examples/import.csv").runs
SAID = {"run_uuid": "u", "tags": "star", "notes": "", "tags_at": 1.0, "notes_at": None}
WRITES: dict[str, Write] = {
    "backup.restore": Write(lambda b: backup.restore(b.folder / "other.db", str(b.folder / "store.db"))),
    "imports.import_runs": Write(lambda b: imports.import_runs(b.engine, IMPORTED_RUNS)),
    "record.record": Write(lambda b: record.record("a:4", database=str(b.folder / "store.db")).__enter__()),
    "leases.cancel_run": Write(lambda b: leases.cancel_run(b.engine, b.queued)),
    "leases.finish_run": Write(of_run(leases.finish_run, "done")),
    "leases.release_run": Write(of_run(leases.release_run)),
    "leases.heartbeat": Write(of_run(leases.heartbeat), shows=False),
    "leases.save_state": Write(of_run(leases.save_state, 7, b"state", "abc"), shows=False),
    "leases.record_device": Write(of_run(leases.record_device, "cuda"), shows=False),
    "leases.reset_run": Write(of_run(leases.reset_run)),
    "leases.start_run": Write(lambda b: leases.start_run(b.engine, b.queued, "me", "cpu")),
    "tags.set_note": Write(lambda b: tags.set_note(b.engine, [b.done], "a note")),
    "tags.change_tags": Write(lambda b: tags.change_tags(b.engine, [b.done], add=["star"])),
    "remarks.merge": Write(lambda b: remarks.merge(b.engine, [SAID])),
    "remarks.change_tags": Write(lambda b: remarks.change_tags(b.engine, {"u": ""}, add=["star"])),
    "remarks.set_note": Write(lambda b: remarks.set_note(b.engine, ["u"], "a note")),
    "merge.merge": Write(lambda b: merge.merge(b.engine, str(b.folder / "other.db"))),
    "queue.claim": Write(lambda b: queue.claim(b.engine, "me", "cpu")),
    "queue.requeue_expired": Write(lambda b: queue.requeue_expired(b.engine)),
    "queue.retry": Write(lambda b: queue.retry(b.engine, b.failed), queues=True),
    "thinning.thin": Write(lambda b: thinning.thin(b.engine)),
    "writes.create_run": Write(lambda b: writes.create_run(b.engine, CONFIG), queues=True),
    "writes.create_runs": Write(lambda b: writes.create_runs(b.engine, [CONFIG], labels=[""]), queues=True),
    "writes.delete_runs": Write(lambda b: writes.delete_runs(b.engine, [b.done])),
    "writes.record_accuracy": Write(of_run(writes.record_accuracy, 4, ACCURACY)),
    "writes.record_attention_differences": Write(of_run(writes.record_attention_differences, 4, DIFFERENCES)),
    "writes.record_checkpoint": Write(of_run(writes.record_checkpoint, 4, LARGE)),
    "writes.record_head_scores": Write(of_run(writes.record_head_scores, 4, SCORES)),
    "writes.record_interchanges": Write(of_run(writes.record_interchanges, 4, INTERCHANGES)),
    "writes.record_attribution": Write(
        lambda b: writes.record_attribution(b.engine, b.done, 4, SCORES, DIFFERENCES)
    ),
    "writes.record_progress": Write(
        of_run(writes.record_progress, step=4, tokens=40, seconds=0.4, log_rows=LOG), shows=False
    ),
}  # fmt: skip
NO_CHANGE = {"backup.backup", "engine.open_store", "engine.write_transaction", "opening.open_to_read"}
"""Functions that can write but do not change a store that has the current schema."""
EVERY_WRITE = pytest.mark.parametrize("name", sorted(WRITES))


def functions() -> dict[str, ast.FunctionDef]:
    """Every module-level function of the package by ``module.name``."""
    bodies = {path.stem: ast.parse(path.read_text()).body for path in (SOURCE / "store").glob("*.py")}
    return {
        f"{module}.{node.name}": node
        for module, body in bodies.items() for node in body if isinstance(node, ast.FunctionDef)
    }  # fmt: skip


def called(node: ast.FunctionDef) -> set[str]:
    """The plain names of what a function calls."""
    targets = [call.func for call in ast.walk(node) if isinstance(call, ast.Call)]
    return {t.id if isinstance(t, ast.Name) else t.attr for t in targets if isinstance(t, ast.Name | ast.Attribute)}


def public_writes() -> set[str]:
    """Public functions from which a write transaction, or the refusal of one, can be reached; not through opening a
    store, which every command does."""
    found, writers = functions(), {"write_transaction", "refuse_if_read_only", "open_store"}
    calls = {name: called(node) for name, node in found.items()}
    while True:
        more = {name.split(".")[1] for name in found if calls[name] & writers and name.split(".")[1].startswith("_")}
        if more <= writers:
            break
        writers |= more
    return {name for name in found if calls[name] & writers and not name.split(".")[1].startswith("_")}


def test_every_public_write_has_an_entry_here() -> None:
    assert public_writes() == set(WRITES) | NO_CHANGE


def filled(path: Path, *, label: str = "") -> Bench:
    """A store at ``path`` with a run in every state."""
    engine = open_store(str(path))
    ids = {}
    for name in ("done", "failed", "cancelled", "expired", "running", "queued"):
        run_id = ids[name] = writes.create_run(engine, replace(CONFIG, model_seed=len(ids)), label=label)
        if name == "queued":
            continue
        attempt = leases.start_run(engine, run_id, "worker", "cpu")
        writes.record_progress(engine, run_id, attempt, step=2, tokens=20, seconds=0.2, log_rows=[LogRow(2, 1, 0.1, 9)])
        writes.record_accuracy(engine, run_id, attempt, 2, ACCURACY)
        writes.record_head_scores(engine, run_id, attempt, 2, SCORES)
        writes.record_checkpoint(engine, run_id, attempt, 2, b"weights")
        if name in ("done", "failed", "cancelled"):
            leases.finish_run(engine, run_id, attempt, name, "a reason" if name == "failed" else None)
        if name in ("expired", "running"):  # the running one must not expire while many tests use the template
            leases.heartbeat(engine, run_id, attempt, lease_seconds=-1 if name == "expired" else 1e6)
    return Bench(engine=engine, folder=path.parent, attempt=1, **ids)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("template")
    filled(folder / "other.db", label="theirs")
    shutil.copy(Path(__file__).parent.parent / "stores" / "schema-1.db", folder / "old.db")
    return filled(folder / "store.db")


@pytest.fixture()
def bench(template: Bench, tmp_path: Path) -> Iterator[Bench]:
    """A copy of the template, which the test may change."""
    for path in template.folder.glob("*.db"):
        shutil.copy(path, tmp_path / path.name)
    yield replace(template, engine=open_store(str(tmp_path / "store.db")), folder=tmp_path)


def contents(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    with read_connection(engine) as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in Base.metadata.sorted_tables
        }


@EVERY_WRITE
def test_every_write_changes_the_store_and_the_revision_exactly_when_pages_show_it(bench: Bench, name: str) -> None:
    before, revision = contents(bench.engine), revisions.revision(bench.engine)
    old = (bench.folder / "old.db").read_bytes()
    WRITES[name].call(bench)
    changed = contents(bench.engine) != before or (bench.folder / "old.db").read_bytes() != old
    assert changed, "the call of this table must change something"
    assert (revisions.revision(bench.engine) != revision) == WRITES[name].shows


@EVERY_WRITE
def test_every_write_is_refused_and_changes_nothing_under_read_only(
    bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, files, old = contents(bench.engine), bench.files(), (bench.folder / "old.db").read_bytes()
    monkeypatch.setenv("LGT_READ_ONLY", "1")
    with pytest.raises(StoreError, match="LGT_READ_ONLY"):
        WRITES[name].call(bench)
    assert contents(bench.engine) == before and bench.files() == files
    assert (bench.folder / "old.db").read_bytes() == old


FENCED = sorted(name for name, node in functions().items()
                if name in WRITES and "attempt" in [argument.arg for argument in node.args.args])  # fmt: skip
BY_PEOPLE = {"cancel_run", "record_attribution", "retry", "start_run"}
"""Writes of one run that a user may make. They need no attempt number."""


def test_every_write_of_a_run_needs_its_attempt_unless_a_user_may_make_it() -> None:
    of_one = {name for name, node in functions().items()
              if name in WRITES and "run_id" in [argument.arg for argument in node.args.args]}  # fmt: skip
    assert {name.split(".")[1] for name in of_one - set(FENCED)} == BY_PEOPLE


@pytest.mark.parametrize("name", FENCED)
@pytest.mark.parametrize("lost", ["taken over", "cancelled", "deleted", "older", "newer"])
def test_every_write_of_an_attempt_that_lost_its_run_is_refused_and_changes_nothing(
    bench: Bench, name: str, lost: str
) -> None:
    if lost == "taken over":
        leases.heartbeat(bench.engine, bench.running, bench.attempt, lease_seconds=-1)
        leases.start_run(bench.engine, bench.running, "somebody else", "cpu")
    elif lost == "cancelled":
        leases.cancel_run(bench.engine, bench.running)
    elif lost == "deleted":
        writes.delete_runs(bench.engine, [bench.running])
    else:
        bench = replace(bench, attempt=bench.attempt + (1 if lost == "newer" else -1))
    before = contents(bench.engine)
    with pytest.raises(LeaseLost):
        WRITES[name].call(bench)
    assert contents(bench.engine) == before
    if name != "writes.record_checkpoint":  # its file waits for the sweep
        assert bench.files() == {}


@EVERY_WRITE
def test_every_write_that_queues_runs_respects_the_limit_of_the_queue(
    bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run is waiting. A running run always comes back to the queue, even if the queue is full."""

    def waiting() -> int:
        return len(queries.runs(bench.engine, states="queued"))

    monkeypatch.setenv("LGT_MAX_QUEUE", "1")
    before = waiting()
    if WRITES[name].queues:
        with pytest.raises(StoreError, match="LGT_MAX_QUEUE"):
            WRITES[name].call(bench)
        assert waiting() == before
        monkeypatch.setenv("LGT_MAX_QUEUE", "2")
        WRITES[name].call(bench)
        assert waiting() == before + 1
    else:
        WRITES[name].call(bench)
        back = name in ("leases.release_run", "queue.requeue_expired")
        assert waiting() <= before + back


@pytest.mark.parametrize("limit", ["STEPS", "PARAMETERS", "LENGTH"])
def test_no_run_above_the_limits_is_created(bench: Bench, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"LGT_MAX_{limit}", "3")
    before = contents(bench.engine)
    for call in (
        lambda: writes.create_run(bench.engine, CONFIG),
        lambda: writes.create_run(bench.engine, CONFIG, state="running"),
        lambda: writes.create_runs(bench.engine, [CONFIG], labels=[""]),
    ):
        with pytest.raises(ConfigError, match=f"LGT_MAX_{limit}"):
            call()
    assert contents(bench.engine) == before


def test_a_run_that_the_caller_starts_does_not_count_in_the_queue(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LGT_MAX_QUEUE", "1")
    run_id = writes.create_run(bench.engine, CONFIG, state="running")
    record = queries.run(bench.engine, run_id)
    assert record.state is RunState.RUNNING and record.heartbeat_at is not None and not record.stale


# --- single rules that examples had missed


def test_retrying_resets_the_number_of_lost_workers(bench: Bench) -> None:
    with write_transaction(bench.engine) as connection:
        lost = {"lost_workers": 2, "log_tail": "tail", "owner": "w"}
        connection.execute(update(Run).where(Run.id == bench.failed).values(lost))
    assert queue.retry(bench.engine, bench.failed)
    record = queries.run(bench.engine, bench.failed)
    assert (record.lost_workers, record.error, record.log_tail, record.owner) == (0, None, None, None)
    assert (record.state, record.finished_at, record.lease_until) == (RunState.QUEUED, None, None)
    assert len(queries.accuracy(bench.engine, [bench.failed], "all")) == 1, "it goes on from where it was"


def test_a_run_fails_when_it_has_lost_the_maximum_number_of_workers(bench: Bench) -> None:
    for lost, state in ((0, RunState.QUEUED), (1, RunState.QUEUED), (2, RunState.FAILED)):
        with write_transaction(bench.engine) as connection:
            values = {"state": "running", "lease_until": 1.0, "lost_workers": lost, "owner": "gone"}
            connection.execute(update(Run).where(Run.id == bench.expired).values(values))
        assert queue.requeue_expired(bench.engine) == [bench.expired]
        record = queries.run(bench.engine, bench.expired)
        assert (record.state, record.lost_workers, record.lease_until) == (state, lost + 1, None)
        assert (record.error is None) == (record.finished_at is None) == (state is RunState.QUEUED)


def test_expired_runs_are_moved_and_no_others(bench: Bench) -> None:
    assert queue.requeue_expired(bench.engine) == [bench.expired]
    states = queries.runs(bench.engine).set_index("id").state
    assert states[bench.running] == "running" and states[bench.done] == "done"


def test_saving_two_states_of_one_step_keeps_the_new_file(bench: Bench) -> None:
    leases.save_state(bench.engine, bench.running, bench.attempt, 7, b"first", "abc")
    leases.save_state(bench.engine, bench.running, bench.attempt, 7, b"second", "abc")
    assert list(bench.files().values()) == [b"second"]
    assert blobs.newest_state(bench.engine, bench.running, "abc") == b"second"
    leases.save_state(bench.engine, bench.running, bench.attempt, 9, b"third", "abc")
    assert list(bench.files().values()) == [b"third"], "the older file goes"
    assert blobs.newest_state(bench.engine, bench.running, "abc") == b"third"
    assert blobs.newest_state(bench.engine, bench.running, "other code") is None


@pytest.mark.parametrize(("end", "stays"), [("done", False), ("failed", True), ("cancelled", True)])
def test_only_a_run_that_is_done_loses_its_training_state(bench: Bench, end: str, stays: bool) -> None:
    leases.save_state(bench.engine, bench.running, bench.attempt, 7, b"state", "abc")
    leases.finish_run(bench.engine, bench.running, bench.attempt, end)
    assert bool(bench.files()) == stays == (blobs.newest_state(bench.engine, bench.running, "abc") is not None)


def test_starting_over_deletes_the_rows_of_this_run_only(bench: Bench) -> None:
    leases.save_state(bench.engine, bench.running, bench.attempt, 7, b"state", "abc")
    before = contents(bench.engine)
    leases.reset_run(bench.engine, bench.running, bench.attempt)
    after = contents(bench.engine)
    assert bench.files() == {} and after["training_states"] == []
    for table in ("accuracy_counts", "head_maps", "log_rows", "checkpoints"):
        assert after[table] == [row for row in before[table] if row[0] != bench.running] != before[table], table
    record = queries.run(bench.engine, bench.running)
    assert (record.step, record.tokens, record.seconds, record.state) == (0, 0, 0.0, RunState.RUNNING)


def test_removing_orphans_removes_only_old_files_of_ours_that_no_row_names(bench: Bench) -> None:
    leases.save_state(bench.engine, bench.running, bench.attempt, 7, b"state", "abc")
    writes.record_checkpoint(bench.engine, bench.running, bench.attempt, 4, LARGE)
    wanted = set(bench.files())
    place, hour = blobs.files_folder(bench.engine.url), 3600
    old, young = "run-9-attempt-1-step-3.safetensors", "checkpoint-run-9-step-3-0123456789abcdef.safetensors"
    for name, age in ((old, hour + 60), (young, hour - 60), ("old.txt", hour + 60), ("old.safetensors", hour + 60),
                      (f".{old}.1.new", hour + 60), (f".{young}.1.new", hour - 60)):  # fmt: skip
        (place / name).write_bytes(b"x")
        os.utime(place / name, (time.time() - age, time.time() - age))
    for name in wanted:
        os.utime(place / name, (1, 1))
    assert blobs.remove_orphans(bench.engine) == [f".{old}.1.new", old]
    assert set(bench.files()) == wanted | {young, f".{young}.1.new", "old.txt", "old.safetensors"}
    assert blobs.remove_orphans(bench.engine, older_than=60) == [f".{young}.1.new", young]


def test_a_checkpoint_too_large_for_a_row_is_a_file_named_by_it(bench: Bench) -> None:
    writes.record_checkpoint(bench.engine, bench.running, bench.attempt, 3, LARGE[:-1])
    assert bench.files() == {}, "up to the limit it is a row"
    writes.record_checkpoint(bench.engine, bench.running, bench.attempt, 4, LARGE)
    assert set(bench.files()) == {blobs.checkpoint_name(bench.running, 4)}
    assert checkpoints.read_checkpoint(bench.engine, bench.running).weights == LARGE


def test_changing_tags_returns_the_changed_runs_and_changes_no_others(bench: Bench) -> None:
    tags.change_tags(bench.engine, [bench.done], add=["star", "b"])
    assert tags.change_tags(bench.engine, [bench.done, bench.failed], add=["star"], remove=["c"]) == [bench.failed]
    assert tags.change_tags(bench.engine, [bench.done], remove=["b", "star"], add=["b"]) == [bench.done]
    assert queries.run(bench.engine, bench.done).tags == () and queries.run(bench.engine, bench.failed).tags == (
        "star",
    )
    assert queries.run(bench.engine, bench.queued).tags == ()


def test_a_note_is_set_for_the_given_runs_only(bench: Bench) -> None:
    tags.set_note(bench.engine, [bench.done, bench.failed], "look here")
    notes = queries.runs(bench.engine).set_index("id").notes
    assert notes[notes == "look here"].index.tolist() == sorted([bench.done, bench.failed])


def test_starting_a_run_clears_its_last_end_and_stores_the_owner(bench: Bench) -> None:
    assert queue.retry(bench.engine, bench.failed)
    before = time.time()
    attempt = leases.start_run(bench.engine, bench.failed, "next", "cuda:1", 12.0, code_version="new")
    record = queries.run(bench.engine, bench.failed)
    assert (attempt, record.attempt, record.owner, record.device, record.code_version) == (
        2,
        2,
        "next",
        "cpu",
        "new",
    )
    assert record.state is RunState.RUNNING and record.error is None and record.finished_at is None
    assert before <= record.heartbeat_at == record.started_at <= time.time()
    assert record.lease_until == pytest.approx(record.heartbeat_at + 12)


def test_a_worker_without_a_version_keeps_the_version_of_the_queued_run(bench: Bench) -> None:
    run_id = writes.create_run(bench.engine, CONFIG, code_version="queued with")
    leases.start_run(bench.engine, run_id, "w", "cpu")
    assert queries.run(bench.engine, run_id).code_version == "queued with"


def test_a_heartbeat_extends_the_lease_of_its_own_run_only(bench: Bench) -> None:
    before = queries.runs(bench.engine).set_index("id").lease_until
    leases.heartbeat(bench.engine, bench.running, bench.attempt, lease_seconds=500)
    after = queries.runs(bench.engine).set_index("id").lease_until
    assert after[bench.running] == pytest.approx(time.time() + 500, abs=60)
    assert after.drop(bench.running).equals(before.drop(bench.running))


def test_a_released_run_is_queued_without_an_owner(bench: Bench) -> None:
    leases.release_run(bench.engine, bench.running, bench.attempt)
    record = queries.run(bench.engine, bench.running)
    assert (record.state, record.owner, record.lease_until, record.heartbeat_at) == (RunState.QUEUED, None, None, None)
    assert record.attempt == bench.attempt and record.step == 2, "its rows and its number stay"


def test_later_attribution_needs_a_finished_run_and_writes_both_tables_or_neither(bench: Bench) -> None:
    for run_id, standing in ((bench.running, "running"), (bench.failed, "failed"), (999, "not in the store")):
        said = f"^run {run_id} is {standing}; heads can only be measured of a finished run$"
        with pytest.raises(StoreError, match=said):
            writes.record_attribution(bench.engine, run_id, 4, SCORES, DIFFERENCES)
    before = contents(bench.engine)
    bad = [replace(DIFFERENCES[0], task_a=None)]  # type: ignore[arg-type]
    with pytest.raises(StoreError):
        writes.record_attribution(bench.engine, bench.done, 4, SCORES, bad)
    assert contents(bench.engine) == before
    writes.record_attribution(bench.engine, bench.done, 4, SCORES, DIFFERENCES)
    assert queries.head_scores(bench.engine, [bench.done], 4).loss_rise.tolist() == [0.25]
    assert queries.attention_differences(bench.engine, [bench.done], 4).difference.tolist() == [0.75]


def test_a_stale_run_is_found_after_two_missed_heartbeats(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers wait for such a run, because it may come back to the queue."""
    for run_id in (bench.running, bench.expired):
        leases.heartbeat(bench.engine, run_id, bench.attempt)
    assert not queue.has_stale_run(bench.engine)
    monkeypatch.setattr(leases, "STALE_SECONDS", -60.0)
    assert queue.has_stale_run(bench.engine) and not queue.has_stale_run(bench.engine, "fig3")
    for run_id in (bench.running, bench.expired):
        leases.cancel_run(bench.engine, run_id)
    assert not queue.has_stale_run(bench.engine), "what waits or has ended is nobody's"
    mine = writes.create_run(bench.engine, CONFIG, experiment="fig3", state="running")
    assert mine and queue.has_stale_run(bench.engine, "fig3") and not queue.has_stale_run(bench.engine, "fig4")


def test_a_state_row_has_name_size_and_hash_of_its_file(bench: Bench) -> None:
    leases.save_state(bench.engine, bench.running, bench.attempt, 7, b"state", "abc")
    with read_connection(bench.engine) as connection:
        row = connection.execute(select(*TrainingState.__table__.columns)).one()
    assert (row.run_id, row.step, row.size, row.code_version) == (bench.running, 7, 5, "abc")
    assert row.file in bench.files()


def test_the_log_says_why_a_state_cannot_be_used(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    assert blobs.newest_state(bench.engine, bench.running, "abc") is None and caplog.messages == []
    leases.save_state(bench.engine, bench.running, bench.attempt, 7, b"state", "abc")
    assert blobs.newest_state(bench.engine, bench.running, "xyz") is None
    (path,) = blobs.files_folder(bench.engine.url).iterdir()
    path.write_bytes(b"staty")
    assert blobs.newest_state(bench.engine, bench.running, "abc") is None
    assert caplog.messages == [
        f"run {bench.running} starts over: its training state is from code abc, this is xyz",
        f"run {bench.running} starts over: {path} is damaged: its SHA-256 differs",
    ]


def test_runs_of_one_token_are_queued_once_with_their_labels(bench: Bench) -> None:
    configs = [replace(CONFIG, model_seed=seed) for seed in (31, 32)]
    named = {"labels": ["a", "b"], "experiment": "fig3", "token": "click"}
    ids = writes.create_runs(bench.engine, configs, **named)  # type: ignore[arg-type]
    assert writes.create_runs(bench.engine, configs, **named) == ids  # type: ignore[arg-type]
    found = queries.runs(bench.engine, ids=ids)
    assert found.label.tolist() == ["a", "b"] and found.experiment.tolist() == ["fig3"] * 2
    assert found.model_seed.tolist() == [31, 32] and set(found.code_version) == {""}


def test_a_device_is_stored_for_its_own_run_only(bench: Bench) -> None:
    before = queries.runs(bench.engine).set_index("id").device
    leases.record_device(bench.engine, bench.running, bench.attempt, "cuda:3")
    after = queries.runs(bench.engine).set_index("id").device
    assert after[bench.running] == "cuda:3" and after.drop(bench.running).equals(before.drop(bench.running))
