"""The linked picture of the page Heads in a real browser: pointer, keyboard and touch light the same head everywhere,
with the stored numbers, and nothing is said to the server."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing

import pytest

from tests.races import comparison
from tests.servers import BROWSER, READY
from tests.ui.test_browser_views import not_accessible

pytestmark = BROWSER

PAIR, SEED, HEAD = "caprev.demo", 3, "L1·H2"
ADDRESS = f"heads?pair={PAIR}&seed={SEED}"
TASKS = ("capitalize_reverse", "capitalize", "reverse")
ANSWER = 60_000


def stored(path) -> dict[tuple[str, int], tuple[float, list[float]]]:
    """By task and length: exact match, and the drop of each head in the order of layer and head, read from SQL."""
    of_last = "run_id = ? AND step = (SELECT total_steps FROM runs WHERE id = run_id)"
    run = (comparison(path, PAIR).runs["co-trained"][SEED],)
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        counts = connection.execute(
            f"SELECT task, length, correct, total FROM accuracy WHERE {of_last}", run
        ).fetchall()
        rows = connection.execute(
            f"SELECT task, length, accuracy_drop FROM head_scores WHERE {of_last} ORDER BY layer, head", run
        ).fetchall()
    shares = {(task, length): correct / total for task, length, correct, total in counts}
    drops = defaultdict(list)
    for task, length, drop in rows:
        drops[task, length].append(drop)
    return {key: (shares[key], found) for key, found in drops.items()}


def opened(page, server, address=ADDRESS):
    """Open the page; when the picture is there and nothing runs, return it."""
    page.goto(f"{server}/{address}")
    page.wait_for_selector(".linked .graph .head", timeout=ANSWER)
    page.wait_for_selector(READY, timeout=ANSWER)
    page.wait_for_timeout(1500)
    return page.locator(".linked")


def told(picture) -> str:
    return picture.locator(".told").inner_text()


def lit(picture, part: str) -> list[str]:
    """The heads (and tasks) that are lit in a part of the picture: ``link``, ``head`` or ``cell``."""
    return picture.evaluate(
        """(root, part) => [...root.querySelectorAll('.' + part + '[data-lit]')].map((one) =>
          [one.dataset.of ?? one.dataset.head, one.dataset.task ?? ''].join(' ').trim())""", part
    )  # fmt: skip


def numbers(picture, row: str) -> dict[tuple[str, int], str]:
    """What stands in a row (``with`` or ``without``) below the plots, by task and length."""
    found = picture.locator(f"text.{row}").evaluate_all(
        "texts => texts.map(one => [one.dataset.task, Number(one.dataset.length), one.textContent])"
    )
    return {(task, length): text for task, length, text in found}


@pytest.fixture()
def picture(server, new_page):
    page = new_page(1280, 1000)
    yield opened(page, server)
    page.close()


def test_pointing_at_a_head_lights_its_links_and_cells_and_shows_the_stored_numbers(picture, shipped):
    page, found = picture.page, stored(shipped)
    assert lit(picture, "link") == lit(picture, "head") == lit(picture, "cell") == []
    assert set(numbers(picture, "without").values()) == {""} and told(picture).startswith("All 8 heads")
    place = 1  # L1·H2
    shown = [length for task, length in found if task == TASKS[0] and 8 < length <= 16]
    needed = [task for task in TASKS if sum(found[task, one][1][place] for one in shown) / len(shown) > 0.1]
    assert needed, "otherwise nothing would be lit"
    for part in (".graph [data-head]", ".maps [data-head]", ".list [data-head]"):
        picture.locator(part.replace("]", f'="{HEAD}"]')).first.hover()
        assert sorted(lit(picture, "link")) == sorted(f"{HEAD} {task}" for task in needed)
        assert lit(picture, "head") == [HEAD] and sorted(lit(picture, "cell")) == sorted(f"{HEAD} {t}" for t in TASKS)
        assert told(picture).startswith(f"{HEAD}: shared by")
        for (task, length), (share, drops) in found.items():
            without = min(max(share - drops[place], 0), 1)
            assert abs(float(numbers(picture, "with")[task, length]) - 100 * share) <= 0.51
            assert abs(float(numbers(picture, "without")[task, length]) - 100 * without) <= 0.51, (task, length)
        page.mouse.move(2, 2)
        assert lit(picture, "link") == lit(picture, "cell") == [] and told(picture).startswith("All 8 heads")


def test_lighting_takes_a_moment_and_says_nothing_to_the_server(server, new_page):
    page, said = new_page(1280, 1000), []

    def hear(message):
        said.append(message)

    page.on("websocket", lambda socket: [socket.on(name, hear) for name in ("framereceived", "framesent")])
    picture = opened(page, server)
    page.wait_for_timeout(1000)
    heard = len(said)
    assert heard, "otherwise this test would not see a message"
    for head in ("L1·H1", "L1·H2", "L2·H4"):
        picture.locator(f'.graph [data-head="{head}"]').hover()
        assert told(picture).startswith(head)
    picture.locator('.list [tabindex="0"]').focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(700)
    assert len(said) == heard
    page.close()


def test_the_keyboard_reaches_every_head_and_pins_one(picture):
    page = picture.page
    picture.locator('.graph [tabindex="0"]').focus()
    walked = []
    for _ in range(8):
        walked.append(picture.evaluate("root => root.getRootNode().activeElement.dataset.head"))
        page.keyboard.press("ArrowRight")
        assert lit(picture, "head") == [picture.evaluate("root => root.getRootNode().activeElement.dataset.head")]
    assert sorted(walked) == [f"L{layer}·H{head}" for layer in (1, 2) for head in (1, 2, 3, 4)]
    page.keyboard.press("Tab")
    assert picture.evaluate("root => root.getRootNode().activeElement.closest('.list') !== null"), "one stop a part"
    page.keyboard.press("Home")
    assert lit(picture, "head") == ["L1·H1"]
    stops = picture.locator('[data-head][tabindex="0"]').evaluate_all("all => all.map(one => one.ariaLabel)")
    assert len(stops) == 2 + len(TASKS) and all("points" in label for label in stops)
    cell = picture.locator(f'.maps [data-task="{TASKS[1]}"][tabindex="0"]')
    cell.focus()
    page.keyboard.press("ArrowDown")
    assert lit(picture, "head") == ["L1·H1"], "layer 1 lies below layer 2"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_url("**head=1.2**", timeout=ANSWER)
    page.get_by_role("heading", name=f"Head {HEAD}").wait_for(timeout=ANSWER)
    assert told(picture).startswith(HEAD) and "Unpin" in told(picture)
    page.keyboard.press("Escape")
    assert told(picture).startswith("All 8 heads") and lit(picture, "cell") == []
    page.wait_for_url(lambda url: "head=" not in url, timeout=ANSWER)


def test_a_pinned_head_stays_while_another_one_is_looked_at(picture):
    page = picture.page
    picture.locator(f'.list [data-head="{HEAD}"]').click()
    page.wait_for_url("**head=1.2**", timeout=ANSWER)
    page.wait_for_selector(READY, timeout=ANSWER)
    picture.locator('.list [data-head="L2·H3"]').hover()
    assert lit(picture, "head") == ["L2·H3"]
    page.mouse.move(2, 2)
    assert lit(picture, "head") == [HEAD]
    picture.get_by_role("button", name="Unpin (Esc)").click()
    page.wait_for_url(lambda url: "head=" not in url, timeout=ANSWER)
    assert lit(picture, "head") == []


def test_a_touch_lights_and_pins(server, chromium):
    context = chromium.new_context(has_touch=True, is_mobile=True, viewport={"width": 400, "height": 800},
                                   reduced_motion="reduce")  # fmt: skip
    picture = opened(context.new_page(), server)
    picture.locator(f'.list [data-head="{HEAD}"]').tap()
    assert lit(picture, "head") == [HEAD] and set(numbers(picture, "without").values()) != {""}
    picture.page.wait_for_url("**head=1.2**", timeout=ANSWER)
    picture.page.wait_for_selector(READY, timeout=ANSWER)
    picture.locator('.graph [data-head="L2·H1"]').tap()
    picture.page.wait_for_url("**head=2.1**", timeout=ANSWER)
    assert lit(picture, "head") == ["L2·H1"]
    context.close()


VIEWS = {
    "six layers": "heads?pair=dfs-path.small&zone=trained",
    "three other tasks": "heads?pair=reverse_add%3A6%2Bno_carry%3A12%2Bcarry_only%3A12%2Bcopy_first_operand%3A12.demo",
    "the main task alone": f"heads?pair={PAIR}&side=alone-steps",
    "a head that the address names": f"{ADDRESS}&head=1.2&threshold=30",
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1280, "light")])
def test_the_picture_fits_and_is_accessible(server, new_page, view, width, scheme):
    page, errors = new_page(width, 900, scheme), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if "BidiComponent" in message.text else None)
    picture = opened(page, server, VIEWS[view])
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    rights = picture.locator("svg").evaluate_all("all => all.map(one => one.getBoundingClientRect().right)")
    assert max(rights) <= width and len(rights) == 3
    named = picture.locator("[data-head]").evaluate_all("all => all.map(one => one.ariaLabel)")
    assert all(named) and len(set(named)) * (2 + picture.locator(".without .words").count()) == len(named)
    assert list(not_accessible(page)) == [] and errors == []
    page.close()


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1920, 1080)])
def test_a_projector_has_large_type(server, new_page, width, height):
    page = new_page(width, height)
    picture = opened(page, server, f"{ADDRESS}&present=1")
    sizes = picture.locator("svg text").evaluate_all(
        "all => all.map(one => parseFloat(getComputedStyle(one).fontSize))"
    )
    assert min(sizes) >= 0.012 * height
    page.close()


def test_each_part_can_be_saved_as_it_is_shown(server, new_page):
    page = new_page(1280, 1000)
    opened(page, server)
    page.get_by_role("button", name="Download", exact=True).click()
    for name in ("Shared heads", "Ablation maps", "Accuracy without each head"):
        with page.expect_download(timeout=ANSWER) as saved:
            page.get_by_role("button", name=f"{name} as SVG").click()
        text = saved.value.path().read_text(encoding="utf-8")
        assert text.startswith("<svg") and "Flip case and reverse" in text and "font-family" in text
    page.close()
