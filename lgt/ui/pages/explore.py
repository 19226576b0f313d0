"""Explore: several series side by side, at any checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from lgt.charts.accuracy import BandChoice
from lgt.core import bounds
from lgt.core.config import Arm
from lgt.core.glossary import definition
from lgt.core.plain_text import as_code, for_markdown
from lgt.metrics.by_seed import transfer_by_seed
from lgt.recipes.labels import series_title
from lgt.store.comparisons import Comparison
from lgt.tasks import TASKS
from lgt.ui import address, data, frame, panels, sharing
from lgt.ui.method import show_method
from lgt.ui.overlay import show_overlay
from lgt.ui.run_table import config_differences
from lgt.ui.titles import plain_table

LEAD = (
    "Choose up to six series. A series is all seeds of one arm of one task group and preset, drawn as one curve. All "
    "curves have the same accuracy axis. Side by side, the graph under a curve shows the heads of one run."
)
COLUMNS = 3
FIRST_ARMS: tuple[Arm, ...] = ("alone-same-steps", "co-trained")
SEEDS = ("model_seed", "data_seed")
LAYOUTS = ("Side by side", "On one axis")

Series = tuple[Comparison, Arm]


def all_series() -> dict[str, Series]:
    """Every series the store has runs for, by the short name used in addresses."""
    return {
        f"{comparison.setting.key}.{arm}": (comparison, arm)
        for comparison in data.read_comparisons().values()
        for arm, runs in comparison.runs.items()
        if runs
    }


def ids_of(series: Series) -> list[int]:
    """The runs of a series in every store that counts. Two stores may have runs of equal configs; both are shown."""
    comparison, arm = series
    of_stores = data.runs_by_store(comparison.setting, arm)
    return sorted({*comparison.ids(arm), *(run_id for ids in of_stores.values() for run_id in ids)})


def split_by_store(series: Series, rows: pd.DataFrame) -> pd.DataFrame:
    """``rows`` with the column ``store`` if runs of several stores are in them: each store gets a curve of its own."""
    by_store = data.runs_by_store(series[0].setting, series[1])
    if len(by_store) < 2:
        return rows
    titles = {run_id: title for title, ids in by_store.items() for run_id in ids}
    return rows.assign(store=rows.run_id.map(titles))


def title_of(series: Series) -> str:
    """A series in words."""
    comparison, arm = series
    return series_title(comparison.setting, comparison.config, arm)


@st.cache_resource(show_spinner=False, max_entries=16)
def _titles(key: str) -> dict[str, str]:
    """Every series in words, by name: Streamlit asks for each of them at every run of the page."""
    return {name: title_of(series) for name, series in all_series().items()}


def choose(series: dict[str, Series]) -> list[str]:
    """Names of the chosen series; they live in the address."""
    names = {comparison.setting.key: comparison.setting for comparison, _ in series.values()}
    opened = panels.first_choice(names)
    both = [f"{opened}.{arm}" for arm in FIRST_ARMS if f"{opened}.{arm}" in series]
    titles = _titles(data.counted_key())
    return address.select_several(
        "Series", list(series), default=both, maximum=bounds.SERIES.most, key="series",
        shown=titles.__getitem__, help=f"{definition('series')} {definition('arm')}",
    )  # fmt: skip


@dataclass(frozen=True)
class Look:
    """Whether all series share one axis, which band is drawn, whether single seeds are drawn, and above which drop a
    head matters."""

    on_one_axis: bool
    band: BandChoice
    single_seeds: bool
    threshold: float


def options() -> Look:
    """How the series are drawn."""
    first, left, middle, right = st.columns([9, 10, 7, 12], vertical_alignment="bottom", gap="medium")
    with first:
        layout = address.segments("Layout", LAYOUTS, default=LAYOUTS[0], key="layout")
    bands: dict[str, BandChoice] = {"min–max": "min-max", "bootstrap": "bootstrap", "none": "none"}
    with left:
        band = address.segments("Band over seeds", list(bands), default="min–max", key="band", help=definition("band"))
    if layout == LAYOUTS[1]:
        return Look(True, bands[band], False, panels.DEFAULT_THRESHOLD / 100)
    seeds = middle.toggle("Show single seeds", key="seeds", bind="query-params")
    with right:
        threshold = panels.choose_threshold()
    return Look(False, bands[band], bool(seeds), threshold)


def share_of_training(accuracy: pd.DataFrame) -> int:
    """The chosen point of training in percent of all steps, so that runs with different numbers of steps move
    together."""
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
    """Each run's rows at the checkpoint nearest to ``share`` percent of its training; of two the earlier one."""
    distance = (100 * accuracy["step"] / accuracy["last"] - share).abs()
    nearest = accuracy[distance == distance.groupby(accuracy.run_id).transform("min")]
    return nearest[nearest.step == nearest.groupby("run_id").step.transform("min")]


def longest_by_family(accuracy: pd.DataFrame) -> dict[str, int]:
    """The longest measured length by family of tasks: the end of the length axis of all its curves."""
    families = accuracy.task.map(family)
    return {str(name): int(length) for name, length in accuracy.length.groupby(families).max().items()}


