"""Explore's layout "On one axis": the curves of the chosen series in one chart, and their differences."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lgt.charts import series_differences, series_overlay
from lgt.charts.accuracy import BandChoice
from lgt.core.plain_text import for_markdown
from lgt.metrics.by_seed import transfer_by_seed
from lgt.metrics.differences import differences_by_length
from lgt.ui import address, frame
from lgt.ui.drawing import draw


def show_overlay(rows: dict[str, pd.DataFrame], band: BandChoice, longest: int | None) -> None:
    """One chart of all series, the transfer accuracy of each, and the differences from one of them.

    ``rows``: by the title of a series the frame of :func:`lgt.store.queries.accuracy` of its runs, one step each.
    """
    names = {name: transfer_note(of) for name, of in rows.items()}
    table = pd.concat([of[of.role == "main"].assign(series=name) for name, of in rows.items()], ignore_index=True)
    draw(
        series_overlay, table, frame.theme(), names=names, band_choice=band, longest=longest, key="overlay",
        name="Series on one axis",
    )  # fmt: skip
    if len(names) > 1:
        show_differences(rows, table, longest)


def transfer_note(rows: pd.DataFrame) -> str:
    """The transfer accuracy of a series in words; empty where there is no transfer region."""
    summary = transfer_by_seed(rows)
    return f"transfer accuracy {summary.text()}" if summary else ""


def show_differences(rows: dict[str, pd.DataFrame], table: pd.DataFrame, longest: int | None) -> None:
    """By how much every other series is above the chosen one, by length."""
    places = [str(place) for place in range(1, len(rows) + 1)]
    titles = dict(zip(places, rows, strict=True))
    default = next((place for place in places if is_baseline(rows[titles[place]])), places[-1])
    reference = titles[address.select(
        "Difference from", places, default=default, key="from", shown=lambda place: titles[place],
        scope=f"-{len(rows)}", help="The mean over seeds that both series have, seed by seed.",
    )]  # fmt: skip
    others = {name: differences_by_length(of, rows[reference]) for name, of in rows.items() if name != reference}
    differences = pd.concat(
        [of.assign(series=name, other_series=reference) for name, of in others.items()], ignore_index=True
    )
    draw(
        series_differences, differences, frame.theme(), names=dict.fromkeys(rows, ""), reference=reference,
        zones=table, longest=longest, key="differences-by-length", name="Differences of series",
    )  # fmt: skip
    unpaired = [for_markdown(name) for name, of in others.items() if of.empty]
    if unpaired:
        st.caption(f"Not shown, because it has no seed and length in common with this series: {'; '.join(unpaired)}.")


def is_baseline(rows: pd.DataFrame) -> bool:
    """Whether the runs trained their main task alone."""
    return bool(len(rows)) and rows.arm.iloc[0] != "co-trained"
