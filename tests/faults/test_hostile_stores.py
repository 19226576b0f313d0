"""S1, S2: a store that somebody else made is opened only if its schema is exactly ours, and never hangs."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lgt.store import backup, blobs, checkpoints, engine, leases, merge, opening, queries, queue, writes
from lgt.store.engine import StoreError, open_store, read_connection, reading_key
from tests.conftest import ROOT, tiny
from tests.store.test_store import finished_run

OLD = sorted((ROOT / "tests" / "stores").glob("schema-*.db"))
TRIGGER = "CREATE TRIGGER t AFTER UPDATE ON runs BEGIN UPDATE runs SET label = 'x'; END"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
HOSTILE: dict[str, tuple[str, ...]] = {
    "a trigger": (TRIGGER,),
    "a trigger with a name of ours": (TRIGGER.replace("TRIGGER t", "TRIGGER ix_runs_stat"),),
    "a trigger named almost as a table of SQLite": (TRIGGER.replace("TRIGGER t", "TRIGGER sqliteXsequence"),),
    "a trigger named almost as an index of SQLite": (TRIGGER.replace("TRIGGER t", "TRIGGER sqliteXautoindex_runs_9"),),
    "a trigger named as a table of SQLite": (
        TRIGGER, "PRAGMA writable_schema = ON", "UPDATE sqlite_master SET name = 'sqlite_stat1' WHERE name = 't'",
    ),
    "a view in place of a table": ("DROP TABLE store_state", f"CREATE VIEW store_state AS {ENDLESS}"),
    "another view under our name": ("DROP VIEW accuracy", f"CREATE VIEW accuracy AS {ENDLESS}"),
    "one more view": (f"CREATE VIEW more AS {ENDLESS}",),
    "a computed column": ("ALTER TABLE annotations ADD COLUMN big GENERATED ALWAYS AS (zeroblob(1000000000)) VIRTUAL",),
    "one more column": ("ALTER TABLE runs ADD COLUMN more TEXT",),
    "one more table": ("CREATE TABLE more (x)",),
    "a virtual table": ("CREATE VIRTUAL TABLE more USING fts5(x)",),
    "a table that is virtual": ("DROP TABLE packed_logs", "CREATE VIRTUAL TABLE packed_logs USING fts5(run_id)"),
    "one more index": ("CREATE INDEX more ON runs (abs(id))",),
    "no index": ("DROP INDEX ix_runs_state",),
    "a check that computes": (
        "DROP TABLE deleted_runs",
        "CREATE TABLE deleted_runs (uuid TEXT NOT NULL, deleted_at DOUBLE NOT NULL, CHECK (length(uuid) >= 0),"
        " CONSTRAINT pk_deleted_runs PRIMARY KEY (uuid)) WITHOUT ROWID",
    ),
    "hundreds of tables": tuple(f"CREATE TABLE more{n} (x)" for n in range(300)),
    "a long definition": ("CREATE TABLE more (" + ", ".join(f"c{n}" for n in range(1999)) + ")",) ,
    "a name with control characters": ('CREATE TABLE "a\x1b[31m\nb" (x)',),
}  # fmt: skip


def changed(path: Path, statements: tuple[str, ...]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "good.db"
    store = open_store(str(path))
    finished_run(store)
    return path


@pytest.mark.parametrize("name", HOSTILE)
def test_s1_a_store_with_another_schema_is_not_opened(name: str, good: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(good, tmp_path / "theirs.db"))
    changed(path, HOSTILE[name])
    mine = Path(shutil.copy(good, tmp_path / "mine.db"))
    store = open_store(str(mine))
    before = path.read_bytes()
    ways = {
        "read": lambda: open_store(str(path), read_only=True),
        "write": lambda: open_store(str(path)),
        "merge": lambda: merge.merge(store, str(path)),
        "restore": lambda: backup.restore(path, str(mine)),
    }
    for way, ask in ways.items():
        with pytest.raises(StoreError) as found:
            ask()
        line = str(found.value)
        assert line.count("\n") == 0 and "\x1b" not in line and len(line) < 400 and "theirs.db" in line, way
        said = ("is not opened", "is damaged: no table", "is damaged (malformed database schema")
        assert any(words in line for words in said), line
    opened = opening.open_library([("shipped", str(mine)), ("theirs", str(path))])
    assert [member.name for member in opened.library.members] == ["shipped"] and len(opened.problems) == 1
    assert len(queries.runs(opened.library)) == 1 and path.read_bytes() == before


@pytest.mark.parametrize("stored", OLD, ids=lambda path: path.stem)
def test_s1_an_old_store_with_a_trigger_is_not_migrated(stored: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(stored, tmp_path / "old.db"))
    changed(path, (TRIGGER,))
    for read_only in (True, False):
        with pytest.raises(StoreError, match=r"old\.db is not opened: its trigger 't' is in no store of this program"):
            open_store(str(path), read_only=read_only)


@pytest.mark.parametrize("stored", OLD, ids=lambda path: path.stem)
def test_every_released_schema_is_known(stored: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(stored, tmp_path / "old.db"))
    assert len(queries.runs(open_store(str(path), read_only=True))) > 0
    assert len(queries.runs(open_store(str(path)))) > 0


def test_a_store_made_by_other_versions_of_the_libraries_is_compared_with_one_made_now(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lgt.store.known_schemas.KNOWN", {})
    assert len(queries.runs(open_store(str(good), read_only=True))) == 1
    path = Path(shutil.copy(good, tmp_path / "theirs.db"))
    changed(path, HOSTILE["one more view"])
    with pytest.raises(StoreError, match="its view 'more' is in no store"):
        open_store(str(path))


def test_statistics_of_sqlite_are_no_reason_to_refuse_a_store(good: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(good, tmp_path / "theirs.db"))
    changed(path, ("ANALYZE",))
    assert len(queries.runs(open_store(str(path)))) == 1


def test_s2_a_query_that_never_ends_is_ended(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "QUERY_SECONDS", 0.2)
    store = open_store(str(good), read_only=True)
    ended = pytest.raises(StoreError, match=r"good\.db has a query that takes too long, which was ended")
    with ended, read_connection(store) as connection:
        connection.exec_driver_sql(ENDLESS).fetchall()
    assert len(queries.runs(store)) == 1 and reading_key(str(good))


def test_s2_a_value_that_is_too_long_is_refused(good: Path) -> None:
    store = open_store(str(good), read_only=True)
    refused = pytest.raises(StoreError, match=r"good\.db has a value that is too long")
    with refused, read_connection(store) as connection:
        connection.exec_driver_sql("SELECT zeroblob(100000000)").fetchall()


@pytest.mark.parametrize("ending", ["-journal", "-wal", "-shm"])
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_s3_what_is_no_plain_file_beside_a_store_is_not_read(
    kind: str, ending: str, good: Path, tmp_path: Path
) -> None:
    """A link to an endless device in place of a write-ahead log was copied until the disk was full."""
    path = Path(shutil.copy(good, tmp_path / "theirs.db"))
    raw = bytearray(path.read_bytes())
    raw[18:20] = b"\x02\x02"  # the header then says that there is a write-ahead log
    path.write_bytes(raw)
    beside = tmp_path / f"theirs.db{ending}"
    {"link": lambda: beside.symlink_to("/dev/zero"), "pipe": lambda: os.mkfifo(beside), "folder": beside.mkdir}[kind]()
    for read_only in (True, False):
        with pytest.raises(StoreError, match=rf"theirs\.db{ending} is no plain file"):
            open_store(str(path), read_only=read_only)
    linked = tmp_path / "linked.db"
    linked.symlink_to(path)
    with pytest.raises(StoreError, match=rf"theirs\.db{ending} is no plain file"):
        open_store(str(linked), read_only=True)


def test_s3_a_linked_store_is_read_with_the_log_of_the_file_itself(good: Path, tmp_path: Path) -> None:
    """What lies beside the link is not read: SQLite reads what lies beside the file."""
    path, linked = Path(shutil.copy(good, tmp_path / "theirs.db")), tmp_path / "linked.db"
    linked.symlink_to(path)
    (tmp_path / "linked.db-wal").write_bytes(b"noise")
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("UPDATE runs SET label = 'only in the log'")
        writer.commit()
        assert (tmp_path / "theirs.db-wal").exists()
        assert queries.runs(open_store(str(linked), read_only=True)).label.tolist() == ["only in the log"]


def test_s2_a_store_that_is_too_large_is_not_copied_for_reading(good: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(good, tmp_path / "theirs.db"))
    raw = bytearray(path.read_bytes())
    raw[18:20] = b"\x02\x02"
    path.write_bytes(raw)
    os.truncate(path, 2**40)  # on the disk it needs no more room than before
    with pytest.raises(StoreError, match="too many to copy them for reading; accepted: at most 4,294,967,296"):
        open_store(str(path), read_only=True)


def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A store whose weights are in a file, and its folder of files."""
    monkeypatch.setattr("lgt.store.writes.MAXIMUM_ROW_BYTES", 1)
    path = tmp_path / "theirs.db"
    finished_run(open_store(str(path)))
    return path, tmp_path / "theirs.db.files"


