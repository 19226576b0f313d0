"""S1 to S3: stores and folders of files that are hostile at random, through all ways in which they come in.

A store that somebody else made, or that was damaged, is one clear line: no traceback, no hang, no line with control
characters, and the own store and foreign files stay as they are.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from lgt.store import backup, blobs, merge, writes
from lgt.store.engine import Engine, StoreError, open_store
from tests.conftest import ROOT, own_cache, tiny
from tests.faults import fuzzing, size
from tests.store.test_store import finished_run

STORES, FOLDERS = size(40, 500), size(20, 200)
PARTS = 2
"""In how many processes the stores are tried, so that the cores share them."""


def tried(kind: str, good: Path, place: Path, first: int, last: int) -> None:
    """Try the cases in a process of its own, which has a limit of memory and of time for each case."""
    environment = os.environ | {"LGT_SHIPPED": "", "LGT_CACHE": str(own_cache(place / "cache")), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "tests.faults.fuzzing", kind, str(good), str(place), str(first), str(last)]
    ended = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.stdout.splitlines() == [f"tried {last - first}"], ended.stdout[-5000:] + ended.stderr[-3000:]


@pytest.fixture()
def good(shared_store: Path, tmp_path: Path) -> Path:
    """Three runs of the shipped store."""
    path = Path(shutil.copy(shared_store, tmp_path / "good.db"))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM runs WHERE id > 3")
        connection.execute("VACUUM")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_s1_s2_hostile_stores_are_one_line_each(part: int, good: Path, tmp_path: Path) -> None:
    numbers = [STORES * at // PARTS for at in (part, part + 1)]
    tried("stores", good, tmp_path, *numbers)


@pytest.mark.slow
def test_s3_hostile_folders_of_files_are_one_line_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "MAXIMUM_ROW_BYTES", 1)
    store = open_store(str(tmp_path / "good.db"))
    finished_run(store)
    writes.create_runs(store, [tiny()], labels=["waiting"])
    tried("folders", tmp_path / "good.db", tmp_path, 0, FOLDERS)


@pytest.mark.slow
def test_the_search_notices_what_it_looks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cleaning that removes foreign files, an error that nobody expects and a message without an end are found."""
    monkeypatch.setattr(writes, "MAXIMUM_ROW_BYTES", 1)
    good, place = tmp_path / "good.db", tmp_path / "place"
    finished_run(open_store(str(good)))
    place.mkdir()

    def remove_all(store: Engine, older_than: float) -> None:
        for path in Path(f"{store.url.database}.files").iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def fail(*_: object) -> None:
        raise StoreError("a long line " * 100)

    monkeypatch.setattr(blobs, "remove_orphans", remove_all)
    monkeypatch.setattr(backup, "backup", fail)
    found = "\n".join(fuzzing.cases("folders", good, place, range(2, 3)))
    assert " and is None" in found and "a backup said" in found
    monkeypatch.setattr(merge, "merge", lambda *_: 1 / 0)
    assert "ZeroDivisionError" in "\n".join(fuzzing.cases("folders", good, place, range(2, 3)))
