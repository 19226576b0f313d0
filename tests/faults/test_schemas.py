"""R13: every schema ever released opens, is upgraded once, and reads the same."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event

from lgt.store import checkpoints, integrity, migrate, queries, queue
from lgt.store.engine import open_store
from tests.faults import size
from tests.faults.processes import ended, started
from tests.packed import rows, same_rows

STORES = sorted((Path(__file__).parent.parent / "stores").glob("schema-*.db"))
OLDER = [path for path in STORES if path.stem != f"schema-{migrate.latest_schema()}"]


def upgrade(path: str) -> None:
    open_store(path)


def upgrade_and_die(path: str, statement: int) -> None:
    """Open a store and kill the process before the ``statement``-th statement of its migration."""
    from sqlalchemy import Engine

    left = statement

    def count(connection, cursor, sql, *_: object) -> None:
        nonlocal left
        left -= sql.lstrip().split()[0] in ("ALTER", "CREATE", "UPDATE", "INSERT", "COMMIT") or "user_version =" in sql
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    open_store(path)


@pytest.mark.parametrize("stored", STORES, ids=lambda path: path.stem)
def test_r13_an_old_store_is_upgraded_and_reads_the_same(stored: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(stored, tmp_path / "results.db"))
    before = rows(path)
    store = open_store(str(path))
    same_rows(path, before)
    assert integrity.integrity(store) == []
    frame = queries.runs(store)
    assert frame.state.tolist() == ["done", "failed", "queued", "running"]
    assert not queries.accuracy(store, [1]).empty and checkpoints.read_checkpoint(store, 1).step == 20
    assert queries.run(store, 4).stale and queue.requeue_expired(store) == [4]
    assert queue.claim(store, "w", "cpu") == (3, 1) and queue.claim(store, "w", "cpu") == (4, 2)


@pytest.mark.slow
@pytest.mark.parametrize("stored", OLDER, ids=lambda path: path.stem)
def test_r13_killed_in_the_middle_and_eight_at_once(stored: Path, tmp_path: Path) -> None:
    killed = 0
    for statement in range(size(8, 30)):
        path = Path(shutil.copy(stored, tmp_path / f"{statement}.db"))
        before = rows(path)
        code = ended(started(upgrade_and_die, str(path), statement))
        assert code in (0, -signal.SIGKILL)
        killed += code != 0
        same_rows(path, before)
        assert integrity.integrity(open_store(str(path))) == []
        same_rows(path, before)
    assert killed >= 5
    path = Path(shutil.copy(stored, tmp_path / "shared.db"))
    before = rows(path)
    openers = [started(upgrade, str(path)) for _ in range(8)]
    assert [ended(opener) for opener in openers] == [0] * 8
    same_rows(path, before)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM lgt_schema_version").fetchall() == [
            (f"{migrate.latest_schema():04}",)
        ]
