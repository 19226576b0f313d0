"""Trajectories of runs: how stable transfer is during training, and whether the gap follows the use of the heads."""

from __future__ import annotations

from math import isnan
from typing import Any

import altair as alt
import pandas as pd

from lgt.charts.panels import Panels
from lgt.charts.theme import Theme, heading, message, styled, task_colour
from lgt.metrics.stability import largest_fall

MEASURES = {
    "map_difference": "ablation-map difference (points of exact match)",
    "attention_difference": "attention-matrix difference",
}


def stability_chart(frame: pd.DataFrame, theme: Theme, *, main: str) -> Any:
    """A panel per seed: the main task's accuracy at trained lengths (grey) and in the transfer region (its colour) over
    training, never smoothed.

    ``frame``: the rows of :func:`lgt.metrics.trajectory.trajectory` with a ``seed`` column. ``main``: the main task's
    name.
    """
    if frame.empty:
        return message("No finished run with several checkpoints yet.", theme)
    long = frame.melt(id_vars=["seed", "step"], value_vars=["trained", "transfer"], var_name="zone", value_name="share")
    names = {"trained": "at trained lengths", "transfer": "in the transfer region"}
    long = long.assign(zone=long.zone.map(names), line=long.seed.astype(str) + long.zone)
    last = int(frame.step.max())
    panels = Panels.of(frame.seed)
    long = panels.placed(long, long.step / last, long.share)
    hue = alt.Color(
        "zone:N", legend=alt.Legend(title=None, orient="top", symbolType="stroke", symbolStrokeWidth=3),
        scale=alt.Scale(domain=list(names.values()), range=[theme.muted, task_colour(main, theme)]),
    )  # fmt: skip
    tooltip = [
        alt.Tooltip("seed:Q"), alt.Tooltip("zone:N"), alt.Tooltip("step:Q", format=",d"),
        alt.Tooltip("share:Q", title="exact match", format=".1%"),
    ]  # fmt: skip
    ordered = frame.sort_values("step")
    falls = {seed: largest_fall(ordered[ordered.seed == seed].transfer.tolist()) for seed in panels.seeds}
    said = {seed: f"fall: {100 * fall:.0f} points" for seed, fall in falls.items()}
    base = alt.Chart(long).encode(x=panels.x(), y=panels.y(), color=hue, detail="line:N")
    layers = [
        *panels.frames(theme, {seed: f"seed {seed}" for seed in panels.seeds}, said, ("0", f"{last:,}", "100%")),
        base.mark_line(strokeWidth=1.8, tooltip=None),
        base.mark_point(size=12, filled=True, opacity=1).encode(tooltip=tooltip),
    ]
    steps = frame.groupby("seed").step.nunique().max()
    note = (
        f"Exact match of the main task over optimizer steps. A panel is a seed ({len(panels.seeds)}) with {steps} "
        "checkpoints each, not smoothed. Fall: the largest drop in the transfer region from a checkpoint to a later "
        "one."
    )
    ends = frame[frame.step == frame.groupby("seed").step.transform("max")].transfer
    chart = alt.layer(*layers).properties(
        width="container", height=panels.height, title=heading(theme, note),
        description=f"Accuracy over training. {note} Transfer accuracy ends between {ends.min():.0%} and "
        f"{ends.max():.0%}.",
    )  # fmt: skip
    return styled(chart, theme)


def circuit_chart(frame: pd.DataFrame, measure: str, rhos: dict[int, float | None], theme: Theme) -> Any:
    """A panel per seed: the gap against ``measure`` (a column of :func:`lgt.metrics.trajectory.trajectory`) at every
    checkpoint.

    The line joins checkpoints in order, from light (early) to strong (late). ``rhos``: Spearman's rho by seed. Below
    it stands the final transfer accuracy: a gap of 0 can also mean that everything fails.
    """
    frame = frame.dropna(subset=[measure]).sort_values(["seed", "step"])
    if frame.empty:
        return message(
            "The prompts of these tasks have different layouts, so their attention cannot be compared.", theme
        )
    frame = frame.dropna(subset=["gap"])
    if frame.empty:
        return message("No checkpoint has the gap: counts are missing.", theme)
    panels = Panels.of(frame.seed)
    scale = 100 if measure == "map_difference" else 1
    top = float(frame[measure].max()) * scale or 1.0
    high = next(high for high in (0.25, 0.5, 1.0) if frame.gap.max() <= high)
    rows = panels.placed(frame.assign(value=frame[measure] * scale), frame[measure] * scale / top, frame.gap / high)
    legend = alt.Legend(
        title="optimizer steps", orient="bottom", gradientLength=140, gradientThickness=9, tickCount=3, format=",d"
    )
    late = alt.Color("step:Q", scale=alt.Scale(range=list(theme.ramp[1:])), legend=legend)
    tooltip = [
        alt.Tooltip("seed:Q"), alt.Tooltip("step:Q", format=",d"), alt.Tooltip("gap:Q", format=".2f"),
        alt.Tooltip("value:Q", title="difference", format=".2f"),
    ]  # fmt: skip
    titles = {seed: f"seed {seed}: ρ = {_rho(rhos.get(seed))}" for seed in panels.seeds}
    last = rows.groupby("seed").transfer.last()
    reached = {seed: "transfer not measured" if isnan(last[seed]) else f"transfer {last[seed]:.0%}"
               for seed in panels.seeds}  # fmt: skip
    base = alt.Chart(rows).encode(x=panels.x(), y=panels.y())
    layers = [
        *panels.frames(theme, titles, reached, ("0", f"{top:.2g}", f"{high:g}")),
        base.mark_line(color=theme.unused, strokeWidth=1, tooltip=None).encode(order="step:Q", detail="seed:N"),
        base.mark_point(size=42, filled=True, opacity=1).encode(color=late, tooltip=tooltip),
    ]
    note = (
        f"Vertical: generalization gap, 0 to {high:g}. Horizontal: {MEASURES[measure]} at trained lengths, "
        f"0 to {top:.2g}. A dot is a checkpoint."
    )
    spoken = "; ".join(f"seed {seed}: rho {_rho(rhos.get(seed))}" for seed in panels.seeds)
    chart = alt.layer(*layers).properties(
        width="container", height=panels.height, title=heading(theme, note), description=f"{note} {spoken}."
    )
    return styled(chart, theme)


def _rho(value: float | None) -> str:
    return "not defined" if value is None else f"{value:+.2f}".replace("-", "−")
