"""An experiment: the runs of one figure, the rule that judges them, and the number of seeds that a verdict needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lgt.core.config import RunConfig
from lgt.experiments.rules.base import Rule
from lgt.recipes.builders import Lengths, Maker, Series


@dataclass(frozen=True)
class Experiment:
    """A figure. ``series`` are its runs, ``rule`` decides the verdict, ``seeds`` is the number of seeds it needs.

    The rule has its own thresholds; without a rule the runs have no verdict. ``claim`` is a key of
    :data:`lgt.experiments.claims.CLAIMS`. ``figures`` are the paper's figures, empty for an experiment beyond the
    paper; ``statement`` says in our words what they show.

    ``planned``: the seeds of a preregistered experiment, which were fixed with its rule before its first run. Exactly
    these seeds are judged, and their number is ``seeds``. Empty for a first-edition experiment, which judges every
    seed that a store has.

    ``replaced_by``: the experiment that judges the same figure now, with another recipe. The replaced experiment and
    its verdict stay visible but do not count.
    """

    name: str
    claim: int
    figures: str
    preset: str
    statement: str
    series: Mapping[Series, Maker]
    rule: Rule | None = None
    seeds: int = 5
    replaced_by: str = ""
    planned: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.planned:
            object.__setattr__(self, "seeds", len(self.planned))

    @property
    def main(self) -> str:
        """The main task's name."""
        return self.example().main.task

    @property
    def source(self) -> str:
        """The paper's figures, such as ``figure 3a, 3d``, or ``beyond the paper``."""
        return f"figure {self.figures}" if self.figures else "beyond the paper"

    @property
    def about_gain(self) -> bool:
        """Whether the figure is about the gain of a co-trained run over its baselines."""
        return self.rule is not None and self.rule.about_gain

    @property
    def grid_lengths(self) -> list[Lengths]:
        """The training lengths of the cells if the figure is a grid of training lengths; else empty."""
        return [series.lengths for series in self.series if series.lengths is not None]

    def example(self) -> RunConfig:
        """The run of the first series for seed 0."""
        return next(iter(self.series.values()))(0)

    def runs(self, seeds: Sequence[int]) -> list[RunConfig]:
        """All runs of the experiment, seed by seed, so that each finished seed completes a comparison.

        Configs of the same run are listed once, such as the main-alone runs of two groups with the same main
        task.
        """
        configs = [make(seed) for seed in seeds for make in self.series.values()]
        return list({config.hash(): config for config in reversed(configs)}.values())[::-1]
