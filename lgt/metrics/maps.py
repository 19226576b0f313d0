"""Ablation maps of one run, averaged over lengths."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lgt.core.config import RunConfig
from lgt.metrics.zones import IN_DISTRIBUTION, TRANSFER_REGION, Zone, zone_lengths

KEYS = ["task", "role", "layer", "head"]
LEAST_TO_LOSE = 0.1
"""Transfer accuracy above which the heads of a run are mapped in the transfer region: a model that is near 0% there
cannot become worse without a head."""


def mapped_zone(transfer: float | None) -> Zone:
    """The zone in which a run with this transfer accuracy is mapped when no zone is asked for."""
    return TRANSFER_REGION if (transfer or 0.0) > LEAST_TO_LOSE else IN_DISTRIBUTION


def mean_map(head_scores: pd.DataFrame, config: RunConfig, zone_name: Zone) -> pd.DataFrame:
    """The maps of one run, averaged over the mapped lengths of one zone of the *main* task, for all tasks.

    Columns ``task``, ``role``, ``layer``, ``head``, ``accuracy_drop``, ``loss_rise`` and ``examples`` (prompts per
    task, over these lengths); the lengths themselves are in ``attrs["lengths"]``.
    """
    count = head_scores.run_id.nunique() if "run_id" in head_scores else 1
    if count > 1:
        raise ValueError(f"head scores of {count} runs; accepted: of one")
    return mean_maps(head_scores.assign(run_id=0), config, {0: zone_name})[0]


def mean_maps(head_scores: pd.DataFrame, config: RunConfig, zones: Mapping[int, Zone]) -> dict[int, pd.DataFrame]:
    """:func:`mean_map` of several runs: for each run of ``zones`` its map in this zone."""
    lengths: dict[int, list[int]] = {}
    for run, of_run in dict(head_scores.groupby("run_id").length.unique()).items():
        if run in zones:
            by_zone = dict(zone_lengths(sorted(map(int, of_run)), config.main.training_length, config.transfer_length))
            lengths[int(run)] = by_zone.get(zones[run], [])
    chosen = pd.MultiIndex.from_tuples(
        [(run, length) for run, of_run in lengths.items() for length in of_run] or [(-1, -1)]
    )
    rows = head_scores[pd.MultiIndex.from_frame(head_scores[["run_id", "length"]]).isin(chosen)]
    means = rows.groupby(["run_id", *KEYS], as_index=False, sort=False).agg(
        accuracy_drop=("accuracy_drop", "mean"), loss_rise=("loss_rise", "mean"), examples=("examples", "sum")
    )
    maps = means.drop(columns="run_id")
    places = {run: np.flatnonzero(means.run_id == run) for run in lengths}
    found = {}
    for run in zones:
        frame = maps.iloc[places.get(run, [])].reset_index(drop=True)
        frame.attrs["lengths"] = lengths.get(run, [])
        found[run] = frame
    return found


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
