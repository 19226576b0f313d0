"""The base class of the two rules about stability, with their charts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import pandas as pd

from lgt.experiments.rules.base import ChartRequest, Rule

if TYPE_CHECKING:
    from lgt.experiments.judgements import Judgement


@dataclass(frozen=True, kw_only=True)
class Unstable(Rule):
    """A rule about how much the co-trained runs of a figure vary."""

    over_training: ClassVar[bool] = True

    def charts(self, judgement: Judgement, accuracy: pd.DataFrame) -> Iterator[ChartRequest]:
        """Accuracy over training with one panel per seed, then every seed's transfer accuracy."""
        yield ChartRequest("stability_chart", (judgement.trajectory,), {"main": judgement.experiment.main})
        yield ChartRequest("seed_strip", (judgement.seeds_frame(),))
