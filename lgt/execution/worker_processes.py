"""Start worker processes on this machine, for a command or for the dashboard.

Each worker of the dashboard needs a slot. There are ``LGT_MAX_WORKERS`` slots (default: one for each core). A slot is a
locked file. The operating system releases the lock when the process ends, also after a crash. Many clicks, tabs or
servers therefore never start more workers than there are slots.
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

from lgt.core import bounds
from lgt.core.paths import absolute, own_folder
from lgt.execution.stop_signal import StopSignal
from lgt.store.engine import refuse_if_read_only
from lgt.store.errors import StoreError

IDLE_SECONDS = 300
"""How long an idle worker of the dashboard waits for a run. A waiting worker starts a run without loading torch."""
CHECKOUT = Path(__file__).parents[2]


def start_workers(database_url: str, count: int, *options: str) -> list[subprocess.Popen[bytes]]:
    """Start ``count`` worker processes with these ``options``; each ends when the queue is empty.

    They are in the process group of this process, so Ctrl-C reaches them too.
    """
    return [subprocess.Popen(worker_command(*options), env=worker_environment(database_url)) for _ in range(count)]


def worker_command(*options: str) -> list[str]:
    """The command that starts a worker of this installation."""
    if os.pathsep in str(CHECKOUT):  # PYTHONPATH cannot name such a folder
        start = "import sys; sys.path.insert(0, sys.argv.pop(1)); from lgt.cli.main import main; main()"
        return [sys.executable, "-c", start, str(CHECKOUT), "worker", *options]
    return [sys.executable, "-m", "lgt", "worker", *options]


def worker_environment(database_url: str) -> dict[str, str]:
    """The environment of a worker: that of this process, plus the store's URL.

    The URL is not an argument, because it may contain a password and every user of the machine can read arguments.
    """
    folders = {"LGT_CACHE": str(own_folder("workers").parent)}  # also where it is the folder of this process
    if os.environ.get("LGT_FILES"):
        folders["LGT_FILES"] = str(absolute(os.environ["LGT_FILES"]))
    return os.environ | folders | {"LGT_DATABASE_URL": database_url, "PYTHONPATH": python_path()}


def python_path() -> str:
    """Where a worker finds this code: the folder that it is in, then PYTHONPATH of this process."""
    own = "" if os.pathsep in str(CHECKOUT) else str(CHECKOUT)
    return os.pathsep.join(filter(None, [own, os.environ.get("PYTHONPATH")]))


def wait_for_workers(workers: Sequence[subprocess.Popen[bytes]]) -> int:
    """Wait until all workers have ended; returns the highest exit code.

    When this process gets a stop signal, it sends SIGTERM to the workers, waits for them and raises KeyboardInterrupt.
    After Ctrl-C the workers get SIGINT from the terminal and this SIGTERM, which is harmless.
    """
    with StopSignal() as stop_requested:
        terminated = False
        while any(worker.poll() is None for worker in workers):
            if stop_requested() and not terminated:
                terminated = True
                for worker in workers:
                    worker.terminate()
            time.sleep(0.1)
    if terminated:
        raise KeyboardInterrupt
    return max((abs(worker.returncode) for worker in workers), default=0)


def ensure_workers(database_url: str, runs: int) -> int:
    """Start a dashboard worker for each of ``runs`` new runs, up to the number of free slots; returns how many started.

    Each worker has its own session, so it continues when the browser tab is closed or the server stops. Its output
    goes to :func:`log_file`. Raises StoreError while ``LGT_READ_ONLY`` is set, or when no process can be started.
    """
    refuse_if_read_only("the store")
    count = max(0, min(runs, bounds.WORKERS.most - busy_slots(database_url)))
    try:
        for _ in range(count):
            with open(log_file(database_url), "ab") as log:
                subprocess.Popen(
                    worker_command("--slot", "--idle", str(IDLE_SECONDS)), env=worker_environment(database_url),
                    start_new_session=True, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                )  # fmt: skip
    except OSError as error:
        raise StoreError(f"no worker could be started: {error.strerror}; run `python -m lgt worker` by hand") from error
    return count


def slots_folder(database_url: str) -> Path:
    """The folder of this user's slots for the store at ``database_url``. Raises StoreError when it cannot be used."""
    name = hashlib.sha256(os.fsencode(database_url)).hexdigest()[:16]
    try:
        return own_folder(f"workers/{name}")
    except OSError as error:
        raise StoreError(f"workers cannot be counted: {error}; set LGT_CACHE to a folder of your own") from error


def log_file(database_url: str) -> Path:
    """The file with the output of the dashboard's workers."""
    return slots_folder(database_url) / "workers.log"


def take_slot(database_url: str) -> FileLock | None:
    """Lock a free slot until it is released or this process ends. None when all slots are taken."""
    for number in range(bounds.WORKERS.most):
        lock = FileLock(slots_folder(database_url) / f"slot-{number}")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        return lock
    return None


def busy_slots(database_url: str) -> int:
    """The number of taken slots: how many workers of the dashboard are running."""
    busy = 0
    for number in range(bounds.WORKERS.most):
        try:
            with FileLock(slots_folder(database_url) / f"slot-{number}").acquire(timeout=0):
                pass
        except Timeout:
            busy += 1
    return busy
