"""The race as an animated picture for slides. The same picture gives the same bytes.

It draws what ``race.js`` draws in a browser, with Pillow, which is there wherever Streamlit is.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from PIL import Image, ImageDraw

from lgt.metrics.head_sharing import SHARED, UNUSED
from lgt.report.pen import Pen, Point, blend, mixed

WIDTH, HEIGHT, EM = 960, 668, 14
"""Of the picture and of its text, px."""
FRAMES, MILLISECONDS, AT_END = 100, 120, 2000
"""Twelve seconds, and the time of the last frame."""
TINTS = (1.0, 0.85, 0.7, 0.55, 0.4, 0.25, 0.18, 0.11)
"""The palette has every colour with these opacities on the background, and the zones under the band over seeds."""
TOP, PLOT_TOP, PLOT_BOTTOM = 3.4, 11.8, 24.4
"""Where the sides, and their plots, begin and end, em from the top."""
HEADS_TOP = 27.8
GAP, AXIS_ROOM, SAMPLE = 2.2, 3.2, 4.7
"""Between the sides, for the labels of the vertical axis, and for a line and the space after it in the key, em."""


class Moment(NamedTuple):
    """Between two stored steps: the places of both in the list of steps, and the share of the way. ``at`` is -1 before
    the first."""

    at: int
    next: int
    share: float


def moment(steps: Sequence[int], step: float) -> Moment:
    """Where ``step`` lies among the stored ``steps``.

    >>> moment([10, 20], 15.0)
    Moment(at=0, next=1, share=0.5)
    """
    at = sum(one <= step for one in steps) - 1
    if not 0 <= at < len(steps) - 1:
        return Moment(at, at, 0.0)
    return Moment(at, at + 1, (step - steps[at]) / (steps[at + 1] - steps[at]))


def race_gif(picture: Mapping[str, Any], title: str, theme: str = "light") -> bytes:
    """An animated GIF of ``picture`` (:func:`lgt.charts.race.race_picture`) with ``title`` above it.

    It has :data:`FRAMES` frames over the stored steps, the last one longer, and starts again at its end.
    """
    steps = sorted({step for side in picture["sides"] for step in side["steps"]})
    times = [steps[0] + (steps[-1] - steps[0]) * frame / (FRAMES - 1) for frame in range(FRAMES)]
    times[-1] = steps[-1]
    palette, under = palette_of(picture["colours"][theme]), _still(picture, title, theme)
    drawn = (_frame(under, picture, step, (steps[0], steps[-1])) for step in times)
    frames = [one.quantize(palette=palette, dither=Image.Dither.NONE) for one in drawn]
    packed = io.BytesIO()
    frames[0].save(
        packed, "GIF", save_all=True, append_images=frames[1:], loop=0, optimize=False, disposal=1,
        duration=[MILLISECONDS] * (FRAMES - 1) + [AT_END],
    )  # fmt: skip
    return packed.getvalue()


def palette_of(colours: Mapping[str, Any]) -> Image.Image:
    """One palette for all frames: what stands still must not change its colour."""
    surface, tasks = colours["surface"], list(colours["tasks"].values())
    strong = [colours["text"], colours["muted"], colours["shared"], colours["unused"], *tasks]
    tints = [blend(surface, colour, share) for colour in strong for share in TINTS]
    bands = [blend(zone, colour, 0.18) for zone in colours["zones"] for colour in tasks]
    found = list(dict.fromkeys([surface, colours["grid"], *colours["zones"], *tints, *bands]))[:256]
    palette = Image.new("P", (1, 1))
    palette.putpalette([int(colour[i : i + 2], 16) for colour in found for i in (1, 3, 5)])
    return palette


def _still(picture: Mapping[str, Any], title: str, theme: str) -> Pen:
    """What stands still under all frames: titles, key, axes."""
    pen = Pen(picture["colours"][theme], (WIDTH, HEIGHT), EM)
    pen.text((0.9, 1.5), title, size=min(1.3, (WIDTH / EM - 1.8) / pen.width(title)), bold=True)
    _legend(pen, picture)
    for side in _sides(pen, picture):
        side.axes()
        pen.text((side.left, TOP + 1.7), side.side["title"], size=1.2, bold=True)
    return pen


def _frame(under: Pen, picture: Mapping[str, Any], step: float, ends: tuple[int, int]) -> Image.Image:
    pen = Pen(under.colours, under.size, under.em, under)
    for side in _sides(pen, picture):
        side.draw(step)
    _clock(pen, picture, step, ends)
    return pen.image()


def _sides(pen: Pen, picture: Mapping[str, Any]) -> list[Drawing]:
    width = (WIDTH / EM - 1.8 - GAP) / 2
    return [
        Drawing(pen, picture, side, 0.9 + place * (width + GAP), width) for place, side in enumerate(picture["sides"])
    ]


def _legend(pen: Pen, picture: Mapping[str, Any]) -> None:
    widths = [pen.width(task["label"]) + SAMPLE for task in picture["tasks"]]
    size = min(1.0, (WIDTH / EM - 1.8) / sum(widths))
    x = 0.9
    for task, width in zip(picture["tasks"], widths, strict=True):
        colour = pen.colours["tasks"][task["task"]]
        pen.line([(x, 2.75), (x + 2.6 * size, 2.75)], colour, task["width"] / 12, task["dash"])
        pen.text((x + 3.1 * size, 3.1), task["label"], size=size)
        x += width * size


def _clock(pen: Pen, picture: Mapping[str, Any], step: float, ends: tuple[int, int]) -> None:
    """The stored step, and a bar that shows how far the race is."""
    stored = max(one for side in picture["sides"] for one in side["steps"] if one <= step)
    first, last = ends
    y, left, right = HEIGHT / EM - 0.9, 0.9, WIDTH / EM - 12.5
    end = left + (right - left) * (step - first) / (last - first)
    pen.line([(left, y), (right, y)], pen.colours["grid"], 0.35)
    pen.line([(left, y), (end, y)], pen.colours["shared"], 0.35)
    pen.text((right + 1, y + 0.35), f"step {stored:,} of {last:,}", pen.colours["muted"])


class Drawing:
    """One side of the race in one frame, ``left`` to ``left + width`` em across."""

    def __init__(
        self, pen: Pen, picture: Mapping[str, Any], side: Mapping[str, Any], left: float, width: float
    ) -> None:
        self.pen, self.picture, self.side, self.left, self.width = pen, picture, side, left, width
        self.plot_left, self.plot_right = left + AXIS_ROOM, left + width - 0.4

    def x(self, length: float) -> float:
        """The place of ``length`` on the axis."""
        lengths = self.picture["lengths"]
        share = (length - lengths[0] + 0.5) / (lengths[-1] - lengths[0] + 1)
        return mixed(self.plot_left, self.plot_right, share)

    def y(self, share: float) -> float:
        """The height of a share of right answers."""
        return mixed(PLOT_BOTTOM, PLOT_TOP, share)

    def draw(self, step: float) -> None:
        """Draw this side at ``step``."""
        now = moment(self.side["steps"], step)
        self.counter(now.at)
        if now.at >= 0:
            curves = list(zip(self.side["curves"], self.picture["tasks"], strict=False))
            for place in reversed(range(len(curves))):
                self.curve(*curves[place], now, max(0, place - 1))
        if self.side["heads"]:
            self.heads(moment(self.side["heads"]["steps"], step))

    def counter(self, at: int) -> None:
        """The counter at the last stored step, and the bar on the axis that ends there."""
        pen, muted = self.pen, self.pen.colours["muted"]
        if at < 0:
            middle = ((self.plot_left + self.plot_right) / 2, self.y(0.5) - 0.8)
            pen.text(middle, f"first measured at step {self.side['steps'][0]:,}", muted, anchor="ms")
            return
        reach, seeds = self.side["reach"][at], self.picture["seeds"]
        number = "–" if reach is None else str(reach)
        pen.text((self.left, TOP + 4.7), number, size=3.3, bold=True)
        x = self.left + pen.width(number, 3.3) + 0.6
        said = f"n = {len(seeds)} seeds" if len(seeds) > 1 else f"seed {seeds[0]}"
        pen.text((x, TOP + 3.4), self.picture["counter"], muted)
        pen.text((x, TOP + 4.7), f"step {self.side['steps'][at]:,} · {said}", muted)
        if reach is not None:
            colour = pen.colours["tasks"][self.side["curves"][0]["task"]]
            pen.line([(self.plot_left, PLOT_BOTTOM), (self.x(reach), PLOT_BOTTOM)], colour, 0.55)
            pen.line([(self.x(reach), PLOT_BOTTOM), (self.x(reach), self.y(0.5))], colour, 0.11)

    def axes(self) -> None:
        """Zones, grid, labels, and the rules at the training lengths."""
        pen, muted = self.pen, self.pen.colours["muted"]
        for zone in self.picture["zones"]:
            low, high = self.x(zone["low"]), self.x(zone["high"])
            pen.box([(low, PLOT_TOP), (high, PLOT_BOTTOM)], pen.colours["zones"][zone["place"]])
            if pen.width(zone["name"]) < high - low:
                pen.text(((low + high) / 2, PLOT_TOP - 0.4), zone["name"], muted, anchor="ms")
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            dash, colour = ((1, 3), muted) if share == 0.5 else ((), pen.colours["grid"])
            pen.line([(self.plot_left, self.y(share)), (self.plot_right, self.y(share))], colour, 0.07, dash)
            pen.text((self.plot_left - 0.5, self.y(share) + 0.35), f"{share:.0%}", muted, anchor="rs")
        self.rules()
        lengths = self.picture["lengths"]
        every = next(step for step in (1, 2, 5, 10, 20, 50, 1000) if len(lengths) <= 20 * step)
        for length in lengths:
            if length % every == 0:
                pen.text((self.x(length), PLOT_BOTTOM + 1.4), str(length), muted, anchor="ms")
        pen.text(((self.plot_left + self.plot_right) / 2, PLOT_BOTTOM + 2.8), self.picture["axis"], anchor="ms")

    def rules(self) -> None:
        """The training lengths, each with its label in a line of its own above the plot."""
        for row, rule in enumerate(self.picture["rules"]):
            x, y = self.x(rule["at"]), PLOT_TOP - 1.8 - 1.25 * row
            self.pen.line([(x, y - 0.9), (x, PLOT_BOTTOM)], self.pen.colours["muted"], 0.07, (2, 2))
            fits = x - self.pen.width(rule["label"], 0.92) - 0.4 > self.left
            self.pen.text((x + (-0.4 if fits else 0.4), y), rule["label"], size=0.92, anchor="rs" if fits else "ls")

    def curve(self, curve: Mapping[str, Any], task: Mapping[str, Any], now: Moment, under: int) -> None:
        """One task: its line, its points and, of the main task, the band over seeds. ``under``: curves of auxiliary
        tasks that are drawn over it; where they coincide, it shows as a ring around their points."""
        colour = self.pen.colours["tasks"][curve["task"]]
        mean, low, high = (self.places(curve[name], now) for name in ("mean", "low", "high"))
        main = task["role"] == "main"
        if main and len(self.picture["seeds"]) > 1:
            self.band([*high, *reversed(low)], colour)
        self.pen.line(mean, colour, task["width"] / 12, task["dash"])
        for place in mean:
            self.pen.disc(place, 0.27 if main else 0.2 * (1 + under) ** 0.5, colour)

    def places(self, table: Sequence[Sequence[float | None]], now: Moment) -> list[Point]:
        """The points of one row of ``table`` [steps][lengths], on the way to the next row."""
        rows = zip(self.picture["lengths"], table[now.at], table[now.next], strict=True)
        return [
            (self.x(length), self.y(mixed(start, end, now.share)))
            for length, start, end in rows if start is not None and end is not None
        ]  # fmt: skip

    def band(self, outline: Sequence[Point], colour: str) -> None:
        """A tint over what is already drawn."""
        mask = Image.new("L", self.pen.canvas.size)
        ImageDraw.Draw(mask).polygon(self.pen.at(outline), 46)
        self.pen.canvas.paste(colour, None, mask)

    # --- heads

    def across(self, share: float) -> float:
        """A share of the side's width as a place."""
        return self.left + self.width * share

    def heads(self, now: Moment) -> None:
        """The bridge, the tasks, and the heads that they need."""
        pen, layout, alone = self.pen, self.picture["layout"], len(self.side["curves"]) == 1
        strip = HEADS_TOP + layout["bridge"]
        surface, shared = pen.colours["surface"], pen.colours["shared"]
        corners = [(self.left, strip - 1.35), (self.left + self.width, strip + 1.35)]
        if alone:
            pen.box(corners, "", 0.8, blend(surface, shared, 0.4))
        else:
            pen.box(corners, blend(surface, shared, 0.11), 0.8)
        if now.at >= 0:
            self.links(now)
        for place, curve in enumerate(self.side["curves"]):
            self.task(curve["task"], place)
        heads = self.side["heads"]
        if now.at < 0 or alone:
            once = "only " if len(heads["steps"]) == 1 else ""
            waiting = f"heads measured {once}at step {heads['steps'][0]:,}"
            said = waiting if now.at < 0 else "trained alone: no task to share with"
            pen.text((self.across(0.5), strip + 0.35), said, pen.colours["muted"], anchor="ms")
        if now.at >= 0 and not alone:
            pen.text((self.left, strip - 1.7), f"{heads['shared'][now.at]} shared", shared, size=1.15, bold=True)
        for head in range(len(heads["names"])) if now.at >= 0 else ():
            self.disc(head, now)

    def node(self, place: int) -> Point:
        """The middle of a task: the main task, 0, stands above the bridge and the others below it."""
        layout, others = self.picture["layout"], len(self.side["curves"]) - 1
        if not place:
            return self.across(0.5), HEADS_TOP + layout["main"]
        return self.across((place - 0.5) / others), HEADS_TOP + layout["auxiliary"]

    def task(self, task: str, place: int) -> None:
        """A square in the colour of the task, with its title."""
        (x, y), layout = self.node(place), self.picture["layout"]
        title = next(one["title"] for one in self.picture["tasks"] if one["task"] == task)
        self.pen.box([(x - 0.58, y - 0.58), (x + 0.58, y + 0.58)], self.pen.colours["tasks"][task])
        line = HEADS_TOP + layout["auxiliaryTitle" if place else "mainTitle"]
        self.pen.text((x, line), title, anchor="ms", bold=True)

    def place(self, head: int, now: Moment) -> Point:
        """Where a head is, on its way from one stored step to the next."""
        moved = now.share * now.share * (3 - 2 * now.share)
        places = self.side["heads"]["places"]
        start, end = places[now.at][head], places[now.next][head]
        return self.across(mixed(start[0], end[0], moved)), HEADS_TOP + mixed(start[1], end[1], moved)

    def links(self, now: Moment) -> None:
        """A line from each task to every head that it needs, as wide as the drop."""
        heads, threshold = self.side["heads"], self.picture["threshold"]
        for place, curve in enumerate(self.side["curves"]):
            drops = heads["drops"][curve["task"]]
            colour = blend(self.pen.colours["surface"], self.pen.colours["tasks"][curve["task"]], 0.55)
            for head in range(len(heads["names"])):
                widths = [drops[at][head] for at in (now.at, now.next)]
                start, end = (0.7 * drop if drop > threshold else 0.0 for drop in widths)
                width = mixed(start, end, now.share)
                if width > 0.03:
                    self.pen.line(_cubic(self.node(place), self.place(head, now)), colour, width)

    def disc(self, head: int, now: Moment) -> None:
        """A head: grey and small if no task needs it, in the accent colour if it is shared, else in its task's."""
        heads, colours = self.side["heads"], self.pen.colours
        start, end = (self.shade(head, at) for at in (now.at, now.next))
        radius = min(1.2, 0.44 * self.width * min(1 / 6, 0.94 / max(heads["crowd"], 1)))
        before, after = (radius * (0.34 if heads["kinds"][at][head] == UNUSED else 1) for at in (now.at, now.next))
        size, place = mixed(before, after, now.share), self.place(head, now)
        self.pen.disc(place, size + 0.1, colours["surface"])
        self.pen.disc(place, size, blend(start, end, now.share))
        if size > 0.8:
            self.pen.text(place, heads["names"][head], colours["surface"], size=0.56 * radius, anchor="mm", bold=True)

    def shade(self, head: int, at: int) -> str:
        """The colour of a head at a stored step; of several auxiliary tasks that need it, of the one with the largest
        drop."""
        heads, colours = self.side["heads"], self.pen.colours
        kind = heads["kinds"][at][head]
        if kind in (UNUSED, SHARED):
            return str(colours["unused" if kind == UNUSED else "shared"])
        tasks = [curve["task"] for curve in self.side["curves"]]
        return str(colours["tasks"][max(tasks, key=lambda task: heads["drops"][task][at][head])])


def _cubic(start: Point, end: Point) -> list[Point]:
    """A curve that leaves both ends upright."""
    shares = [i / 16 for i in range(17)]
    return [
        (mixed(start[0], end[0], 3 * t * t - 2 * t**3), mixed(start[1], end[1], 1.5 * t - 1.5 * t * t + t**3))
        for t in shares
    ]
