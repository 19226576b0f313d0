"""Accessibility of every page in a real browser, as axe-core judges it."""

from __future__ import annotations

import pytest

from tests.servers import READY
from tests.ui.test_browser import chromium, pytestmark, server  # noqa: F401  (fixtures and marks of all browser tests)

VIEWS = [
    "/", "/?tour=2", "/?predict=1", "/?present=1", "/explore", "/heads?head=1.2", "/matrix", "/claims?fig10=true",
    "/launch", "/runs", "/runs?run=96", "/playground",
]  # fmt: skip
SERIOUS = ("serious", "critical")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_violation(server, chromium, scheme):  # noqa: F811
    from axe_playwright_python.sync_playwright import Axe

    found = []
    for view in VIEWS:
        page = chromium.new_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
        page.goto(server + view)
        page.wait_for_selector(READY, timeout=60_000)
        page.wait_for_timeout(1500)  # components and charts are drawn after the script has ended
        for violation in Axe().run(page).response["violations"]:
            if violation["impact"] in SERIOUS:
                found += [f"{view}: {violation['id']}: {node['html'][:120]}" for node in violation["nodes"]]
        page.close()
    assert found == []
