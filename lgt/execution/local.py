"""Pull workers as separate processes on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys


def start_workers(database_url: str, count: int, *, experiment: str | None = None) -> list[subprocess.Popen[bytes]]:
    """Start ``count`` single-thread worker processes on the store; each ends when nothing is queued."""
    command = [sys.executable, "-m", "lgt", "worker", "--threads", "1"]
    if experiment:
        command += ["--experiment", experiment]
    # The URL may hold a password, which an argument would show to every user of the machine.
    environment = os.environ | {"LGT_DATABASE_URL": database_url}
    return [subprocess.Popen(command, env=environment) for _ in range(count)]


def wait_for(workers: list[subprocess.Popen[bytes]]) -> None:
    """Wait until every worker has ended; an interrupt is passed on to them and raised again."""
    try:
        for worker in workers:
            worker.wait()
    except KeyboardInterrupt:
        for worker in workers:
            worker.send_signal(signal.SIGINT)
        for worker in workers:
            worker.wait()
        raise
