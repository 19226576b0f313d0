"""Between the checkpoints of runs: how steady transfer is, and whether the gap follows what the heads do."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from lgt.charts.palette import Theme, heading, message, styled

SHARE = alt.Scale(domain=[0, 1], nice=False)
MEASURES = {
    "map_difference": "ablation-map difference (points of exact match)",
    "attention_difference": "attention-matrix difference",
}
PANELS = 3
WIDE, TALL = 1.18, 1.54
"""Distance of neighbouring panels of a circuit chart, in panels."""


def stability_chart(frame: pd.DataFrame, theme: Theme, *, height: int = 260) -> Any:
    """Transfer accuracy of every seed over training, never smoothed, and accuracy at trained lengths behind it.

    ``frame``: the rows of :func:`lgt.dynamics.course` with a ``seed`` column.
    """
    if frame.empty:
        return message("No finished run with checkpoints yet.", theme)
    long = frame.melt(id_vars=["seed", "step"], value_vars=["trained", "transfer"], var_name="zone", value_name="share")
    names = {"trained": "at trained lengths", "transfer": "in the transfer region"}
    long = long.assign(zone=long.zone.map(names), line=long.seed.astype(str) + long.zone)
    hue = alt.Color("zone:N", scale=alt.Scale(domain=list(names.values()), range=[theme.muted, theme.shared]),
                    legend=alt.Legend(title=None, orient="top", symbolType="stroke", symbolStrokeWidth=3))  # fmt: skip
    y = alt.Y("share:Q", scale=SHARE, axis=alt.Axis(title="Exact match of the main task", format="%", tickCount=5))
    x = alt.X("step:Q", scale=alt.Scale(nice=False), axis=alt.Axis(title="Optimizer steps", grid=False, format=",d"))
    tooltip = [
        alt.Tooltip("seed:Q"), alt.Tooltip("zone:N"), alt.Tooltip("step:Q", format=",d"),
        alt.Tooltip("share:Q", title="exact match", format=".1%"),
    ]  # fmt: skip
    base = alt.Chart(long).encode(x=x, y=y, color=hue, detail="line:N")
    layers = [
        base.mark_line(strokeWidth=1.8, opacity=0.85, tooltip=None),
        base.mark_point(size=14, filled=True, opacity=0.9).encode(tooltip=tooltip),
    ]
    seeds, steps = frame.seed.nunique(), frame.step.nunique()
    note = f"One line a seed ({seeds}), {steps} checkpoints each, nothing smoothed and no run left out."
    ends = frame[frame.step == frame.step.max()].transfer
    chart = alt.layer(*layers).properties(
        width="container", height=height, title=heading(theme, note),
        description=f"Accuracy over training. {note} Transfer accuracy ends between {ends.min():.0%} and "
        f"{ends.max():.0%}.",
    )  # fmt: skip
    return styled(chart, theme)


def circuit_chart(frame: pd.DataFrame, measure: str, rhos: dict[int, float | None], theme: Theme) -> Any:
    """A panel per seed: the gap against ``measure`` (a column of :func:`lgt.dynamics.course`) at every checkpoint.

    The line joins checkpoints in order, from light (early) to strong (late). ``rhos``: Spearman's rho by seed. Below
    it stands the final transfer accuracy: a gap of 0 can also mean that everything fails.
    """
    frame = frame.dropna(subset=[measure]).sort_values(["seed", "step"])
    if frame.empty:
        return message("These tasks' sequences do not line up position by position: not comparable.", theme)
    scale = 100 if measure == "map_difference" else 1
    seeds = sorted(frame.seed.unique())
    columns = min(PANELS, len(seeds))
    top = float(frame[measure].max()) * scale or 1.0
    high = next(high for high in (0.25, 0.5, 1.0) if frame.gap.max() <= high)
    rows = frame[frame.seed.isin(seeds)]
    places = {seed: i for i, seed in enumerate(seeds)}
    rows = rows.assign(
        value=rows[measure] * scale,
        x=[WIDE * (places[s] % columns) + v * scale / top for s, v in zip(rows.seed, rows[measure], strict=True)],
        y=[-TALL * (places[s] // columns) + g / high for s, g in zip(rows.seed, rows.gap, strict=True)],
    )
    lines = -(-len(seeds) // columns)
    x = alt.X("x:Q", scale=alt.Scale(domain=[-0.02, WIDE * columns - 0.14], nice=False), axis=None)
    upright = alt.Scale(domain=[-TALL * (lines - 1) - 0.04, 1.34], nice=False)
    y = alt.Y("y:Q", scale=upright, axis=None)
    legend = alt.Legend(
        title="optimizer steps", orient="bottom", gradientLength=140, gradientThickness=9, tickCount=3, format=",d"
    )
    late = alt.Color("step:Q", scale=alt.Scale(range=list(theme.ramp[1:])), legend=legend)
    tooltip = [
        alt.Tooltip("seed:Q"), alt.Tooltip("step:Q", format=",d"), alt.Tooltip("gap:Q", format=".2f"),
        alt.Tooltip("value:Q", title="difference", format=".2f"),
    ]  # fmt: skip
    base = alt.Chart(rows).encode(x=x, y=y)
    layers = [
        *_frames(places, columns, rhos, rows.groupby("seed").transfer.last(), theme, x, upright),
        base.mark_line(color=theme.unused, strokeWidth=1, tooltip=None).encode(order="step:Q", detail="seed:N"),
        base.mark_point(size=42, filled=True, opacity=1).encode(color=late, tooltip=tooltip),
    ]
    note = (
        f"Up: generalization gap, 0 to {high:g}. Right: {MEASURES[measure]} at trained lengths, "
        f"0 to {top:.2g}. A dot is a checkpoint."
    )
    spoken = "; ".join(f"seed {seed}: rho {_rho(rhos.get(seed))}" for seed in seeds)
    chart = alt.layer(*layers).properties(
        width="container", height=210 * lines, title=heading(theme, note), description=f"{note} {spoken}."
    )
    return styled(chart, theme)


def _rho(value: float | None) -> str:
    return "not defined" if value is None else f"{value:+.2f}".replace("-", "−")


def _frames(
    places: dict[int, int], columns: int, rhos: dict[int, float | None], transfer: pd.Series, theme: Theme, x: alt.X,
    upright: alt.Scale,
) -> list[Any]:  # fmt: skip
    """Axes and heading of every panel; ``transfer`` by seed."""
    corners = pd.DataFrame(
        {"seed": seed, "x": WIDE * (i % columns), "right": WIDE * (i % columns) + 1.0, "y": -TALL * (i // columns),
         "top": -TALL * (i // columns) + 1.0, "heading": -TALL * (i // columns) + 1.24,
         "below": -TALL * (i // columns) + 1.08,
         "text": f"seed {seed}: ρ = {_rho(rhos.get(seed))}", "reached": f"transfer {transfer[seed]:.0%}"}
        for seed, i in places.items()
    )  # fmt: skip
    base, y = alt.Chart(corners), alt.Y("y:Q", scale=upright, axis=None)
    style: dict[str, Any] = {"color": theme.muted, "strokeWidth": 1, "tooltip": None}
    text: dict[str, Any] = {
        "align": "left",
        "fontSize": theme.size,
        "tooltip": None,
    }
    return [
        base.mark_rule(**style).encode(x=x, x2="right:Q", y=y),
        base.mark_rule(**style).encode(x=x, y=y, y2="top:Q"),
        base.mark_text(**text, color=theme.text, fontWeight=600).encode(
            x=x, y=alt.Y("heading:Q", scale=upright, axis=None), text="text:N"
        ),
        base.mark_text(**text, color=theme.muted).encode(
            x=x, y=alt.Y("below:Q", scale=upright, axis=None), text="reached:N"
        ),
    ]
