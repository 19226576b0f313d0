"""Ablation maps of one run, averaged over lengths."""

from __future__ import annotations

import pandas as pd

from lgt.core.config import RunConfig
from lgt.metrics.zones import zone_lengths


def mean_map(head_scores: pd.DataFrame, config: RunConfig, zone_name: str) -> pd.DataFrame:
    """The maps of one run, averaged over the mapped lengths of one zone of the *main* task, for all tasks.

    Columns ``task``, ``role``, ``layer``, ``head``, ``accuracy_drop``, ``loss_rise`` and ``examples`` (prompts per
    task, over these lengths); the lengths themselves are in ``attrs["lengths"]``.
    """
    mapped = sorted(int(length) for length in head_scores.length.unique())
    chosen = zone_lengths(mapped, config.main.training_length, config.transfer_length).get(zone_name, [])  # type: ignore[call-overload]
    rows = head_scores[head_scores.length.isin(chosen)]
    keys = ["task", "role", "layer", "head"]
    frame = rows.groupby(keys, as_index=False, sort=False).agg(
        accuracy_drop=("accuracy_drop", "mean"), loss_rise=("loss_rise", "mean"), examples=("examples", "sum")
    )
    frame.attrs["lengths"] = chosen
    return frame


def strongest_head(head_scores: pd.DataFrame, task: str) -> tuple[int, int] | None:
    """The head, (layer, head) from 0, with the largest mean drop of the exact match of ``task`` over the mapped
    lengths; of equal drops the one with the larger rise of the loss. ``None`` without a map. ``head_scores``: rows of
    one run."""
    rows = head_scores[head_scores.task == task]
    if rows.empty:
        return None
    means = rows.groupby(["layer", "head"], as_index=False)[["accuracy_drop", "loss_rise"]].mean()
    best = means.sort_values(["accuracy_drop", "loss_rise"]).iloc[-1]
    return int(best["layer"]), int(best["head"])
