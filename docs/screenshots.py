"""Screenshots of the pages from a real browser, into this folder. Run by `make screenshots`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
PORT = 8597
READY = '[data-testid="stApp"][data-test-script-state="notRunning"]'
SHOTS = {
    "overview.png": ("/", "light", 1280, 1420),
    "overview-dark.png": ("/?tour=6", "dark", 1280, 1180),
    "overview-phone.png": ("/?pair=caprev.demo", "light", 400, 900),
    "explore.png": ("/explore", "light", 1280, 1500),
    "heads.png": ("/heads?pair=caprev.demo&head=1.2", "light", 1280, 1900),
    "matrix.png": ("/matrix?preset=demo", "light", 1280, 1700),
    "claims.png": ("/claims", "light", 1280, 1300),
    "launch.png": ("/launch?seeds=7", "light", 1280, 760),
    "runs.png": ("/runs", "light", 1280, 860),
    "run.png": ("/runs?run=1", "dark", 1280, 1000),
    "playground.png": ("/playground", "light", 1280, 1560),
}
"""File to (address, colour scheme, width and height of the window in px)."""
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def main() -> None:
    """Start the dashboard on the shipped store, take every shot, stop it."""
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(PORT)]
    server = subprocess.Popen(command, cwd=HERE.parent, stdout=subprocess.DEVNULL)
    try:
        wait_until_up()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
            for name, (path, scheme, width, height) in SHOTS.items():
                page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
                page.goto(f"http://127.0.0.1:{PORT}{path}")
                page.wait_for_selector(READY, timeout=120_000)
                page.wait_for_timeout(4000)  # charts, tables and live models come after the script's first end
                page.wait_for_selector(READY, timeout=120_000)
                page.screenshot(path=HERE / name)
                print(HERE / name)
                page.close()
            browser.close()
    finally:
        server.terminate()


def wait_until_up() -> None:
    """Until the server answers its health check; at most a minute."""
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/_stcore/health")
            return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("the dashboard did not start")


if __name__ == "__main__":
    main()
