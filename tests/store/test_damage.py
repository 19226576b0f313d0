"""Every problem of a store gives one line that names the store. No file is changed or silently replaced."""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from lgt.store import (
    checkpoints,
    integrity,
    leases,
    migrate,
    queries,
    revisions,
    sqlite_files,
    stored_runs,
    writes,
)
from lgt.store import engine as engines
from lgt.store.engine import StoreError, open_store, write_transaction
from lgt.store.schema import APPLICATION_ID
from tests.conftest import ROOT
from tests.store.test_store import ACCURACY, CONFIG, WEIGHTS, finished_run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undamaged store with two finished runs. Tests copy it."""
    path = tmp_path_factory.mktemp("whole") / "results.db"
    store = open_store(str(path))
    finished_run(store)
    finished_run(store)
    return path


def copied(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(whole, tmp_path / "results.db"))


def one_line(error: BaseException, *parts: str) -> None:
    message = str(error)
    assert "\n" not in message and "Traceback" not in message
    for part in parts:
        assert part in message


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
        connection.commit()


def newer(path: Path) -> None:
    store = open_store(str(path))
    with write_transaction(store) as connection:
        connection.exec_driver_sql("UPDATE lgt_schema_version SET version_num = '0009'")
        connection.exec_driver_sql("PRAGMA user_version = 9")


def without_table(path: Path) -> None:
    store = open_store(str(path))
    with write_transaction(store) as connection:
        connection.exec_driver_sql("DROP TABLE accuracy_counts")


def unclear_version(path: Path) -> None:
    store = open_store(str(path))
    with write_transaction(store) as connection:
        connection.exec_driver_sql("PRAGMA user_version = 7")


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_text("step,loss\n" * 500), "not a SQLite database"),
        (lambda path: path.write_text("{}"), "not a SQLite database"),
        (lambda path: path.touch(), "is empty (0 bytes)"),
        (lambda path: os.mkfifo(path), "not a regular file"),
        (foreign, "another program"),
        (newer, "update the code"),
        (without_table, "no table accuracy_counts"),
        (unclear_version, "schema number is unclear"),
    ],
)
def test_a_file_that_is_not_a_store_is_named_and_not_changed(
    tmp_path: Path, make: Callable[[Path], None], says: str, read_only: bool
) -> None:
    path = tmp_path / "results.db"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    for _ in range(2):
        with pytest.raises(StoreError) as caught:
            open_store(str(path), read_only=read_only)
        one_line(caught.value, str(path), says, ";")
    assert (path.read_bytes() if path.is_file() else b"") == before
    assert os.listdir(tmp_path) == ["results.db"]


@pytest.mark.parametrize("kept", [1, 2, 15, 16, 100, 511, 4096, 4097, 0.5, 0.9, -1, -4096])
def test_a_file_cut_short_is_refused(whole: Path, tmp_path: Path, kept: float) -> None:
    path = copied(whole, tmp_path)
    size = path.stat().st_size
    os.truncate(path, int(kept * size) if isinstance(kept, float) else kept % size)
    with pytest.raises(StoreError) as caught:
        open_store(str(path))
    one_line(caught.value, str(path), "restore")


@pytest.mark.slow
def test_flipped_bits_give_one_line_or_good_reads(whole: Path, tmp_path: Path) -> None:
    sound, refused = whole.read_bytes(), 0
    path = tmp_path / "results.db"
    for seed in range(40):
        source = random.Random(seed)
        damaged = bytearray(sound)
        for _ in range(8):
            damaged[source.randrange(len(damaged) if seed % 2 else 4096)] ^= 1 << source.randrange(8)
        path.write_bytes(damaged)
        try:
            read_everything(open_store(str(path)))
        except StoreError as error:
            refused += 1
            one_line(error)
    assert refused >= 10, "the flips must reach pages that are read"


def read_everything(engine: Engine) -> None:
    integrity.integrity(engine)
    revisions.revision(engine)
    ids = queries.runs(engine).id.tolist()
    for read in (queries.accuracy, queries.head_scores, queries.attention_differences):
        read(engine, ids, step="all")
    queries.training_log(engine, ids)
    checkpoints.list_checkpoints(engine, ids)
    for run_id in ids:
        queries.run(engine, run_id)
        checkpoints.read_checkpoint(engine, run_id)


def test_integrity_finds_damage_that_opening_does_not(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path)
    assert integrity.integrity(open_store(str(path))) == []
    damaged = bytearray(path.read_bytes())
    damaged[damaged.rindex(WEIGHTS[:200]) + 5] ^= 1  # inside a checkpoint
    path.write_bytes(damaged)
    assert [line for line in integrity.integrity(open_store(str(path))) if re.search(r"run \d: the checkpoint", line)]


def test_a_missing_file_or_folder(tmp_path: Path) -> None:
    for create, read_only in ((False, False), (True, True)):
        with pytest.raises(StoreError, match="does not exist"):
            open_store(str(tmp_path / "results.db"), create=create, read_only=read_only)
    with pytest.raises(StoreError, match=r"folder .* does not exist"):
        open_store(str(tmp_path / "nowhere" / "results.db"))
    assert not os.listdir(tmp_path)


def test_a_journal_without_its_store_is_not_applied_to_a_new_store(tmp_path: Path) -> None:
    (tmp_path / "results.db-journal").write_bytes(b"\xd9\xd5\x05\xf9 \xa1c\xd7" * 100)
    with pytest.raises(StoreError, match=r"results\.db-journal is there"):
        open_store(str(tmp_path / "results.db"))


def test_a_link_to_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results.db").symlink_to(tmp_path / "gone.db")
    with pytest.raises(StoreError, match="link to a missing file"):
        open_store(str(tmp_path / "results.db"))


def test_network_filesystems_are_refused_for_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/a / ext4 rw 0 0\nserver:/x {tmp_path}/far nfs4 rw 0 0\n")
    assert sqlite_files.filesystem_of(tmp_path / "far" / "results.db", mounts) == "nfs4"
    assert sqlite_files.filesystem_of(tmp_path / "farther" / "results.db", mounts) == "ext4"
    shared = ("nfs", "nfs4", "cifs", "lustre", "gpfs", "beegfs", "ceph", "9p", "fuse.sshfs", "fuse.rclone")
    for number, kind in enumerate((*shared, "ext4", "xfs", "tmpfs", "overlay", "fuseblk", "fuse.fuse-overlayfs", "")):
        monkeypatch.setattr(sqlite_files, "filesystem_of", lambda path, kind=kind: kind)
        if kind in shared:
            with pytest.raises(StoreError, match="PostgreSQL"):
                open_store(str(tmp_path / f"{number}.db"))
        else:
            open_store(str(tmp_path / f"{number}.db"))


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_read_only_folder(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path)
    os.chmod(tmp_path, stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(StoreError, match="read-only"):
            open_store(str(path))
        with pytest.raises(StoreError, match="read-only"):
            open_store(str(tmp_path / "new.db"))
        assert len(queries.runs(open_store(str(path), read_only=True))) == 2
    finally:
        os.chmod(tmp_path, stat.S_IRWXU)


def test_a_store_that_may_not_be_written(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = copied(whole, tmp_path)
    monkeypatch.setattr(sqlite_files, "is_writable", lambda path: False)
    with pytest.raises(StoreError, match="read-only"):
        open_store(str(path))
    assert len(queries.runs(open_store(str(path), read_only=True))) == 2


def test_a_read_only_engine_writes_nothing(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="cannot be written"):
        writes.create_run(open_store(str(path), read_only=True), CONFIG)
    assert path.read_bytes() == before


def test_a_full_disk_fails_one_write_and_does_not_damage_the_store(whole: Path, tmp_path: Path) -> None:
    store = open_store(str(copied(whole, tmp_path)))
    run_id = writes.create_run(store, CONFIG)
    attempt = leases.start_run(store, run_id, "w", "cpu")

    def full(raw: sqlite3.Connection, _record: object) -> None:
        raw.execute(f"PRAGMA max_page_count = {raw.execute('PRAGMA page_count').fetchone()[0]}")

    event.listen(store, "connect", full)
    with pytest.raises(StoreError, match="disk full") as caught:
        writes.record_checkpoint(store, run_id, attempt, 1, random.Random(1).randbytes(100_000))
    one_line(caught.value)
    event.remove(store, "connect", full)
    assert integrity.integrity(store) == []
    writes.record_checkpoint(store, run_id, attempt, 1, random.Random(1).randbytes(100_000))


def test_a_locked_store_says_so(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = copied(whole, tmp_path)
    holder = open_store(str(path))
    monkeypatch.setattr(engines, "BUSY_TIMEOUT_MS", 10)
    waiter = open_store(str(path))
    with write_transaction(holder), pytest.raises(StoreError, match="locked by another process"):
        writes.create_run(waiter, CONFIG)
    writes.create_run(waiter, CONFIG)


def test_damage_found_during_a_query_is_explained(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path)
    store = open_store(str(path))
    path.write_bytes(path.read_bytes()[:8192] + b"\xff" * (path.stat().st_size - 8192))
    with pytest.raises(StoreError) as caught:
        read_everything(store)
    one_line(caught.value, str(path), "damaged", "restore")


def test_a_store_is_one_file_with_a_rollback_journal_and_our_marks(tmp_path: Path) -> None:
    path = tmp_path / "50% sure #1.db"
    store = open_store(str(path))
    run_id = finished_run(store)
    header = path.read_bytes()[:100]
    assert header[18:20] == b"\x01\x01", "1 is the rollback journal, 2 the write-ahead log"
    assert int.from_bytes(header[68:72], "big") == APPLICATION_ID == int.from_bytes(b"LGT1", "big")
    assert int.from_bytes(header[60:64], "big") == migrate.latest_schema()
    with write_transaction(store) as connection:
        settings = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                    for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")}  # fmt: skip
    assert settings == {"journal_mode": "delete", "foreign_keys": 1, "synchronous": 2, "busy_timeout": 30_000}
    assert queries.run(store, run_id).step == 20
    assert os.listdir(tmp_path) == [path.name]


def test_a_store_that_another_tool_switched_to_wal_is_switched_back(whole: Path, tmp_path: Path) -> None:
    path = copied(whole, tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
    open_store(str(path))
    assert path.read_bytes()[18:20] == b"\x01\x01"


def test_a_writer_that_fails_midway_leaves_nothing(whole: Path, tmp_path: Path) -> None:
    store = open_store(str(copied(whole, tmp_path)))
    before = revisions.revision(store)
    with pytest.raises(ZeroDivisionError), write_transaction(store) as connection:
        connection.exec_driver_sql("DELETE FROM accuracy_counts")
        _ = 1 / 0
    assert revisions.revision(store) == before
    assert len(queries.accuracy(store, [1])) == len(ACCURACY)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("source_input = 'foo'", "source_input 'foo'"),
        ("source_input = 'mean'", "source_input 'mean'"),
        ("source_slot = slot", "source_input 'same'"),
        ("heads = heads + 1, lost = NULL, drops = NULL", "interchange_maps"),
        ("layers = 1", "interchange_maps"),
        ("layers = -1", "negative"),
    ],
)
def test_an_interchange_that_its_network_cannot_have_is_refused(tmp_path: Path, change: str, says: str) -> None:
    path = tmp_path / "theirs.db"
    shutil.copy(ROOT / "tests/stores/schema-4.db", path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"UPDATE interchange_maps SET {change} WHERE slot = 0 AND source_input = 'same'")
        connection.commit()
    with pytest.raises(StoreError) as caught:
        stored_runs.check_store(open_store(str(path), read_only=True))
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_a_store_with_interchanges_is_in_order() -> None:
    stored_runs.check_store(open_store(str(ROOT / "tests/stores/schema-4.db"), read_only=True))
