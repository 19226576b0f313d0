"""Matrix: every main task beside every longer task that was tried with it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lgt.charts import transfer_matrix
from lgt.store.comparisons import Comparison
from lgt.summaries import gain_row
from lgt.ui import address, data, frame

LEAD = (
    "Which longer task lifts which shorter one? A cell is a pair; its number is what training together adds to the "
    "main task at lengths it never saw."
)


def rows_of(preset: str, position: str) -> pd.DataFrame:
    """One row per pair of this preset that has a finished baseline."""
    rows = []
    for setting, comparison in data.read_comparisons().items():
        if (setting.preset, setting.position) == (preset, position) and not setting.changes:
            row = gain_row(
                comparison.config, accuracy(comparison, "co-trained"), accuracy(comparison, "alone-same-steps")
            )
            if row is not None:
                rows.append(row)
    found = pd.DataFrame(rows, columns=["main", "others", "gain", "low", "high", "n"])
    return found.astype({"low": float, "high": float}).sort_values(["main", "others"], ignore_index=True)


def accuracy(comparison: Comparison, arm: str) -> pd.DataFrame:
    """Counts of one side of a comparison."""
    return data.read_accuracy(comparison.ids(arm))  # type: ignore[arg-type]


def main() -> None:
    found = data.read_comparisons()
    if not found:
        frame.empty_store()
        return
    presets = sorted({setting.preset for setting in found})
    left, right = st.columns([1, 3])
    with left:
        preset = address.segments("Preset", presets, default=presets[0], key="preset")
    positions = {"rotary": "rope", "none": "nope"}
    with right:
        position = address.segments("Positional encoding", list(positions), default="rotary", key="position")
    rows = rows_of(preset, positions[position])
    st.altair_chart(transfer_matrix(rows, frame.theme()), key="matrix", theme=None, width="stretch")
    st.caption("A pair that is missing was not run in this preset; the Launch page runs it.")
    st.download_button("Numbers behind this matrix (CSV)", rows.to_csv(index=False), "lgt-matrix.csv", key="csv")


with frame.page("Matrix", LEAD):
    main()
