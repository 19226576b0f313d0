"""What changes between the checkpoints of a run (figures 11, 17 to 19).

Pure functions of the frames that :mod:`lgt.store.queries` returns.
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
    ``gap``: the generalization gap. ``map_difference`` and ``map_difference_beyond``: mean over auxiliaries of the
    ablation-map difference (drop of exact match), maps averaged over the mapped lengths of the trained zone and of the
    transfer region; ``attention_difference``: mean over heads and auxiliaries of the attention-matrix difference at
    the trained lengths.

    Rules use the trained lengths [D]: where a main task fails completely, switching a head off cannot make it worse, so
    that its map is empty and the distance to the auxiliary's map would repeat the gap by construction.
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
    """The ablation-map difference (see :func:`lgt.metrics.head_sharing.map_difference`) by step."""
    mapped = sorted(int(length) for length in head_scores.length.unique())
    chosen = zone_lengths(mapped, config.main.training_length, config.transfer_length).get(zone, [])  # type: ignore[call-overload]
    rows = head_scores[head_scores.length.isin(chosen)]
    maps = rows.groupby(["step", "layer", "head", "task"]).accuracy_drop.mean().unstack("task")
    if maps.empty:
        return pd.Series(dtype=float)
    main = maps[config.main.task]
    apart = pd.DataFrame({spec.task: (main - maps[spec.task]).abs() for spec in config.auxiliaries})
    return apart.groupby("step").mean().mean(axis=1)


def tracking(steps: pd.DataFrame, measure: str) -> Correlation:
    """Spearman's rank correlation of gap and ``measure`` over the rows of :func:`trajectory`, with interval and p.

    The permutation p assumes that checkpoints are exchangeable. Neighbouring ones are similar, so p is too small. Two
    quantities that both drift during training also correlate when they are unrelated: see :func:`tracking_of_changes`.
    """
    pairs = _pairs(steps, measure)
    if not len(pairs):
        return Correlation(None, None, None, None, 0)
    return spearman(pairs[:, 0], pairs[:, 1], generator(0, "tracking", measure))


def tracking_of_changes(steps: pd.DataFrame, measure: str) -> float | None:
    """The rho of :func:`tracking` for the changes between neighbouring checkpoints, free of a common drift."""
    return _rho(np.diff(_pairs(steps, measure), axis=0))


def rank_correlation(steps: pd.DataFrame, measure: str) -> float | None:
    """The rho of :func:`tracking` alone; ``None`` where it is not defined."""
    return _rho(_pairs(steps, measure))


def learned_steps(steps: pd.DataFrame) -> pd.DataFrame:
    """The checkpoints at which the main task is learned where it was trained (:data:`lgt.metrics.by_seed.LEARNED`).

    Before that every task fails, so that the gap is small and no head can cost anything: both then rise together.
    """
    return steps[steps.trained >= LEARNED]


def _pairs(steps: pd.DataFrame, measure: str) -> Floats:
    return steps.dropna(subset=[measure]).sort_values("step")[["gap", measure]].to_numpy(dtype=float)


def _rho(pairs: Floats) -> float | None:
    if len(pairs) < 3 or not np.ptp(pairs, axis=0).all():
        return None
    from scipy import stats

    return float(stats.spearmanr(pairs[:, 0], pairs[:, 1]).statistic)
