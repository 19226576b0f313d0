"""The transfer matrix: the transfer gain of every main task with every auxiliary task."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from lgt.charts.maps import ink
from lgt.charts.marks import colour
from lgt.charts.theme import Theme, heading, message, styled
from lgt.recipes.labels import task_title

ROW = 70
"""Height of a row of cells, px."""
NUMBER_WIDTH = 42
"""In a narrower cell the number is rotated and only the tooltip has n, px."""
INTERVAL_WIDTH = 98
"""A cell of at least this width, px, has room for its interval."""


def transfer_matrix(frame: pd.DataFrame, theme: Theme) -> Any:
    """Main tasks down, auxiliary tasks across; a cell is the mean transfer gain over seeds.

    ``frame`` has one row per cell: ``main``, ``auxiliaries`` (task names joined by ``+``), ``control`` (whether they
    are unrelated), ``gain`` (mean over seeds, -1 to 1), ``low`` and ``high`` (95 % t interval, missing below two seeds)
    and ``n`` (seeds). Cells without runs are empty frames.
    """
    if frame.empty:
        return message("No task group with a finished baseline yet.", theme)
    cells = frame.assign(
        main_title=[task_title(task) for task in frame.main],
        auxiliaries_title=[
            " + ".join(map(task_title, names.split("+"))) + " (unrelated)" * bool(control)
            for names, control in zip(frame.auxiliaries, frame.control, strict=True)
        ],
        gain_text=[f"{gain:+.2f}".replace("-", "−") for gain in frame.gain],
        n_text=[f"n = {n}" for n in frame.n],
        interval=[interval_text(low, high) for low, high in zip(frame.low, frame.high, strict=True)],
        ink=[ink(max(gain, 0.0), theme) for gain in frame.gain],
    )
    axis = alt.Axis(title=None, ticks=False, domain=False, labelLimit=200, grid=False)
    order = list(dict.fromkeys(cells.auxiliaries_title))
    x = alt.X("auxiliaries_title:N", sort=order, axis=alt.Axis(
        title="Auxiliary tasks, trained to twice the length", orient="top", ticks=False, domain=False, labelAngle=-28,
        labelLimit=200, grid=False,
    ))  # fmt: skip
    y = alt.Y("main_title:N", sort=list(dict.fromkeys(cells.main_title)), axis=axis)
    ramp = alt.Scale(domain=[0, 1], range=list(theme.ramp), clamp=True, interpolate="lab")
    tooltip = [
        alt.Tooltip("main_title:N", title="main task"), alt.Tooltip("auxiliaries_title:N", title="auxiliary tasks"),
        alt.Tooltip("gain_text:N", title="transfer gain"), alt.Tooltip("interval:N", title="95% t interval"),
        alt.Tooltip("n:Q", title="seeds"),
    ]  # fmt: skip
    # A phone's cells have no room for the interval; there only the tooltip says it.
    cell = f"width / {cells.auxiliaries_title.nunique()}"
    wide = alt.ExprRef(f"{cell} > {INTERVAL_WIDTH} ? {theme.size - 1} : 0")
    narrow = f"{cell} < {NUMBER_WIDTH}"
    room = alt.ExprRef(f"{narrow} ? {theme.size} : {theme.size + 3}")
    turned, lifted = alt.ExprRef(f"{narrow} ? 270 : 0"), alt.ExprRef(f"{narrow} ? 0 : -15")
    below = alt.ExprRef(f"{narrow} ? 0 : {theme.size - 1}")
    base = alt.Chart(cells).encode(x=x, y=y)
    places = pd.DataFrame(
        [(main, beside) for main in cells.main_title.unique() for beside in order],
        columns=["main_title", "auxiliaries_title"],
    )
    layers = [
        alt.Chart(places)
        .mark_rect(cornerRadius=4, filled=False, stroke=theme.grid, strokeDash=[3, 3], tooltip=None)
        .encode(x=x, y=y),
        base.mark_rect(cornerRadius=4, stroke=theme.surface, strokeWidth=3).encode(
            color=alt.Color("gain:Q", scale=ramp, legend=None), tooltip=tooltip
        ),
        base.mark_text(dy=lifted, angle=turned, fontSize=room, fontWeight=600, tooltip=None).encode(
            text="gain_text:N", color=colour("ink")
        ),
        base.mark_text(dy=3, fontSize=wide, tooltip=None).encode(text="interval:N", color=colour("ink")),
        base.mark_text(dy=18, fontSize=below, tooltip=None).encode(text="n_text:N", color=colour("ink")),
    ]
    rows = cells.main_title.nunique()
    note = (
        "Transfer gain: transfer accuracy minus that of the main task trained alone for the same steps. Mean over n "
        "seeds with its 95% t interval."
    )
    spoken = "; ".join(
        f"{row.main_title} beside {row.auxiliaries_title}: {row.gain_text} ({row.interval}), {row.n} seeds"
        for row in cells.itertuples()
    )  # fmt: skip
    chart = alt.layer(*layers).properties(
        width="container", height=ROW * rows, title=heading(theme, note, offset=12), description=f"{note} {spoken}."
    )
    return styled(chart.resolve_scale(color="independent"), theme)  # cells have a ramp, texts their own colours


def interval_text(low: float, high: float) -> str:
    """An interval in words."""
    return "no interval" if pd.isna(low) else f"{low:+.2f} to {high:+.2f}".replace("-", "−")
