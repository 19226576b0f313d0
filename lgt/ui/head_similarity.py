"""How alike two tasks' heads are, in numbers beside chance, and whether the gap follows that during training."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import streamlit as st

from lgt.charts import circuit_chart
from lgt.core.config import RunConfig
from lgt.experiments.numbers import signed
from lgt.metrics.correlation import Correlation
from lgt.metrics.head_sharing import HeadSharing, head_sharing, map_difference
from lgt.metrics.trajectory import tracking, tracking_of_changes, trajectory
from lgt.tasks import TASKS
from lgt.ui import data, frame
from lgt.ui.drawing import draw

TOP_HEADS = 3
PERMUTATIONS = 500
READING = {
    "map difference": "How far apart both tasks' drops of exact match are, mean over heads, as a share. 0: every head "
    "costs both the same; 1: every head costs one all and the other nothing.",
    "rank correlation": "Of the heads by how much their ablation raises the loss. +1: the same order for both tasks; "
    "0: no relation; −1: the reverse order.",
    f"top-{TOP_HEADS} overlap": f"Of the {TOP_HEADS} heads whose ablation raises each task's loss most. 0: none is the "
    "same; 1: all are.",
    "attention difference": "Between both tasks' patterns of a head, summed over all pairs of tokens, mean over heads. "
    "0: heads look at the same places; at most 2 for every token that is read.",
}
"""How to read each column of :func:`likeness_table`."""
FEWEST = 3
"""Checkpoints below which nothing can rise and fall together."""
TRACKED = {"map_difference": "ablation-map difference", "attention_difference": "attention-matrix difference"}


def grid(heads: pd.DataFrame, task: str, measure: str) -> np.ndarray:
    """One task's ``accuracy_drop`` or ``loss_rise`` as an array [layers, heads]."""
    return heads[heads.task == task].pivot(index="layer", columns="head", values=measure).to_numpy(dtype=float)


def head_sharing_of(heads: pd.DataFrame, main: str, other: str, *, correlation: bool = True) -> HeadSharing:
    """Head sharing of two tasks of one run's map; chance is heads shuffled within their layer, from a fixed seed.

    Heads are ranked by loss rise: most accuracy drops are exactly zero, and ties would make up the top heads.
    """
    maps = grid(heads, main, "loss_rise"), grid(heads, other, "loss_rise")
    return head_sharing(*maps, TOP_HEADS, 0.0, np.random.default_rng(0), PERMUTATIONS, correlation=correlation)


def overlap_sentence(maps: Iterable[pd.DataFrame], main: str, auxiliaries: list[str]) -> str:
    """Overlap of the most important heads, mean over the maps of several seeds, beside chance."""
    runs = [heads for heads in maps if not heads.empty]
    return (
        f"Overlap of the {TOP_HEADS} heads whose ablation raises the loss most (Jaccard, mean of {_seeds(runs)}): "
        f"{_overlaps(runs, main, auxiliaries)}."
    )


@st.cache_data(show_spinner=False, max_entries=64)
def control_sentence(
    maps: list[pd.DataFrame], main: str, auxiliaries: list[str], control_maps: list[pd.DataFrame], control: str
) -> str:
    """The same overlap in this pair and where the same main task was trained beside the unrelated task ``control``.

    ``maps`` and ``control_maps``: one a seed, at the main task's trained lengths, where both pairs have it learned.
    """
    return (
        f"**Beside an unrelated task.** Overlap of the {TOP_HEADS} most needed heads (Jaccard) at the trained lengths: "
        f"{_overlaps(maps, main, auxiliaries)}, mean of {_seeds(maps)}. {TASKS[control].title} is unrelated; trained beside "
        f"the same main task: {_overlaps(control_maps, main, [control])}, mean of {_seeds(control_maps)}."
    )


def _overlaps(maps: list[pd.DataFrame], main: str, auxiliaries: list[str]) -> str:
    found = {other: _overlap(maps, main, other) for other in auxiliaries}
    return ", ".join(f"with {TASKS[other].title} {mean:.2f} (by chance {by_chance:.2f})"
                     for other, (mean, by_chance) in found.items())  # fmt: skip


def _overlap(maps: list[pd.DataFrame], main: str, other: str) -> tuple[float, float]:
    found = [head_sharing_of(heads, main, other, correlation=False) for heads in maps]
    return float(np.mean([f.jaccard for f in found])), float(np.mean([f.jaccard_baseline for f in found]))


def _seeds(maps: list[pd.DataFrame]) -> str:
    return f"{len(maps)} seed{'s' if len(maps) > 1 else ''}"


