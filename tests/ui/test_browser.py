"""The dashboard in a real browser: charts appear, addresses work both ways, nothing in the console."""

from __future__ import annotations

from tests.servers import BROWSER, until

pytestmark = BROWSER


def test_overview_draws_two_curves_and_two_graphs_without_a_complaint(server, tab):
    page = tab(server)
    until(page, "document.querySelectorAll('[data-testid=\"stVegaLiteChart\"] .marks').length === 4")
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
