"""A dashboard in a process of its own, the browser that opens it, and a PostgreSQL server, for tests that need real
ones."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
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


class PostgreSQL:
    """A PostgreSQL server with an empty database at ``url``, up when the constructor returns, for these tests only.

    Skips the test when PostgreSQL is not installed.
    """

    def __init__(self, **settings: str) -> None:
        binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        found = shutil.which("initdb")
        if not binaries and not found:
            pytest.skip("PostgreSQL is not installed: `sh tests/system_packages.sh` does that on Debian")
        self.folder = Path(found).parent if found else binaries[-1]
        self.place = Path(tempfile.mkdtemp(prefix="lgt-postgresql-"))  # a socket's path may not be long
        self.as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []  # it refuses to run as root
        if self.as_user:
            shutil.chown(self.place, "postgres")
        self.url = f"postgresql+psycopg://lgt@/postgres?host={self.place}"
        chosen = {"listen_addresses": "''", "fsync": "off", "jit": "off", "max_connections": "200"} | settings
        self.options = f"-k {self.place} " + " ".join(f"-c {name}={value}" for name, value in chosen.items())
        self.run("initdb", "-D", str(self.place / "data"), "-U", "lgt", "--auth=trust", "-E", "UTF8")
        self.start()

    def run(self, program: str, *words: str) -> None:
        command = [*self.as_user, str(self.folder / program), *words]
        subprocess.run(command, check=True, capture_output=True, cwd="/")

    def start(self) -> None:
        log = str(self.place / "log")
        self.run("pg_ctl", "-D", str(self.place / "data"), "-o", self.options, "-l", log, "-w", "start")

    def stop(self, mode: str = "fast") -> None:
        """``fast`` ends all connections, ``immediate`` is a crash."""
        self.run("pg_ctl", "-D", str(self.place / "data"), "-m", mode, "-w", "stop")

    def remove(self) -> None:
        """Stop it, if it runs, and remove its files."""
        with suppress(subprocess.CalledProcessError):
            self.stop("immediate")
        shutil.rmtree(self.place, ignore_errors=True)
