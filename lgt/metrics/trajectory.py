"""The measurements of a run over its checkpoints, and their correlations (figures 11, 17 to 19).

The functions depend only on the frames that :mod:`lgt.store.queries` returns.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from lgt.core.config import RunConfig
from lgt.core.seeding import generator
from lgt.metrics.arrays import Floats
from lgt.metrics.by_seed import LEARNED
from lgt.metrics.correlation import Correlation, spearman
from lgt.metrics.run_curves import Curve, RunCurves, curves_of
from lgt.metrics.zones import IN_DISTRIBUTION, TRANSFER_REGION, zone_lengths


def trajectory(
    accuracy: pd.DataFrame, head_scores: pd.DataFrame, attention: pd.DataFrame, config: RunConfig
) -> pd.DataFrame:
    """One row per evaluated ``step`` of one co-trained run of ``config``; a missing measurement is NaN.

    ``trained`` and ``transfer``: the main task's mean exact match at trained lengths and in the transfer region.
    ``gap``: the generalization gap. ``map_difference``: mean over auxiliaries of the ablation-map difference (drop of
    exact match), with maps averaged over the mapped trained lengths. ``map_difference_beyond``: the same for the mapped
    lengths of the transfer region. ``attention_difference``: mean over heads and auxiliaries of the attention-matrix
    difference at the trained lengths.

    Rules use the trained lengths [D]. At lengths where the main task fails completely, knocking out a head cannot make
    it worse, so its map is zero. The distance to the auxiliary's map would then follow the gap by construction.
    """
    runs = _curves_by_step(accuracy, config)
    rows = [(run.trained, run.transfer, run.gap) for run in runs.values()]
    index = pd.Index(list(runs), name="step")
    frame = pd.DataFrame(rows, columns=["trained", "transfer", "gap"], index=index, dtype=float)
    for name, zone in (("map_difference", IN_DISTRIBUTION), ("map_difference_beyond", TRANSFER_REGION)):
        frame[name] = _map_differences(head_scores, config, zone)
    trained = attention[attention.length <= config.main.training_length]
    frame["attention_difference"] = trained.groupby("step").difference.mean()
    return frame.reset_index()


def _curves_by_step(accuracy: pd.DataFrame, config: RunConfig) -> dict[int, RunCurves]:
    shares = accuracy.correct / accuracy.total
    columns = (accuracy.step, accuracy.task, accuracy.length, shares)
    steps: dict[int, dict[str, Curve]] = {}
    for step, task, length, share in zip(*(column.tolist() for column in columns), strict=True):
        steps.setdefault(int(step), {}).setdefault(task, {})[int(length)] = share
    return {step: curves_of(config, steps[step]) for step in sorted(steps)}


def _map_differences(head_scores: pd.DataFrame, config: RunConfig, zone: str) -> pd.Series:
    """The ablation-map difference (see :func:`lgt.metrics.head_sharing.map_difference`) by step; empty if a task has no
    map."""
    mapped = sorted(int(length) for length in head_scores.length.unique())
    chosen = zone_lengths(mapped, config.main.training_length, config.transfer_length).get(zone, [])  # type: ignore[call-overload]
    rows = head_scores[head_scores.length.isin(chosen)]
    maps = rows.groupby(["step", "layer", "head", "task"]).accuracy_drop.mean().unstack("task")
    if maps.empty or not {spec.task for spec in config.tasks} <= set(maps):
        return pd.Series(dtype=float)
    main = maps[config.main.task]
    apart = pd.DataFrame({spec.task: (main - maps[spec.task]).abs() for spec in config.auxiliaries})
    return apart.groupby("step").mean().mean(axis=1)


def tracking(steps: pd.DataFrame, measure: str) -> Correlation:
    """Spearman's rank correlation of gap and ``measure`` over the rows of :func:`trajectory`, with interval and p.

    The permutation p assumes that checkpoints are exchangeable. Neighbouring checkpoints are similar, so p is too
    small. Two quantities that both drift during training correlate even if they are unrelated; see
    :func:`tracking_of_changes`.
    """
    pairs = _pairs(steps, measure)
    if not len(pairs):
        return Correlation(None, None, None, None, 0)
    return spearman(pairs[:, 0], pairs[:, 1], generator(0, "tracking", measure))


def tracking_of_changes(steps: pd.DataFrame, measure: str) -> float | None:
    """The rho of :func:`tracking` for changes between neighbouring checkpoints; a common drift does not affect it."""
    return _rho(np.diff(_pairs(steps, measure), axis=0))


def rank_correlation(steps: pd.DataFrame, measure: str) -> float | None:
    """The rho of :func:`tracking` alone; ``None`` if it is not defined."""
    return _rho(_pairs(steps, measure))


def learned_steps(steps: pd.DataFrame) -> pd.DataFrame:
    """The checkpoints at which the main task is learned at its trained lengths (:data:`lgt.metrics.by_seed.LEARNED`).

    At earlier checkpoints every task fails. The gap and the drops of the ablation maps are then small, and both grow
    together as the tasks are learned.
    """
    return steps[steps.trained >= LEARNED]


def _pairs(steps: pd.DataFrame, measure: str) -> Floats:
    return steps.dropna(subset=["gap", measure]).sort_values("step")[["gap", measure]].to_numpy(dtype=float)


def _rho(pairs: Floats) -> float | None:
    if len(pairs) < 3 or not np.ptp(pairs, axis=0).all():
        return None
    from scipy import stats

    return float(stats.spearmanr(pairs[:, 0], pairs[:, 1]).statistic)
