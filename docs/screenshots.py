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
SHOTS = {"overview.png": ("/", "light", 1280), "explore.png": ("/explore", "light", 1280)}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def main() -> None:
    """Start the dashboard on the shipped store, take every shot, stop it."""
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(PORT)]
    server = subprocess.Popen(command, cwd=HERE.parent, stdout=subprocess.DEVNULL)
    try:
        wait_until_up()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
            for name, (path, scheme, width) in SHOTS.items():
                page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                page.goto(f"http://127.0.0.1:{PORT}{path}")
                page.wait_for_selector(READY)
                page.wait_for_selector('[data-testid="stVegaLiteChart"] .marks')
                page.wait_for_timeout(1500)
                height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
                page.set_viewport_size({"width": width, "height": height})
                page.wait_for_timeout(1500)
                page.screenshot(path=HERE / name)
                print(HERE / name)
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
