"""Pull workers as separate processes on this machine: beside a command, or on their own, started by the dashboard.

A worker that the dashboard starts takes one of as many slots as ``LGT_MAX_WORKERS`` allows (default: one a core). A
slot is a locked file: the system frees it however its process ends, so that no crash can use one up and no number of
clicks, tabs or servers starts more workers than there are slots.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from lgt.core.paths import cache_directory, private
from lgt.execution.stop_signal import StopSignal
from lgt.recipes.limits import limits
from lgt.store.engine import refuse_if_read_only
from lgt.store.errors import StoreError

IDLE_SECONDS = 300
"""How long a worker of the dashboard waits for the next run: it starts at once then, without loading torch again."""
CHECKOUT = Path(__file__).parents[2]


def start_workers(database_url: str, count: int, *options: str) -> list[subprocess.Popen[bytes]]:
    """Start ``count`` worker processes on the store with these ``options``; each ends when nothing is queued.

    They belong to this process's group: Ctrl-C reaches them too.
    """
    return [subprocess.Popen(worker_command(*options), env=environment(database_url)) for _ in range(count)]


def worker_command(*options: str) -> list[str]:
    """The command of a worker of this very installation."""
    return [sys.executable, "-m", "lgt", "worker", *options]


def environment(database_url: str) -> dict[str, str]:
    """This process's environment for a worker. The URL goes in here, as it may hold a password, which an argument
    would show to every user of the machine."""
    path = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH")]))
    return os.environ | {"LGT_DATABASE_URL": database_url, "PYTHONPATH": path}


def wait_for(workers: Sequence[subprocess.Popen[bytes]]) -> int:
    """Wait until every worker has ended; returns the worst exit code.

    When this process is asked to leave, so are they; then KeyboardInterrupt is raised. They get SIGTERM, of which one
    more changes nothing: Ctrl-C reaches them from the terminal, too.
    """
    with StopSignal() as leaving:
        passed_on = False
        while any(worker.poll() is None for worker in workers):
            if leaving() and not passed_on:
                passed_on = True
                for worker in workers:
                    worker.terminate()
            time.sleep(0.1)
    if passed_on:
        raise KeyboardInterrupt
    return max((abs(worker.returncode) for worker in workers), default=0)


def ensure_workers(database_url: str, runs: int) -> int:
    """Start workers of the dashboard for so many new ``runs``, as far as slots are free; returns how many were started.

    They are processes of their own, in their own session: they outlive the tab, the server and a new deployment. What
    they print goes to :func:`log_file`. Raises StoreError while ``LGT_READ_ONLY`` is set, or where none can start.
    """
    refuse_if_read_only("the store")
    coming = max(0, min(runs, limits().workers - busy_slots(database_url)))
    try:
        for _ in range(coming):
            with open(log_file(database_url), "ab") as log:
                subprocess.Popen(
                    worker_command("--slot", "--idle", str(IDLE_SECONDS)), env=environment(database_url),
                    start_new_session=True, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                )  # fmt: skip
    except OSError as error:
        raise StoreError(f"no worker could be started: {error.strerror}; run `python -m lgt worker` by hand") from error
    return coming


def slots_folder(database_url: str) -> Path:
    """Where the slots of this user's workers for the store at ``database_url`` are. Raises StoreError where nowhere."""
    name = hashlib.sha256(database_url.encode()).hexdigest()[:16]
    try:
        return private(cache_directory() / "workers" / name)
    except OSError as error:
        raise StoreError(f"workers cannot be counted: {error}; set LGT_CACHE to a folder of your own") from error


def log_file(database_url: str) -> Path:
    """What the dashboard's workers print."""
    return slots_folder(database_url) / "workers.log"


def take_slot(database_url: str) -> FileLock | None:
    """A free slot, held until it is released or this process ends; None when all are taken."""
    for number in range(limits().workers):
        lock = FileLock(slots_folder(database_url) / f"slot-{number}")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        return lock
    return None


def busy_slots(database_url: str) -> int:
    """How many workers of the dashboard are there now."""
    busy = 0
    for number in range(limits().workers):
        try:
            with FileLock(slots_folder(database_url) / f"slot-{number}").acquire(timeout=0):
                pass
        except Timeout:
            busy += 1
    return busy
