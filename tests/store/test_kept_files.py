"""Files in the cache and beside stores: damaged ones are not used, and what killed processes leave is removed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lgt.core import paths
from lgt.execution.worker import work
from lgt.execution.worker_processes import worker_environment
from lgt.store import atomic_files, dropped, queries, reading_copies
from lgt.store.engine import open_store
from tests.conftest import ROOT

OLD = ROOT / "tests/stores/schema-2.db"
DAY = 24 * 3600.0


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("LGT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture()
def old_store(tmp_path) -> Path:
    """A store that is read as a private copy."""
    return Path(shutil.copy(OLD, tmp_path / "old.db"))


def aged(path: Path, seconds: float) -> Path:
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def flipped(data: bytes) -> bytes:
    place = len(data) // 2
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


DAMAGES = {"cut": lambda data: data[: len(data) // 2], "empty": lambda data: b"", "flipped": flipped}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_copy_for_reading_is_made_again(damage, old_store, cache):
    before = queries.runs(open_store(str(old_store), read_only=True))
    (copy,) = (cache / "stores").iterdir()
    whole = copy.read_bytes()
    copy.write_bytes(DAMAGES[damage](whole))
    assert queries.runs(open_store(str(old_store), read_only=True)).equals(before)
    (copy,) = (cache / "stores").iterdir()
    assert copy.stem.endswith(reading_copies._digest(copy))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_of_a_dropped_store_is_written_again(damage):
    content = OLD.read_bytes()
    kept = dropped.keep(content)
    kept.chmod(0o600)
    kept.write_bytes(DAMAGES[damage](content))
    assert dropped.keep(content) == kept and kept.read_bytes() == content


def test_a_store_that_changes_while_it_is_copied_is_copied_again(old_store, monkeypatch):
    original, copied = reading_copies._copy, []

    def changing(path: Path, target: Path) -> None:
        original(path, target)
        copied.append(target)
        if len(copied) == 1:
            os.utime(path, (1, 1))

    monkeypatch.setattr(reading_copies, "_copy", changing)
    monkeypatch.setattr(reading_copies.raw_bytes, "is_in_wal_mode", lambda path: True)
    monkeypatch.setattr(reading_copies, "_wal_state", lambda path: "")
    reading_copies.reading_copy(old_store, lambda path: None)
    assert len(copied) == 2


def test_dropped_stores_and_copies_that_nobody_uses_are_removed_and_others_stay(old_store, cache):
    content = OLD.read_bytes()
    unused, recent = dropped.keep(content + b"1"), dropped.keep(content + b"2")
    aged(unused, dropped.KEPT_SECONDS + 60)
    aged(recent, dropped.KEPT_SECONDS - 60)
    dropped.keep(content)
    assert not unused.exists() and recent.exists()
    aged(recent, dropped.KEPT_SECONDS + 60)
    assert dropped.keep(content + b"2").exists(), "dropped again"
    engine = open_store(str(old_store), read_only=True)
    (copy,) = (cache / "stores").iterdir()
    aged(copy, reading_copies.KEPT_SECONDS + 60)
    queries.runs(engine)
    assert copy.stat().st_mtime > time.time() - DAY, "a copy that is read is kept"
    aged(copy, reading_copies.KEPT_SECONDS + 60)
    aged(recent, dropped.KEPT_SECONDS + 60)
    work(open_store(str(old_store.with_name("workspace.db"))), once=True)
    assert not copy.exists() and not recent.exists(), "a worker that starts removes what is old"


KILLED = """
import os, signal, sys
from pathlib import Path
from lgt.store import atomic_files, reading_copies
from lgt.store.engine import open_store
def stop(*arguments): os.kill(os.getpid(), signal.SIGKILL)
os.link = os.replace = stop
place = Path(sys.argv[1])
if sys.argv[2] == "create": open_store(str(place / "killed.db"))
if sys.argv[2] == "write": atomic_files.write_atomically(place / "out.csv", lambda path: path.write_text("x"))
if sys.argv[2] == "copy": open_store(str(place / "old.db"), read_only=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("what", ["create", "write", "copy"])
def test_what_a_killed_process_leaves_is_removed_after_an_hour(what, old_store, cache, tmp_path):
    place = cache / "stores" if what == "copy" else tmp_path
    known = {path.name for path in tmp_path.iterdir()} | {"cache"}
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), what], cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL
    left = [path for path in place.iterdir() if path.name not in known]
    assert left and all(atomic_files.LEFTOVER.fullmatch(path.name) for path in left)
    open_store(str(tmp_path / "workspace.db"))
    open_store(str(old_store), read_only=True)
    assert all(path.exists() for path in left), "it may still be written"
    for path in left:
        for inside in path.iterdir() if path.is_dir() else ():
            aged(inside, 3700)
        aged(path, 3700)
    work(open_store(str(tmp_path / "workspace.db")), once=True)
    assert not any(path.exists() for path in left)


@pytest.mark.parametrize("name", [".lgt-mine", "lgt-abcdefgh", ".lgt-notes.txt", ".lgt-12-x.new", "a.new"])
def test_files_with_other_names_stay(name, tmp_path):
    aged(Path(shutil.copy(OLD, tmp_path / name)), 90 * DAY)
    atomic_files.remove_leftovers(tmp_path)
    assert (tmp_path / name).exists()


def test_a_relative_cache_folder_stays_the_same_after_a_change_of_folder(tmp_path, monkeypatch):
    code = (
        "import os; from lgt.core import paths; first = paths.own_folder('code'); os.chdir('/'); "
        "print(first, paths.own_folder('code'), sep='\\n')"
    )
    environment = os.environ | {"LGT_CACHE": "some/cache", "PYTHONPATH": str(ROOT)}
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.split("\n")[:2] == [str(tmp_path / "some/cache/code")] * 2
    monkeypatch.setenv("LGT_CACHE", "some/cache")
    assert worker_environment("x.db")["LGT_CACHE"] == str(paths.cache_directory())
    assert paths.cache_directory().is_absolute()


def test_a_relative_xdg_cache_home_is_ignored_as_its_specification_says(monkeypatch, tmp_path):
    monkeypatch.delenv("LGT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setattr(paths, "home", lambda: tmp_path)
    assert paths.cache_directory() == tmp_path / ".cache" / paths.NAME
