"""Explore: several series side by side, at any evaluated step."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lgt.charts.accuracy import BandChoice
from lgt.config import Arm
from lgt.labels import ARM_TITLES
from lgt.store.comparisons import Comparison
from lgt.summaries import transfer_by_seed
from lgt.ui import address, data, frame, panels

LEAD = (
    "Choose up to six series. Each is all seeds of one task group, preset and side of the comparison; curves share "
    "the accuracy axis, and the graph under each curve shows one run's heads."
)
MAXIMUM_SERIES = 6
COLUMNS = 3

Series = tuple[Comparison, Arm]


def all_series() -> dict[str, Series]:
    """Every series the store has runs for, by the short name used in addresses."""
    return {
        f"{panels.setting_key(comparison.setting)}.{arm}": (comparison, arm)
        for comparison in data.read_comparisons().values()
        for arm, runs in comparison.runs.items()
        if runs
    }


def series_title(series: Series) -> str:
    """A series in words."""
    comparison, arm = series
    setting = comparison.setting
    position = [] if setting.position == "rope" else [setting.position]
    return " · ".join([setting.group, setting.preset, *position, *setting.changes, ARM_TITLES[arm]])


def choose(series: dict[str, Series]) -> list[str]:
    """Names of the chosen series; they live in the address."""
    return address.select_several(
        "Series", list(series), default=list(series)[:2], maximum=MAXIMUM_SERIES, key="series",
        shown=lambda name: series_title(series[name]),
    )  # fmt: skip


def options() -> tuple[BandChoice, bool, float]:
    """Which band is drawn, whether single seeds are, and from which drop a head matters."""
    left, middle, right = st.columns([2, 1, 2], vertical_alignment="bottom", gap="large")
    bands: dict[str, BandChoice] = {"min–max": "min-max", "bootstrap": "bootstrap", "none": "none"}
    with left:
        band = address.segments("Band over seeds", list(bands), default="min–max", key="band")
    seeds = middle.toggle("Show single seeds", key="seeds", bind="query-params")
    with right:
        threshold = panels.choose_threshold()
    return bands[band], bool(seeds), threshold


def share_of_training(accuracy: pd.DataFrame) -> int:
    """The chosen point of training in percent of all steps; series of different length move together."""
    shares = sorted(
        {round(100 * s / m) for s, m in accuracy[["step", "last"]].drop_duplicates().itertuples(index=False)}
    )
    if len(shares) < 2:
        return 100
    return int(
        st.select_slider(
            "Point of training (% of optimizer steps)", shares, value=shares[-1], key="at", bind="query-params"
        )
    )


def at_share(accuracy: pd.DataFrame, share: int) -> pd.DataFrame:
    """Rows of each run's evaluated step nearest to ``share`` percent of its training."""
    distance = (100 * accuracy["step"] / accuracy["last"] - share).abs()
    return accuracy[distance == distance.groupby(accuracy.run_id).transform("min")]


def panel(
    series: Series, accuracy: pd.DataFrame, share: int, band: BandChoice, single_seeds: bool, key: str, threshold: float
) -> None:
    """One series: heading, transfer accuracy, curve, graph."""
    comparison, arm = series
    rows = at_share(accuracy[accuracy.run_id.isin(comparison.ids(arm))], share)
    summary = transfer_by_seed(rows)
    steps = " and ".join(f"{step:,}" for step in sorted(rows.step.unique()))
    st.markdown(f"**{series_title(series)}**")
    st.caption(f"transfer accuracy {summary.text() if summary else 'undefined'} · after {steps} steps")
    panels.curve(rows, key=f"curve-{key}", band=band, single_seeds=single_seeds)
    if share == 100:
        seed = st.selectbox("Heads of seed", sorted(comparison.runs[arm]), key=f"seed-{key}", width=160)
        panels.sharing(comparison, arm, seed, key=f"graph-{key}", threshold=threshold, table=True)
    else:
        st.caption("Heads are shown at the end of training: move the slider to 100.")


def main() -> None:
    series = all_series()
    if not series:
        frame.empty_store()
        return
    names = choose(series)
    if not names:
        st.info("Choose at least one series above.")
        return
    band, single_seeds, threshold = options()
    ids = sorted({run_id for name in names for run_id in series[name][0].ids(series[name][1])})
    accuracy = data.read_accuracy(ids, "all")
    accuracy = accuracy.assign(last=accuracy.groupby("run_id")["step"].transform("max"))
    share = share_of_training(accuracy)
    for start in range(0, len(names), COLUMNS):
        row = names[start : start + COLUMNS]
        for name, column in zip(row, st.columns(max(2, len(row)), gap="medium"), strict=False):
            with column:
                panel(series[name], accuracy, share, band, single_seeds, name, threshold)
    table = accuracy.drop(columns="last")
    st.download_button("Counts behind these curves (CSV)", table.to_csv(index=False), "lgt-accuracy.csv", key="csv")
    with st.expander("Training of these series"):
        for name in names:
            comparison, arm = series[name]
            st.markdown(f"**{series_title(series[name])}**")
            panels.training(accuracy[accuracy.run_id.isin(comparison.ids(arm))], comparison.ids(arm), key=name)
    panels.method()


with frame.page("Explore", LEAD):
    main()
