"""Bytes of a store are read beside SQLite without releasing its locks."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from lgt.store import raw_bytes, reading_copies, revisions, tags
from lgt.store.engine import StoreError, open_store, reading_key, write_transaction
from tests.store.test_store import finished_run

LOCK = """
import sqlite3, sys
try:
    sqlite3.connect(sys.argv[1], timeout=0).execute("BEGIN IMMEDIATE")
    print("free")
except sqlite3.OperationalError as error:
    print(error)
"""


def lock_seen_by_another_process(path: Path) -> str:
    return subprocess.run([sys.executable, "-c", LOCK, path], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("wal", [False, True])
def test_reading_a_store_leaves_the_lock_of_a_transaction_of_this_process(wal: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    engine = open_store(str(path))
    number = finished_run(engine)
    if wal:
        raw = sqlite3.connect(path)
        raw.execute("PRAGMA journal_mode = WAL")
        raw.close()
    with write_transaction(engine):
        assert lock_seen_by_another_process(path) == "database is locked"
        reading_key(str(path))
        revisions.revision(engine)
        reading_copies._copy(path, tmp_path / "copy.db")
        other = open_store(str(path), read_only=True)
        revisions.revision(other)
        other.dispose()
        assert lock_seen_by_another_process(path) == "database is locked"
    assert lock_seen_by_another_process(path) == "free"
    assert tags.change_tags(engine, [number], add=["star"]) == [number]


def test_every_transaction_changes_the_mark_and_a_replaced_file_too(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    engine = open_store(str(path))
    number = finished_run(engine)
    marks = [raw_bytes.change_mark(path)]
    for word in ("one", "two"):
        tags.change_tags(engine, [number], add=[word])
        marks.append(raw_bytes.change_mark(path))
    shutil.copy(path, tmp_path / "new.db")
    os.replace(tmp_path / "new.db", path)
    marks.append(raw_bytes.change_mark(path))
    assert len(set(marks)) == 4 and marks[-1] == raw_bytes.change_mark(path)


def test_a_copy_has_the_bytes_and_replaces_nothing(tmp_path: Path) -> None:
    given, target = tmp_path / "given", tmp_path / "target"
    given.write_bytes(os.urandom(2 * raw_bytes.CHUNK + 5))
    raw_bytes.copy(given, target)
    assert target.read_bytes() == given.read_bytes()
    with pytest.raises(FileExistsError):
        raw_bytes.copy(given, target)


def test_short_and_missing_files(tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.write_bytes(b"abc")
    assert raw_bytes.header(short) == b"abc" and raw_bytes.schema_in_header(short) == 0
    for ask in (raw_bytes.header, raw_bytes.change_mark):
        with pytest.raises(StoreError, match="missing cannot be read: No such file"):
            ask(tmp_path / "missing")


def test_deleted_files_are_closed_and_others_stay_open_up_to_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_bytes, "_kept", {})
    monkeypatch.setattr(raw_bytes, "MOST", 3)
    paths = [tmp_path / f"{number}" for number in range(6)]
    for path in paths:
        path.write_bytes(b"x" * 200)
    raw_bytes.header(paths[0])
    paths[0].unlink()
    for path in paths[1:]:
        raw_bytes.header(path)
    open_inodes = [os.fstat(descriptor).st_ino for descriptor in raw_bytes._kept.values()]
    assert open_inodes == [path.stat().st_ino for path in paths[3:]]
    raw_bytes.header(paths[3])
    assert [inode for _, inode in raw_bytes._kept] == [paths[number].stat().st_ino for number in (4, 5, 3)]
    for descriptor in raw_bytes._kept.values():
        os.close(descriptor)


def test_a_pipe_or_a_folder_in_place_of_a_store_is_one_line_and_does_not_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(StoreError, match=f"{name} cannot be read: it is not a regular file"):
            raw_bytes.header(tmp_path / name)
        assert reading_key(str(tmp_path / name)) == ""
        with pytest.raises(StoreError):
            open_store(str(tmp_path / name), read_only=True)


def test_a_change_in_a_write_ahead_log_changes_the_revision(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    finished_run(open_store(str(path)))
    seen = []
    for number in range(3):
        raw = sqlite3.connect(path)
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("UPDATE store_state SET revision = revision + 1")
        raw.execute("UPDATE runs SET notes = ?", (f"{number}",))
        raw.commit()
        raw.close()
        seen.append(revisions.revision(open_store(str(path), read_only=True)))
    assert len(set(seen)) == 3
