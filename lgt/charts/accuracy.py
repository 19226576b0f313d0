"""Exact match against length: the curve that the finding is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import altair as alt
import numpy as np
import pandas as pd

from lgt.charts.palette import ROLE_DASHES, ROLE_WIDTHS, Theme, message, styled, task_colour
from lgt.statistics import IN_DISTRIBUTION, OUT_OF_DISTRIBUTION, TRANSFER_REGION, band, wilson_interval, zone_lengths
from lgt.tasks import TASKS

BandChoice = Literal["min-max", "bootstrap", "none"]
UNITS = {"arithmetic": "digits", "strings": "characters", "mazes": "nodes"}
ROLE_ORDER = {"main": 0, "auxiliary": 1, "control": 2}


def length_accuracy(
    frame: pd.DataFrame, theme: Theme, *, band_choice: BandChoice = "min-max", single_seeds: bool = False,
    height: int = 300,
) -> Any:  # fmt: skip
    """Curves of every task in ``frame``: the mean over seeds with a named band, over the zones of the main task.

    ``frame`` has the columns of :func:`lgt.store.queries.accuracy`, one row per (run, task, length). A band over seeds
    needs two of them; for a single run it is each point's 95 % Wilson interval, and the chart says so.
    """
    if frame.empty:
        return message("No evaluated lengths yet.", theme)
    curves = summarised(frame, band_choice)
    order = curves.drop_duplicates("series").sort_values("order", kind="stable")
    scales = {
        "color": alt.Scale(domain=list(order.series), range=[task_colour(task, theme) for task in order.task]),
        "strokeDash": alt.Scale(domain=list(order.series), range=[ROLE_DASHES[role] for role in order.role]),
    }
    axis = length_axis(frame)
    layers = [*zone_layers(frame, theme, axis), band_layer(curves, scales, axis)]
    if single_seeds:
        layers.append(seed_layer(frame, scales, axis))
    layers += [*line_layers(curves, scales, axis), point_layer(curves, scales, axis)]
    chart = alt.layer(*layers).properties(
        width="container", height=height, description=description(curves),
        title=alt.TitleParams(band_title(curves), fontSize=12, fontWeight="normal", color=theme.muted, offset=24),
    )  # fmt: skip
    return styled(chart, theme)


def summarised(frame: pd.DataFrame, choice: BandChoice) -> pd.DataFrame:
    """Per (task, length): mean over runs, the band's ``low`` and ``high`` and its ``name``, runs and prompts."""
    rows = []
    rng = np.random.default_rng(0)  # the bootstrap's draws; fixed, so that one store gives one picture
    for keys, group in frame.groupby(["task", "role", "length"], sort=False):
        task, role, length = keys
        ratios = (group.correct / group.total).to_numpy()
        low, high, name = interval(group, ratios, choice, rng)
        rows.append(
            {"task": task, "role": role, "length": length, "mean": ratios.mean(), "low": low, "high": high,
             "band": name, "runs": len(group), "prompts": int(group.total.sum()), "order": ROLE_ORDER[str(role)],
             "series": series_name(str(task), str(role), int(group.training_length.iloc[0]))}
        )  # fmt: skip
    return pd.DataFrame(rows).sort_values(["order", "task", "length"])


def interval(
    group: pd.DataFrame, ratios: np.ndarray, choice: BandChoice, rng: np.random.Generator
) -> tuple[float, float, str]:
    """(low, high, name) of the band at one point."""
    mean = float(ratios.mean())
    if choice == "none":
        return mean, mean, ""
    if len(ratios) == 1:
        low, high = wilson_interval(int(group.correct.iloc[0]), int(group.total.iloc[0]))
        return low, high, "95% Wilson interval of a single run"
    found = band(ratios[:, None], choice, rng)
    assert found.low is not None and found.high is not None  # two or more seeds
    return float(found.low[0]), float(found.high[0]), found.name


def series_name(task: str, role: str, training_length: int) -> str:
    """Legend text: title, role and training length of a task."""
    title = TASKS[task].title if task in TASKS else task
    return f"{title} · {role} ≤ {training_length}"


def zone_layers(frame: pd.DataFrame, theme: Theme, axis: LengthAxis) -> list[Any]:
    """Tints and names of the main task's zones, with rules at its own and the auxiliary's training length."""
    main = frame[frame.role == "main"]
    if main.empty:
        return []
    first = main.iloc[0]
    transfer = None if pd.isna(first.transfer_length) else int(first.transfer_length)
    zones = zone_lengths(sorted(frame.length.unique().tolist()), int(first.training_length), transfer)
    names = {IN_DISTRIBUTION: "trained", TRANSFER_REGION: "transfer region", OUT_OF_DISTRIBUTION: "beyond"}
    tints = dict(zip(names, theme.zones, strict=True))
    rows = [
        {"low": lengths[0] - 0.5, "high": lengths[-1] + 0.5, "middle": (lengths[0] + lengths[-1]) / 2,
         "name": names[name], "tint": tints[name]}
        for name, lengths in zones.items() if lengths
    ]  # fmt: skip
    tint = [
        alt.Chart(pd.DataFrame([row]))
        .mark_rect(color=str(row["tint"]))
        .encode(x=axis("low"), x2="high:Q", y=alt.value(0), y2=alt.value("height"))
        for row in rows
    ]
    label = (
        alt.Chart(pd.DataFrame(rows))
        .mark_text(baseline="bottom", fontSize=12, color=theme.muted, dy=-4)
        .encode(x=axis("middle"), y=alt.value(0), text="name:N")
    )
    rule = (
        alt.Chart(pd.DataFrame(rows[:-1], columns=["high"]))
        .mark_rule(color=theme.muted, strokeDash=[2, 2], strokeWidth=1)
        .encode(x=axis("high"))
    )
    return [*tint, rule, label]


