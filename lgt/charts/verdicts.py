"""Verdicts in one picture: every seed's difference in transfer accuracy, with the interval of their mean."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from lgt.charts.palette import Theme, heading, message, styled
from lgt.verdicts import SMALLEST_EFFECT

ROW = 34
SHAPES = {
    "reproduced": "circle",
    "not reproduced": "cross",
    "too few seeds": "diamond",
    "premise not met": "triangle-up",
}


def verdict_chart(
    frame: pd.DataFrame, theme: Theme, *, quantity: str = "Difference in accuracy", smallest: float = SMALLEST_EFFECT,
    lowest: float = -0.5,
) -> Any:  # fmt: skip
    """One row per figure: a point for every seed, a bar for the 95 % interval of their mean, a tick for the mean.

    ``frame`` has the columns ``figure`` (the row's name), ``outcome``, ``seed``, ``difference``, ``mean``, ``low`` and
    ``high`` (missing below two seeds), one row per seed. ``quantity`` names the axis, which runs from ``lowest``
    to 1. Dotted lines: nothing, and ``smallest``, from where on it counts.
    """
    if frame.empty:
        return message("No finished seed of any figure yet.", theme)
    order = list(dict.fromkeys(frame.figure))
    y = alt.Y("figure:N", sort=order, title=None, axis=alt.Axis(labelLimit=220, ticks=False, domain=False))
    scale = alt.Scale(domain=[lowest, 1], clamp=True, nice=False)
    axis = alt.Axis(title=quantity, format="+.2f", values=[-1, -0.5, 0, 0.5, 1])

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", scale=scale, axis=axis)

    colours = {
        "reproduced": theme.shared, "not reproduced": theme.amber, "too few seeds": theme.muted,
        "premise not met": theme.muted,
    }  # fmt: skip
    colour = alt.Color(
        "outcome:N",
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
        legend=alt.Legend(title=None, orient="top", columns=2),
    )
    shape = alt.Shape("outcome:N", scale=alt.Scale(domain=list(SHAPES), range=list(SHAPES.values())))
    means = frame.drop_duplicates("figure")
    bands = alt.Chart(means[means.low.notna()])
    lines = pd.DataFrame({"at": [0.0, smallest]})
    tooltip = [
        alt.Tooltip("figure:N"), alt.Tooltip("outcome:N"), alt.Tooltip("seed:Q"),
        alt.Tooltip("difference:Q", format="+.2f"),
    ]  # fmt: skip
    layers = [
        alt.Chart(lines).mark_rule(strokeDash=[2, 3], color=theme.muted, tooltip=None).encode(x=x("at")),
        bands.mark_rule(strokeWidth=9, opacity=0.25, tooltip=None, clip=True).encode(
            y=y, x=x("low"), x2="high:Q", color=colour
        ),
        alt.Chart(means).mark_tick(thickness=3, size=18, tooltip=None).encode(y=y, x=x("mean"), color=colour),
        alt.Chart(frame)
        .mark_point(size=46, filled=True, opacity=0.75)
        .encode(y=y, x=x("difference"), color=colour, shape=shape, tooltip=tooltip),
    ]
    note = (
        "Points: single seeds. Tick and bar: their mean and its 95% t interval. "
        f"Dotted: nothing, and {smallest:.2f}, the smallest that counts."
    )
    counts = means.outcome.value_counts()
    description = "; ".join(f"{number} {outcome}" for outcome, number in counts.items())
    chart = alt.layer(*layers).properties(
        width="container", height=ROW * len(order), title=heading(theme, note),
        description=f"{quantity} by figure: {description}.",
    )  # fmt: skip
    return styled(chart, theme)


def seed_strip(frame: pd.DataFrame, theme: Theme) -> Any:
    """Every seed's transfer accuracy, a row per series: a distribution rather than a mean.

    ``frame``: ``series``, ``seed``, ``transfer``, ``trained`` (shares) and ``learned``; a run that did not learn the
    main task where it was trained is a cross.
    """
    if frame.empty:
        return message("No finished seed yet.", theme)
    order = list(dict.fromkeys(frame.series))
    kinds = {True: "learned at trained lengths", False: "not learned at trained lengths"}
    rows = frame.assign(kind=frame.learned.map(kinds))
    y = alt.Y("series:N", sort=order, title=None, axis=alt.Axis(labelLimit=220, ticks=False, domain=False))
    x = alt.X("transfer:Q", scale=alt.Scale(domain=[0, 1], nice=False),
              axis=alt.Axis(title="Transfer accuracy", format="%", tickCount=5))  # fmt: skip
    shape = alt.Shape("kind:N", scale=alt.Scale(domain=list(kinds.values()), range=["circle", "cross"]),
                      legend=alt.Legend(title=None, orient="top", columns=2))  # fmt: skip
    means = rows.groupby("series", as_index=False, sort=False).agg(transfer=("transfer", "mean"))
    tooltip = [
        alt.Tooltip("series:N"), alt.Tooltip("seed:Q"), alt.Tooltip("transfer:Q", format=".1%"),
        alt.Tooltip("trained:Q", title="at trained lengths", format=".1%"),
    ]  # fmt: skip
    layers = [
        alt.Chart(means).mark_tick(thickness=3, size=22, color=theme.muted, tooltip=None).encode(x=x, y=y),
        alt.Chart(rows)
        .mark_point(size=60, filled=True, opacity=0.7, color=theme.shared)
        .encode(x=x, y=y, shape=shape, tooltip=tooltip),
    ]
    failed = int((~frame.learned).sum())
    note = f"A mark is a run, all seeds shown ({frame.seed.nunique()}); the tick is their mean."
    if failed:
        note += f" Crosses: {failed} of {len(frame)} runs are below 95% at trained lengths."
    chart = alt.layer(*layers).properties(
        width="container", height=ROW * len(order), title=heading(theme, note), description=note
    )
    return styled(chart, theme)
