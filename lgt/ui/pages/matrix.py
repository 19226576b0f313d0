"""Matrix: every main task beside every longer task that was tried with it."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import streamlit as st

from lgt.charts import transfer_matrix
from lgt.core.choices import POSITIONS
from lgt.metrics.by_seed import gain_row
from lgt.recipes.groups import GROUPS
from lgt.recipes.presets import PRESETS
from lgt.report.figures import resolve
from lgt.store.comparisons import Comparison
from lgt.ui import address, data, frame
from lgt.ui.drawing import draw

LEAD = (
    "Which longer task lifts which shorter one? A cell is a pair; its number is what training together adds to the "
    "main task at lengths it never saw."
)


def rows_of(preset: str, position: str) -> pd.DataFrame:
    """One row per pair of this preset that has a finished baseline, at the preset's lengths of the main task.

    In the order of the groups, controls last; a group's own runs stand before free pairs of the same tasks.
    """
    rows = []
    for setting, comparison in sorted(data.read_comparisons().items(), key=lambda pair: pair[0].group not in GROUPS):
        same = (setting.preset, setting.position, setting.changes) == (preset, position, ())
        if same and usual_lengths(comparison, preset):
            row = gain_row(
                comparison.config, accuracy(comparison, "co-trained"), accuracy(comparison, "alone-same-steps")
            )
            if row is not None:
                rows.append(row)
    found = pd.DataFrame(rows, columns=["main", "auxiliaries", "control", "gain", "low", "high", "n"]).drop_duplicates(
        ["main", "auxiliaries"]
    )
    return found.astype({"low": float, "high": float}).sort_values("control", kind="stable", ignore_index=True)


def usual_lengths(comparison: Comparison, preset: str) -> bool:
    """Whether a pair is trained at lengths that the preset has for a group with its main task."""
    lengths = PRESETS[preset].lengths if preset in PRESETS else {}
    usual = {lengths[key] for key, group in GROUPS.items() if group.main == comparison.config.main.task}
    return (comparison.config.main.training_length, comparison.config.transfer_length) in usual


def accuracy(comparison: Comparison, arm: str) -> pd.DataFrame:
    """Counts of one arm of a comparison."""
    return data.read_accuracy(comparison.ids(arm))  # type: ignore[arg-type]


def missing(preset: str, position: str) -> None:
    """Links that run the task groups which this matrix does not have."""
    there = {
        setting.group
        for setting, comparison in data.read_comparisons().items()
        if (setting.preset, setting.position, setting.changes) == (preset, position, ())
        and comparison.runs["alone-same-steps"]
    }
    absent = [group for key, group in GROUPS.items() if key not in there]
    if not absent:
        return
    choice = f"preset={preset}&position={POSITIONS.title(position)}"
    links = (f"[{group.title}](launch?group={group.key}&{choice})" for group in absent)
    st.markdown("**Empty cells, run one:** " + " · ".join(links))


def grid() -> None:
    """The grid of training lengths beside the paper's."""
    st.subheader("How far apart may the lengths be?", anchor=False)
    judgement = next(one for one in data.read_judgements() if one.experiment.grid_lengths)
    if not judgement.seeds:
        st.info("No finished seed of the grid yet. Run it with:")
        st.code(f".venv/bin/python -m lgt experiment {judgement.experiment.name}", language="bash", wrap_lines=True)
        return
    st.markdown(
        "The auxiliaries flip the case and reverse a string; the main task does both. Each cell is a pair of training "
        "lengths. The gap is the mean distance between the main task's curve and the auxiliaries' curves: it is small "
        "when the main task does as well as they do at every length, or when all of them fail."
    )
    by_ratio, *grids = resolve(judgement.charts(data.read_accuracy(judgement.runs)), frame.theme())
    draw(by_ratio, key="grid-ratio")
    for name, chart, column in zip(("ours", "paper"), grids, st.columns(2, gap="large"), strict=True):
        with column:
            draw(chart, key=f"grid-{name}")
    st.caption(f"Verdict: {judgement.outcome}. {judgement.sentence()}.")


def main() -> None:
    found = data.read_comparisons()
    if not found:
        frame.empty_store()
        return
    presets = sorted({setting.preset for setting in found})
    pairs = Counter(setting.preset for setting in found if not setting.changes)
    usual = max(presets, key=lambda name: pairs[name])
    left, right = st.columns([1, 3])
    with left:
        preset = address.segments("Preset", presets, default=usual, key="preset")
    with right:
        positions = POSITIONS.by_title()
        position = positions[address.segments("Positional encoding", list(positions), default="rotary", key="position")]
    rows = rows_of(preset, position)
    draw(transfer_matrix, rows, frame.theme(), key="matrix")
    missing(preset, position)
    grid()


def render() -> None:
    """Draw the page."""
    with frame.page("Matrix", LEAD):
        main()
