"""How similarly two tasks use the heads, in numbers beside chance, and whether the gap follows it during training."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import streamlit as st

from lgt.charts import circuit_chart
from lgt.core.config import RunConfig
from lgt.core.glossary import definition
from lgt.experiments.numbers import signed
from lgt.metrics.correlation import Correlation
from lgt.metrics.head_sharing import HeadSharing, head_sharing, map_difference
from lgt.metrics.trajectory import tracking, tracking_of_changes, trajectory
from lgt.ui import data, frame
from lgt.ui.drawing import draw
from lgt.ui.numbers import counted
from lgt.ui.titles import task_words

TOP_HEADS = 3
PERMUTATIONS = 500
HOW_TO_READ = {
    "map difference": f"{definition('ablation-map difference')} 0: every knock-out costs both tasks the same. 1: "
    "every knock-out costs one task everything and the other task nothing.",
    "rank correlation": "The heads are ranked by how much their knock-out raises the loss. +1: the same order for both "
    "tasks. 0: no relation. −1: the reverse order.",
    f"top-{TOP_HEADS} overlap": f"Compares the {TOP_HEADS} heads of each task whose knock-out raises its loss most. "
    "0: none is the same. 1: all are the same.",
    "attention difference": f"{definition('attention-matrix difference')} 0: the heads look at the same places. The "
    "greatest possible value is 2 for every token that is read.",
}
"""How to read each column of :func:`similarity_table`."""
FEWEST = 3
"""With fewer checkpoints than this no correlation is computed."""
TRACKED = {"map_difference": "ablation-map difference", "attention_difference": "attention-matrix difference"}


def map_array(heads: pd.DataFrame, task: str, measure: str) -> np.ndarray:
    """The ``accuracy_drop`` or ``loss_rise`` of one task as an array [layers, heads]."""
    return heads[heads.task == task].pivot(index="layer", columns="head", values=measure).to_numpy(dtype=float)


def has_maps(heads: pd.DataFrame, *tasks: str) -> bool:
    """Whether each of these tasks has a number for every head. Counts of an incomplete store may be missing."""
    maps = [map_array(heads, task, measure) for task in tasks for measure in ("loss_rise", "accuracy_drop")]
    return all(one.size > 0 and one.shape == maps[0].shape and bool(np.isfinite(one).all()) for one in maps)


def head_sharing_of(heads: pd.DataFrame, main: str, other: str, *, correlation: bool = True) -> HeadSharing:
    """Head sharing of two tasks of one run. Chance: heads shuffled within their layer, from a fixed seed.

    Heads are ranked by the rise of the loss. Most drops of accuracy are exactly zero, so that ties would decide which
    heads are the top ones.
    """
    maps = map_array(heads, main, "loss_rise"), map_array(heads, other, "loss_rise")
    return head_sharing(*maps, TOP_HEADS, 0.0, np.random.default_rng(0), PERMUTATIONS, correlation=correlation)


def overlap_sentence(maps: Iterable[pd.DataFrame], main: str, auxiliaries: list[str]) -> str:
    """Overlap of the most important heads, mean over the maps of several seeds, beside chance."""
    runs = [heads for heads in maps if not heads.empty]
    return (
        f"Overlap of the {TOP_HEADS} heads whose knock-out raises the loss most (Jaccard, mean of "
        f"{counted(len(runs), 'seed')}): "
        f"{_overlaps(runs, main, auxiliaries)}."
    )


@st.cache_data(show_spinner=False, max_entries=64)
def control_sentence(
    maps: list[pd.DataFrame], main: str, auxiliaries: list[str], control_maps: list[pd.DataFrame], control: str
) -> str:
    """The same overlap in this task group and in the one whose auxiliary task is ``control``, which is unrelated.

    ``maps`` and ``control_maps``: one a seed, at the trained lengths of the main task, which both groups learn there.
    """
    return (
        f"**Compared with an unrelated task.** Overlap of the {TOP_HEADS} most needed heads (Jaccard) at the trained "
        f"lengths: {_overlaps(maps, main, auxiliaries)}, mean of {counted(len(maps), 'seed')}. In runs where the same "
        f"main task is trained together with an unrelated task: {_overlaps(control_maps, main, [control])}, mean of "
        f"{counted(len(control_maps), 'seed')}."
    )


def _overlaps(maps: list[pd.DataFrame], main: str, auxiliaries: list[str]) -> str:
    found = {other: _overlap(maps, main, other) for other in auxiliaries}
    return ", ".join(
        f"with {task_words(other)} " + ("not measured" if of is None else f"{of[0]:.2f} (by chance {of[1]:.2f})")
        for other, of in found.items()
    )


def _overlap(maps: list[pd.DataFrame], main: str, other: str) -> tuple[float, float] | None:
    whole = [heads for heads in maps if has_maps(heads, main, other)]
    if not whole:
        return None
    found = [head_sharing_of(heads, main, other, correlation=False) for heads in whole]
    return float(np.mean([f.jaccard for f in found])), float(np.mean([f.jaccard_baseline for f in found]))


def similarity_table(heads: pd.DataFrame, attention: pd.DataFrame, main: str, auxiliaries: list[str]) -> pd.DataFrame:
    """One row per auxiliary task of one run, compared with the main task: ablation-map difference, rank correlation
    with its permutation p, overlap of the top heads beside chance, mean attention-matrix difference or ``not
    comparable``.

    A task without a number for every head is left out.

    ``heads``: columns task, layer, head, accuracy_drop, loss_rise; ``attention``: columns task_b, difference, of the
    same lengths.
    """
    rows = []
    for other in auxiliaries:
        if not has_maps(heads, main, other):
            continue
        found = head_sharing_of(heads, main, other)
        difference = map_difference(*(map_array(heads, task, "accuracy_drop") for task in (main, other)))
        differences = attention[attention.task_b == other].difference
        rows.append(
            {
                "task": task_words(other),
                "map difference": f"{difference:.3f}",
                "rank correlation": "undefined" if found.rho is None else f"{found.rho:+.2f} (p = {found.rho_p:.3f})",
                f"top-{TOP_HEADS} overlap": f"{found.jaccard:.2f} (chance {found.jaccard_baseline:.2f})",
                "attention difference": "not comparable" if differences.empty else f"{differences.mean():.2f}",
            }
        )
    return pd.DataFrame(rows).set_index("task") if rows else pd.DataFrame()


def with_reading_help(table: pd.DataFrame) -> pd.DataFrame:
    """A :func:`similarity_table` with a row for each measure, a column for each task, and how to read it."""
    return table.T.rename_axis("measure").assign(**{"how to read it": [HOW_TO_READ[name] for name in table.columns]})


# --- while a run was trained ------------------------------------------------------------------------------------


@st.cache_data(show_spinner=False, max_entries=64)
def trajectory_correlations(
    accuracy: pd.DataFrame, heads: pd.DataFrame, attention: pd.DataFrame, _config: RunConfig
) -> tuple[pd.DataFrame, dict[str, tuple[Correlation, float | None]]]:
    """The :func:`lgt.metrics.trajectory.trajectory` of one run, and by measure the correlation of the gap with it: over
    the checkpoints, and rho of the changes between neighbouring checkpoints.

    Measures that fewer than :data:`FEWEST` checkpoints have are left out. The frames hold all steps.
    """
    if accuracy.empty or heads.empty:
        return pd.DataFrame(columns=["step", *TRACKED]), {}
    steps = trajectory(accuracy, heads, attention, _config)
    enough = [name for name in TRACKED if steps[name].notna().sum() >= FEWEST]
    return steps, {name: (tracking(steps, name), tracking_of_changes(steps, name)) for name in enough}


def show_trajectory(run_id: int, config: RunConfig) -> None:
    """The gap against the similarity of the heads over the checkpoints of one co-trained run."""
    ids = [run_id]
    steps, found = trajectory_correlations(
        data.read_accuracy(ids, "all"), data.read_head_scores(ids, "all"), data.read_attention_differences(ids, "all"),
        config,
    )  # fmt: skip
    st.subheader("During training", anchor=False)
    if "map_difference" not in found:
        times = int(steps.map_difference.notna().sum())
        st.caption(
            f"Run {data.name(run_id)} has ablation maps at {counted(times, 'checkpoint')}. At least {FEWEST} are "
            "needed to see whether the heads and the curves change together. The runs of [claim 8](claims) have 20."
        )
        return
    st.markdown(
        "A dot is a checkpoint. Vertical: the generalization gap. Horizontal: how differently the tasks use the heads "
        "at the trained lengths. If transfer comes with shared heads, both become smaller together. The dots then move "
        "to the lower left."
    )
    for (name, (correlation, changes)), column in zip(found.items(), st.columns(2, gap="large"), strict=False):
        with column:
            rows = steps.assign(seed=config.model_seed)
            rhos = {config.model_seed: correlation.rho}
            draw(circuit_chart, rows, name, rhos, frame.theme(), key=f"trajectory-{name}",
                 name=f"Gap and {TRACKED[name]}", about={"run_id": run_id})  # fmt: skip
            st.markdown(trajectory_sentence(TRACKED[name], correlation, changes))
    if steps.attention_difference.isna().all():
        st.caption("The prompts of these tasks have different layouts, so their attention patterns cannot be compared.")
    st.caption(
        "This is one run. Neighbouring checkpoints depend on each other, so the interval is too narrow and p is too "
        "small. Two quantities that both drift during training are correlated even if they are unrelated. Their "
        "changes need not be. The page [Claims](claims) compares seeds."
    )


def trajectory_sentence(measure: str, found: Correlation, changes: float | None) -> str:
    """The correlation of gap and ``measure`` over the checkpoints, and that of their ``changes``, in words."""
    if found.rho is None or found.low is None or found.high is None or found.p is None:
        return f"Spearman's ρ of gap and {measure} is not defined: one of them stays the same ({found.n} checkpoints)."
    text = (
        f"Spearman's ρ of gap and {measure}: **{signed(found.rho)}** (95% bootstrap interval {signed(found.low)} to "
        f"{signed(found.high)}, permutation p = {found.p:.2g}, {found.n} checkpoints)"
    )
    return text + ("." if changes is None else f"; ρ of their changes between checkpoints: {signed(changes)}.")
