"""A store on a real PostgreSQL server: what counts as busy, waiting for it, its clock, its files, the queue's index."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text

from lgt.cli.main import main
from lgt.store import blobs, leases, patience, queries, queue, server, writes
from lgt.store.engine import open_store, read_connection, write_transaction
from lgt.store.errors import StoreBusy, StoreError
from lgt.store.record import record
from lgt.store.schema import Run, RunState
from tests.servers import PostgreSQL
from tests.store.test_store import CONFIG

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def machine() -> Iterator[PostgreSQL]:
    """A server that a test may stop, if it starts it again."""
    found = PostgreSQL()
    yield found
    found.remove()


@pytest.fixture()
def store(machine: PostgreSQL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An empty store on this server."""
    monkeypatch.setenv("LGT_FILES", str(tmp_path / "files"))
    engine = open_store(machine.url)
    yield engine
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


@pytest.fixture()
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between tries, which take no time here."""
    taken: list[float] = []
    monkeypatch.setattr(patience.time, "sleep", taken.append)
    return taken


# --- what is busy

BUSY = ["08000", "08003", "08006", "53300", "57P01", "57P02", "57P03", "57P05", "40001", "40P01"]
FAILED = ["57P04", "57014", "42501", "23505", "53100", "22003"]


@pytest.mark.parametrize("code", BUSY + FAILED)
def test_what_the_server_says_decides_whether_it_is_busy(store: Engine, code: str) -> None:
    for opened in (write_transaction, read_connection):
        with pytest.raises(StoreError) as raised, opened(store) as connection:
            connection.execute(text(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}', MESSAGE = 'so'; END $$"))
        assert (type(raised.value) is StoreBusy) == (code in BUSY) and "so" in str(raised.value)
        assert ("is busy or cannot be reached" in str(raised.value)) == (code in BUSY)


def test_a_connection_that_is_cut_in_a_transaction_is_busy_and_the_next_one_works(store: Engine) -> None:
    run_id = writes.create_run(store, CONFIG)
    with pytest.raises(StoreBusy), write_transaction(store) as connection:
        own = connection.scalar(text("SELECT pg_backend_pid()"))
        with store.connect() as other:
            other.execute(text(f"SELECT pg_terminate_backend({own})"))
        connection.execute(text("SELECT pg_sleep(1)"))
    assert queries.run(store, run_id).state is RunState.QUEUED


def test_deadlocked_transactions_both_end_when_they_are_tried_again(store: Engine) -> None:
    ids, met = [writes.create_run(store, CONFIG) for _ in range(2)], threading.Barrier(2)
    tries: list[int] = []

    def change(first: int, second: int) -> None:
        tries.append(first)
        with write_transaction(store) as connection:
            for run_id in (first, second):
                connection.execute(text(f"UPDATE runs SET step = step + 1 WHERE id = {run_id}"))
                if len(tries) <= 2 and run_id == first:
                    met.wait()

    threads = [
        threading.Thread(target=patience.patiently, args=(lambda a=a, b=b: change(a, b),)) for a, b in (ids, ids[::-1])
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tries) == 3 and [queries.run(store, run_id).step for run_id in ids] == [2, 2]


def test_too_many_connections_are_busy_and_waited_for_by_a_command(
    machine: PostgreSQL, store: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = writes.create_run(store, CONFIG)
    address = machine.url.replace("//lgt@", "//crowd@")
    with store.begin() as connection:
        connection.execute(text("CREATE ROLE crowd SUPERUSER LOGIN"))
        connection.execute(text("ALTER ROLE crowd NOSUPERUSER CONNECTION LIMIT 0"))
        connection.execute(text("GRANT USAGE ON SCHEMA public TO crowd"))
        connection.execute(text("GRANT ALL ON ALL TABLES IN SCHEMA public TO crowd"))

    def free_one(seconds: float) -> None:
        with store.begin() as connection:
            connection.execute(text("ALTER ROLE crowd CONNECTION LIMIT -1"))

    try:
        with pytest.raises(StoreBusy, match="too many connections"):
            open_store(address)
        monkeypatch.setattr(patience.time, "sleep", free_one)
        with pytest.raises(SystemExit) as ended:
            main(["cancel", str(run_id), "--database", address])
        assert ended.value.code == 0 and capsys.readouterr().out == f"run {run_id}: cancelled\n"
    finally:
        with store.begin() as connection:
            connection.execute(text("DROP OWNED BY crowd"))
            connection.execute(text("DROP ROLE crowd"))


@pytest.mark.parametrize("change", [("//lgt@", "//nobody@"), ("/postgres?", "/nothing?"), ("@/", "@nohost.invalid/")])
def test_a_wrong_address_is_not_waited_for(machine: PostgreSQL, naps: list[float], change: tuple[str, str]) -> None:
    with patience.waiting(), pytest.raises(StoreError) as raised:
        open_store(machine.url.replace(*change).partition("?host=/" if "nohost" in change[1] else "\0")[0])
    assert type(raised.value) is StoreError and naps == []


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_that_restarts_is_waited_for_by_commands_and_not_by_pages(
    machine: PostgreSQL, store: Engine, mode: str, monkeypatch: pytest.MonkeyPatch, naps: list[float],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run_id = writes.create_run(store, CONFIG)
    machine.stop(mode)
    with pytest.raises(StoreBusy, match="cannot be reached"):
        open_store(machine.url)
    for read in (lambda: queries.run(store, run_id), lambda: leases.cancel_run(store, run_id)):
        with pytest.raises(StoreBusy):
            read()
    assert naps == [], "a page says at once what is wrong"

    def start(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            machine.start()

    monkeypatch.setattr(patience.time, "sleep", start)
    with pytest.raises(SystemExit) as ended:
        main(["cancel", str(run_id), "--database", machine.url])
    assert ended.value.code == 0 and len(naps) == 3
    assert queries.run(store, run_id).state is RunState.CANCELLED, "the engine from before finds the server again"


def test_another_program_that_records_its_run_waits_for_the_server(
    machine: PostgreSQL, store: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience.time, "sleep", lambda seconds: machine.start())
    with record("my_task:4", database=machine.url) as run:
        run.accuracy(1, "my_task", {3: (1, 2)})
        machine.stop()
        run.accuracy(2, "my_task", {3: (2, 2)})
        machine.stop("immediate")
    assert queries.run(store, run.id).state is RunState.DONE
    assert queries.accuracy(store, [run.id], "all").correct.tolist() == [1, 2]


# --- leases


def test_leases_are_kept_by_the_clock_of_the_server(store: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id, now = writes.create_run(store, CONFIG), time.time()
    for wrong in (now + 3600, now - 3600):
        monkeypatch.setattr(time, "time", lambda wrong=wrong: wrong)
        if queries.run(store, run_id).state is RunState.QUEUED:
            assert queue.claim(store, "w", "cpu") == (run_id, 1)
        for renew in (
            lambda: leases.heartbeat(store, run_id, 1),
            lambda: writes.record_progress(store, run_id, 1, step=1, tokens=1, seconds=1.0, log_rows=[]),
        ):
            renew()
            record = queries.run(store, run_id)
            assert abs(record.heartbeat_at - now) < 600 and record.lease_until == record.heartbeat_at + 45
        assert queue.requeue_expired(store) == [] and not queue.has_stale_run(store)
        with pytest.raises(StoreError, match="cannot be started"):
            leases.start_run(store, run_id, "another", "cpu")
    started = writes.create_run(store, CONFIG, state="running")
    assert abs(queries.run(store, started).lease_until - now) < 600


def test_a_lease_that_nobody_could_renew_while_the_server_was_away_goes_on(machine: PostgreSQL, store: Engine) -> None:
    run_id = writes.create_run(store, CONFIG)
    queue.claim(store, "w", "cpu", lease_seconds=5.0)
    machine.stop("immediate")
    with_lease = queries_after(machine, store, seconds=5.5)
    assert with_lease == [] and queries.run(store, run_id).state is RunState.RUNNING
    with store.begin() as connection:
        connection.execute(text("UPDATE runs SET heartbeat_at = heartbeat_at - 60, lease_until = heartbeat_at - 59.9"))
    time.sleep(0.2)
    assert queue.requeue_expired(store) == [run_id], "it ends as long after the start as it was meant to last"


def queries_after(machine: PostgreSQL, store: Engine, seconds: float) -> list[int]:
    """What expires when a server comes back after so many seconds."""
    time.sleep(seconds)
    machine.start()
    return queue.requeue_expired(store)


# --- the queue


def finished(store: Engine, count: int) -> None:
    """Add finished runs by SQL, as copies of one run."""
    writes.create_run(store, CONFIG)
    names = [column.name for column in Run.__table__.columns if column.name not in ("id", "uuid", "state")]
    with store.begin() as connection:
        connection.execute(text(
            f"INSERT INTO runs (uuid, state, {', '.join(names)}) SELECT gen_random_uuid()::text, 'done', "
            f"{', '.join(names)} FROM runs, generate_series(1, {count})"
        ))  # fmt: skip
        connection.execute(text("UPDATE runs SET state = 'done'"))
    with store.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE runs"))


def plans(store: Engine, act) -> str:
    """How the server executes the statements of ``act``."""
    asked: list[tuple[str, object]] = []

    def note(connection, cursor, statement, parameters, context, many) -> None:
        if "runs" in statement and not statement.startswith("EXPLAIN"):
            asked.append((statement, parameters))

    event.listen(store, "before_cursor_execute", note)
    act()
    event.remove(store, "before_cursor_execute", note)
    with store.connect() as connection:
        lines = [
            row[0]
            for statement, parameters in asked
            for row in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
        ]
    return "\n".join(lines)


def test_a_claim_reads_no_finished_runs(store: Engine) -> None:
    finished(store, 5_000)
    waiting = writes.create_run(store, CONFIG)
    plan = plans(store, lambda: queue.claim(store, "w", "cpu"))
    assert plan.count(server.QUEUE_INDEX) >= 2 and "Seq Scan" not in plan, "to look, and to claim"
    assert queries.run(store, waiting).state is RunState.RUNNING
    assert server.QUEUE_INDEX in plans(store, lambda: writes.create_run(store, CONFIG)), "the length of the queue"


def test_a_store_of_an_earlier_version_gets_the_index_when_its_owner_opens_it_to_write(
    machine: PostgreSQL, store: Engine
) -> None:
    def there() -> bool:
        with store.connect() as connection:
            return connection.scalar(text(f"SELECT to_regclass('{server.QUEUE_INDEX}')")) is not None

    assert there()
    with store.begin() as connection:
        connection.execute(text(f"DROP INDEX {server.QUEUE_INDEX}"))
        connection.execute(text("CREATE ROLE guest SUPERUSER LOGIN"))
        connection.execute(text("ALTER ROLE guest NOSUPERUSER"))
        connection.execute(text("GRANT USAGE ON SCHEMA public TO guest"))
        connection.execute(text("GRANT ALL ON ALL TABLES IN SCHEMA public TO guest"))
    open_store(machine.url, read_only=True)
    open_store(machine.url.replace("//lgt@", "//guest@"))
    assert not there(), "who does not own the table works without it"
    open_store(machine.url)
    assert there()
    with store.begin() as connection:
        connection.execute(text("DROP OWNED BY guest"))
        connection.execute(text("DROP ROLE guest"))


def test_a_process_keeps_one_connection_however_many_threads_write(store: Engine) -> None:
    run_id = writes.create_run(store, CONFIG)
    attempt = leases.start_run(store, run_id, "w", "cpu")
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'postgres' AND backend_type = 'client backend'"
    with store.connect() as connection:
        before = connection.scalar(text(asked))
    threads = [threading.Thread(target=leases.heartbeat, args=(store, run_id, attempt)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deadline = time.monotonic() + 60
    with store.connect() as connection:
        while connection.scalar(text(asked)) > before:  # a connection that was closed is there for a moment
            assert time.monotonic() < deadline
            time.sleep(0.05)


# --- files


def test_the_folder_of_files_is_that_of_the_store_however_its_server_is_spelled(
    machine: PostgreSQL, postgresql: str, store: Engine, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(machine.place)
    spelled = [machine.url.replace(str(machine.place), str(tmp_path / "link")), machine.url.replace("@/", "@:5432/")]
    for url in spelled:
        assert blobs.files_folder(open_store(url).url) == blobs.files_folder(store.url)
    with store.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE DATABASE another"))
    other = open_store(machine.url.replace("/postgres?", "/another?"))
    elsewhere = open_store(postgresql)  # the same database of another server, which is found by its socket, too
    assert len({blobs.files_folder(engine.url) for engine in (store, other, elsewhere)}) == 3
    with elsewhere.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    other.dispose()
    elsewhere.dispose()


def test_files_that_an_earlier_version_wrote_are_still_found(store: Engine) -> None:
    run_id = writes.create_run(store, CONFIG)
    attempt = leases.start_run(store, run_id, "w", "cpu")
    leases.save_state(store, run_id, attempt, 4, b"state", "code")
    new = blobs.files_folder(store.url)
    old = new.parent / f"files-{hashlib.sha256(b'postgresql None None postgres').hexdigest()[:16]}"
    new.rename(old)
    assert blobs.newest_state(store, run_id, "code") == b"state"
    leases.save_state(store, run_id, attempt, 5, b"later", "code")
    assert blobs.newest_state(store, run_id, "code") == b"later" and len(list(new.iterdir())) == 1
