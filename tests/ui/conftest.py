"""A dashboard and a browser for the tests of this folder."""

from __future__ import annotations

import shutil

import pytest

from tests.conftest import ROOT
from tests.servers import BROWSER_ARGUMENTS, CHROMIUM, READY, Server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Address of a dashboard on a copy of the shipped store. All browser tests of this process share it."""
    store = tmp_path_factory.mktemp("store") / "results.db"
    shutil.copy(ROOT / "results.db", store)
    server = Server(store)
    yield server.address
    server.kill()


@pytest.fixture(scope="module")
def chromium():
    """A browser. Its profile is shared by all tests of a file, so that it loads the dashboard's scripts once."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def new_page(chromium):
    """Opens an empty page ``(width, height, scheme)``. All pages of a file share what the browser has cached."""
    profile = chromium.new_context()

    def opened(width: int = 1440, height: int = 900, scheme: str = "light"):
        page = profile.new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        return page

    yield opened
    profile.close()


def complains(message) -> bool:
    """Whether the console shows an error that is not Streamlit's own: on a page with a path of its own it first looks
    for its server below this path, which answers 404."""
    return message.type == "error" and "/_stcore/" not in message.location.get("url", "")


@pytest.fixture()
def tab(new_page):
    """Opens a page and collects what its console says."""
    pages, complaints = [], []

    def opened(address: str, width: int = 1440, scheme: str = "light"):
        page = new_page(width, scheme=scheme)
        page.on("console", lambda message: complaints.append(message.text) if complains(message) else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        pages.append(page)
        page.goto(address)
        page.wait_for_selector(READY, timeout=60_000)
        page.wait_for_selector('[data-testid="stVegaLiteChart"] .marks', timeout=60_000)
        return page

    opened.complaints = complaints
    yield opened
    for page in pages:
        page.close()
