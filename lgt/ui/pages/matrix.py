"""Matrix: the transfer gain of every main task with every auxiliary task that was tried."""

from __future__ import annotations

from collections import Counter
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from lgt.charts import transfer_matrix
from lgt.core.choices import POSITIONS
from lgt.core.config import Arm, Position
from lgt.core.glossary import definition
from lgt.core.plain_text import for_markdown
from lgt.experiments.numbers import signed
from lgt.metrics.by_seed import gain_row
from lgt.recipes.commands import experiment_command
from lgt.recipes.groups import GROUPS
from lgt.recipes.labels import task_title
from lgt.recipes.presets import PRESETS
from lgt.recipes.settings import IMPORTED
from lgt.report.figures import resolve
from lgt.store.comparisons import Comparison
from lgt.ui import address, data, frame, group_form
from lgt.ui.drawing import draw, view_shows

LEAD = (
    "Which longer task helps which main task? A cell is a task group. Its number is the transfer gain: by how much the "
    "auxiliary tasks raise the accuracy of the main task at lengths that it never saw in training."
)
COLUMNS = [
    "main", "auxiliaries", "control", "gain", "low", "high", "n", "main_length", "transfer_length", "run_ids", "pair",
]  # fmt: skip


def rows_of(preset: str, position: Position) -> pd.DataFrame:
    """One row per task group of this preset that has a finished baseline, at the preset's lengths of the main task.

    In the order of the groups, controls last. Where free tasks are those of a group, the runs of the group count.
    """
    rows = []
    for setting, comparison in sorted(data.read_comparisons().items(), key=lambda pair: pair[0].group not in GROUPS):
        same = (setting.preset, setting.position, setting.changes) == (preset, position, ())
        if same and has_preset_lengths(comparison, preset):
            row = gain_row(
                comparison.config, accuracy(comparison, "co-trained"), accuracy(comparison, "alone-same-steps")
            )
            if row is not None:
                rows.append(row | of_runs(comparison) | {"pair": setting.key})
    found = pd.DataFrame(rows, columns=COLUMNS).drop_duplicates(["main", "auxiliaries"])
    return found.astype({"low": float, "high": float}).sort_values("control", kind="stable", ignore_index=True)


def of_runs(comparison: Comparison) -> dict[str, object]:
    """What a downloaded matrix says of a cell's runs: their training lengths Lm and La, and their ids as a text."""
    return {
        "main_length": comparison.config.main.training_length, "transfer_length": comparison.config.transfer_length,
        "run_ids": " ".join(map(str, comparison.ids("co-trained", "alone-same-steps"))),
    }  # fmt: skip


def has_preset_lengths(comparison: Comparison, preset: str) -> bool:
    """Whether the training lengths are those that the preset has for a group with this main task."""
    if preset == IMPORTED:
        return True
    lengths = PRESETS[preset].lengths if preset in PRESETS else {}
    usual = {lengths[key] for key, group in GROUPS.items() if group.main == comparison.config.main.task}
    return (comparison.config.main.training_length, comparison.config.transfer_length) in usual


def accuracy(comparison: Comparison, arm: Arm) -> pd.DataFrame:
    """Counts of one arm of a comparison."""
    return data.read_accuracy(comparison.ids(arm))


def show_cells(rows: pd.DataFrame) -> None:
    """A link for each cell to the curves and seeds behind its number."""
    links = []
    for main, auxiliaries, gain, pair in zip(rows.main, rows.auxiliaries, rows.gain, rows.pair, strict=True):
        others = " + ".join(map(task_title, auxiliaries.split("+")))
        series = urlencode({"series": f"{pair}.alone-same-steps,{pair}.co-trained"}, safe=",")
        links.append(f"[{for_markdown(task_title(main))} + {for_markdown(others)} {signed(gain)}](explore?{series})")
    if links:
        st.markdown("**The curves and seeds behind a cell:** " + " · ".join(links))


def show_missing(preset: str, position: Position) -> None:
    """Links to train the task groups that this matrix does not have."""
    there = {
        setting.group
        for setting, comparison in data.read_comparisons().items()
        if (setting.preset, setting.position, setting.changes) == (preset, position, ())
        and comparison.runs["alone-same-steps"]
    }
    absent = [group for key, group in GROUPS.items() if key not in there]
    if not absent:
        return
    choice = urlencode({"preset": preset, "position": POSITIONS.title(position)})
    links = (f"[{group.title}](launch?group={group.key}&{choice})" for group in absent)
    st.markdown("**Not run yet. Choose one to train it:** " + " · ".join(links))


def show_grid() -> None:
    """The grid of training lengths beside the paper's."""
    st.subheader("How far apart may the training lengths be?", anchor=False)
    judgement = next(one for one in data.read_judgements() if one.experiment.grid_lengths)
    if not judgement.seeds:
        st.info("No finished seed of the grid yet. Run it with:")
        st.code(experiment_command(judgement.experiment.name), language="bash", wrap_lines=True)
        return
    st.markdown(
        "The main task flips case and reverses; each auxiliary task does one of the two. A cell is a pair of training "
        "lengths. The generalization gap is small when the main task is as good as its auxiliary tasks at every length."
    )
    by_ratio, *grids = resolve(judgement.charts(data.read_accuracy(judgement.runs)), frame.theme())
    draw(by_ratio, key="grid-ratio", name="Gap by ratio of lengths", table=judgement.with_runs(by_ratio.args[0]))
    for name, chart, column in zip(("ours", "paper"), grids, st.columns(2, gap="large"), strict=True):
        with column:
            draw(chart, key=f"grid-{name}", name=f"Grid of lengths {name}", table=judgement.with_runs(chart.args[0]))
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
        preset = address.segments("Preset", presets, default=usual, key="preset", help=definition("preset"))
    with right:
        position = group_form.choose_position()
    rows = rows_of(preset, position)
    view_shows(preset, position)
    draw(
        transfer_matrix, rows.drop(columns="pair"), frame.theme(), key="matrix", name="Transfer gains",
        about={"preset": preset, "position": position},
    )  # fmt: skip
    if preset == IMPORTED:
        st.caption("These accuracies come from other programs and do not count in the verdicts of this project.")
    else:
        show_cells(rows)
        show_missing(preset, position)
    show_grid()


def render() -> None:
    """Draw the page."""
    with frame.page("Matrix", LEAD):
        main()
