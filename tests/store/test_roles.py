"""Roles of a PostgreSQL store, with a real server: each does its job through the program, and nothing else.

Three logins are members of one role each. The owner of the store is not the server's administrator.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url
from streamlit.testing.v1 import AppTest

from lgt.cli.main import main
from lgt.core.records import AccuracyRow, HeadScoreRow, LogRow
from lgt.execution import worker, worker_processes
from lgt.execution.reattribute import attribute
from lgt.store import leases, queries, queue, remarks, roles, tags, writes
from lgt.store.engine import Engine, database_url, full_url, open_store, read_connection
from lgt.store.errors import StoreError
from lgt.store.migrate import latest_schema
from lgt.store.schema import VERSION_TABLE, VIEWS, Base, RunState, column_names
from lgt.store.store_urls import parsed
from tests.conftest import ROOT, tiny

pytestmark = pytest.mark.slow

LOGINS = {"reading": roles.READING, "submitting": roles.SUBMITTING, "working": roles.WORKING}
QUICK = tiny(steps=4)
PERMISSION = "42501"


@dataclass(frozen=True)
class Server:
    """A store on a server, and how to log in to it."""

    administrator: str
    """The server's administrator, in the first database."""

    def url(self, login: str, database: str = "lab") -> str:
        url = make_url(self.administrator).set(username=login, database=database)
        return url.render_as_string(hide_password=False)

    def raw(self, login: str, database: str = "lab") -> psycopg.Connection:
        """A connection without the program."""
        url = make_url(self.administrator)
        return psycopg.connect(host=str(url.query["host"]), user=login, dbname=database, autocommit=True)


@pytest.fixture(scope="module")
def server(postgresql: str) -> Iterator[Server]:
    found = Server(postgresql)
    with found.raw("lgt", "postgres") as administrator:
        administrator.execute("CREATE ROLE owner LOGIN CREATEROLE")
        for database in ("lab", "empty"):
            administrator.execute(f"CREATE DATABASE {database} OWNER owner")
    open_store(found.url("owner")).dispose()
    with found.raw("owner") as owner:
        for _ in range(2):  # the script can be run again
            owner.execute(roles.script())
        for login, role in LOGINS.items():
            owner.execute(f"CREATE ROLE {login} LOGIN IN ROLE {role}")  # type: ignore[arg-type]
        owner.execute(f"CREATE ROLE student LOGIN IN ROLE {roles.SUBMITTING}, {roles.WORKING}")  # type: ignore[arg-type]
        owner.execute("CREATE ROLE nobody LOGIN")
    yield found
    with found.raw("lgt", "postgres") as administrator:
        for database in ("lab", "empty"):
            administrator.execute(f"DROP DATABASE {database} WITH (FORCE)")  # type: ignore[arg-type]
        for role in (*LOGINS, "student", "nobody", *roles.ROLES, "owner"):
            administrator.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")  # type: ignore[arg-type]


@pytest.fixture()
def opened(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], Engine]]:
    """Opens the store as a login, to write, as the program does."""
    monkeypatch.setenv("LGT_FILES", str(tmp_path / "files"))
    engines: list[Engine] = []

    def as_login(login: str) -> Engine:
        engines.append(open_store(server.url(login)))
        return engines[-1]

    yield as_login
    for engine in engines:
        engine.dispose()


