"""A judged figure as charts: which ones show what its verdict is about."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pandas as pd

from lgt import charts
from lgt.charts import Theme
from lgt.experiments.judgements import Judgement, grid_frame, seeds_frame
from lgt.experiments.outcomes import SMALLEST_CORRELATION
from lgt.recipes.paper import GRID_GAP

Chart = partial[Any]
"""A function of :mod:`lgt.charts` with its arguments."""


def figure(judgement: Judgement, accuracy: pd.DataFrame, trajectory: pd.DataFrame, theme: Theme) -> Iterator[Chart]:
    """The charts of ``judgement`` in the order in which they are read, each ready to be called.

    ``accuracy``: the final counts of its runs. ``trajectory``: :func:`lgt.experiments.claims.trajectory_frame` of it.
    """
    rule = judgement.experiment.rule
    if rule == "ratio":
        ours, paper = grid_frame(judgement), paper_grid()
        yield partial(charts.gap_by_ratio, ours, paper, theme)
        yield partial(charts.gap_grid, ours, theme, title="Ours")
        yield partial(charts.gap_grid, paper, theme, title="The paper's")
    elif rule in ("unstable over seeds", "unstable over steps"):
        yield partial(charts.stability_chart, trajectory, theme, main=judgement.experiment.main)
        yield partial(charts.seed_strip, seeds_frame(judgement), theme)
    elif rule in ("tracks", "does not track"):
        rhos = {seed: found.rho for seed, found in judgement.correlations.items()}
        yield partial(charts.circuit_chart, trajectory, judgement.experiment.measure, rhos, theme)
    else:
        yield partial(charts.seed_strip, seeds_frame(judgement), theme)
        for name, ids in judgement.series_runs.items():
            yield partial(charts.length_accuracy, accuracy[accuracy.run_id.isin(ids)], theme, title=name)


def overviews(tried: pd.DataFrame, theme: Theme) -> Iterator[Chart]:
    """All verdicts in one chart for differences and one for correlations; ``tried`` as in
    :func:`lgt.experiments.judgements.differences_frame`."""
    differences, correlations = tried[~tried.correlation.astype(bool)], tried[tried.correlation.astype(bool)]
    if not differences.empty:
        yield partial(charts.verdict_chart, differences, theme, title="Figures about accuracy")
    if not correlations.empty:
        yield partial(
            charts.verdict_chart,
            correlations,
            theme,
            quantity="Spearman's rho over checkpoints",
            smallest=SMALLEST_CORRELATION,
            title="Figures about circuits",
        )


def paper_grid() -> pd.DataFrame:
    """The paper's gaps as :func:`lgt.charts.gap_grid` reads them."""
    rows = [(main, auxiliary, gap, True) for (main, auxiliary), gap in GRID_GAP.items()]
    return pd.DataFrame(rows, columns=["main_length", "auxiliary_length", "gap", "learned"])
