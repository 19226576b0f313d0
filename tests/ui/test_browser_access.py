"""Accessibility of every page in a real browser, as axe-core judges it."""

from __future__ import annotations

import pytest

from tests.servers import BROWSER, READY, until

pytestmark = BROWSER
VIEWS = [
    "/", "/?race=1", "/?tour=2", "/?predict=1", "/?present=1", "/explore", "/heads?head=1.2", "/matrix",
    "/claims?fig10=true", "/launch", "/runs", "/runs?run=96", "/runs?run=111&answer=111-9-17", "/playground",
]  # fmt: skip
SERIOUS = ("serious", "critical")
AT_REST = """() => {
    const count = document.querySelectorAll('*').length;
    window.lgtSame = count === window.lgtCount ? window.lgtSame + 1 : 0;
    window.lgtCount = count;
    return window.lgtSame >= 3;
}"""
"""Components and charts are drawn after the script has ended: whether the page kept its size at four looks in a row."""


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_violation(server, new_page, scheme, view):
    from axe_playwright_python.sync_playwright import Axe

    page = new_page(1280, scheme=scheme)
    page.goto(server + view)
    page.wait_for_selector(READY, timeout=60_000)
    until(page, AT_REST, every=250, timeout=60_000)
    violations = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    page.close()
    assert [
        f"{violation['id']}: {node['html'][:120]}"
        for violation in violations if violation["impact"] in SERIOUS
        for node in violation["nodes"]
    ] == []  # fmt: skip
