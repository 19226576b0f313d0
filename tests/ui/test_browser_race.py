"""The race in a real browser: it plays without the server, stands still at stored steps, and lives in one file."""

from __future__ import annotations

import re

import pytest

from lgt.report.race_page import race_data, race_page
from tests.races import picture_of
from tests.servers import BROWSER, until

pytestmark = BROWSER


def step(page) -> int:
    """The step that the race shows."""
    return int(re.match(r"step ([\d,]+) of", page.locator(".race output").inner_text())[1].replace(",", ""))


def counters(page) -> str:
    """What a reader who does not see the picture hears."""
    return page.locator(".race svg[role=img]").get_attribute("aria-label")


def changed(page, before: int, timeout: int = 15_000) -> int:
    """Wait until another step is shown, and return it."""
    for _ in range(timeout // 100):
        if step(page) != before:
            return step(page)
        page.wait_for_timeout(100)
    raise AssertionError(f"step {before} stays")


@pytest.fixture()
def race(server, tab):
    """Opens the race; counts what the page and the server say to each other."""

    def opened(address: str = "?race=1&pair=caprev.demo", width: int = 1280, scheme: str = "light"):
        page = tab(f"{server}/{address}", width, scheme)
        page.wait_for_selector(".race svg[role=img]")
        page.wait_for_timeout(1500)  # the page's script has ended; what follows is the browser alone
        return page

    return opened


STORED = {*range(50, 1001, 50), 167, 333, 667, 833}
"""The measured steps of both arms of caprev.demo."""


def test_play_changes_the_step_without_a_run_of_the_script(server, new_page):
    page, said = new_page(1280), []

    def hear(message):
        said.append(message)

    page.on("websocket", lambda socket: [socket.on(name, hear) for name in ("framereceived", "framesent")])
    page.goto(f"{server}/?race=1&pair=caprev.demo")
    page.wait_for_selector(".race svg[role=img]", timeout=60_000)
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    page.wait_for_timeout(2000)
    assert page.locator(".race .play").inner_text() == "Pause", "it plays by itself"
    page.locator(".race .play").click()
    still = step(page)
    page.wait_for_timeout(1200)
    assert step(page) == still and page.locator(".race .play").inner_text() in ("Play", "Replay")
    heard = len(said)
    assert heard, "otherwise this test would not see a message"
    page.locator(".race .play").click()
    seen = {still}
    for _ in range(4):
        seen.add(changed(page, step(page)))
    assert len(seen) > 3 and seen <= STORED, "only stored steps"
    assert len(said) == heard, "nothing was sent or received"
    page.close()


def test_keys_move_between_stored_steps_and_space_plays(race):
    page = race()
    page.locator(".race .play").click()
    page.locator(".race input[type=range]").focus()
    page.keyboard.press("Home")
    assert step(page) == 50 and "not measured yet" in counters(page)
    shown = []
    for _ in range(4):
        page.keyboard.press("ArrowRight")
        shown.append(step(page))
    assert shown == [100, 150, 167, 200]
    page.keyboard.press("End")
    assert step(page) == 1000
    assert "Alone: longest length above 50%: 8" in counters(page)
    assert "longest length above 50%: 15, 2 shared heads" in counters(page)
    page.locator(".race input[type=range]").blur()
    page.keyboard.press(" ")
    assert page.locator(".race .play").inner_text() == "Pause" and changed(page, 1000) in STORED
    page.keyboard.press(" ")
    assert page.locator(".race .play").inner_text() == "Play"


DRAWN = """(svg, colour) => {
  const zone = svg.querySelector('rect'), top = zone.y.baseVal.value, height = zone.height.baseVal.value;
  const lines = [...svg.querySelectorAll('path')].filter((path) => path.getAttribute('stroke') === colour
    && /^M[-0-9.,L]+$/.test(path.getAttribute('d') ?? ''));
  return lines.map((path) => path.getAttribute('d').slice(1).split('L').map((point) =>
    (top + height - Number(point.split(',')[1])) / height));
}"""
"""The heights of the points of every line in one colour, as shares of the plot."""


def test_a_standing_picture_shows_the_stored_counts(race, shipped):
    page, picture = race(), picture_of(shipped, "caprev.demo")
    page.locator(".race .play").click()
    page.locator(".race input[type=range]").focus()
    page.keyboard.press("Home")
    for _ in range(7):
        page.keyboard.press("ArrowRight")
    assert step(page) == 333, "alone was measured there; together last at 300"
    page.wait_for_timeout(300)
    colour = picture["colours"]["light"]["tasks"]["capitalize_reverse"]
    drawn = page.locator(".race svg[role=img]").evaluate(DRAWN, colour)
    sides = zip(picture["sides"], (333, 300), strict=True)
    stored = [side["curves"][0]["mean"][side["steps"].index(at)] for side, at in sides]
    assert drawn == [pytest.approx(shares, abs=2e-3) for shares in stored]


def test_a_run_of_the_script_does_not_start_the_race_again(race):
    page = race()
    page.locator(".race .play").click()
    page.locator(".race input[type=range]").focus()
    page.keyboard.press("End")
    page.locator(".st-key-quiet-threshold [role=slider], .st-key-quiet-threshold input").first.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**threshold=20*")
    until(page, "document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'")
    page.wait_for_timeout(500)
    assert step(page) == 1000 and page.locator(".race .play").inner_text() == "Replay"


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1280, "light")])
def test_the_race_fits_and_nothing_complains(race, tab, width, scheme):
    page = race(width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    box = page.locator(".race svg[role=img]").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    surface = page.locator(".race").evaluate("race => race.style.getPropertyValue('--surface')")
    assert surface == ("#0E1117" if scheme == "dark" else "#FFFFFF")
    assert tab.complaints == []


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1920, 1080)])
def test_a_projector_shows_the_whole_race_with_its_controls(server, new_page, width, height):
    page = new_page(width, height)
    page.goto(f"{server}/?race=1&present=1")
    page.wait_for_selector(".race svg[role=img]", timeout=60_000)
    page.wait_for_timeout(2500)
    box = page.locator(".race .play").bounding_box()
    assert box["y"] + box["height"] <= height
    size = page.locator(".race svg[role=img] text").first.evaluate(
        "text => parseFloat(getComputedStyle(text).fontSize)"
    )
    assert size >= 0.015 * height
    page.close()


def test_less_motion_starts_paused_at_the_end(server, chromium):
    context = chromium.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{server}/?race=1&pair=caprev.demo")
    page.wait_for_selector(".race svg[role=img]", timeout=60_000)
    page.wait_for_timeout(1500)
    assert step(page) == 1000 and page.locator(".race .play").inner_text() == "Replay"
    context.close()


def test_the_file_plays_offline_and_shows_each_seed(shipped, tmp_path, chromium):
    views = {"mean over seeds": picture_of(shipped, "caprev.demo"), "seed 3": picture_of(shipped, "caprev.demo", 3)}
    path, asked, complaints = tmp_path / "race.html", [], []
    path.write_text(race_page("Flip case </script> and reverse", race_data(views), ["Runs 1–20."]), encoding="utf-8")
    context = chromium.new_context(offline=True)
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector(".race svg[role=img] path")
    seen = {changed(page, step(page)) for _ in range(3)}
    assert seen <= STORED
    page.locator(".race .play").click()
    page.locator(".race select").select_option(label="seed 3")
    assert "one run of each side, seed 3" in page.locator(".race .notes").inner_text()
    assert page.get_by_role("heading").inner_text() == "Flip case </script> and reverse"
    assert asked == [path.as_uri()] and complaints == []
    context.close()
