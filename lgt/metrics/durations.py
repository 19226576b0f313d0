"""How long a run will take, from similar finished runs."""

from __future__ import annotations

import pandas as pd

from lgt.core.config import RunConfig


def expected_seconds(runs: pd.DataFrame, config: RunConfig) -> float | None:
    """Seconds that a run of ``config`` would take on one core: the median time per step of similar finished runs.

    ``runs``: a frame of :func:`lgt.store.queries.runs`. Similar are runs of the same group, preset and arm; when there
    are none, of the same group and preset; then of the same group; then of the same preset. Else ``None``.
    """
    if runs.empty:
        return None
    done = runs[(runs.state == "done") & (runs.seconds > 0)]
    group, preset, arm = done.task_group == config.group, done.preset == config.preset, done.arm == config.arm
    for similar in (group & preset & arm, group & preset, group, preset):
        if similar.any():
            chosen = done[similar]
            return float((chosen.seconds / chosen.total_steps).median()) * config.training.steps
    return None