def family(task: str) -> str:
    """The family of a task; its own name when the registry does not know it."""
    return TASKS[task].family if task in TASKS else task


def panel(series: Series, accuracy: pd.DataFrame, share: int, look: Look, key: str, longest: int | None) -> None:
    """One series: heading, transfer accuracy, curve, graph."""
    comparison, arm = series
    rows = split_by_store(series, at_share(accuracy[accuracy.run_id.isin(ids_of(series))], share))
    steps = " and ".join(f"{step:,}" for step in sorted(rows.step.unique()))
    st.markdown(f"**{for_markdown(title_of(series))}** {panels.imported_badge(comparison.config)}".strip())
    for store, of in rows.groupby("store", sort=False) if "store" in rows else [("", rows)]:
        summary = transfer_by_seed(of)
        whose = f"{for_markdown(store)}: " if store else ""
        st.caption(f"{whose}transfer accuracy {summary.text() if summary else 'undefined'} · after {steps} steps")
    panels.curve(
        rows, key=f"curve-{key}", band=look.band, single_seeds=look.single_seeds, longest=longest,
        name=f"Curve {title_of(series)}",
    )  # fmt: skip
    seeds = sorted(comparison.runs[arm])
    final = transfer_by_seed(data.read_accuracy(comparison.ids(arm)))
    median = seeds.index(final.middle_seed()) if final else 0
    seed = st.selectbox("Heads of seed", seeds, index=median, key=f"seed-{key}", width=160)
    sharing.show_sharing(
        comparison, arm, seed, key=f"graph-{key}", threshold=look.threshold, table=True,
        accuracy=rows if share < 100 else None, name=f"Heads {title_of(series)}",
    )  # fmt: skip


def show_panels(
    series: dict[str, Series], accuracy: pd.DataFrame, share: int, look: Look, longest: dict[str, int]
) -> None:
    """One panel per series, :data:`COLUMNS` beside each other."""
    names = list(series)
    for start in range(0, len(names), COLUMNS):
        row = names[start : start + COLUMNS]
        for name, column in zip(row, st.columns(max(2, len(row)), gap="medium"), strict=False):
            with column:
                main_family = family(series[name][0].config.main.task)
                panel(series[name], accuracy, share, look, name, longest.get(main_family))


def rows_by_title(chosen: list[Series], accuracy: pd.DataFrame, share: int) -> dict[str, pd.DataFrame]:
    """The rows of each series by its title; a series with runs of several stores is several ones."""
    found = {}
    for one in chosen:
        rows = split_by_store(one, at_share(accuracy[accuracy.run_id.isin(ids_of(one))], share))
        parts = {str(store): of for store, of in rows.groupby("store", sort=False)} if "store" in rows else {"": rows}
        for store, of in parts.items():
            found[title_of(one) + (f", {store}" if store else "")] = of
    return found


def show_differences(series: dict[str, Series]) -> None:
    """The values in which the configurations of the series differ, and nothing else."""
    if len(series) < 2:
        return
    with st.expander("What differs between these series"):
        configs = {
            title_of((comparison, arm)): data.read_run(min(comparison.ids(arm))).config
            for comparison, arm in series.values()
        }
        table = config_differences(configs)
        st.dataframe(
            plain_table(table[~table.setting.isin(SEEDS)]), key="differences", hide_index=True, width="stretch"
        )
        st.caption("Everything else is the same. Runs of one series differ only in their seeds.")


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
    ids = sorted({run_id for name in names for run_id in ids_of(series[name])})
    accuracy = data.read_accuracy(ids, "all")
    accuracy = accuracy.assign(last=accuracy.groupby("run_id")["step"].transform("max"))
    share, longest = share_of_training(accuracy), longest_by_family(accuracy)
    if look.on_one_axis:
        show_overlay(
            rows_by_title([series[name] for name in names], accuracy, share),
            look.band,
            max(longest.values(), default=None),
        )
    else:
        show_panels({name: series[name] for name in names}, accuracy, share, look, longest)
    show_differences({name: series[name] for name in names})
    with st.expander("Training of these series"):
        for name in names:
            own = ids_of(series[name])
            st.markdown(f"**{for_markdown(title_of(series[name]))}**")
            panels.training(accuracy[accuracy.run_id.isin(own)], own, key=name, name=title_of(series[name]))
    show_method()
    runs = data.read_runs()
    panels.show_provenance(runs[runs.id.isin(ids)], repeat_sentence([series[name] for name in names]))


def repeat_sentence(shown: list[Series]) -> str:
    """Commands that repeat one run of each series; empty where no command does."""
    commands = [panels.arm_command(comparison, arm, min(comparison.runs[arm])) for comparison, arm in shown]
    repeat = ", ".join(as_code(command) for command in commands if command)
    return f"These commands repeat one run of each series: {repeat}." if repeat else ""


def render() -> None:
    """Draw the page."""
    with frame.page("Explore", LEAD):
        main()
