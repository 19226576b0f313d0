"""A dashboard in a process of its own, for tests that need a real one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parent.parent
READY = '[data-testid="stApp"][data-test-script-state="notRunning"]'


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class Server:
    """The dashboard on ``store``, up when the constructor returns. ``environment`` adds to this process's."""

    def __init__(self, store: Path, port: int | None = None, **environment: str) -> None:
        self.port = port or free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(self.port)],
            cwd=ROOT, env=os.environ | {"LGT_DATABASE_URL": str(store)} | environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{self.address}/_stcore/health")
                return
            except OSError:
                time.sleep(0.2)
        raise RuntimeError("the dashboard does not answer")

    def kill(self) -> None:
        """End the server and its whole process group at once, as a crash or a redeployment does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
