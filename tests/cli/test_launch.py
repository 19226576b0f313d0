"""``lgt launch``: workers on this machine, and a job array for Slurm, for whose ``sbatch`` a script stands."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from lgt.execution import launchers
from lgt.store import queries, writes
from lgt.store.engine import open_store
from lgt.store.errors import StoreError
from lgt.store.schema import RunState
from tests.cli.test_cli import lgt
from tests.conftest import tiny

REMOTE = "postgresql+psycopg://me:hunter2@db.example.org/lab"
SBATCH = """#!/bin/sh
# Starts the jobs of an array at once and waits for them, as a cluster of one node would.
echo "Submitted batch job 7"
count=$(sed -n "s/^#SBATCH --array=1-//p" "$1")
for _ in $(seq "$count"); do bash "$1" >> "$1.log" 2>&1 & done
wait
"""


@pytest.fixture()
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which ``sbatch`` is found."""
    program = tmp_path / "bin" / "sbatch"
    program.parent.mkdir()
    program.write_text(SBATCH)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("LGT_FILES", str(tmp_path / "files"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture()
def store(postgresql: str, cluster: Path) -> Iterator[Engine]:
    engine = open_store(postgresql)
    yield engine
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


def test_the_script_asks_slurm_for_workers_that_are_warned_and_repeated(capsys, cluster):
    words = ["--workers", "40", "--threads", "2", "--time", "04:00:00", "--memory", "2G", "--partition", "cpu.long"]
    code, out, err = lgt(capsys, "launch", "slurm", *words, "--print", "--database", REMOTE, "--experiment", "fig 3")
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(.*))?$", out, re.MULTILINE))
    assert (code, err) == (0, "") and not list(cluster.glob("*.sbatch"))
    assert asked["array"] == "1-40" and "requeue" in asked and asked["signal"] == "B:TERM@90"
    chosen = ("cpus-per-task", "time", "mem", "partition")
    assert [asked[name] for name in chosen] == ["2", "04:00:00", "2G", "cpu.long"]
    assert out.startswith("#!/bin/bash\n#SBATCH") and "hunter2" not in out and "db.example.org" not in out
    last = out.splitlines()[-1]
    assert last.startswith("exec ") and last.endswith("worker --threads 2 --idle 60 --experiment 'fig 3'"), (
        "exec, so that the signal reaches the worker and not a shell"
    )
    assert subprocess.run(["bash", "-n"], input=out, text=True, check=False).returncode == 0


def test_what_is_not_given_is_left_to_the_cluster(capsys, cluster):
    _, out, _ = lgt(capsys, "launch", "slurm", "--workers", "1", "--print", "--database", REMOTE)
    assert not re.search("--(time|mem|partition)", out)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--time", "soon"], "--time: 'soon' is not accepted; accepted: a time such as 04:00:00"),
        (["--memory", "2 G"], "--memory: '2 G'"), (["--partition", "a b"], "--partition: 'a b'"),
        (["--partition", "a\n#SBATCH --uid=0"], "--partition"), (["--workers", "0"], "--workers: 0"),
        (["--threads", "0"], "--threads: 0"), (["--idle", "-1"], "--idle: -1"),
        (["--database", "a.db"], "a.db is a SQLite file, whose locks do not hold between machines"),
        (["--output", "missing/x"], "missing/x cannot be written: No such file or directory"),
        (["--output", "there"], "there cannot be written: File exists"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_nothing_is_written(capsys, cluster, words, says):
    (cluster / "there").touch()
    before = sorted(cluster.iterdir())
    code, out, err = lgt(capsys, "launch", "slurm", "--workers", "2", "--database", REMOTE, *words)
    assert (code, out, err.count("\n")) == (2, "", 1) and says in err
    assert sorted(cluster.iterdir()) == before and (cluster / "there").read_text() == ""


def test_without_slurm_it_only_writes_the_file(capsys, cluster, monkeypatch):
    monkeypatch.setenv("PATH", str(cluster))
    code, _, err = lgt(capsys, "launch", "slurm", "--workers", "2", "--database", REMOTE, "--submit")
    assert code == 2 and "--submit" in err and "sbatch" in err and not list(cluster.glob("*.sbatch"))
    code, out, _ = lgt(capsys, "launch", "slurm", "--workers", "2", "--database", REMOTE)
    assert (
        code == 0 and out == "lgt-workers.sbatch: 2 workers; set LGT_DATABASE_URL, then `sbatch lgt-workers.sbatch`\n"
    )
    done = subprocess.run(
        ["bash", "lgt-workers.sbatch"], env={"PATH": os.defpath}, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0 and "LGT_DATABASE_URL" in done.stderr, "a job without a store says so"


def test_notes_say_what_several_machines_need(monkeypatch, tmp_path):
    monkeypatch.setenv("LGT_FILES", str(tmp_path))
    assert launchers.check_many_hosts(REMOTE) == []
    for near in ("postgresql://me@/lab", "postgresql://me@localhost/lab", "postgresql://me@/lab?host=/run/postgresql"):
        (note,) = launchers.check_many_hosts(near)
        assert "only this machine" in note
    monkeypatch.delenv("LGT_FILES")
    assert "LGT_FILES" in launchers.check_many_hosts(REMOTE)[0]
    with pytest.raises(StoreError, match="SQLite"):
        launchers.check_many_hosts(str(tmp_path / "a.db"))


@pytest.mark.slow
def test_jobs_of_a_submitted_array_finish_the_queue(capsys, store, cluster, postgresql):
    ids = [writes.create_run(store, tiny(steps=6, model_seed=seed)) for seed in range(3)]
    words = ["--workers", "2", "--idle", "0", "--submit", "--database", postgresql]
    code, out, _ = lgt(capsys, "launch", "slurm", *words)
    assert (code, out.splitlines()[0]) == (0, "Submitted batch job 7")
    assert [queries.run(store, run_id).state for run_id in ids] == [RunState.DONE] * 3
    assert "done" in (cluster / "lgt-workers.sbatch.log").read_text()


@pytest.mark.slow
def test_a_job_that_slurm_warns_gives_its_run_back(capsys, store, cluster, postgresql):
    run_id = writes.create_run(store, tiny(steps=50_000))
    lgt(capsys, "launch", "slurm", "--workers", "1", "--database", postgresql)
    job = subprocess.Popen(
        ["bash", "lgt-workers.sbatch"], env=os.environ | {"LGT_DATABASE_URL": postgresql}, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while queries.run(store, run_id).step == 0:
        assert time.monotonic() < deadline and job.poll() is None
        time.sleep(0.1)
    job.send_signal(signal.SIGTERM)
    assert job.wait() == 0 and queries.run(store, run_id).state is RunState.QUEUED


@pytest.mark.slow
def test_local_workers_finish_the_queue_of_a_file(capsys, tmp_path):
    path = str(tmp_path / "a.db")
    engine = open_store(path)
    for seed in range(3):
        writes.create_run(engine, tiny(steps=6, model_seed=seed), experiment="fig3" if seed else None)
    code, out, _ = lgt(capsys, "launch", "local", "--workers", "2", "--experiment", "fig3", "--database", path)
    assert code == 0 and "workers: 2" in out
    assert queries.runs(engine).state.tolist() == ["queued", "done", "done"]


def test_local_workers_have_limits(capsys, tmp_path):
    for words in (["--workers", "0"], ["--threads", "0"], ["--idle", "-1"]):
        code, _, err = lgt(capsys, "launch", "local", *words, "--database", str(tmp_path / "a.db"))
        assert code == 2 and words[0] in err and not (tmp_path / "a.db").exists()
