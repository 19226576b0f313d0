"""From starting the dashboard's process to the first chart in a fresh browser tab."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import harness
from benchmarks.harness import ROOT, Disagreement, NotHere, Section, Settings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
CHART = '[data-testid="stVegaLiteChart"] .marks'
PATIENCE = 120.0  # seconds


@contextmanager
def dashboard(store: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The server's process and address, started at the block's beginning and ended with it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port),
               "--server.headless", "true"]  # fmt: skip
    environment = os.environ | {"LGT_DATABASE_URL": str(store)}
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=quiet, stderr=quiet)
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_for(address: str) -> None:
    """Wait until the server answers."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{address}/_stcore/health")
            return
        except OSError:
            time.sleep(0.02)
    raise Disagreement("the dashboard did not answer")


def first_chart(browser: Any, store: Path) -> tuple[float, float]:
    """Seconds to the first chart after starting the server, and after a reload in another new tab."""
    started = time.monotonic()
    with dashboard(store) as (process, address):
        wait_for(address)
        visit(browser, address)
        cold = time.monotonic() - started
        warm = harness.seconds(lambda: visit(browser, address))
        if has_torch(process.pid):
            raise Disagreement("the dashboard's process has loaded torch")
    return cold, warm


def visit(browser: Any, address: str) -> None:
    """Open the address in a new tab, wait for a chart, close it."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    try:
        page.goto(address)
        page.wait_for_selector(CHART, timeout=1000 * PATIENCE)
    finally:
        page.close()


def has_torch(process: int) -> bool:
    """Whether the process has loaded torch's libraries. Works on Linux only."""
    maps = Path(f"/proc/{process}/maps")
    return maps.exists() and "libtorch" in maps.read_text()


def run(settings: Settings) -> Section:
    """One line: cold starts and second visits, on a copy of the shipped store. The browser is already running."""
    if CHROMIUM is None:
        raise NotHere("no Chromium on this machine; run sh tests/system_packages.sh")
    from playwright.sync_api import sync_playwright

    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        store = Path(shutil.copy(ROOT / "results.db", folder))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        visit_nothing(browser)
        found = [first_chart(browser, store) for _ in range(settings.repetitions)]
        browser.close()
    row = [harness.spread([pair[side] for pair in found], "s") for side in (0, 1)]
    return Section(harness.table(["server start to first chart", "second visit"], [[f"**{row[0]}**", row[1]]]))


def visit_nothing(browser: Any) -> None:
    """Open an empty tab first, so that the start of the browser is not measured."""
    page = browser.new_page()
    page.goto("about:blank")
    page.close()
