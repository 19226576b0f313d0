"""Fixtures: a quickly trained run, a copy of the shipped store, a PostgreSQL server."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from lgt.core.config import EvaluationConfig, RunConfig
from lgt.recipes.presets import group_config
from tests.servers import PostgreSQL

ROOT = Path(__file__).parent.parent
if "PYTEST_XDIST_WORKER" in os.environ:  # several processes of tests share the cores: PyTorch must not take all in each
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def tiny(group: str = "caprev", arm: str = "co-trained", steps: int = 150, **changes: object) -> RunConfig:
    """The config of a run that takes seconds: lengths 3 <- 6, one small evaluation."""
    config = group_config(group, "demo", arm=arm)  # type: ignore[arg-type]
    tasks = tuple(replace(spec, training_length=3 if spec.role == "main" else 6) for spec in config.tasks)
    evaluation = EvaluationConfig(
        examples=40, progress_examples=20, maximum_length=7, snapshots=2, attribution_examples=16, attribution_lengths=1
    )
    training = replace(config.training, steps=steps, batch_size=64)
    return replace(
        config, tasks=tasks, transfer_length=6, training=training, evaluation=evaluation, **changes  # type: ignore[arg-type]
    )  # fmt: skip


def own_cache(place: Path) -> Path:
    """``place`` as a new cache folder that has the compiled code of this user, so that no process compiles it again."""
    from lgt.fused import library

    place.mkdir(mode=0o700)
    command = library.compiler()
    if command:
        made = library.compiled(command, library.SOURCES / "step.cpp", library.HEADERS)
        (place / "code").mkdir(mode=0o700)
        for path in (made, made.with_name(f"{made.name}.sha256")):
            shutil.copy2(path, place / "code")
    return place


@pytest.fixture(scope="session")
def trained():
    """(config, decoder as measured, sink) of a caprev run that gets some answers right and some wrong."""
    from lgt.model.checkpoint import measured_copy
    from lgt.training.loop import train
    from lgt.training.recorder import MemoryRecorder

    config, recorder = tiny(), MemoryRecorder()
    return config, measured_copy(train(config, recorder)), recorder


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One copy of the shipped store for all tests of this process. Use it through ``shipped``."""
    return Path(shutil.copy(ROOT / "results.db", tmp_path_factory.mktemp("shipped") / "results.db"))


@pytest.fixture()
def shipped(shared_store: Path) -> Iterator[Path]:
    """The shipped store, to read only. All tests share one copy, so later tests can use what a page has cached."""
    before = shared_store.stat()
    yield shared_store
    after = shared_store.stat()
    if (after.st_mtime_ns, after.st_size) != (before.st_mtime_ns, before.st_size):
        shutil.copy(ROOT / "results.db", shared_store)
        pytest.fail("this test changes the shared store: it needs the fixture `own_shipped`")


@pytest.fixture(scope="session")
def few_runs(shared_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of two comparisons of the shipped store, so that opening a page takes a moment. To read only."""
    path = Path(shutil.copy(shared_store, tmp_path_factory.mktemp("few") / "results.db"))
    kept = "SELECT id FROM runs WHERE task_group IN ('caprev', 'add-carry') AND model_seed < 2 AND preset = 'demo'"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"DELETE FROM runs WHERE id NOT IN ({kept})")
        connection.execute("VACUUM")
    return path


@pytest.fixture()
def own_shipped(tmp_path: Path) -> Path:
    """A copy of the shipped store for one test, which may change it. No test opens the original."""
    return Path(shutil.copy(ROOT / "results.db", tmp_path / "results.db"))


@pytest.fixture(autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the user's limits and file settings from the environment of the tests."""
    for name in [name for name in os.environ if name.startswith("LGT_") and name != "LGT_FAULTS"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LGT_SHIPPED", "")  # a test's store is the only one, unless the test names more


@pytest.fixture(autouse=True)
def no_worker_in_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevent the Launch page in this process from starting a worker that outlives the test."""
    monkeypatch.setattr("lgt.ui.actions.keep_worker_ready", lambda: None)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of an empty database on a PostgreSQL server of this test session, which nothing else can reach."""
    server = PostgreSQL()
    try:
        yield server.url
    finally:
        server.remove()
