"""Verdicts in one picture: every seed's difference in transfer accuracy, with the interval of their mean."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from lgt.charts.palette import Theme, heading, message, styled
from lgt.verdicts import SMALLEST_EFFECT

ROW = 34
TICKS = [-0.5, -0.25, 0, 0.25, 0.5, 0.75, 1]
SHAPES = {
    "reproduced": "circle",
    "not reproduced": "cross",
    "too few seeds": "diamond",
    "premise not met": "triangle-up",
}


def verdict_chart(frame: pd.DataFrame, theme: Theme) -> Any:
    """One row per figure: a point for every seed, a bar for the 95 % interval of their mean, a tick for the mean.

    ``frame`` has the columns ``figure`` (the row's name), ``outcome``, ``seed``, ``difference``, ``mean``, ``low`` and
    ``high`` (missing below two seeds), one row per seed. Dotted lines: no difference, and the smallest that counts.
    """
    if frame.empty:
        return message("No finished seed of any figure yet.", theme)
    order = list(dict.fromkeys(frame.figure))
    y = alt.Y("figure:N", sort=order, title=None, axis=alt.Axis(labelLimit=220, ticks=False, domain=False))
    scale = alt.Scale(domain=[-0.5, 1], clamp=True, nice=False)
    axis = alt.Axis(title="Difference in transfer accuracy", format="+.2f", values=TICKS)

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", scale=scale, axis=axis)

    colours = {
        "reproduced": theme.shared, "not reproduced": theme.only_auxiliary, "too few seeds": theme.muted,
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
    lines = pd.DataFrame({"at": [0.0, SMALLEST_EFFECT]})
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
        f"Dotted: no difference, and {SMALLEST_EFFECT:.2f}, the smallest that counts."
    )
    counts = means.outcome.value_counts()
    description = "; ".join(f"{number} {outcome}" for outcome, number in counts.items())
    chart = alt.layer(*layers).properties(
        width="container", height=ROW * len(order), title=heading(theme, note),
        description=f"Difference in transfer accuracy by figure: {description}.",
    )  # fmt: skip
    return styled(chart, theme)
