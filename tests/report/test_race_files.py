"""The race as files: one HTML file that loads nothing, and an animated picture."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from PIL import Image

from lgt.report.pen import blend, dashes
from lgt.report.race_gif import AT_END, FRAMES, MILLISECONDS, moment, palette_of, race_gif
from lgt.report.race_page import POLICY, SCRIPT, STYLE, race_data, race_page
from tests.races import picture_of


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text inside each script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.found and self.found[-1][0] == "script":
            self.scripts.append(data)


@pytest.mark.slow
def test_the_page_contains_everything_and_loads_nothing(shipped):
    views = {"mean over seeds": picture_of(shipped, "caprev.demo"), "seed 3": picture_of(shipped, "caprev.demo", 3)}
    page = race_page("A title", race_data(views, "seed 3"), ["Runs 1–20."])
    elements = Elements(page)
    for tag, attributes in elements.found:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "a"), tag
        assert not set(attributes) & {"src", "href", "srcset", "data", "onload"}, (tag, attributes)
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s'\"]*", page.replace("\\/", "/")))
    assert addresses == {"http://www.w3.org/2000/svg"}, "the name of SVG, which nothing loads"
    assert not re.search(r"@import|url\(|\bimport\b|fetch\(|XMLHttpRequest|eval\(|innerHTML", SCRIPT + STYLE)
    policy = next(of["content"] for tag, of in elements.found if of.get("http-equiv") == "Content-Security-Policy")
    assert policy == POLICY and policy.startswith("default-src 'none'")
    data = json.loads(elements.scripts[0])
    assert [view["name"] for view in data["views"]] == list(views) and data["view"] == 1
    assert data["views"][1]["picture"] == json.loads(json.dumps(views["seed 3"]))
    assert SCRIPT in page, "the same script that the dashboard runs"


def test_a_text_that_closes_the_script_stays_a_text():
    evil = "</script><script>alert(1)</script><!--"
    page = race_page(evil, race_data({evil: {"notes": [evil]}}), [evil])
    elements = Elements(page)
    assert [tag for tag, _ in elements.found].count("script") == 2
    assert json.loads(elements.scripts[0])["views"] == [{"name": evil, "picture": {"notes": [evil]}}]
    assert "</script>" not in SCRIPT and "<!--" not in SCRIPT


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_picture_has_all_frames_and_is_the_same_each_time(shipped, theme):
    picture = picture_of(shipped, "add-carry.small")
    made = race_gif(picture, "Addition ← its carries", theme)
    assert len(made) <= 3_000_000
    with Image.open(io.BytesIO(made)) as animation:
        assert animation.n_frames == FRAMES and animation.info["loop"] == 0
        durations = []
        for frame in range(FRAMES):
            animation.seek(frame)
            durations.append(animation.info["duration"])
        assert durations == [MILLISECONDS] * (FRAMES - 1) + [AT_END]
        assert 11_000 < sum(durations[:-1]) < 13_000, "about twelve seconds"
        surface = picture["colours"][theme]["surface"]
        assert "#{:02x}{:02x}{:02x}".format(*animation.convert("RGB").getpixel((2, 2))) == surface.lower()
    if theme == "light":
        assert race_gif(picture, "Addition ← its carries", theme) == made


@pytest.mark.slow
def test_the_last_frame_shows_the_colours_of_what_happened(shipped):
    picture = picture_of(shipped, "add-carry.small")
    with Image.open(io.BytesIO(race_gif(picture, "A"))) as animation:
        first = set(colours(animation, 0))
        last = set(colours(animation, FRAMES - 1))
    of = picture["colours"]["light"]
    assert {of["shared"].lower(), *(shade.lower() for shade in of["tasks"].values())} <= last
    assert of["shared"].lower() in first and of["zones"][1].lower() in first


def colours(animation, frame: int) -> list[str]:
    animation.seek(frame)
    pixels = animation.convert("RGB")
    return ["#{:02x}{:02x}{:02x}".format(*colour) for _, colour in pixels.getcolors(1 << 24)]


def test_between_two_steps_the_drawing_is_between_them():
    assert moment([10, 20, 40], 5) == (-1, -1, 0.0), "before the first step there is nothing to draw"
    assert moment([10, 20, 40], 10) == (0, 1, 0.0)
    assert moment([10, 20, 40], 25) == (1, 2, 0.25)
    assert moment([10, 20, 40], 40) == (2, 2, 0.0) == moment([10, 20, 40], 99)


def test_dashes_and_gaps_add_up_to_the_line():
    drawn = dashes([(0.0, 0.0), (3.0, 4.0), (3.0, 14.0)], [2.0, 1.0])
    lengths = [sum(((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2) ** 0.5 for a, b in pairwise(piece)) for piece in drawn]
    assert lengths == pytest.approx([2.0] * 5)
    assert blend("#ffffff", "#000000", 0.0) == "#ffffff"


def test_all_colours_fit_into_one_palette():
    tasks = {f"task {number}": f"#{number * 7:02x}10{number * 11:02x}" for number in range(16)}
    colours = {"surface": "#ffffff", "grid": "#eeeeee", "zones": ["#fefefe", "#fdfdfd", "#fcfcfc"], "text": "#000000",
               "muted": "#555555", "shared": "#7a1fa2", "unused": "#c0c0c0", "tasks": tasks}  # fmt: skip
    assert len(palette_of(colours).getpalette()) <= 3 * 256
