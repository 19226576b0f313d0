"""An estimate of how long a run will take, from similar finished runs."""

from __future__ import annotations

import pandas as pd

from lgt.core.config import RunConfig


def expected_seconds(runs: pd.DataFrame, config: RunConfig) -> float | None:
    """The expected seconds of a run of ``config`` on one core, from the median time per step of similar finished runs.

    ``runs``: a frame of :func:`lgt.store.queries.runs`. Similar runs have the same group, preset and arm. If there are
    none, they have the same group and preset, else the same group, else the same preset. ``None`` if no such run
    exists.
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
