"""Small panels, one a seed, inside one chart: a faceted chart cannot fill the width of its container."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from lgt.charts.theme import Theme

MOST = 3
"""Panels in a row."""
WIDE, TALL = 1.18, 1.62
"""Distance of neighbouring panels, in panels."""
ROW = 220
"""Height of a row of panels, px."""


@dataclass(frozen=True)
class Panels:
    """Where each seed's panel stands; inside it both axes run from 0 to 1."""

    seeds: tuple[int, ...]

    @staticmethod
    def of(seeds: Iterable[int]) -> Panels:
        """A panel for every one of ``seeds``, in order."""
        return Panels(tuple(sorted({int(seed) for seed in seeds})))

    @property
    def columns(self) -> int:
        """Panels in a row."""
        return min(MOST, len(self.seeds))

    @property
    def rows(self) -> int:
        """Rows of panels."""
        return -(-len(self.seeds) // self.columns)

    @property
    def height(self) -> int:
        """Height of the chart, px."""
        return ROW * self.rows

    def placed(self, frame: pd.DataFrame, across: pd.Series, up: pd.Series) -> pd.DataFrame:
        """``frame`` with ``x`` and ``y``: where its shares ``across`` and ``up`` lie in the panel of its ``seed``."""
        places = frame.seed.map({seed: place for place, seed in enumerate(self.seeds)})
        return frame.assign(x=WIDE * (places % self.columns) + across, y=-TALL * (places // self.columns) + up)

    def x(self, field: str = "x") -> alt.X:
        """The encoding of a field of :meth:`placed` across."""
        return alt.X(f"{field}:Q", axis=None, scale=alt.Scale(domain=[-0.02, WIDE * self.columns - 0.14], nice=False))

    def y(self, field: str = "y") -> alt.Y:
        """The encoding of a field of :meth:`placed` upwards."""
        lowest = -TALL * (self.rows - 1) - 0.16
        return alt.Y(f"{field}:Q", axis=None, scale=alt.Scale(domain=[lowest, 1.34], nice=False))

    def frames(
        self, theme: Theme, titles: Mapping[int, str], small: Mapping[int, str], ends: tuple[str, str, str]
    ) -> list[Any]:
        """Axes, title and small text of every panel; ``ends`` are the values at the origin, right and top."""
        corners = pd.DataFrame({"seed": list(self.seeds)})
        corners = self.placed(corners, 0 * corners.seed, 0 * corners.seed)
        corners = corners.assign(
            right=corners.x + 1, top=corners.y + 1, above=corners.y + 1.24, below=corners.y + 1.1,
            under=corners.y - 0.03, inside=corners.x + 0.015,
            title=corners.seed.map(dict(titles)), small=corners.seed.map(dict(small)),
            origin=ends[0], farthest=ends[1], highest=ends[2],
        )  # fmt: skip
        base = alt.Chart(corners)
        axis: dict[str, Any] = {"color": theme.muted, "strokeWidth": 1, "tooltip": None}
        text: dict[str, Any] = {"fontSize": theme.size, "tooltip": None}
        tick: dict[str, Any] = {"fontSize": theme.size - 2, "color": theme.muted, "tooltip": None}
        return [
            base.mark_rule(**axis).encode(x=self.x(), x2="right:Q", y=self.y()),
            base.mark_rule(**axis).encode(x=self.x(), y=self.y(), y2="top:Q"),
            base.mark_text(align="left", color=theme.text, fontWeight=600, **text).encode(
                x=self.x(), y=self.y("above"), text="title:N"
            ),
            base.mark_text(align="left", color=theme.muted, **text).encode(
                x=self.x(), y=self.y("below"), text="small:N"
            ),
            base.mark_text(align="left", baseline="top", **tick).encode(x=self.x(), y=self.y("under"), text="origin:N"),
            base.mark_text(align="right", baseline="top", **tick).encode(
                x=self.x("right"), y=self.y("under"), text="farthest:N"
            ),
            base.mark_text(align="left", **tick).encode(x=self.x("inside"), y=self.y("top"), text="highest:N"),
        ]