@pytest.fixture(scope="module")
def done(server: Server, tmp_path_factory: pytest.TempPathFactory) -> int:
    """A run that the submitter has queued and the worker has trained."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LGT_FILES", str(tmp_path_factory.mktemp("files")))
        submitting, working = (open_store(server.url(login)) for login in ("submitting", "working"))
        asked = replace(QUICK, evaluation=replace(QUICK.evaluation, interchange_examples=3))
        run_id = writes.create_run(submitting, asked, label="mine")
        assert worker.work(working, once=True, report=lambda line: None) == 1
        submitting.dispose()
        working.dispose()
    return run_id


# --- each role does its job


def test_a_worker_trains_what_a_submitter_queues_and_a_reader_reads_it(opened, done, server, capsys, monkeypatch):
    record = queries.run(opened("reading"), done)
    assert (record.state, record.error, record.step) == (RunState.DONE, None, 4)
    assert len(queries.accuracy(opened("reading"), [done])) and len(queries.head_scores(opened("reading"), [done]))
    for words in (["runs"], ["show", str(done)], ["evaluate", str(done)]):
        assert said(capsys, *words, "--database", server.url("reading"))[0] == 0
    with server.raw("reading") as connection:
        for view in VIEWS:
            assert connection.execute(f"SELECT count(*) FROM {view} WHERE run_id = {done}").fetchone()[0] > 0
    attribute(opened("working"), done)
    monkeypatch.setenv("LGT_DATABASE_URL", server.url("reading"))
    app = AppTest.from_file(str(ROOT / "pages/runs.py"), default_timeout=60).run()
    assert not app.exception and not app.error


def test_a_submitter_cancels_retries_and_writes_remarks(opened, done):
    engine = opened("submitting")
    waiting = writes.create_run(engine, QUICK)
    assert leases.cancel_run(engine, waiting) and queue.retry(engine, waiting) and leases.cancel_run(engine, waiting)
    assert tags.change_tags(engine, [done], add=["star"]) == [done]
    tags.set_note(engine, [done], "good")
    remarks.set_note(engine, ["6f0c3f1e-0d53-4c1e-9a8b-6d7b0c6f2f11"], "of the shipped results")
    remarks.change_tags(engine, {"6f0c3f1e-0d53-4c1e-9a8b-6d7b0c6f2f11": ""}, add=["star"])
    record = queries.run(opened("reading"), done)
    assert (record.tags, record.notes, record.state) == (("star",), "good", RunState.DONE)


def test_a_submitter_cancels_a_running_run_whose_log_stays_readable(opened):
    run_id = writes.create_run(opened("submitting"), QUICK)
    engine = opened("working")
    attempt = leases.start_run(engine, run_id, "worker", "cpu")
    writes.record_progress(engine, run_id, attempt, step=1, tokens=1, seconds=1.0, log_rows=[LogRow(1, 2.0, 0.1, 9.0)])
    assert leases.cancel_run(opened("submitting"), run_id)
    assert list(queries.training_log(opened("reading"), [run_id]).loss) == [2.0]
    with pytest.raises(StoreError, match="no longer owns"):
        leases.heartbeat(engine, run_id, attempt)


def test_a_worker_takes_over_resets_and_releases(opened):
    run_id = writes.create_run(opened("submitting"), QUICK)
    engine = opened("working")
    attempt = leases.start_run(engine, run_id, "worker", "cpu", lease_seconds=-1.0)
    writes.record_accuracy(engine, run_id, attempt, 2, [AccuracyRow(QUICK.main.task, 1, 1, 2)])
    leases.save_state(engine, run_id, attempt, 2, b"state", "code")
    assert queue.requeue_expired(engine) == [run_id]
    claimed = queue.claim(engine, "another", "cpu")
    assert claimed == (run_id, attempt + 1)
    leases.record_device(engine, run_id, attempt + 1, "cpu")
    leases.reset_run(engine, run_id, attempt + 1)
    leases.release_run(engine, run_id, attempt + 1)
    attempt = leases.start_run(engine, run_id, "worker", "cpu")
    leases.finish_run(engine, run_id, attempt, "failed", "out of memory")
    assert queue.retry(opened("submitting"), run_id) and leases.cancel_run(opened("submitting"), run_id)


def test_a_login_with_two_roles_trains_in_the_foreground(server, capsys, opened):
    few = [f"evaluation.{name}=4" for name in ("examples", "progress_examples", "attribution_examples")]
    settings = [word for one in ("training.steps=2", *few) for word in ("--set", one)]
    code, _, error = said(capsys, "train", "--group", "caprev", *settings, "--database", server.url("student"))
    assert code == 0, error


# --- and nothing else


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    found = capsys.readouterr()
    return int(ended.value.code or 0), found.out, found.err


def test_every_table_has_its_rights_and_no_other(server):
    assert set(roles.RIGHTS) == {mapper.class_ for mapper in Base.registry.mappers}, "a table without rights"
    expected = {("SELECT", name, "", roles.READING) for name in (VERSION_TABLE, *VIEWS)}
    for table, of in roles.RIGHTS.items():
        expected.add(("SELECT", table.__tablename__, "", roles.READING))
        for role, rights in of.items():
            expected |= {(right, table.__tablename__, column, role) for right, columns in rights
                         for column in columns or [""]}  # fmt: skip
    table_rights = """SELECT privilege_type, relname, '', coalesce(rolname, 'PUBLIC') FROM pg_class,
        aclexplode(relacl) LEFT JOIN pg_roles ON pg_roles.oid = grantee
        WHERE relnamespace = 'public'::regnamespace AND grantee <> relowner AND relkind IN ('r', 'v')"""
    column_rights = """SELECT privilege_type, relname, attname, coalesce(rolname, 'PUBLIC')
        FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid, aclexplode(attacl)
        LEFT JOIN pg_roles ON pg_roles.oid = grantee WHERE relnamespace = 'public'::regnamespace"""
    with server.raw("owner") as owner:
        found = {tuple(row) for sql in (table_rights, column_rights) for row in owner.execute(sql).fetchall()}
    assert found == expected


MEASURED = {
    "accuracy_counts",
    "head_maps",
    "attention_maps",
    "interchange_maps",
    "log_rows",
    "packed_logs",
    "checkpoints",
    "training_states",
}
NEEDED = {
    ("reading", "INSERT"): set(), ("reading", "UPDATE"): set(), ("reading", "DELETE"): set(),
    ("submitting", "INSERT"): {"runs", "configs", "run_tasks", "annotations"},
    ("submitting", "UPDATE"): {"runs", "annotations", "store_state"}, ("submitting", "DELETE"): set(),
    ("working", "INSERT"): {*MEASURED, "number_lists"}, ("working", "UPDATE"): {*MEASURED, "runs", "store_state"},
    ("working", "DELETE"): MEASURED,
}  # fmt: skip
"""By role: the tables that its work writes. Written by hand, to compare the rights with."""


def test_no_role_has_a_right_that_its_work_does_not_need():
    for (login, right), tables in NEEDED.items():
        found = {table.__tablename__ for table in roles.RIGHTS if allowed(LOGINS[login], table, right)}
        assert found == tables, (login, right)
    of_runs = {login: set(allowed(role, roles.Run, "UPDATE")) for login, role in LOGINS.items()}
    result = {"uuid", "config_key", "config_hash", "model_seed", "data_seed", "total_steps", "created_at", "origin"}
    assert not of_runs["submitting"] & (result | {"step", "tokens", "seconds", "attempt", "device", "code_version"})
    assert not of_runs["working"] & (result | {"tags", "notes", "tags_at", "notes_at", "label", "token"})


@contextmanager
def refused(connection: psycopg.Connection, sql: str) -> Iterator[None]:
    """Expect the server to refuse ``sql`` because the user lacks a right, and for no other reason."""
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(sql)  # type: ignore[arg-type]
    assert caught.value.sqlstate == PERMISSION, (sql, caught.value)
    yield


def allowed(role: str, table: type[Base], right: str) -> tuple[str, ...]:
    """The columns of the table to which a role has a right."""
    for granted, columns in roles.RIGHTS[table].get(role, ()):
        if granted == right:
            return columns or tuple(column_names(table))
    return ()


@pytest.mark.parametrize("login", LOGINS)
def test_no_role_changes_a_table_or_column_that_is_not_its_own(login, server):
    """The statements touch no row: the server refuses them before it looks for one."""
    tried = 0
    with server.raw(login) as connection:
        for table in roles.RIGHTS:
            name = table.__tablename__
            may_delete = bool(allowed(LOGINS[login], table, "DELETE"))
            asked = [(f"DELETE FROM {name} WHERE false", may_delete), (f"TRUNCATE {name}", False)]
            inserts, updates = (allowed(LOGINS[login], table, right) for right in ("INSERT", "UPDATE"))
            for column in column_names(table):
                asked.append((f"UPDATE {name} SET {column} = {column} WHERE false", column in updates))
                copied = f"INSERT INTO {name} ({column}) SELECT {column} FROM {name} WHERE false"
                asked.append((copied, column in inserts))
            for sql, may in asked:
                tried += 1
                if may:
                    connection.execute(sql)
                else:
                    with refused(connection, sql):
                        pass
    assert tried > 200


SCHEMA = (
    "CREATE TABLE further (a int)", "CREATE TEMPORARY TABLE further (a int)", "CREATE SCHEMA further",
    "ALTER TABLE runs ADD COLUMN further int", "ALTER TABLE runs DISABLE TRIGGER ALL", "DROP TABLE numbers",
    "DROP VIEW accuracy", "DROP TRIGGER lgt_finished ON runs", "CREATE INDEX further ON runs (label)",
    "CREATE VIEW further AS SELECT 1", "CREATE TRIGGER further BEFORE INSERT ON runs EXECUTE FUNCTION lgt_refuse()",
    "CREATE OR REPLACE FUNCTION lgt_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
    "COPY runs TO PROGRAM 'cat'", "COPY runs TO '/tmp/runs'", "COPY numbers FROM '/etc/passwd'",
    "CREATE ROLE further", "SET ROLE owner", "GRANT lgt_working TO nobody", "SELECT pg_read_file('/etc/passwd')",
    "ALTER TABLE runs OWNER TO current_user", "ALTER SYSTEM SET log_statement = 'all'",
    f"UPDATE {VERSION_TABLE} SET version_num = '9999'", "SELECT setval(pg_get_serial_sequence('runs', 'id'), 1)",
)  # fmt: skip


@pytest.mark.parametrize("login", LOGINS)
def test_no_role_changes_the_schema_or_leaves_the_database(login, server):
    with server.raw(login) as connection:
        for sql in SCHEMA:
            with refused(connection, sql):
                pass


def test_a_login_without_a_role_reads_nothing(server, capsys):
    with server.raw("nobody") as connection:
        for name in (*VIEWS, *(table.__tablename__ for table in roles.RIGHTS)):
            with refused(connection, f"SELECT FROM {name}"):
                pass
    code, _, error = said(capsys, "runs", "--database", server.url("nobody"))
    assert code == 2 and error.count("\n") == 1 and f"needs the role {roles.READING}" in error, error


@pytest.mark.parametrize("login", ["submitting", "working"])
def test_a_finished_run_stays_as_it_is(login, server, done):
    changes = ["state = 'failed'", "error = 'x'", "finished_at = 1", "owner = 'x'"]
    with server.raw(login) as connection:
        for change in changes:
            with refused(connection, f"UPDATE runs SET {change} WHERE id = {done}"):
                pass
        if login == "submitting":
            task = f"(run_id, slot, task, role, training_length) VALUES ({done}, 9, 'x', 'auxiliary', 3)"
            with refused(connection, f"INSERT INTO run_tasks {task}"):
                pass


def test_only_a_worker_starts_and_ends_runs(server, opened):
    run_id = writes.create_run(opened("submitting"), QUICK)
    with server.raw("submitting") as connection:
        for state in ("running", "done", "failed"):
            with refused(connection, f"UPDATE runs SET state = '{state}' WHERE id = {run_id}"):
                pass
        columns = ", ".join(roles.NEW_RUN)
        values = ", ".join({"state": "'done'", "uuid": "'x'", "token": "'y'"}.get(name, name) for name in roles.NEW_RUN)
        with refused(connection, f"INSERT INTO runs ({columns}) SELECT {values} FROM runs WHERE id = {run_id}"):
            pass
    assert leases.cancel_run(opened("submitting"), run_id)


# --- what the program says


REFUSED: list[tuple[str, str, Callable[[Engine, int], object]]] = [
    ("reading", "INSERT on configs needs the role lgt_submitting", lambda at, run: writes.create_run(at, OTHER)),
    ("reading", "UPDATE on runs needs the role", lambda at, run: tags.set_note(at, [run], "x")),
    (
        "reading",
        "INSERT on annotations needs the role lgt_submitting",
        lambda at, run: remarks.set_note(at, ["u"], "x"),
    ),
    ("submitting", "needs the role lgt_working", lambda at, run: writes.record_attribution(at, run, 4, SCORES, [])),
    ("submitting", "only the owner of the store", lambda at, run: writes.delete_runs(at, [run])),
    ("submitting", "needs the role lgt_working", lambda at, run: leases.reset_run(at, *running(at))),
    ("working", "INSERT on configs needs the role lgt_submitting", lambda at, run: writes.create_run(at, OTHER)),
    ("working", "only the owner of the store", lambda at, run: writes.delete_runs(at, [run])),
    ("working", "UPDATE on runs needs the role", lambda at, run: tags.change_tags(at, [run], add=["x"])),
    (
        "working",
        "INSERT on annotations needs the role lgt_submitting",
        lambda at, run: remarks.set_note(at, ["u"], "x"),
    ),
]
"""By login: a function of the program, and what the one line names that the login lacks."""
OTHER = replace(QUICK, model_seed=10**6)
SCORES = [HeadScoreRow(QUICK.main.task, 1, 0, 0, 0.0, 0.0, 16)]


def running(engine: Engine) -> tuple[int, int]:
    """A run that a worker trains, and its attempt number."""
    run_id = writes.create_run(engine, QUICK)
    working = open_store(full_url(engine).replace("submitting", "working", 1))
    attempt = leases.start_run(working, run_id, "worker", "cpu", lease_seconds=1e6)
    working.dispose()
    return run_id, attempt


@pytest.mark.parametrize(("login", "lacks", "write"), REFUSED)
def test_a_write_that_the_role_does_not_allow_is_one_line(login, lacks, write, opened, done):
    before = queries.run(opened("reading"), done)
    with pytest.raises(StoreError) as caught:
        write(opened(login), done)
    said = str(caught.value)
    assert "permission denied for table" in said and lacks in said and "\n" not in said, said
    assert queries.run(opened("reading"), done) == before


COMMANDS = {
    "reading": [["submit", "--group", "caprev"], ["worker", "--once"], ["cancel", "{waiting}"], ["retry", "{ended}"],
                ["train", "--group", "caprev"], ["attribute", "{done}"], ["import", "docs/examples/import.csv"],
                ["merge", "results.db"]],
    "submitting": [["worker", "--once"], ["attribute", "{done}"], ["import", "docs/examples/import.csv"],
                   ["merge", "results.db"]],
    "working": [["submit", "--group", "caprev"], ["train", "--group", "caprev"],
                ["import", "docs/examples/import.csv"], ["merge", "results.db"]],
}  # fmt: skip


@pytest.mark.parametrize(("login", "words"), [(login, words) for login, of in COMMANDS.items() for words in of],
                         ids=lambda value: value if isinstance(value, str) else value[0])  # fmt: skip
def test_a_command_that_the_role_does_not_allow_is_one_line(login, words, server, opened, done, capsys, monkeypatch):
    engine = opened("submitting")
    waiting, ended = (writes.create_run(engine, QUICK) for _ in range(2))
    leases.cancel_run(engine, ended)
    numbers = {"waiting": waiting, "ended": ended, "done": done}
    monkeypatch.chdir(ROOT)
    code, _, error = said(capsys, *(word.format(**numbers) for word in words), "--database", server.url(login))
    assert code == 2 and error.count("\n") == 1 and "Traceback" not in error, error
    assert "permission denied" in error and "Roles in docs/STORE.md" in error, error
    assert "needs the role" in error or "only the owner" in error or "does not allow" in error, error
    assert leases.cancel_run(engine, waiting), "the run is as it was"


def test_a_page_says_in_one_line_that_a_reader_may_not_start_runs(server, monkeypatch):
    monkeypatch.setenv("LGT_DATABASE_URL", server.url("reading"))
    monkeypatch.setattr(worker_processes, "ensure_workers", lambda *arguments: 0)
    app = AppTest.from_file(str(ROOT / "pages/launch.py"), default_timeout=60)
    app.query_params["seeds"] = "77"
    app.run()
    app.button(key="start").click().run()
    assert not app.exception and len(app.error) == 1
    assert "permission denied" in app.error[0].value and roles.SUBMITTING in app.error[0].value


def test_the_owner_may_do_everything(server, opened, done):
    engine = opened("owner")
    run_id = writes.create_run(engine, QUICK)
    leases.finish_run(engine, run_id, leases.start_run(engine, run_id, "owner", "cpu"), "done")
    tags.set_note(engine, [done], "kept")
    assert writes.delete_runs(engine, [run_id]) == 1


# --- opening


def test_a_store_that_is_missing_or_older_needs_its_owner(server, capsys):
    """Opening needs no right to make tables, except where tables are missing."""
    code, _, error = said(capsys, "submit", "--group", "caprev", "--database", server.url("submitting", "empty"))
    assert code == 2 and error.count("\n") == 1 and "permission denied for schema public" in error
    assert "only the owner of the store may do this" in error
    with server.raw("owner") as owner:
        owner.execute(f"UPDATE {VERSION_TABLE} SET version_num = '{latest_schema() - 1:04}'")
        owner.execute("CREATE TABLE interventions (run_id integer)")  # schema 3 has it
        try:
            for login in LOGINS:
                code, _, error = said(capsys, "cancel", "1", "--database", server.url(login))
                assert code == 2 and error.count("\n") == 1 and "must be owner" in error, error
        finally:
            owner.execute(f"UPDATE {VERSION_TABLE} SET version_num = '{latest_schema():04}'")
            owner.execute("DROP TABLE interventions")


# --- documents


def test_the_document_has_the_script_of_the_code(capsys):
    code, out, _ = said(capsys, "roles")
    assert code == 0 and out == roles.script() + "\n"
    shown = (ROOT / "docs/STORE.md").read_text().split("<!-- roles: begin -->\n```sql\n")[1]
    assert shown.split("```\n<!-- roles: end -->")[0] == out, "paste what `lgt roles` prints"


def test_the_script_names_every_table():
    found = roles.script()
    assert all(f" {table.name}" in found for table in Base.metadata.sorted_tables)
    assert set(roles.NEW_RUN) | set(roles.SET_BY_WORKERS) == set(column_names(roles.Run))


@pytest.mark.parametrize(("statement", "detail", "says"), [
    ("UPDATE runs SET state='x' WHERE id = 1", "", "UPDATE on runs needs the role lgt_submitting or lgt_working"),
    ("SELECT runs.id,\n runs.state FROM runs", "", "SELECT on runs needs the role lgt_reading"),
    ("DELETE FROM runs WHERE id = 1", "", "only the owner of the store may do this"),
    ("DELETE FROM log_rows", "", "DELETE on log_rows needs the role lgt_working"),
    ("ALTER TABLE runs ADD x int", "must be owner of table runs", "only the owner of the store may do this"),
    (None, "", "only the owner of the store may do this"),
    ("UPDATE runs", "permission denied: a finished run cannot be changed", "the role of this user does not allow it"),
])  # fmt: skip
def test_a_refusal_names_the_right_that_is_missing(statement, detail, says):
    assert roles.missing_right(statement, detail) == says


# --- encrypted connections


VERIFIED = "postgresql+psycopg://anna:secret@{}/lab?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem&connect_timeout=5"


def test_options_of_a_url_reach_the_driver_and_the_workers(monkeypatch):
    url = parsed(VERIFIED.format("db.example.org"))
    _, options = url.get_dialect()().create_connect_args(url)
    assert options["sslmode"] == "verify-full" and options["sslrootcert"] == "/etc/ca.pem"
    monkeypatch.setenv("LGT_DATABASE_URL", VERIFIED.format("db.example.org"))
    handed = worker_processes.worker_environment(database_url())["LGT_DATABASE_URL"]
    assert make_url(handed).query["sslmode"] == "verify-full" and make_url(handed).password == "secret"


def test_a_server_without_tls_gets_no_password(capsys):
    """A server that answers "no" to the request for an encrypted connection learns nothing else."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        heard.append(connection.recv(1024))
                        connection.sendall(b"N")
                        heard.append(connection.recv(1024))

        threading.Thread(target=answer, daemon=True).start()
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        url = VERIFIED.format(where).replace("sslrootcert=%2Fetc%2Fca.pem", "sslrootcert=system")
        code, _, error = said(capsys, "runs", "--database", url)
    assert code == 2 and error.count("\n") == 1 and "secret" not in error and "anna" not in str(heard)
    assert "SSL" in error, error


def test_the_url_of_a_store_is_whole_for_workers(server):
    engine = open_store(server.url("reading"), read_only=True)
    with read_connection(engine) as connection:
        assert connection.exec_driver_sql("SELECT current_user").scalar() == "reading"
    assert make_url(full_url(engine)).username == "reading"
    engine.dispose()