HOSTILE_FILES = {
    "a link to a file": lambda path: (path.rename(path.with_name("x")), path.symlink_to(path.with_name("x"))),
    "a link to a device": lambda path: (path.unlink(), path.symlink_to("/dev/zero")),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a longer file": lambda path: path.write_bytes(path.read_bytes() + b"!"),
    "a changed file": lambda path: path.write_bytes(b"!" * path.stat().st_size),
    "no file": lambda path: path.unlink(),
}


@pytest.mark.parametrize("name", HOSTILE_FILES)
def test_s3_weights_that_are_no_plain_file_of_the_store_are_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = large(tmp_path, monkeypatch)
    (file,) = folder.iterdir()
    HOSTILE_FILES[name](file)
    store = open_store(str(path), read_only=True)
    for ask in (lambda: checkpoints.read_checkpoint(store, 1), lambda: backup.restore(path, str(tmp_path / "new.db"))):
        with pytest.raises(StoreError) as found:
            ask()
        assert "\n" not in str(found.value)


def test_s3_a_linked_folder_of_files_is_neither_read_nor_written_nor_cleaned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = large(tmp_path, monkeypatch)
    elsewhere = tmp_path / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    foreign = [elsewhere / name for name in ("thesis.safetensors", "run-1.new", ".run-1-attempt-1-step-3.safetensors")]
    for one in foreign:
        one.write_text("mine")
        os.utime(one, (1, 1))
    store = open_store(str(path))
    with pytest.raises(StoreError, match=r"theirs\.db\.files is a link; put the folder itself there"):
        checkpoints.read_checkpoint(store, 1)
    with pytest.raises(StoreError, match="is a link"):
        blobs.write_file(folder, "run-1-attempt-1-step-9.safetensors", b"x")
    assert blobs.remove_orphans(store, 0.0) == [] and all(one.exists() for one in foreign)
    folder.unlink()
    elsewhere.rename(folder)
    assert blobs.remove_orphans(store, 0.0) == [".run-1-attempt-1-step-3.safetensors"]
    assert sorted(one.name for one in folder.iterdir() if one.read_bytes() == b"mine") == sorted(
        one.name for one in foreign[:2]
    )


