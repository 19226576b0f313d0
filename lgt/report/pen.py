"""Drawing on a picture with Pillow, in the unit of the text size: lines, dashes, discs, boxes and text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from PIL import Image, ImageDraw, ImageFont

FINER = 2
"""Everything is drawn this much larger and then reduced, for smooth edges."""

Point = tuple[float, float]


class Pen:
    """Draws on a picture of ``size`` px with a text of ``em`` px. All places and sizes are in em.

    ``colours``: by name, as :func:`lgt.charts.race.race_picture` has them. ``under``: a picture to draw on.
    """

    def __init__(self, colours: Mapping[str, Any], size: tuple[int, int], em: int, under: Pen | None = None) -> None:
        self.colours, self.size, self.em = colours, size, em
        self.scale = em * FINER
        finer = (size[0] * FINER, size[1] * FINER)
        self.canvas: Image.Image = under.canvas.copy() if under else Image.new("RGB", finer, colours["surface"])
        self.draw = ImageDraw.Draw(self.canvas)

    def image(self) -> Image.Image:
        """The picture in its final size."""
        return self.canvas.resize(self.size, Image.Resampling.BOX)

    def at(self, points: Sequence[Point]) -> list[Point]:
        """``points`` in px of the canvas."""
        return [(x * self.scale, y * self.scale) for x, y in points]

    def width(self, text: str, size: float = 1.0) -> float:
        """The width of ``text``."""
        return float(_font(size * self.scale).getlength(text)) / self.scale

    def text(self, place: Point, text: str, colour: str = "", *, size: float = 1.0, anchor: str = "ls",
             bold: bool = False) -> None:  # fmt: skip
        """``text`` with its base line at ``place``; ``anchor`` as Pillow names it."""
        fill = colour or self.colours["text"]
        stroke = self.scale * size * 0.028 if bold else 0
        self.draw.text(self.at([place])[0], text, fill, _font(size * self.scale), anchor, stroke_width=stroke,
                       stroke_fill=fill)  # fmt: skip

    def line(self, points: Sequence[Point], colour: str, width: float, dash: Sequence[float] = ()) -> None:
        """A line through ``points`` with round joints; ``dash`` in px of a text of 12 px, as the charts have it."""
        pieces = [points] if len(dash) < 2 or not dash[1] else dashes(points, [part / 12 for part in dash])
        for piece in filter(None, pieces):
            self.draw.line(self.at(piece), colour, max(1, round(width * self.scale)), joint="curve")

    def box(self, corners: Sequence[Point], fill: str, radius: float = 0.0, outline: str | None = None) -> None:
        """A rectangle, from its left upper to its right lower corner."""
        (left, top), (right, bottom) = self.at(corners)
        self.draw.rounded_rectangle((left, top, right, bottom), radius * self.scale, fill or None, outline, FINER)

    def disc(self, middle: Point, radius: float, fill: str) -> None:
        """A disc."""
        (x, y), size = self.at([middle])[0], radius * self.scale
        self.draw.ellipse((x - size, y - size, x + size, y + size), fill)


@lru_cache(maxsize=64)
def _font(size: float) -> Any:
    """The font that Pillow contains: the same on every machine."""
    return ImageFont.load_default(size)


def dashes(points: Sequence[Point], dash: Sequence[float]) -> list[list[Point]]:
    """The drawn pieces of a line through ``points``: each ``dash[0]`` long, ``dash[1]`` apart.

    >>> dashes([(0.0, 0.0), (10.0, 0.0)], [4, 2])
    [[(0.0, 0.0), (4.0, 0.0)], [(6.0, 0.0), (10.0, 0.0)]]
    >>> dashes([], [4, 2])
    []
    """
    if not points:
        return []
    pieces: list[list[Point]] = []
    on, left = True, float(dash[0])
    piece: list[Point] = [points[0]]
    for start, end in pairwise(points):
        length = ((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5
        walked = 0.0
        while length - walked > left:
            walked += left
            place = (start[0] + (end[0] - start[0]) * walked / length, start[1] + (end[1] - start[1]) * walked / length)
            if on:
                pieces.append([*piece, place])
            on, piece, left = not on, [place], float(dash[1] if on else dash[0])
        left -= length - walked
        piece.append(end)
    return [*pieces, piece] if on and len(piece) > 1 else pieces


def mixed(start: float, end: float, share: float) -> float:
    """The value at ``share`` of the way from ``start`` to ``end``."""
    return start + (end - start) * share


def blend(under: str, over: str, share: float) -> str:
    """The colour ``over`` with the opacity ``share`` on ``under``; all as ``#rrggbb``.

    >>> blend("#000000", "#ffffff", 0.5)
    '#808080'
    """
    pairs = [(int(under[i : i + 2], 16), int(over[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(mixed(a, b, share)):02x}" for a, b in pairs)
