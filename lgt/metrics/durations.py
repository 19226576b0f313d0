"""How long a run will take, from finished runs like it."""

from __future__ import annotations

import pandas as pd

from lgt.core.config import RunConfig


def expected_seconds(runs: pd.DataFrame, config: RunConfig) -> float | None:
    """How long a run of ``config`` would take on one core: the median of finished ones like it, scaled by their steps.

    ``runs``: a frame of :func:`lgt.store.queries.runs`. Alike are runs of the same group and preset with the same tasks
    (by arm), else of the same group, else of the same preset; None when there are none.
    """
    if runs.empty:
        return None
    done = runs[(runs.state == "done") & (runs.seconds > 0)]
    group, preset, arm = done.task_group == config.group, done.preset == config.preset, done.arm == config.arm
    for alike in (group & preset & arm, group & preset, group, preset):
        if alike.any():
            chosen = done[alike]
            return float((chosen.seconds / chosen.total_steps).median()) * config.training.steps
    return None