def test_s3_a_file_with_another_name_is_neither_read_nor_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = large(tmp_path, monkeypatch)
    (file,) = folder.iterdir()
    thesis = Path(shutil.copy(file, folder / "thesis.safetensors"))
    changed(path, (f"UPDATE checkpoints SET uri = '{thesis.name}'",))
    store = open_store(str(path))
    with pytest.raises(StoreError, match=r"'thesis\.safetensors' is not the name of a file of a store"):
        checkpoints.read_checkpoint(store, 1)
    writes.delete_runs(store, [1])
    blobs.remove_file(store, thesis.name)
    blobs.remove_file(store, "../theirs.db")
    assert thesis.exists() and path.exists()


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can make files of other users")
@pytest.mark.parametrize(("mode", "refused"), [(0o700, True), (0o1777, True), (0o2775, False)])
def test_s3_a_folder_that_somebody_else_put_beside_the_store_is_refused(
    mode: int, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder of a group each of its members could change the store itself, and all share the files."""
    path, folder = large(tmp_path, monkeypatch)
    os.chown(folder, 12345, 12345)
    tmp_path.chmod(mode)
    store = open_store(str(path))
    if not refused:
        assert checkpoints.read_checkpoint(store, 1).weights
        return
    with pytest.raises(StoreError, match=r"theirs\.db\.files belongs to another user, who does not own the store"):
        checkpoints.read_checkpoint(store, 1)
    with pytest.raises(StoreError, match="belongs to another user"):
        blobs.write_file(folder, "run-1-attempt-1-step-9.safetensors", b"x")
    os.chown(path, 12345, 12345)
    assert checkpoints.read_checkpoint(store, 1).weights, "the store's owner may have a folder of files beside it"


def test_s3_a_link_in_the_place_of_a_new_file_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, victim = tmp_path / "x.db.files", tmp_path / "thesis"
    victim.write_text("mine")
    folder.mkdir()
    monkeypatch.setattr(blobs.secrets, "token_hex", lambda size: "0" * 2 * size)
    name = "run-1-attempt-1-step-9.safetensors"
    (folder / f".{name}.{'0' * 16}.new").symlink_to(victim)
    (folder / name).symlink_to(victim)
    with pytest.raises(StoreError, match="cannot be written"):
        blobs.write_file(folder, name, b"x")
    monkeypatch.undo()
    blobs.write_file(folder, name, b"x")
    assert victim.read_text() == "mine" and (folder / name).read_bytes() == b"x" and not (folder / name).is_symlink()


def test_s3_a_store_that_is_replaced_keeps_its_files_and_the_restored_one_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = large(tmp_path, monkeypatch)
    store = open_store(str(path))
    saved = backup.backup(store, tmp_path / "saved.db")
    writes.create_runs(store, [tiny()], labels=["waiting"])
    number, attempt = queue.claim(store, "me", "cpu", code_version="1")
    leases.save_state(store, number, attempt, 1, b"state", "1")
    leases.release_run(store, number, attempt)
    (tmp_path / "saved.db.files" / "notes.txt").write_text("not a file of a store")
    now = sorted(one.name for one in folder.iterdir())
    kept = backup.restore(saved, str(path))
    assert kept is not None and sorted(one.name for one in Path(f"{kept}.files").iterdir()) == now
    assert len(list(folder.iterdir())) == 1 and len(now) == 2
    for each in (path, kept):
        assert checkpoints.read_checkpoint(open_store(str(each), read_only=True), 1).weights
    blobs.remove_orphans(open_store(str(path)), 0.0)
    again = backup.restore(kept, str(path))
    assert again is not None and sorted(one.name for one in folder.iterdir()) == now, "also the state of a waiting run"
    assert blobs.newest_state(open_store(str(path)), number, "1") == b"state"
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(
        name for one in (path, saved, kept, again) for name in (one.name, f"{one.name}.files")
    )


def test_s2_a_merged_run_that_counts_instead_of_an_own_one_is_named(tmp_path: Path) -> None:
    mine, theirs = (open_store(str(tmp_path / f"{name}.db")) for name in ("mine", "theirs"))
    finished_run(mine)
    finished_run(theirs)
    report = merge.merge(mine, str(tmp_path / "theirs.db"))
    assert report.now_counting == ("run 2 counts now instead of run 1: the same config, finished later",)
    assert merge.merge(theirs, str(tmp_path / "mine.db")).now_counting == (), "the own run finished later"
