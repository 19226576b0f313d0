"""Every page in a real browser, light and dark: it fits a wide and a narrow window, axe-core finds nothing serious, and
the page is drawn under the content policy and asks only its own server.

One visit serves all these checks: opening a page takes longer than all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import BROWSER
from tests.ui.conftest import complaints, wait_for_rest

pytestmark = BROWSER
VIEWS = [
    "/", "/?race=1", "/?tour=2", "/?predict=1", "/?present=1", "/explore", "/explore?layout=On+one+axis",
    "/heads?head=1.2", "/matrix", "/claims?fig10=true", "/claims?fig3a=true", "/launch", "/runs", "/runs?run=1",
    "/runs?run=96", "/runs?run=111&answer=111-9-17", "/playground",
]  # fmt: skip
WITHOUT_CHARTS = ("/launch", "/runs")
SERIOUS = ("serious", "critical")
CHART = '[data-testid="stVegaLiteChart"]'


def too_wide(page, view: str) -> Iterator[str]:
    """Whether the page or a chart is wider than the window, which has the size that it shall be checked at."""
    width = page.viewport_size["width"]
    if not page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"):
        yield f"at {width} pixels the page is wider than the window"
    rights = page.locator(CHART).evaluate_all("charts => charts.map(chart => chart.getBoundingClientRect().right)")
    if max(rights, default=0 if view in WITHOUT_CHARTS else width + 1) > width:
        yield f"at {width} pixels charts end at {rights}"


def drawn(page, view: str) -> None:
    """Wait until the page is drawn. On a busy machine it may rest before its first chart."""
    if view not in WITHOUT_CHARTS:
        page.wait_for_selector(f"{CHART} .marks", timeout=60_000)
    wait_for_rest(page)


def narrow(page, view: str) -> None:
    """Make the window as narrow as a phone. If a chart keeps its width, which was seen on a busy machine, the page is
    opened anew: the property is that a page fits when it is opened on a phone."""
    page.set_viewport_size({"width": 400, "height": 900})
    wait_for_rest(page)
    if list(too_wide(page, view)):
        page.reload()
        drawn(page, view)


def not_accessible(page) -> Iterator[str]:
    """What axe-core calls serious."""
    from axe_playwright_python.sync_playwright import Axe

    for violation in Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]:
        if violation["impact"] in SERIOUS:
            yield from (f"axe: {violation['id']}: {node['html'][:120]}" for node in violation["nodes"])


def asked_elsewhere(page, server: str) -> Iterator[str]:
    """The addresses of other servers that the page asked for, and whether the websocket of its own was seen at all."""
    own = (f"{server}/", f"{server.replace('http', 'ws')}/", f"blob:{server}/", "data:")
    yield from (f"asked for {address}" for address in page.asked if not address.startswith(own))
    if not any(address.startswith("ws:") for address in page.asked):
        yield "no websocket was seen"


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_fits_its_window_is_accessible_and_asks_only_its_own_server(server, watched, scheme, view):
    page = watched(server + view, wait=False, scheme=scheme)
    drawn(page, view)
    faults = complaints(page)  # before axe-core, which is not of the page
    faults += [*too_wide(page, view), *not_accessible(page)]
    narrow(page, view)
    faults += [*too_wide(page, view), *asked_elsewhere(page, server)]
    assert not faults, "\n".join(faults)
