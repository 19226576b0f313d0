"""Explore: several series side by side, at any evaluated step."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from lgt.charts.accuracy import BandChoice
from lgt.core.config import Arm
from lgt.metrics.by_seed import transfer_by_seed
from lgt.store.comparisons import Comparison
from lgt.tasks import TASKS
from lgt.ui import address, data, frame, panels
from lgt.ui.run_table import config_differences

LEAD = (
    "Choose up to six series. Each is all seeds of one task group, preset and side of the comparison; curves share "
    "the accuracy axis, and the graph under each curve shows one run's heads."
)
MAXIMUM_SERIES = 6
COLUMNS = 3
SIDES: tuple[Arm, ...] = ("alone-same-steps", "co-trained")
SEEDS = ("model_seed", "data_seed")

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
    return panels.series_title(comparison.setting, comparison, arm)


def choose(series: dict[str, Series]) -> list[str]:
    """Names of the chosen series; they live in the address."""
    names = {panels.setting_key(comparison.setting): comparison.setting for comparison, _ in series.values()}
    opened = panels.first_choice(names)
    both = [f"{opened}.{arm}" for arm in SIDES if f"{opened}.{arm}" in series]
    return address.select_several(
        "Series", list(series), default=both, maximum=MAXIMUM_SERIES, key="series",
        shown=lambda name: series_title(series[name]),
    )  # fmt: skip


@dataclass(frozen=True)
class Look:
    """Which band is drawn, whether single seeds are, and from which drop a head matters."""

    band: BandChoice
    single_seeds: bool
    threshold: float


def options() -> Look:
    """How the series are drawn."""
    left, middle, right = st.columns([2, 1, 2], vertical_alignment="bottom", gap="large")
    bands: dict[str, BandChoice] = {"min–max": "min-max", "bootstrap": "bootstrap", "none": "none"}
    with left:
        band = address.segments("Band over seeds", list(bands), default="min–max", key="band")
    seeds = middle.toggle("Show single seeds", key="seeds", bind="query-params")
    with right:
        threshold = panels.choose_threshold()
    return Look(bands[band], bool(seeds), threshold)


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
    """Rows of each run's evaluated step nearest to ``share`` percent of its training, of two the earlier one."""
    distance = (100 * accuracy["step"] / accuracy["last"] - share).abs()
    nearest = accuracy[distance == distance.groupby(accuracy.run_id).transform("min")]
    return nearest[nearest.step == nearest.groupby("run_id").step.transform("min")]


def longest_by_family(accuracy: pd.DataFrame) -> dict[str, int]:
    """The longest measured length by family of tasks: where the axes of all its curves end."""
    families = accuracy.task.map(family)
    return {str(name): int(length) for name, length in accuracy.length.groupby(families).max().items()}


def family(task: str) -> str:
    """The family of a task; its own name when the registry does not know it."""
    return TASKS[task].family if task in TASKS else task


def panel(series: Series, accuracy: pd.DataFrame, share: int, look: Look, key: str, longest: int) -> None:
    """One series: heading, transfer accuracy, curve, graph."""
    comparison, arm = series
    rows = at_share(accuracy[accuracy.run_id.isin(comparison.ids(arm))], share)
    summary = transfer_by_seed(rows)
    steps = " and ".join(f"{step:,}" for step in sorted(rows.step.unique()))
    st.markdown(f"**{series_title(series)}**")
    st.caption(f"transfer accuracy {summary.text() if summary else 'undefined'} · after {steps} steps")
    panels.curve(
        rows, key=f"curve-{key}", band=look.band, single_seeds=look.single_seeds, longest=longest,
        name=f"Curve {series_title(series)}",
    )  # fmt: skip
    seeds = sorted(comparison.runs[arm])
    final = transfer_by_seed(data.read_accuracy(comparison.ids(arm)))
    usual = seeds.index(final.middle_seed()) if final else 0
    seed = st.selectbox("Heads of seed", seeds, index=usual, key=f"seed-{key}", width=160)
    panels.sharing(
        comparison, arm, seed, key=f"graph-{key}", threshold=look.threshold, table=True,
        accuracy=rows if share < 100 else None, name=f"Heads {series_title(series)}",
    )  # fmt: skip


def show_differences(series: dict[str, Series]) -> None:
    """In which settings the series differ; nothing else of their configs."""
    if len(series) < 2:
        return
    with st.expander("What differs between these series"):
        configs = {
            series_title((comparison, arm)): data.read_run(min(comparison.ids(arm))).config
            for comparison, arm in series.values()
        }
        table = config_differences(configs)
        st.dataframe(table[~table.setting.isin(SEEDS)], key="differences", hide_index=True, width="stretch")
        st.caption("Every other setting is the same. Runs of one series differ only in their seeds.")


def main() -> None:
    series = all_series()
    if not series:
        frame.empty_store()
        return
    names = choose(series)
    if not names:
        st.info("Choose at least one series above.")
        return
    look = options()
    ids = sorted({run_id for name in names for run_id in series[name][0].ids(series[name][1])})
    accuracy = data.read_accuracy(ids, "all")
    accuracy = accuracy.assign(last=accuracy.groupby("run_id")["step"].transform("max"))
    share, longest = share_of_training(accuracy), longest_by_family(accuracy)
    for start in range(0, len(names), COLUMNS):
        row = names[start : start + COLUMNS]
        for name, column in zip(row, st.columns(max(2, len(row)), gap="medium"), strict=False):
            with column:
                main_family = family(series[name][0].config.main.task)
                panel(series[name], accuracy, share, look, name, longest[main_family])
    show_differences({name: series[name] for name in names})
    with st.expander("Training of these series"):
        for name in names:
            comparison, arm = series[name]
            st.markdown(f"**{series_title(series[name])}**")
            panels.training(accuracy[accuracy.run_id.isin(comparison.ids(arm))], comparison.ids(arm), key=name)
    panels.method()
    runs, shown = data.read_runs(), [series[name] for name in names]
    commands = (panels.train_command(one, arm, min(one.runs[arm])) for one, arm in shown)
    repeat = ", ".join(f"`{command}`" for command in commands)
    frame.provenance(runs[runs.id.isin(ids)], f"One run of each series is repeated by {repeat}.")


def render() -> None:
    """Draw the page."""
    with frame.page("Explore", LEAD):
        main()
