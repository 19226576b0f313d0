"""What a viewer does in a real browser: launch and watch a run, click a head, step through an answer."""

from __future__ import annotations

import os
import re
import signal
import subprocess

import pytest

from tests.servers import BROWSER, READY, until

pytestmark = BROWSER

ANSWER = 60_000  # ms: a rerun on a busy machine
RUN = 300_000
SMALL_PAIR = "group=own&main=string_copy&aux=reverse&lm=2&la=4"


def end_workers(store: str) -> None:
    """End the workers that the dashboard of ``store`` has started: they outlive it by design."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        if " worker " in line and store in line:
            os.kill(int(line.split()[0]), signal.SIGTERM)


@pytest.fixture()
def board(tmp_path):
    """Address of a dashboard on an empty store."""
    from tests.servers import Server

    store = tmp_path / "launch.db"
    found = Server(store)
    yield found.address
    found.kill()
    end_workers(str(store))


def test_a_run_is_launched_watched_by_two_and_its_curve_is_there_after_a_refresh(board, chromium):
    first = chromium.new_page(viewport={"width": 1280, "height": 1000})
    first.goto(f"{board}/launch?{SMALL_PAIR}")
    first.get_by_role("button", name="Start", exact=True).click(timeout=ANSWER)
    first.get_by_text(re.compile(r"step [\d,]+ of 1,000")).first.wait_for(timeout=ANSWER)
    second = chromium.new_page(viewport={"width": 400, "height": 900})
    second.goto(f"{board}/launch")
    second.get_by_text(re.compile(r"1,000|waiting|done")).first.wait_for(timeout=ANSWER)
    first.reload()
    for page in (first, second):
        # No click: the pages follow by themselves. A rerun may show the old and the new line at once, hence the first.
        page.get_by_text(re.compile(r"run 1 .* done")).first.wait_for(timeout=RUN)
        page.get_by_text(re.compile(r"after 1,000 steps")).first.wait_for(timeout=RUN)
        page.wait_for_selector('[data-testid="stVegaLiteChart"] .marks', timeout=ANSWER)
    assert first.get_by_text("are in your workspace already").is_visible()
    assert second.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    first.close()
    second.close()


def test_a_click_on_a_head_chooses_it_and_the_address_keeps_it(server, tab):
    page = tab(f"{server}/heads?pair=caprev.demo")
    page.locator('.linked .graph [data-head="L1·H2"]').click(timeout=ANSWER)
    page.wait_for_url("**head=1.2**", timeout=ANSWER)
    page.get_by_role("heading", name="Head L1·H2").wait_for(timeout=ANSWER)
    line = page.get_by_text("Without it, at lengths").first
    line.wait_for(timeout=ANSWER)
    box = page.get_by_role("combobox", name="Head", exact=True).bounding_box()
    assert 0 < line.bounding_box()["y"] - box["y"] < 100, "what it costs stands right below the box"
    page.get_by_text("Where it looks").first.wait_for(timeout=ANSWER)
    page.get_by_role("link", name="Curves and attention below").click()
    page.wait_for_url("**head=1.2**#one-head", timeout=ANSWER)
    assert tab.complaints == []


def test_a_click_on_a_row_of_failures_shows_the_answer_and_leads_to_its_prompt(server, tab):
    page = tab(f"{server}/runs?run=111")
    name = page.locator('[class*="st-key-chart-failures-111"] svg text', has_text="9 digits").first
    name.wait_for(timeout=ANSWER)
    name.scroll_into_view_if_needed()
    page.wait_for_selector(READY)
    place = name.bounding_box()
    page.mouse.click(place["x"] + 8, place["y"] + 90)
    page.wait_for_url("**answer=111-9-**", timeout=ANSWER)
    page.get_by_text("true answer").first.wait_for(timeout=ANSWER)
    number = page.url.rsplit("-", 1)[1]
    link = page.get_by_role("link", name="Open this prompt in the playground")
    assert link.get_attribute("href").endswith(f"playground?run=111&task=reverse_add&length=9&test={number}")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert tab.complaints == []


def test_an_address_opens_the_playground_at_a_token(server, tab):
    page = tab(f"{server}/playground")
    page.get_by_role("button", name="Next", exact=True).click(timeout=ANSWER)
    page.wait_for_url(lambda url: "token=2" in url or "step=2" in url, timeout=ANSWER)
    again = tab(page.url)
    again.get_by_text(re.compile("^Token 2: the model writes")).first.wait_for(timeout=ANSWER)


def test_the_runs_table_opens_a_run_by_its_address(server, tab):
    page = tab(f"{server}/runs?run=1")
    page.get_by_role("button", name="All runs").click(timeout=ANSWER)
    page.wait_for_url(lambda url: "run=1" not in url, timeout=ANSWER)
    page.wait_for_selector(READY)
    page.get_by_text(re.compile(r"\d+ of \d+ runs")).first.wait_for(timeout=ANSWER)
    assert tab.complaints == []


def test_a_click_on_a_name_below_the_overlay_brings_out_its_curve(server, tab):
    page = tab(f"{server}/explore?pair=caprev.demo&layout=On+one+axis")
    names = page.locator(".st-key-chart-overlay .role-legend-label text")
    names.nth(1).wait_for(timeout=ANSWER)
    lines = ".st-key-chart-overlay g.mark-line path"

    def opacities() -> list[str]:
        return page.evaluate(f"[...document.querySelectorAll('{lines}')].map(line => line.getAttribute('opacity'))")

    assert opacities() == ["1", "1"]
    names.nth(1).click(force=True)
    until(page, f"document.querySelector('{lines}').getAttribute('opacity') < 0.5")
    assert opacities()[1] == "1"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert tab.complaints == []
