"""R15: reading never writes. Stores of every schema, read-only, damaged or incomplete: their bytes, times and folders
stay as they are, and what is missing is one line."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lgt.cli.main import main
from lgt.store import queries
from lgt.store.engine import open_store
from lgt.store.measurements import ACCURACY, HEAD_SCORES
from tests.conftest import ROOT
from tests.faults import size
from tests.packed import without

PAGES = ("overview", "explore", "heads", "matrix", "pretraining", "claims", "launch", "runs", "playground")
COMMANDS = (
    "runs", "runs --json", "show 1", "show 1 --json", "claims", "claims --json", "doctor", "export {folder}",
    "export {folder}.csv", "export-model 97 {folder}", "backup {folder}-backup.db",
    "experiment first-results --seeds 0 --status",
)  # fmt: skip


def flipped(path: Path, seed: int) -> None:
    data = bytearray(path.read_bytes())
    draw = random.Random(seed)
    for _ in range(20):
        data[draw.randrange(100, len(data))] = draw.randrange(256)
    path.write_bytes(data)


def sql(*statements: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with sqlite3.connect(path) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()

    return change


def old(path: Path, schema: int = 1) -> None:
    shutil.copy(ROOT / f"tests/stores/schema-{schema}.db", path)


def with_log(path: Path) -> None:
    """A store that another tool has switched to a write-ahead log, with committed rows in the log."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("UPDATE runs SET notes = 'in the log' WHERE id = 1")
    connection.commit()
    kept = {name: (path.parent / name).read_bytes() for name in (path.name, f"{path.name}-wal")}
    connection.close()
    for name, content in kept.items():
        (path.parent / name).write_bytes(content)


STORES: dict[str, Callable[[Path], object]] = {
    "as shipped": lambda path: None, "schema 1": old, "schema 2": lambda path: old(path, 2),
    "write-ahead log": with_log,
    "no final accuracy of run 1": without(ACCURACY, lambda of: (of.run_id == 1) & (of.step >= 1000)),
    "a length of the region is gone": without(ACCURACY, lambda of: of.length == 9),
    "trained lengths are gone": without(ACCURACY, lambda of: of.length <= 8),
    "an auxiliary is gone": without(ACCURACY, lambda of: of.task == "reverse"),
    "no accuracy": sql("DELETE FROM accuracy_counts"), "no maps": sql("DELETE FROM head_maps"),
    "half of the maps": without(HEAD_SCORES, lambda of: of.layer == 1),
    "no differences": sql("DELETE FROM attention_maps"), "no logs": sql("DELETE FROM packed_logs"),
    "no weights": sql("DELETE FROM checkpoints"),
    "no tasks of a run": sql("DELETE FROM run_tasks WHERE run_id = 1"),
    "configs of newer code": sql("UPDATE configs SET config = json_set(config, '$.new', 1) WHERE key IN "
                                 "(SELECT config_key FROM runs WHERE id % 3 = 0)"),
    "a list that is none": sql("UPDATE accuracy_counts SET lengths = '1-' WHERE run_id = 1"),
    "a list that is too long": sql("UPDATE accuracy_counts SET totals = '64x999999' WHERE run_id = 1"),
    "too few bytes": sql("UPDATE head_maps SET loss_rises = substr(loss_rises, 2) WHERE run_id = 1"),
    "weights that are cut": sql("UPDATE checkpoints SET weights = substr(weights, 1, 1000)"),
    "another program": sql("PRAGMA application_id = 7"),
    "newer": sql("UPDATE lgt_schema_version SET version_num = '99'", "PRAGMA user_version = 99"),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2), "text": lambda path: path.write_text("x" * 5000),
    "flipped 1": lambda path: flipped(path, 1), "flipped 2": lambda path: flipped(path, 2),
}  # fmt: skip


def state(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.iterdir()) if path.is_file()
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", STORES)
def test_r15_reading_never_writes(kind, few_runs, tmp_path, monkeypatch, capsys) -> None:
    place = tmp_path / "elsewhere"
    place.mkdir()
    store = Path(shutil.copy(few_runs, place / "results.db"))
    STORES[kind](store)
    place.chmod(0o555)
    before, times = state(place), place.stat().st_mtime_ns
    monkeypatch.setenv("LGT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LGT_SHIPPED", str(store))
    monkeypatch.setenv("LGT_DATABASE_URL", str(tmp_path / "none.db"))
    draw = random.Random(kind)
    for number, words in enumerate(draw.sample(COMMANDS, size(4, len(COMMANDS)))):
        with pytest.raises(SystemExit) as ended:
            main(words.format(folder=tmp_path / f"out-{number}").split())
        said = capsys.readouterr().err.strip()
        assert ended.value.code in (0, 1, 2) and said.count("\n") == 0, words
    for page in draw.sample(PAGES, size(2, len(PAGES))):
        app = AppTest.from_file(str(ROOT / f"pages/{page}.py"), default_timeout=60).run()
        assert not app.exception, page
        assert not [one for one in app.error if "could not be drawn" in str(one.value)], page
    place.chmod(0o755)
    assert state(place) == before and place.stat().st_mtime_ns == times
    assert not (tmp_path / "none.db").exists()


def test_a_store_of_an_older_schema_reads_as_after_its_migration(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LGT_CACHE", str(tmp_path / "cache"))
    store, migrated = tmp_path / "old.db", tmp_path / "new.db"
    old(store)
    old(migrated)
    read, written = open_store(str(store), read_only=True), open_store(str(migrated))
    for function in (queries.accuracy, queries.head_scores, queries.attention_differences, queries.training_log):
        assert function(read, range(1, 9)).equals(function(written, range(1, 9)))
    assert str(store) in str(read.url)
    assert open_store(str(store), read_only=True) and len(list((tmp_path / "cache/stores").iterdir())) == 1, "made once"


def test_committed_rows_of_a_write_ahead_log_are_read(few_runs, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LGT_CACHE", str(tmp_path / "cache"))
    store = Path(shutil.copy(few_runs, tmp_path / "results.db"))
    with_log(store)
    runs = queries.runs(open_store(str(store), read_only=True))
    assert "in the log" in set(runs.notes)


def test_a_changed_store_is_read_anew(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LGT_CACHE", str(tmp_path / "cache"))
    store = tmp_path / "old.db"
    old(store)
    assert "changed" not in set(queries.runs(open_store(str(store), read_only=True)).notes)
    sql("UPDATE runs SET notes = 'changed'")(store)
    assert set(queries.runs(open_store(str(store), read_only=True)).notes) == {"changed"}
