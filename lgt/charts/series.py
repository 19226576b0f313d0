"""From counts per run to curves: which rows form one curve, its mean, its named band, its marks.

A curve is one task of one arm of one comparison, all its seeds. Runs are told apart by ``run_id``; where a run was
evaluated at several steps, its last one in the frame counts.
"""

from __future__ import annotations

from typing import Any, Literal

import altair as alt
import numpy as np
import pandas as pd

from lgt.charts.theme import ROLES, Theme, task_colour
from lgt.metrics.intervals import band, wilson_interval
from lgt.recipes.labels import ARM_TITLES, task_title

BandChoice = Literal["min-max", "bootstrap", "none"]
WILSON = "95% Wilson interval of a single run"
MARKERS = ("circle", "diamond", "triangle-up", "square", "triangle-down", "cross")
"""Only the first is filled. Colour is the task and dash is the role, so the shape is the arm."""


def latest(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of each run's last step."""
    if frame.empty or "step" not in frame:
        return frame
    return frame[frame.step == frame.groupby("run_id").step.transform("max")]


def labelled(frame: pd.DataFrame, theme: Theme) -> pd.DataFrame:
    """``frame`` with its curves' names and marks: ``series``, ``order``, ``colour``, ``shape`` and ``fill``.

    A name contains only what differs between the curves of the frame.
    """
    rows = frame.assign(ratio=frame.correct / frame.total, variant=variants(frame))
    ranked = rows.sort_values("arm", key=_arm_order, kind="stable")
    found = list(dict.fromkeys(ranked.variant[ranked.role == "main"])) or [""]
    places = rows.variant.map({variant: place for place, variant in enumerate(found)}).fillna(0).astype(int)
    colours = pd.Series([task_colour(task, theme) for task in rows.task], index=rows.index)
    roles = rows.role.map({role: place for place, role in enumerate(ROLES)})
    return rows.assign(
        series=_names(rows),
        order=roles * len(found) + places,
        colour=colours,
        shape=[MARKERS[place % len(MARKERS)] for place in places],
        fill=colours.where(places == 0, theme.surface),
    )


def _names(rows: pd.DataFrame) -> list[str]:
    """The name of each row's curve. With several arms the main training length is left out: a rule of the zones has
    it."""
    main = rows.role == "main"
    short = main & (rows.variant != "") & (rows.training_length[main].nunique() == 1)
    return [
        " · ".join(
            part for part in (task_title(task), "" if brief else f"{role}, trained to {length}", variant) if part
        )
        for task, role, length, variant, brief in zip(
            rows.task, rows.role, rows.training_length.astype(int), rows.variant, short, strict=True
        )
    ]


def _arm_order(arms: Any) -> Any:
    return arms.map({arm: place for place, arm in enumerate(ARM_TITLES)})


def variants(frame: pd.DataFrame) -> pd.Series:
    """What differs between curves of one task, in words; empty where nothing differs.

    The arm is named for main tasks only, because auxiliary tasks have only one. The group is named for co-trained runs
    only, because a baseline may have been made for another group with the same main task.
    """
    main, together = frame.role == "main", frame.arm == "co-trained"
    parts = [frame.arm.map(ARM_TITLES).fillna(frame.arm).where(main, "")] if frame.arm[main].nunique() > 1 else []
    if frame.task_group[together].nunique() > 1:
        parts.append(frame.task_group.where(together, ""))
    parts += [
        frame[name].astype(str)
        for name in ("preset", "position", "store")
        if name in frame and frame[name].nunique() > 1
    ]
    rows = zip(*parts, strict=True) if parts else [()] * len(frame)
    return pd.Series([", ".join(part for part in row if part) for row in rows], index=frame.index, dtype=object)


def summarised(rows: pd.DataFrame, choice: BandChoice, over: str = "length") -> pd.DataFrame:
    """Per curve and value of ``over``: ``mean`` over runs, the band's ``low`` and ``high`` and its ``band`` name.

    ``rows`` are those of :func:`labelled` with one row per (curve, run, value). Also ``runs`` and ``prompts`` (over all
    runs). ``low`` and ``high`` are missing where there is no band.
    """
    rng = np.random.default_rng(0)  # the bootstrap's draws; fixed, so that one store gives one picture
    keep = ["series", "task", "role", "order", "colour", "shape", "fill"]
    curves = []
    for _, group in rows.sort_values("order", kind="stable").groupby("series", sort=False):
        curve = _curve(group, choice, over, rng)
        curves.append(curve.assign(**{name: group[name].iloc[0] for name in keep}))
    return pd.concat(curves, ignore_index=True)


CURVE = {
    "series": "curve", "mean": "curve_accuracy", "low": "curve_low", "high": "curve_high", "band": "curve_band",
    "runs": "curve_seeds",
}  # fmt: skip
"""Columns of :func:`summarised`, and what they are called beside the counts of single runs."""


def with_curves(frame: pd.DataFrame, theme: Theme, choice: BandChoice) -> pd.DataFrame:
    """The rows of ``frame`` that are drawn, each with its curve's name, mean, band and number of runs at its length.

    ``frame``: see :func:`lgt.charts.length_accuracy`.
    """
    rows = labelled(latest(frame), theme)
    return beside_counts(rows, summarised(rows, choice), ["length"])[[*frame.columns, *CURVE.values()]]


def beside_counts(rows: pd.DataFrame, curves: pd.DataFrame, over: list[str]) -> pd.DataFrame:
    """``rows`` of :func:`labelled` with the point of ``curves`` at the same values of ``over``."""
    points = curves[[*CURVE, *over]].rename(columns=CURVE)
    return rows.rename(columns={"series": "curve"}).merge(points, on=["curve", *over], how="left")


def _curve(group: pd.DataFrame, choice: BandChoice, over: str, rng: np.random.Generator) -> pd.DataFrame:
    ratios = group.pivot(index="run_id", columns=over, values="ratio")
    values = ratios.to_numpy(dtype=float)
    counts = group.groupby(over)[["correct", "total"]].sum().to_numpy()
    pieces = []
    for present in np.unique(~np.isnan(values), axis=1).T:
        # Points that the same runs reached share a band.
        here = (~np.isnan(values) == present[:, None]).all(axis=0)
        reached = values[np.ix_(present, here)]
        low, high, name = _interval(reached, counts[here], choice, rng)
        pieces.append(
            pd.DataFrame(
                {over: ratios.columns[here], "mean": reached.mean(axis=0), "low": low, "high": high, "band": name,
                 "runs": len(reached), "prompts": counts[here, 1]}
            )
        )  # fmt: skip
    return pd.concat(pieces, ignore_index=True).sort_values(over, kind="stable")


def _interval(
    values: np.ndarray, counts: np.ndarray, choice: BandChoice, rng: np.random.Generator
) -> tuple[Any, Any, str]:
    """(low, high, name) of the band at points that the same runs reached: ``values [runs, points]``, counts beside."""
    if choice == "none":
        return np.nan, np.nan, ""
    if len(values) == 1:
        low, high = np.array([wilson_interval(int(correct), int(total)) for correct, total in counts]).T
        return low, high, WILSON
    found = band(values, choice, rng)
    return found.low, found.high, found.name


def curve_tooltip(place: alt.Tooltip) -> list[alt.Tooltip]:
    """What a point of :func:`summarised` says; ``place`` is its length or its step."""
    return [
        alt.Tooltip("series:N", title="task"),
        place,
        alt.Tooltip("mean:Q", title="exact match, mean", format=".1%"),
        alt.Tooltip("low:Q", title="band from", format=".1%"),
        alt.Tooltip("high:Q", title="band to", format=".1%"),
        alt.Tooltip("band:N", title="band"),
        alt.Tooltip("runs:Q", title="seeds"),
        alt.Tooltip("prompts:Q", title="test prompts, all seeds", format=","),
    ]


def band_note(curves: pd.DataFrame) -> str:
    """What line and band are, with n."""
    runs = sorted(set(curves.groupby("series").runs.max()))
    if runs == [1]:
        line = "one run"
    else:
        line = "mean over seeds, n = " + (str(runs[0]) if len(runs) == 1 else f"{runs[0]} to {runs[-1]}")
    per_run = (curves.prompts / curves.runs).astype(int)
    prompts = f"{per_run.min():,}" + (f" to {per_run.max():,}" if per_run.min() < per_run.max() else "")
    of_main = " (main task)" if curves.series.nunique() > 1 else ""
    names = [name + of_main * (name == WILSON) for name in curves.band.unique() if name]
    note = f"Line: {line}, {prompts} prompts per point and run."
    return note + (f" Band: {'; '.join(names)}." if names else "")
