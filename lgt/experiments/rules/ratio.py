"""The rule *ratio*: the gap is smaller if the training lengths differ by a factor of two than if they differ more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from lgt.experiments.rules.base import ChartRequest, Measurement, Rule
from lgt.metrics.length_grid import nearness
from lgt.recipes.paper import GRID_GAP

if TYPE_CHECKING:
    from lgt.experiments.evidence import FigureRuns
    from lgt.experiments.judgements import Judgement

COLUMNS = ["main_length", "auxiliary_length", "gap", "learned"]


@dataclass(frozen=True, kw_only=True)
class Ratio(Rule):
    """Mean relative gap of cells whose lengths differ by more than a factor of two, minus that of the nearer cells.

    Cells in which a task was not learned are left out. ``least_cells`` is the share of cells that must remain.
    """

    least_cells: float = 0.5
    name: ClassVar[str] = "ratio"
    quantity: ClassVar[str] = "relative gap further apart minus that a factor of two apart"
    words: ClassVar[str] = (
        "The gap of pairs whose lengths are more than a factor of two apart minus that of pairs a factor of two apart, "
        "each as a share of what it is when nothing transfers."
    )

    def measure(self, runs: FigureRuns) -> Measurement:
        """The difference of the relative gaps, over the cells in which all tasks were learned."""
        gaps, learned = runs.gaps(), runs.learned_by_series()
        lengths = {cell: cell.lengths for cell in gaps if cell.lengths and learned[cell] >= self.learned}
        found = {seed: nearness({at: gaps[cell][seed] for cell, at in lengths.items()}) for seed in runs.seeds}
        return Measurement(gaps, {seed: value for seed, value in found.items() if value is not None}, learned)

    def premise_met(self, learned: Mapping[Any, float]) -> bool:
        """Whether enough cells remain."""
        left = [share for share in learned.values() if share >= self.learned]
        return len(left) >= self.least_cells * len(learned)

    def values_text(self, measured: Measurement) -> str:
        """An empty text, because there are too many cells for a sentence."""
        return ""

    def premise_text(self, measured: Measurement) -> str:
        """A text that lists the cells that are left out; empty if there are none."""
        low = [str(cell) for cell, share in measured.learned.items() if share < self.learned]
        if not low:
            return ""
        return f"{len(low)} of {len(measured.learned)} cells left out, where a task is not learned: " + ", ".join(low)

    def charts(self, judgement: Judgement, accuracy: pd.DataFrame) -> Iterator[ChartRequest]:
        """The relative gap by ratio of lengths, then our grid and the paper's."""
        ours, paper = self.grid_frame(judgement), paper_grid()
        yield ChartRequest("gap_by_ratio", (ours, paper))
        yield ChartRequest("gap_grid", (ours,), {"title": "Ours"})
        yield ChartRequest("gap_grid", (paper,), {"title": "The paper's"})

    def grid_frame(self, judgement: Judgement) -> pd.DataFrame:
        """One row per cell and seed: ``main_length``, ``auxiliary_length``, ``seed``, ``gap``, and ``learned``: whether
        every task of the cell was learned at trained lengths (mean over seeds)."""
        learned = judgement.measured.learned
        rows = [
            (*cell.lengths, seed, gap, learned[cell] >= self.learned)
            for cell, of in judgement.measured.values.items() if cell.lengths
            for seed, gap in of.items()
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=[*COLUMNS[:2], "seed", *COLUMNS[2:]])


def paper_grid() -> pd.DataFrame:
    """The paper's gaps (figure 10), with the columns of :meth:`Ratio.grid_frame` except ``seed``."""
    return pd.DataFrame([(*lengths, gap, True) for lengths, gap in GRID_GAP.items()], columns=COLUMNS)
