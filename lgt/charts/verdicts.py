"""Verdicts in one picture: every seed's difference in transfer accuracy, with the interval of their mean."""

from __future__ import annotations

import textwrap
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from lgt.charts.partitions import head_squares, squares_note
from lgt.charts.theme import Theme, heading, message, styled
from lgt.experiments.verdicts import OUTCOMES, SMALLEST_EFFECT, Sense
from lgt.metrics.by_seed import LEARNED

ROW = 44
TEXT_AT, STRIP_AT = 0.2, 0.66
"""Where in a row of the verdicts its words and its numbers stand, as shares of the row."""
PARTITION_ROW, PARTITION_STRIP_AT = 66, 0.75
"""The same for a row with squares for heads, which is higher."""
NAME_CHARACTERS, PARTITION_NAME_CHARACTERS = 48, 34
"""The name of a series is broken into lines of this length, for which a phone has room, also beside squares for heads.
"""
SHAPES: dict[Sense, str] = {
    "holds": "circle",
    "does not hold": "cross",
    "open": "diamond",
    "no premise": "triangle-up",
}
"""The mark of a seed, by what the verdict says about the claim."""


def verdict_chart(
    frame: pd.DataFrame, theme: Theme, *, quantity: str = "Difference in accuracy", smallest: float = SMALLEST_EFFECT,
    title: str = "",
) -> Any:  # fmt: skip
    """One row per figure, its statement above its numbers: a point for every seed, a bar for the 95 % interval of their
    mean, a tick for the mean, the verdict in words at the right.

    ``frame`` has the columns ``figure``, ``statement``, ``outcome``, ``seed``, ``difference``, ``mean``, ``low`` and
    ``high`` (missing below two seeds), one row per seed. ``quantity`` names the axis. Dotted lines:
    nothing, and ``smallest``, from where on it counts.
    """
    if frame.empty:
        return message("No finished seed of any figure yet.", theme)
    order = list(dict.fromkeys(frame.figure))
    lowest = min(-0.5, float(np.floor(2 * frame.difference.min()) / 2))
    highest = max(1.0, float(np.ceil(2 * frame.difference.max()) / 2))  # a difference of gains can be above 1
    scale = alt.Scale(domain=[lowest, highest], clamp=True, nice=False)
    axis = alt.Axis(title=quantity, format="+.1f", values=np.arange(lowest, highest + 0.25, 0.5).tolist())

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", scale=scale, axis=axis)

    def y(within: float) -> alt.Y:
        return alt.Y("figure:N", sort=order, title=None, axis=None, bandPosition=within)

    outcomes = list(OUTCOMES)
    hues, marks = [theme.verdict(one) for one in outcomes], [SHAPES[OUTCOMES[one].sense] for one in outcomes]
    colour = alt.Color("outcome:N", scale=alt.Scale(domain=outcomes, range=hues), legend=None)
    shape = alt.Shape("outcome:N", scale=alt.Scale(domain=outcomes, range=marks), legend=None)
    means = frame.drop_duplicates("figure").assign(n=frame.groupby("figure").size().reindex(order).to_numpy())
    means = means.assign(said=[f"{row.outcome}, n = {row.n}" for row in means.itertuples()])
    lines = pd.DataFrame([(name, at) for name in order for at in (0.0, smallest)], columns=["figure", "at"])
    tooltip = [
        alt.Tooltip("statement:N"), alt.Tooltip("outcome:N"), alt.Tooltip("seed:Q"),
        alt.Tooltip("difference:Q", format="+.2f"),
    ]  # fmt: skip
    texts: dict[str, Any] = {"baseline": "middle", "fontSize": theme.size, "tooltip": None}
    rows = alt.Chart(means)
    verdict_width = 12 * theme.size  # px for the words at the right
    layers = [
        rows.mark_text(align="left", limit=alt.ExprRef(f"width - {verdict_width + 10}"), **texts, color=theme.text)
        .encode(y=y(TEXT_AT), x=alt.value(0), text="statement:N"),
        rows.mark_text(align="right", limit=verdict_width, fontWeight=600, **texts)
        .encode(y=y(TEXT_AT), x=alt.value("width"), text="said:N", color=colour),
        alt.Chart(lines).mark_rule(strokeDash=[2, 3], color=theme.muted, tooltip=None).encode(
            y=y(STRIP_AT - 0.25), y2=alt.Y2("figure", bandPosition=STRIP_AT + 0.25), x=x("at")
        ),
        alt.Chart(means[means.low.notna()]).mark_rule(strokeWidth=9, opacity=0.25, tooltip=None, clip=True).encode(
            y=y(STRIP_AT), x=x("low"), x2="high:Q", color=colour
        ),
        rows.mark_rule(strokeWidth=3, tooltip=None).encode(
            y=y(STRIP_AT - 0.2), y2=alt.Y2("figure", bandPosition=STRIP_AT + 0.2), x=x("mean"), color=colour
        ),
        alt.Chart(frame)
        .mark_point(size=46, filled=True, opacity=0.75)
        .encode(y=y(STRIP_AT), x=x("difference"), color=colour, shape=shape, tooltip=tooltip),
    ]  # fmt: skip
    note = (
        "A mark is a seed. The tick is the mean over seeds, the bar its 95% t interval. "
        f"Dotted lines: 0, and {smallest:.2f}, the smallest number that counts."
    )
    spoken = "; ".join(f"{row.statement} {row.outcome}" for row in means.itertuples())
    chart = alt.layer(*layers).properties(
        width="container", height=ROW * len(order), title=heading(theme, note, title),
        description=f"{quantity} by figure. {note} {spoken}.",
    )  # fmt: skip
    return styled(chart, theme)