def likeness_table(heads: pd.DataFrame, attention: pd.DataFrame, main: str, auxiliaries: list[str]) -> pd.DataFrame:
    """One row per other task of one run: ablation-map difference, rank correlation with its permutation p, overlap of
    the top heads beside chance, and the mean attention-matrix difference over heads, or ``not comparable``.

    ``heads``: columns task, layer, head, accuracy_drop, loss_rise; ``attention``: columns task_b, difference, of the
    same lengths.
    """
    rows = []
    for other in auxiliaries:
        found = head_sharing_of(heads, main, other)
        difference = map_difference(*(grid(heads, task, "accuracy_drop") for task in (main, other)))
        differences = attention[attention.task_b == other].difference
        rows.append(
            {
                "task": TASKS[other].title,
                "map difference": f"{difference:.3f}",
                "rank correlation": "undefined" if found.rho is None else f"{found.rho:+.2f} (p = {found.rho_p:.3f})",
                f"top-{TOP_HEADS} overlap": f"{found.jaccard:.2f} (chance {found.jaccard_baseline:.2f})",
                "attention difference": "not comparable" if differences.empty else f"{differences.mean():.2f}",
            }
        )
    return pd.DataFrame(rows).set_index("task")


def explained(table: pd.DataFrame) -> pd.DataFrame:
    """A :func:`likeness_table` with a row for each measure, a column for each task, and how to read it."""
    return table.T.rename_axis("measure").assign(**{"how to read it": [READING[name] for name in table.columns]})


# --- while a run was trained ------------------------------------------------------------------------------------


@st.cache_data(show_spinner=False, max_entries=64)
def tracked(
    accuracy: pd.DataFrame, heads: pd.DataFrame, attention: pd.DataFrame, _config: RunConfig
) -> tuple[pd.DataFrame, dict[str, tuple[Correlation, float | None]]]:
    """One run's :func:`lgt.metrics.trajectory.trajectory`, and by measure how the gap follows it: over the checkpoints, and the rho
    of the changes between them. Only measures that at least :data:`FEWEST` checkpoints have. Frames: of all steps."""
    if accuracy.empty or heads.empty:
        return pd.DataFrame(columns=["step", *TRACKED]), {}
    steps = trajectory(accuracy, heads, attention, _config)
    enough = [name for name in TRACKED if steps[name].notna().sum() >= FEWEST]
    return steps, {name: (tracking(steps, name), tracking_of_changes(steps, name)) for name in enough}


def show_trajectory(run_id: int, config: RunConfig) -> None:
    """The gap against what the heads do over the checkpoints of one co-trained run, if it was measured often enough."""
    ids = [run_id]
    steps, found = tracked(
        data.read_accuracy(ids, "all"), data.read_head_scores(ids, "all"), data.read_attention_differences(ids, "all"),
        config,
    )  # fmt: skip
    st.subheader("While it was trained", anchor=False)
    if "map_difference" not in found:
        times = int(steps.map_difference.notna().sum())
        st.caption(
            f"The heads of run {run_id} were mapped at {times} checkpoint{'s' * (times != 1)}; whether they and the "
            f"curves change together needs {FEWEST} or more. [Claim 8](claims) has runs with 20."
        )
        return
    st.markdown(
        "The gap between the main task's curve and the others', against how differently the tasks use the heads at the "
        "trained lengths. If transfer came with shared heads, both would shrink together, towards the lower left."
    )
    for (name, (over, changes)), column in zip(found.items(), st.columns(2, gap="large"), strict=False):
        with column:
            rows = steps.assign(seed=config.model_seed)
            draw(circuit_chart, rows, name, {config.model_seed: over.rho}, frame.theme(), key=f"trajectory-{name}",
                 name=f"Gap and {TRACKED[name]}")  # fmt: skip
            st.markdown(trajectory_sentence(TRACKED[name], over, changes))
    if steps.attention_difference.isna().all():
        st.caption("Attention patterns of these tasks do not line up position by position: not comparable.")
    st.caption(
        "One run. Neighbouring checkpoints are not independent of each other, so the interval is too narrow and p too "
        "small; two quantities that both drift during training correlate anyway, their changes need not. "
        "[Claims](claims) judges over seeds."
    )


def trajectory_sentence(measure: str, over: Correlation, changes: float | None) -> str:
    """How the gap follows ``measure`` over the checkpoints, and their ``changes``, in words."""
    if over.rho is None or over.low is None or over.high is None or over.p is None:
        return f"Spearman's ρ of gap and {measure} is not defined: one of them stays the same ({over.n} checkpoints)."
    text = (
        f"Spearman's ρ of gap and {measure}: **{signed(over.rho)}** (95% bootstrap interval {signed(over.low)} to "
        f"{signed(over.high)}, permutation p = {over.p:.2g}, {over.n} checkpoints)"
    )
    return text + ("." if changes is None else f"; of the changes between checkpoints: {signed(changes)}.")