LengthAxis = Callable[[str], alt.X]


def length_axis(frame: pd.DataFrame) -> LengthAxis:
    """From a field to its x encoding: one length axis, whole numbers, in the unit of the family."""
    first = str(frame.task.iloc[0])
    unit = UNITS[TASKS[first].family] if first in TASKS else "length units"
    low, high = int(frame.length.min()), int(frame.length.max())
    step = 1 if high - low <= 10 else 2 if high - low <= 24 else 4 if high - low <= 60 else 16
    ticks = [value for value in range(low, high + 1) if value % step == 0]
    scale = alt.Scale(domain=[low - 0.5, high + 0.5], nice=False, zero=False)
    axis = alt.Axis(title=f"Length ({unit})", values=ticks, format="d", grid=False)
    return lambda field: alt.X(f"{field}:Q", scale=scale, axis=axis)


ACCURACY_SCALE = alt.Scale(domain=[0, 1])
ACCURACY_AXIS = alt.Axis(title="Exact match", format="%", values=[0, 0.25, 0.5, 0.75, 1], grid=True)
ACCURACY = alt.Y("mean:Q", scale=ACCURACY_SCALE, axis=ACCURACY_AXIS)
# Inside the plot, where curves of trained lengths leave room: plots side by side keep their height.
LEGEND = alt.Legend(
    title=None, orient="bottom-left", direction="vertical", offset=14, rowPadding=4,
    symbolType="stroke", symbolSize=400, symbolStrokeWidth=3, symbolOpacity=1,
)  # fmt: skip


def band_layer(curves: pd.DataFrame, scales: dict[str, alt.Scale], axis: LengthAxis) -> Any:
    """The bands, one area per task."""
    return (
        alt.Chart(curves)
        .mark_area(opacity=0.2, interpolate="linear")
        .encode(
            x=axis("length"),
            y=alt.Y("low:Q", axis=ACCURACY_AXIS, scale=ACCURACY_SCALE),
            y2="high:Q",
            color=alt.Color("series:N", scale=scales["color"], legend=LEGEND),
        )
    )


def line_layers(curves: pd.DataFrame, scales: dict[str, alt.Scale], axis: LengthAxis) -> list[Any]:
    """The means; auxiliaries first, so that the main task's line lies on top."""
    layers = []
    for role in ("control", "auxiliary", "main"):
        rows = curves[curves.role == role]
        if rows.empty:
            continue
        layers.append(
            alt.Chart(rows)
            .mark_line(strokeWidth=ROLE_WIDTHS[role], strokeCap="round")
            .encode(
                x=axis("length"),
                y=ACCURACY,
                color=alt.Color("series:N", scale=scales["color"], legend=LEGEND),
                strokeDash=alt.StrokeDash("series:N", scale=scales["strokeDash"], legend=LEGEND),
            )
        )
    return layers


def point_layer(curves: pd.DataFrame, scales: dict[str, alt.Scale], axis: LengthAxis) -> Any:
    """A point per length that tells its numbers."""
    tooltip = [
        alt.Tooltip("series:N", title="task"),
        alt.Tooltip("length:Q"),
        alt.Tooltip("mean:Q", title="exact match", format=".1%"),
        alt.Tooltip("low:Q", title="band from", format=".1%"),
        alt.Tooltip("high:Q", title="band to", format=".1%"),
        alt.Tooltip("runs:Q", title="runs"),
        alt.Tooltip("prompts:Q", title="test prompts, all runs", format=","),
    ]
    return (
        alt.Chart(curves)
        .mark_circle(size=34, opacity=1)
        .encode(
            x=axis("length"),
            y=ACCURACY,
            color=alt.Color("series:N", scale=scales["color"], legend=LEGEND),
            tooltip=tooltip,
        )
    )


def seed_layer(frame: pd.DataFrame, scales: dict[str, alt.Scale], axis: LengthAxis) -> Any:
    """One thin line per run of the main task."""
    main = frame[frame.role == "main"]
    rows = main.assign(
        mean=main.correct / main.total,
        series=[series_name(*key) for key in zip(main.task, main.role, main.training_length.astype(int), strict=True)],
    )
    return (
        alt.Chart(rows)
        .mark_line(strokeWidth=1, opacity=0.7)
        .encode(
            x=axis("length"),
            y=ACCURACY,
            detail="run_id:N",
            color=alt.Color("series:N", scale=scales["color"], legend=LEGEND),
            tooltip=[alt.Tooltip("model_seed:Q", title="seed"), alt.Tooltip("run_id:Q", title="run")],
        )
    )


def band_title(curves: pd.DataFrame) -> str:
    """What line and band are, with n."""
    runs = int(curves.runs.max())
    line = f"mean of {runs} seeds" if runs > 1 else "one run"
    names = [name for name in curves.band.unique() if name]
    return f"Line: {line}. Band: {names[0]}." if names else f"Line: {line}."


def description(curves: pd.DataFrame) -> str:
    """The chart in a sentence per task, for readers who do not see it."""
    parts = []
    for series, rows in curves.groupby("series", sort=False):
        points = "; ".join(f"{int(length)}: {mean:.0%}" for length, mean in zip(rows.length, rows["mean"], strict=True))
        parts.append(f"{series}: exact match by length {points}")
    return "Length-accuracy curves. " + ". ".join(parts) + ". " + band_title(curves)
