"""Overview in a real browser: the fold, the tour by keyboard, presenter mode, the address and the drawings to keep."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
import zipfile

import pytest

from tests.servers import BROWSER, READY, until

pytestmark = BROWSER

ANSWER = 30_000  # ms: a rerun on a busy machine
CHARTS = '[data-testid="stVegaLiteChart"]'


def step(page, number: int) -> None:
    """Wait until the tour shows this step."""
    page.get_by_text(f"Step {number} of 7").first.wait_for(timeout=ANSWER)


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1280, 800)])
def test_numbers_and_both_curves_are_in_the_first_window(server, tab, width, height):
    page = tab(server, width)
    page.set_viewport_size({"width": width, "height": height})
    until(page, f"document.querySelectorAll('{CHARTS} svg').length === 4", timeout=ANSWER)
    # The tinted zones end at the length axis.
    ends = page.locator(f"{CHARTS} .mark-rect").evaluate_all(
        "marks => marks.map(m => m.getBoundingClientRect().bottom)"
    )
    assert len([end for end in ends if end < height - 60]) >= 2
    for place in range(2):
        assert page.locator(".lgt-arm b").nth(place).bounding_box()["y"] < height / 2
    assert tab.complaints == []


def test_the_tour_goes_by_keyboard_and_leaves_the_address_behind(server, tab):
    page = tab(f"{server}/?pair=caprev.demo&tour=1")
    step(page, 1)
    for key, number in (("ArrowRight", 2), (" ", 3), ("PageDown", 4), ("ArrowLeft", 3), ("PageUp", 2)):
        page.keyboard.press(key)
        step(page, number)
        assert re.search(rf"[?&]tour={number}\b", page.url) and "pair=caprev.demo" in page.url
    page.keyboard.press("Control+ArrowRight")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Guided tour").wait_for(timeout=ANSWER)
    assert "tour=" not in page.url and tab.complaints == []


WINDOWS = {"present=1&": (1280, 720), "": (400, 850)}


def at_rest(page) -> float:
    """How far the page is scrolled down once it stays there."""
    page.wait_for_selector(READY, timeout=ANSWER)
    until(
        page,
        "() => { const now = document.querySelector('[data-testid=stMain]').scrollTop, was = window.lgtWas;"
        " window.lgtWas = now; return now === was; }",
        every=700, timeout=ANSWER,
    )  # fmt: skip
    return page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop")


@pytest.mark.parametrize("deep", [True, False], ids=["a link", "the key"])
@pytest.mark.parametrize("mode", WINDOWS, ids=["presenting", "phone"])
def test_the_shared_heads_are_in_sight_below_the_card(server, tab, mode, deep):
    width, height = WINDOWS[mode]
    page = tab(f"{server}/?{mode}pair=add-carry.small&tour={6 if deep else 5}", width)
    page.set_viewport_size({"width": width, "height": height})
    if not deep:
        step(page, 5)
        page.keyboard.press("ArrowRight")
    step(page, 6)
    until(page, f"document.querySelectorAll('{CHARTS} svg').length === 4", timeout=ANSWER)
    assert at_rest(page) > 200
    card = page.locator(".st-key-tour").bounding_box()
    graph = page.locator(".st-key-chart-graph-co-trained")
    places = [
        graph.get_by_text(name, exact=True).bounding_box() for name in ("Addition", "shared", "Digit sums", "Carries")
    ]
    assert card["y"] >= 0 and card["y"] + card["height"] < places[0]["y"]
    assert all(place["y"] + place["height"] < height for place in places)
    lit, dim = (
        float(page.locator(f".st-key-{part} {CHARTS}").evaluate("part => getComputedStyle(part).opacity"))
        for part in ("part-heads-together", "part-heads-alone")
    )
    assert lit > 0.9 and dim < 0.5


def test_the_page_stays_where_a_viewer_scrolls_it(server, tab):
    page = tab(f"{server}/?tour=6", 1280)
    assert (before := at_rest(page)) > 200
    page.mouse.move(640, 700)
    page.mouse.wheel(0, -200)
    page.wait_for_timeout(1000)
    assert at_rest(page) == pytest.approx(before - 200, abs=5)


def test_keys_belong_to_what_is_typed_in_and_to_the_control_with_the_focus(server, tab):
    page = tab(f"{server}/?tour=2")
    step(page, 2)
    slider = page.locator(".st-key-quiet-threshold [role=slider], .st-key-quiet-threshold input").first
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**threshold=20**", timeout=ANSWER)
    assert "tour=2" in page.url
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<input id=typing style=\"position:fixed;top:0;z-index:9999\">')"
    )
    page.locator("#typing").focus()
    page.keyboard.press(" ")
    page.keyboard.press("Escape")
    page.wait_for_timeout(1000)
    assert "tour=2" in page.url and page.locator("#typing").input_value() == " "


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1920, 1080)])
def test_presenter_mode_has_curves_of_two_fifths_of_the_window(server, tab, width, height):
    page = tab(f"{server}/?present=1", width, "dark")
    page.set_viewport_size({"width": width, "height": height})
    until(page, f"document.querySelectorAll('{CHARTS} svg').length === 4", timeout=ANSWER)
    page.wait_for_timeout(1000)
    for side in ("alone", "together"):
        chart = page.locator(f".st-key-chart-curve-{side} svg.marks")
        zone = chart.locator(".mark-rect path").first.bounding_box()
        assert zone["height"] == pytest.approx(0.4 * height, rel=0.03) and zone["y"] + zone["height"] < height
        name = chart.get_by_text("transfer region", exact=True).bounding_box()
        assert name["height"] > 0.025 * height
        column = page.locator(f".st-key-part-{side}").bounding_box()
        assert chart.bounding_box()["width"] <= column["width"] + 1
    leave = page.get_by_role("button", name="Leave").bounding_box()
    text = page.locator(".st-key-part-together").bounding_box()
    assert text["x"] + text["width"] <= leave["x"]  # it stands in the margin and covers no sentence


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_presenter_mode_is_large_and_left_by_escape_after_the_tour(server, tab, scheme):
    page = tab(f"{server}/?present=1&tour=6", 1280, scheme)
    step(page, 6)
    assert not page.locator('[data-testid="stHeader"]').is_visible()
    assert not page.get_by_text("About the method").is_visible()
    assert float(page.evaluate("getComputedStyle(document.documentElement).fontSize").removesuffix("px")) > 19
    assert page.locator(f"{CHARTS} text").first.evaluate("text => getComputedStyle(text).fontSize") == "17px"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.get_by_role("button", name="Leave").is_visible()
    page.keyboard.press("ArrowRight")  # a step later the tour still comes first
    step(page, 7)
    page.wait_for_selector(READY)
    page.keyboard.press("Escape")
    page.wait_for_url(lambda url: "tour=" not in url, timeout=ANSWER)
    page.get_by_text("A small transformer is trained").first.wait_for(timeout=ANSWER)
    page.wait_for_selector(READY)
    assert "present=1" in page.url
    page.keyboard.press("Escape")
    page.wait_for_url(lambda url: "present=" not in url, timeout=ANSWER)
    page.locator('[data-testid="stHeader"]').wait_for(timeout=ANSWER)
    assert tab.complaints == []


def test_the_share_button_shows_the_address_of_this_view(server, tab):
    page = tab(f"{server}/?pair=caprev.demo&threshold=20")
    page.get_by_role("button", name="Share").click()
    address = page.get_by_label("Address of this view")
    address.wait_for(timeout=ANSWER)
    page.wait_for_timeout(600)
    assert address.input_value() == page.url and "threshold=20" in page.url
    page.get_by_role("button", name="Copy", exact=True).click()
    page.get_by_role("button", name="Copied").wait_for()
    assert tab.complaints == []


def test_each_chart_can_be_kept_as_svg_and_png_and_all_as_zip(server, tab, tmp_path):
    page = tab(f"{server}/?pair=caprev.demo", scheme="dark")
    page.get_by_role("button", name="Download", exact=True).click()
    kept = {}
    for name in ("Curve together as SVG", "Heads together as PNG"):
        button = page.get_by_role("button", name=name)
        button.wait_for(timeout=ANSWER)
        with page.expect_download() as download:
            button.click()
        kept[name] = tmp_path / download.value.suggested_filename
        download.value.save_as(kept[name])
    curve = kept["Curve together as SVG"]
    assert curve.name == "lgt-overview-caprev-demo-curve-together.svg"
    assert ElementTree.parse(curve).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert "transfer region" in curve.read_text() and "#0E1117" in curve.read_text()
    assert kept["Heads together as PNG"].read_bytes().startswith(b"\x89PNG")
    with page.expect_download(timeout=60_000) as download:
        page.get_by_role("button", name="All charts and their numbers").click()
    assert download.value.suggested_filename == "lgt-overview-caprev-demo.zip"
    download.value.save_as(tmp_path / "all.zip")
    names = zipfile.ZipFile(tmp_path / "all.zip").namelist()
    assert {name for name in names if name.endswith(".csv")} == {
        *(f"lgt-overview-caprev-demo-{part}-{arm}.csv" for part in ("curve", "heads") for arm in ("alone", "together")),
        "runs.csv",
    }  # fmt: skip


def test_a_guess_is_drawn_and_revealed_beside_the_curve(server, tab):
    page = tab(f"{server}/?pair=caprev.demo&predict=1")
    page.get_by_text("Gain and heads are shown after you press Reveal.").first.wait_for(timeout=ANSWER)
    page.wait_for_selector(READY)
    until(page, f"document.querySelectorAll('{CHARTS} svg').length === 2", timeout=ANSWER)
    page.get_by_role("button", name="Reveal").click()
    page.wait_for_url("**guess=50-50-50-50**", timeout=ANSWER)
    page.get_by_text("Your guess was").first.wait_for(timeout=ANSWER)
    until(page, f"document.querySelectorAll('{CHARTS} svg').length === 4", timeout=ANSWER)
    assert tab.complaints == []
