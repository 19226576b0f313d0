"""A dashboard in a process of its own and the browser that opens it, for tests that need real ones."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
READY = '[data-testid="stApp"][data-test-script-state="notRunning"]'
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
BROWSER_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
                     "--disable-sync", "--no-first-run"]  # fmt: skip
BROWSER = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine; `make test` installs it on Debian"),
]
"""The marks of a test that opens a browser."""


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def until(page: Any, expression: str, every: int = 250, timeout: int = 60_000) -> None:
    """Wait until ``expression`` is true on a page of a browser. Asks every ``every`` ms for at most ``timeout`` ms.

    The browser's own way of waiting evaluates the text inside the page, which the content policy forbids.
    """
    for _ in range(timeout // every):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(every)
    raise AssertionError(f"never true: {expression}")


class Server:
    """The dashboard on ``store`` alone, up when the constructor returns. ``environment`` adds to this process's.

    ``script`` and ``options`` are those of ``streamlit run``, which is started in ``folder``.
    """

    def __init__(
        self,
        store: Path,
        port: int | None = None,
        script: str = "app.py",
        options: Sequence[str] = (),
        folder: Path = ROOT,
        **environment: str,
    ) -> None:
        self.port = port or free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", str(ROOT / script), "--server.port", str(self.port), *options],
            cwd=folder, env=os.environ | {"LGT_DATABASE_URL": str(store), "LGT_SHIPPED": ""} | environment,
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
