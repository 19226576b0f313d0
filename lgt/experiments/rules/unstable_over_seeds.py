"""The rule *unstable over seeds*: transfer accuracy varies more over seeds than accuracy at trained lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from lgt.experiments.rules.base import Measurement
from lgt.experiments.rules.unstable import Unstable
from lgt.metrics.stability import scatter_over_seeds
from lgt.recipes.builders import CO_TRAINED

if TYPE_CHECKING:
    from lgt.experiments.evidence import FigureRuns


@dataclass(frozen=True, kw_only=True)
class UnstableOverSeeds(Unstable):
    """A seed's distance from the other seeds' mean transfer accuracy, minus the same distance at trained lengths."""

    name: ClassVar[str] = "unstable over seeds"
    quantity: ClassVar[str] = "distance from the other seeds beyond that at trained lengths"
    words: ClassVar[str] = (
        "The distance of a seed's transfer accuracy from the other seeds' mean, minus the same distance at trained "
        "lengths."
    )

    def measure(self, runs: FigureRuns) -> Measurement:
        """The scatter of every seed (see :func:`lgt.metrics.stability.scatter_over_seeds`)."""
        values = runs.transfer()
        scatter = scatter_over_seeds(values[CO_TRAINED], runs.trained()[CO_TRAINED])
        return Measurement(values, scatter, runs.learned())
