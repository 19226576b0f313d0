"""The grid of training lengths: the generalization gap of every (Lm, La), and of every ratio of the two."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import altair as alt
import pandas as pd

from lgt.charts.maps import ink
from lgt.charts.marks import colour
from lgt.charts.theme import Theme, heading, message, styled
from lgt.metrics.length_grid import relative_gap

ROW = 44
RELATIVE_GAP = alt.Scale(domain=[0, 1.1], nice=False)
"""Above 1 there is room for a task that also fails at its own trained lengths."""


def gap_grid(frame: pd.DataFrame, theme: Theme, *, title: str = "") -> Any:
    """The main task's training length down, the auxiliaries' across; a cell is the mean gap over seeds.

    ``frame``: one row per cell and seed with ``main_length``, ``auxiliary_length``, ``gap`` (0 = the same curve, 1 =
    nothing in common) and ``learned``; a cell whose tasks were not all learned is crossed out. Without a ``seed``
    column the values are somebody else's, and the note names no seeds.
    """
    if frame.empty:
        return message("No finished seed of the grid yet.", theme)
    keys = ["main_length", "auxiliary_length"]
    cells = frame.groupby(keys, as_index=False).agg(
        mean=("gap", "mean"), low=("gap", "min"), high=("gap", "max"), n=("gap", "size"), learned=("learned", "all")
    )
    cells = cells.assign(
        text=[f"{gap:.2f}" if learned else "×" for gap, learned in zip(cells["mean"], cells.learned, strict=True)],
        ink=[ink(gap, theme) for gap in cells["mean"]],
        said=["yes" if learned else "no" for learned in cells.learned],
    )
    axis: dict[str, Any] = {"ticks": False, "domain": False, "grid": False, "labelAngle": 0}
    x = alt.X("auxiliary_length:O", axis=alt.Axis(title="Training length of the auxiliary tasks", orient="top", **axis))
    y = alt.Y("main_length:O", axis=alt.Axis(title="Training length of the main task", **axis))
    ramp = alt.Scale(domain=[0, 1], range=list(theme.ramp), interpolate="lab")
    tooltip = [
        alt.Tooltip("main_length:O", title="main task to"),
        alt.Tooltip("auxiliary_length:O", title="auxiliary tasks to"),
        alt.Tooltip("mean:Q", title="gap, mean", format=".2f"), alt.Tooltip("low:Q", title="smallest", format=".2f"),
        alt.Tooltip("high:Q", title="largest", format=".2f"), alt.Tooltip("n:Q", title="seeds"),
        alt.Tooltip("said:N", title="all tasks learned"),
    ]  # fmt: skip
    base = alt.Chart(cells).encode(x=x, y=y)
    layers = [
        base.mark_rect(cornerRadius=4, stroke=theme.surface, strokeWidth=2).encode(
            color=alt.Color("mean:Q", scale=ramp, legend=None), tooltip=tooltip if "seed" in frame else tooltip[:3]
        ),
        base.mark_text(fontSize=theme.size, tooltip=None).encode(text="text:N", color=colour("ink")),
    ]
    crossed = int((~cells.learned).sum())
    note = "Generalization gap: 0 means that the main task and its auxiliary tasks have the same curve." + (
        f" Mean of {cells.n.min()} seed{'s' * (int(cells.n.min()) != 1)}." if "seed" in frame else ""
    )
    note += f" ×: a task was not learned ({crossed} of {len(cells)} cells)." if crossed else ""
    spoken = "; ".join(f"{row.main_length} beside {row.auxiliary_length}: {row.text}" for row in cells.itertuples())
    chart = alt.layer(*layers).properties(
        width="container", height=ROW * cells.main_length.nunique(), title=heading(theme, note, title, offset=12),
        description=f"{title or 'Grid of training lengths'}. {note} {spoken}.",
    )  # fmt: skip
    return styled(chart.resolve_scale(color="independent"), theme)


def ratio_text(ratio: float) -> str:
    """A ratio of lengths as a fraction, such as ``1/4`` or ``2``."""
    return str(Fraction(ratio).limit_denominator(1000))


def gap_by_ratio(ours: pd.DataFrame, paper: pd.DataFrame, theme: Theme, *, height: int = 240) -> Any:
    """Mean relative gap (:func:`lgt.metrics.length_grid.relative_gap`) of the cells that share a ratio La / Lm: a ring
    per seed and the mean of ours, a line for the paper's.

    Both frames are those of :func:`gap_grid`. Cells with a task that was not learned and the diagonal are left out.
    """
    cells = ours[ours.learned & (ours.main_length != ours.auxiliary_length)]
    if cells.empty:
        return message("No finished seed of the grid yet.", theme)
    seeds = _by_ratio(cells, ["seed"])
    means = seeds.groupby("ratio", as_index=False).agg(gap=("gap", "mean"), n=("gap", "size"))
    other = _by_ratio(paper[paper.main_length != paper.auxiliary_length], [])
    ratios = sorted({*seeds.ratio, *other.ratio})
    x = alt.X("text:O", sort=[ratio_text(ratio) for ratio in ratios], axis=alt.Axis(
        title="Training length: auxiliary tasks divided by main task", labelAngle=0, grid=False))  # fmt: skip
    y = alt.Y(
        "gap:Q",
        scale=RELATIVE_GAP,
        axis=alt.Axis(title="Gap, relative to no transfer", values=[0, 0.25, 0.5, 0.75, 1], format="%"),
    )
    names = ["ours, mean", "the paper's"]
    hue = alt.Color("whose:N", scale=alt.Scale(domain=names, range=[theme.shared, theme.muted]), legend=alt.Legend(
        title=None, orient="top", symbolType="stroke", symbolStrokeWidth=3))  # fmt: skip
    lines = [("ours, mean", means, [1, 0], 3.0), ("the paper's", other, [5, 4], 2.0)]
    layers: list[Any] = [
        alt.Chart(_named(frame).assign(whose=name))
        .mark_line(strokeDash=dash, strokeWidth=width, point=alt.OverlayMarkDef(size=50, filled=True))
        .encode(x=x, y=y, color=hue, tooltip=["whose:N", "text:N", alt.Tooltip("gap:Q", format=".0%")])
        for name, frame, dash, width in lines
    ]
    points = alt.Chart(_named(seeds)).mark_point(size=36, opacity=0.8, color=theme.shared)
    layers.append(points.encode(x=x, y=y, tooltip=["seed:Q", "text:N", alt.Tooltip("gap:Q", format=".0%")]))
    note = (
        "100%: every task works only at its own trained lengths (no transfer). 0%: the same curve. "
        f"Ours: rings are single seeds ({seeds.seed.nunique()}), lengths {cells.main_length.min()} to "
        f"{cells.main_length.max()}. The paper's: lengths 4 to 256. A point: mean over the cells of that ratio."
    )
    spoken = "; ".join(f"{ratio_text(ratio)}: {gap:.2f}" for ratio, gap in zip(means.ratio, means.gap, strict=True))
    chart = alt.layer(*layers).properties(
        width="container",
        height=height,
        title=heading(theme, note),
        description=f"Relative gap by ratio of lengths. {spoken}.",
    )
    return styled(chart, theme)


def _by_ratio(cells: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    lengths = zip(cells.gap, cells.main_length, cells.auxiliary_length, strict=True)
    relative = [relative_gap(*cell) for cell in lengths]
    rated = cells.assign(ratio=cells.auxiliary_length / cells.main_length, gap=relative)
    return rated.groupby([*keys, "ratio"], as_index=False).agg(gap=("gap", "mean"))


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(text=[ratio_text(ratio) for ratio in frame.ratio])
