"""The dashboard in a real browser: charts appear, addresses work both ways, narrow and dark, nothing in the console."""

from __future__ import annotations

import shutil

import pytest

from tests.conftest import ROOT
from tests.servers import READY, Server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine; `make test` installs it on Debian"),
]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", "--no-first-run"]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Address of a dashboard on a copy of the shipped store."""
    store = tmp_path_factory.mktemp("store") / "results.db"
    shutil.copy(ROOT / "results.db", store)
    server = Server(store)
    yield server.address
    server.kill()


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def complains(message) -> bool:
    """Whether the console shows an error that is not Streamlit's own: on a page with a path of its own it first looks
    for its server below this path, which answers 404."""
    return message.type == "error" and "/_stcore/" not in message.location.get("url", "")


@pytest.fixture()
def tab(chromium):
    """Opens a page and collects what its console says."""
    pages, complaints = [], []

    def opened(address: str, width: int = 1440, scheme: str = "light"):
        page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
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


def test_overview_draws_two_curves_and_two_graphs_without_a_complaint(server, tab):
    page = tab(server)
    page.wait_for_function("document.querySelectorAll('[data-testid=\"stVegaLiteChart\"] .marks').length === 4")
    for place in range(4):  # one picture with its description each, not a list of nameless marks
        chart = page.locator('[data-testid="stVegaLiteChart"][role="graphics-document"]').nth(place)
        assert len(chart.get_attribute("aria-label")) > 80
        assert chart.locator('.role-mark[role="graphics-symbol"]').count() == 0
    assert page.get_by_text("Alone", exact=True).is_visible()
    assert tab.complaints == []


def test_an_address_chooses_the_pair_and_a_choice_changes_the_address(server, tab):
    page = tab(f"{server}/?pair=caprev.demo")
    page.get_by_text("Flip case and reverse").first.wait_for()
    page.get_by_text("exact match at 9–16 characters").first.wait_for()
    page.get_by_text("main-task examples", exact=True).first.click()
    page.wait_for_url("**matched=*")
    assert "pair=caprev.demo" in page.url


@pytest.mark.parametrize("path", ["/", "/explore", "/heads?head=1.2", "/matrix", "/claims?fig3a=true", "/playground",
                                  "/runs?run=1"])  # fmt: skip
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_pages_fit_their_window(server, tab, path, scheme, width):
    page = tab(server + path, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    charts = page.locator('[data-testid="stVegaLiteChart"]')
    rights = charts.evaluate_all("charts => charts.map(chart => chart.getBoundingClientRect().right)")
    assert rights and max(rights) <= width
