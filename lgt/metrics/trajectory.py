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
from lgt.metrics.transfer import generalization_gap, transfer_accuracy
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

    The trained lengths decide [D]: beyond them a main task that fails has nothing to lose, so that its map is empty
    and its distance to the auxiliary's would repeat the gap by construction.
    """
    shares = accuracy.assign(share=accuracy.correct / accuracy.total)
    table = shares.set_index(["step", "task", "length"]).share.unstack(["task", "length"]).sort_index()
    rows = [{"step": step} | _at_step(table.loc[step], config) for step in table.index]
    frame = pd.DataFrame(rows, columns=["step", "trained", "transfer", "gap"]).set_index("step")
    for name, zone in (("map_difference", IN_DISTRIBUTION), ("map_difference_beyond", TRANSFER_REGION)):
        frame[name] = _map_differences(head_scores, config, zone)
    trained = attention[attention.length <= config.main.training_length]
    frame["attention_difference"] = trained.groupby("step").difference.mean()
    return frame.reset_index()


def _at_step(shares: pd.Series, config: RunConfig) -> dict[str, float]:
    curves = {spec.task: shares[spec.task].dropna().to_dict() for spec in config.tasks}
    main, length = curves[config.main.task], config.main.training_length
    trained = [share for at, share in main.items() if at <= length]
    transfer_length = config.transfer_length or length
    auxiliaries = [curves[spec.task] for spec in config.auxiliaries]
    return {
        "trained": float(np.mean(trained)),
        "transfer": transfer_accuracy(main, length, transfer_length) if transfer_length > length else np.nan,
        "gap": generalization_gap(main, auxiliaries, length, max(spec.training_length for spec in config.auxiliaries)),
    }


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

    Neighbouring checkpoints are alike, so that the permutation p, which takes them as exchangeable, is too small, and
    two quantities that both drift during training correlate without having to do with each other: see
    :func:`tracking_of_changes`.
    """
    pairs = _pairs(steps, measure)
    if not len(pairs):
        return Correlation(None, None, None, None, 0)
    return spearman(pairs[:, 0], pairs[:, 1], generator(0, "tracking", measure))


def tracking_of_changes(steps: pd.DataFrame, measure: str) -> float | None:
    """The rho of :func:`tracking` of the changes between neighbouring checkpoints, which no common drift touches."""
    return _rho(np.diff(_pairs(steps, measure), axis=0))


def rank_correlation(steps: pd.DataFrame, measure: str) -> float | None:
    """The rho of :func:`tracking` alone; ``None`` where it is not defined."""
    return _rho(_pairs(steps, measure))


def learned_steps(steps: pd.DataFrame) -> pd.DataFrame:
    """The checkpoints at which the main task is learned where it was trained (:data:`lgt.metrics.by_seed.LEARNED`).

    Before that its map has nothing to lose and its gap is small because everything fails: both rise together.
    """
    return steps[steps.trained >= LEARNED]


def _pairs(steps: pd.DataFrame, measure: str) -> Floats:
    return steps.dropna(subset=[measure]).sort_values("step")[["gap", measure]].to_numpy(dtype=float)


def _rho(pairs: Floats) -> float | None:
    if len(pairs) < 3 or not np.ptp(pairs, axis=0).all():
        return None
    from scipy import stats

    return float(stats.spearmanr(pairs[:, 0], pairs[:, 1]).statistic)
