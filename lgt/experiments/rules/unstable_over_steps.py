"""The rule *unstable over steps*: during training, transfer accuracy falls more than accuracy at trained lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from lgt.experiments.rules.base import Measurement
from lgt.experiments.rules.unstable import Unstable
from lgt.metrics.stability import falls

if TYPE_CHECKING:
    from lgt.experiments.evidence import FigureRuns


@dataclass(frozen=True, kw_only=True)
class UnstableOverSteps(Unstable):
    """The largest fall of transfer accuracy from a checkpoint to a later one, minus that at trained lengths."""

    name: ClassVar[str] = "unstable over steps"
    quantity: ClassVar[str] = "fall beyond that at trained lengths"
    words: ClassVar[str] = (
        "The largest fall of transfer accuracy from a checkpoint to a later one, minus the largest fall of accuracy at "
        "trained lengths."
    )

    def measure(self, runs: FigureRuns) -> Measurement:
        """The fall of every seed (see :func:`lgt.metrics.stability.falls`)."""
        fallen = {seed: falls(steps) for seed, steps in runs.trajectories().items()}
        return Measurement(runs.transfer(), fallen, runs.learned())
