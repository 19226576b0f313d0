"""A dashboard and a browser for the tests of this folder."""

from __future__ import annotations

import shutil

import pytest

from tests.conftest import ROOT
from tests.servers import BROWSER_ARGUMENTS, CHROMIUM, READY, Server, until

VIOLATIONS = """document.addEventListener('securitypolicyviolation',
    (event) => console.error('violation of the policy', event.violatedDirective, event.blockedURI))"""
AT_REST = """() => {
    const charts = [...document.querySelectorAll('[data-testid="stVegaLiteChart"]')];
    const look = [document.querySelectorAll('*').length, document.documentElement.scrollWidth, window.innerWidth,
        ...charts.map((chart) => chart.getBoundingClientRect().right)].join();
    window.lgtSame = look === window.lgtLook ? window.lgtSame + 1 : 0;
    window.lgtLook = look;
    return window.lgtSame >= 3;
}"""
"""Components and charts are drawn after the script has ended, and again when the window changes: whether the page had
the same elements and widths at four looks in a row."""


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


def wait_for_rest(page) -> None:
    """Wait until the script has ended and the page stays as it is."""
    page.wait_for_selector(READY, timeout=60_000)
    until(page, AT_REST, every=250, timeout=60_000)


@pytest.fixture()
def watched(new_page):
    """Opens a page; ``said`` is what its console said, ``asked`` the addresses that it asked for."""
    pages = []

    def opened(address: str, wait: bool = True, scheme: str = "light"):
        page = new_page(1280, scheme=scheme)
        page.said, page.asked = [], []
        page.add_init_script(VIOLATIONS)
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("websocket", lambda socket: page.asked.append(socket.url))
        pages.append(page)
        page.goto(address)
        if wait:
            wait_for_rest(page)
        return page

    yield opened
    for page in pages:
        page.close()


def complaints(page) -> list[str]:
    """What the console of a ``watched`` page said, without the 404 of Streamlit's search for its server below the
    page's path."""
    return [text for text in page.said if "404 (Not Found)" not in text]
