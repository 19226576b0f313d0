"""How alike two tasks' heads are, in numbers beside chance. Pure functions of DataFrames; no Streamlit here."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from lgt.attribution.sharing import HeadSharing, head_sharing, map_difference
from lgt.tasks import TASKS

TOP_HEADS = 3
PERMUTATIONS = 500


def grid(heads: pd.DataFrame, task: str, measure: str) -> np.ndarray:
    """One task's ``accuracy_drop`` or ``loss_rise`` as an array [layers, heads]."""
    return heads[heads.task == task].pivot(index="layer", columns="head", values=measure).to_numpy(dtype=float)


def alike(heads: pd.DataFrame, main: str, other: str, *, correlation: bool = True) -> HeadSharing:
    """Head sharing of two tasks of one run's map; chance is heads shuffled within their layer, from a fixed seed.

    Heads are ranked by loss rise: most accuracy drops are exactly zero, and ties would make up the top heads.
    """
    maps = grid(heads, main, "loss_rise"), grid(heads, other, "loss_rise")
    return head_sharing(*maps, TOP_HEADS, 0.0, np.random.default_rng(0), PERMUTATIONS, correlation=correlation)


def overlap_sentence(maps: Iterable[pd.DataFrame], main: str, others: list[str]) -> str:
    """Overlap of the most important heads, mean over the maps of several seeds, beside chance."""
    parts = []
    runs = [heads for heads in maps if not heads.empty]
    for other in others:
        found = [alike(heads, main, other, correlation=False) for heads in runs]
        overlap, chance = np.mean([f.jaccard for f in found]), np.mean([f.jaccard_baseline for f in found])
        parts.append(f"with {TASKS[other].title} {overlap:.2f} (by chance {chance:.2f})")
    seeds = f"{len(runs)} seed{'s' if len(runs) > 1 else ''}"
    return (
        f"Overlap of the {TOP_HEADS} heads whose ablation raises the loss most (Jaccard, mean of {seeds}): "
        + ", ".join(parts)
        + "."
    )


def likeness_table(heads: pd.DataFrame, attention: pd.DataFrame, main: str, others: list[str]) -> pd.DataFrame:
    """One row per other task of one run: ablation-map difference, rank correlation with its permutation p, overlap of
    the top heads beside chance, and the mean attention-matrix difference over heads, or ``not comparable``.

    ``heads``: columns task, layer, head, accuracy_drop, loss_rise; ``attention``: columns task_b, difference, of the
    same lengths.
    """
    rows = []
    for other in others:
        found = alike(heads, main, other)
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
