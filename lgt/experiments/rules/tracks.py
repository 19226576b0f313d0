"""The rule *tracks*: over checkpoints the generalization gap follows a difference between the tasks' heads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import pandas as pd

from lgt.experiments.numbers import signed
from lgt.experiments.rules.base import CORRELATION, ChartRequest, Measurement, Rule, Scale, SeedCorrelations
from lgt.experiments.verdicts import SMALLEST_CORRELATION
from lgt.metrics.trajectory import learned_steps, rank_correlation, tracking, tracking_of_changes

if TYPE_CHECKING:
    from lgt.experiments.evidence import FigureRuns
    from lgt.experiments.judgements import Judgement

Measure = Literal["map_difference", "attention_difference"]
"""A column of :func:`lgt.metrics.trajectory.trajectory`."""


@dataclass(frozen=True, kw_only=True)
class Tracks(Rule):
    """Spearman's rho of the generalization gap and ``column`` over the checkpoints of a seed."""

    smallest: float = SMALLEST_CORRELATION
    column: Measure = "map_difference"
    name: ClassVar[str] = "tracks"
    quantity: ClassVar[str] = "Spearman's rho"
    words: ClassVar[str] = (
        "Spearman's rho over checkpoints, of the generalization gap and the difference of the ablation maps (or of the "
        "attention patterns) at trained lengths."
    )
    scale: ClassVar[Scale] = CORRELATION
    over_training: ClassVar[bool] = True

    def measure(self, runs: FigureRuns) -> Measurement:
        """Every seed's rho, with the correlations that are shown beside it."""
        steps, name = runs.trajectories(), self.column
        judged = {seed: tracking(of, name) for seed, of in steps.items()}
        changes = {seed: tracking_of_changes(of, name) for seed, of in steps.items()}
        maps = name == "map_difference"
        beyond = {seed: rank_correlation(of, "map_difference_beyond") for seed, of in steps.items()} if maps else {}
        learned = {seed: rank_correlation(learned_steps(of), name) for seed, of in steps.items()}
        rhos = {seed: found.rho for seed, found in judged.items() if found.rho is not None}
        correlations = SeedCorrelations(judged, changes, beyond, learned)
        return Measurement(runs.transfer(), rhos, runs.learned(), correlations)

    def details(self, measured: Measurement) -> list[str]:
        """How many checkpoints there are, and the mean of each correlation beside the judged one."""
        found = measured.correlations
        checkpoints = sorted({one.n for one in found.judged.values()})
        parts = [f"each over {' or '.join(map(str, checkpoints))} checkpoints"] if checkpoints else []
        for name, of in found.not_judged().items():
            rhos = [rho for rho in of.values() if rho is not None]
            if rhos:
                parts.append(f"{name} {signed(sum(rhos) / len(rhos))} on average")
        return parts

    def charts(self, judgement: Judgement, accuracy: pd.DataFrame) -> Iterator[ChartRequest]:
        """Gap against the measure at every checkpoint, a panel per seed."""
        rhos = {seed: found.rho for seed, found in judgement.measured.correlations.judged.items()}
        yield ChartRequest("circuit_chart", (judgement.trajectory, self.column, rhos))