def seed_strip(
    frame: pd.DataFrame, theme: Theme, *, heads: pd.DataFrame | None = None, value: str = "transfer",
    quantity: str = "Transfer accuracy",
) -> Any:  # fmt: skip
    """Every seed's number, a row per series: a distribution rather than a mean.

    ``frame``: ``series``, ``seed``, the column ``value``, ``trained`` (shares) and ``learned``; a run that did not
    learn the main task where it was trained is a cross. ``heads``: which heads the tasks of each series may use, if
    that is what differs (:func:`lgt.charts.partitions.head_squares`). ``quantity`` names the axis.
    """
    if frame.empty:
        return message("No finished seed yet.", theme)
    order = list(dict.fromkeys(frame.series))
    row, strip_at = (ROW, STRIP_AT) if heads is None else (PARTITION_ROW, PARTITION_STRIP_AT)
    characters = NAME_CHARACTERS if heads is None else PARTITION_NAME_CHARACTERS
    kinds = {True: "learned at trained lengths", False: "not learned at trained lengths"}
    rows = frame.assign(kind=frame.learned.map(kinds))

    def y(within: float) -> alt.Y:
        return alt.Y("series:N", sort=order, title=None, axis=None, bandPosition=within)

    x = alt.X(f"{value}:Q", scale=alt.Scale(domain=[-0.01, 1.01], nice=False),
              axis=alt.Axis(title=quantity, format="%", values=[0, 0.25, 0.5, 0.75, 1]))  # fmt: skip
    legend = None if rows.learned.all() else alt.Legend(title=None, orient="top", columns=1)
    marks = alt.Scale(domain=list(kinds.values()), range=["circle", "cross"])
    shape = alt.Shape("kind:N", scale=marks, legend=legend)
    means = rows.groupby("series", as_index=False, sort=False).agg(**{value: (value, "mean")})
    tooltip = [
        alt.Tooltip("series:N"), alt.Tooltip("seed:Q"), alt.Tooltip(f"{value}:Q", title=quantity.lower(), format=".1%"),
        alt.Tooltip("trained:Q", title="at trained lengths", format=".1%"),
    ]  # fmt: skip
    means = means.assign(name=["\n".join(textwrap.wrap(series, characters)) for series in means.series])
    name = alt.Chart(means).mark_text(
        align="left", baseline="middle", fontSize=theme.size, color=theme.text, tooltip=None, lineBreak="\n"
    )
    layers = [
        name.encode(x=alt.value(0), y=y(TEXT_AT), text="name:N"),
        alt.Chart(means)
        .mark_rule(strokeWidth=3, color=theme.muted, tooltip=None)
        .encode(x=x, y=y(strip_at - 0.2), y2=alt.Y2("series", bandPosition=strip_at + 0.2)),
        alt.Chart(rows)
        .mark_point(size=60, filled=True, opacity=0.7, color=theme.blue)
        .encode(x=x, y=y(strip_at), shape=shape, tooltip=tooltip),
    ]
    failed = int((~frame.learned).sum())
    note = f"A mark is a run. All seeds are shown ({frame.seed.nunique()}). The tick is their mean."
    if failed:
        note += f" Crosses: {failed} of {len(frame)} runs are below {LEARNED:.0%} at trained lengths."
    if heads is not None:
        layers += head_squares(heads, theme, y)
        note += f" {squares_note(heads)}"
    chart = alt.layer(*layers).properties(
        width="container", height=row * len(order), title=heading(theme, note), description=note
    )
    return styled(chart, theme)
