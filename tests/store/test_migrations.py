"""The migrations make the schema that the code describes, once, whole, whoever comes first."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, create_engine, inspect, text

from lgt.store import migrate, queries, writes
from lgt.store.engine import StoreError, open_store, read_connection
from lgt.store.schema import VERSION_TABLE, VIEWS, Base
from lgt.store.server import QUEUE_INDEX
from tests.store.test_store import ACCURACY, CONFIG, REPOSITORY, engine, finished_run

__all__ = ["engine"]

LATEST = migrate.latest_schema()
NEXT = f"""
import os, signal
from alembic import op
import sqlalchemy as sa
revision, down_revision = "{LATEST + 1:04}", "{LATEST:04}"
def upgrade():
    killed = os.environ.get("KILL_IN_MIGRATION")
    if killed:
        op.execute("PRAGMA cache_size = 1")  # so that changed pages reach the file before the commit
    op.add_column("runs", sa.Column("mood", sa.Text()))
    op.execute("UPDATE runs SET mood = 'good'")
    if killed:
        op.execute("UPDATE accuracy_counts SET totals = '1'")
        os.kill(os.getpid(), signal.SIGKILL)
"""
OPEN = """
import sys
from pathlib import Path
from lgt.store import migrate
from lgt.store.engine import open_store
if len(sys.argv) > 2:
    migrate.MIGRATIONS = Path(sys.argv[2])
open_store(sys.argv[1])
"""


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """The migrations of a later version of the code."""
    folder = tmp_path / "later"
    shutil.copytree(migrate.MIGRATIONS, folder)
    (folder / "versions" / f"revision_{LATEST + 1:04}.py").write_text(NEXT)
    return folder


def open_elsewhere(*arguments: object, **environment: str) -> subprocess.Popen[bytes]:
    """Open a store in a process of its own."""
    command = [sys.executable, "-c", OPEN, *map(str, arguments)]
    return subprocess.Popen(command, cwd=REPOSITORY, env=os.environ | environment)


def test_migrations_make_the_schema_of_the_models(engine: Engine) -> None:
    with read_connection(engine) as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": VERSION_TABLE,
                "compare_type": True,
                "include_name": lambda name, *_: name != QUEUE_INDEX,
            },
        )  # the index belongs to servers, not to the schema
        assert compare_metadata(context, Base.metadata) == []
        assert migrate.stored_schema(connection) == LATEST


def test_sqlite_tables_are_the_same_text_as_the_models_would_make(tmp_path: Path) -> None:
    migrated = open_store(str(tmp_path / "migrated.db"))
    direct = create_engine(f"sqlite:///{tmp_path / 'direct.db'}")
    Base.metadata.create_all(direct)
    found = definitions(migrated)
    assert {name: found.pop(name).split().count("VIEW") for name in VIEWS} == dict.fromkeys(VIEWS, 1)
    assert found == definitions(direct)
    assert "ROWID" in found["accuracy_counts"]


def definitions(engine: Engine) -> dict[str, str]:
    """Normalised CREATE statements by name: spacing and the order of constraints do not matter."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")).all()
    return {name: " ".join(sorted(sql.replace(",", " ").replace("(", " ( ").replace(")", " ) ").split()))
            for name, sql in rows if name not in (VERSION_TABLE, "sqlite_sequence")}  # fmt: skip


def test_an_older_store_is_migrated_and_keeps_its_rows(
    tmp_path: Path, later: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "results.db")
    run_id = finished_run(open_store(path))
    before = queries.accuracy(open_store(path), [run_id], step="all")
    monkeypatch.setattr(migrate, "MIGRATIONS", later)
    stored = Path(path).read_bytes()
    with read_connection(open_store(path, read_only=True)) as connection:
        assert connection.scalar(text("SELECT mood FROM runs")) == "good", "a private copy is migrated"
    assert Path(path).read_bytes() == stored
    migrated = open_store(path)
    with read_connection(migrated) as connection:
        assert connection.scalar(text("SELECT mood FROM runs")) == "good"
        assert connection.scalar(text("PRAGMA user_version")) == LATEST + 1
    assert queries.accuracy(migrated, [run_id], step="all").equals(before)
    monkeypatch.undo()
    with pytest.raises(StoreError, match=f"newer than this code's {LATEST}"):
        open_store(path)


def test_a_kill_in_the_middle_of_a_migration_leaves_the_old_store(
    tmp_path: Path, later: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "results.db")
    run_id = finished_run(open_store(path))
    assert open_elsewhere(path, later, KILL_IN_MIGRATION="1").wait() == -signal.SIGKILL
    assert Path(path + "-journal").exists(), "the kill must leave something to roll back"
    old = open_store(path, read_only=True)
    assert queries.accuracy(old, [run_id]).correct.sum() == sum(row.correct for row in ACCURACY)
    assert "mood" not in {column["name"] for column in inspect(old).get_columns("runs")}
    monkeypatch.setattr(migrate, "MIGRATIONS", later)
    assert "mood" in {column["name"] for column in inspect(open_store(path)).get_columns("runs")}


@pytest.mark.slow
def test_processes_that_migrate_at_once_all_succeed(
    tmp_path: Path, later: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.db"
    finished_run(open_store(str(path)))
    assert [opener.wait() for opener in [open_elsewhere(path, later) for _ in range(3)]] == [0] * 3
    monkeypatch.setattr(migrate, "MIGRATIONS", later)
    assert len(queries.runs(open_store(str(path)))) == 1


@pytest.mark.slow
def test_processes_that_create_at_once_share_one_store(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.db"
    path.parent.mkdir()
    assert [opener.wait() for opener in [open_elsewhere(path) for _ in range(3)]] == [0] * 3
    assert os.listdir(path.parent) == [path.name]
    assert writes.create_run(open_store(str(path)), CONFIG) == 1
