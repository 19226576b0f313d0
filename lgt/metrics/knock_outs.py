"""The permutation test of a knock-out: chosen heads against other heads of the same layers."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class KnockOutTest:
    """A task's exact match, mean over lengths: of the whole model, without some heads, and without other choices of as
    many heads in the same layers."""

    intact: float
    chosen: float
    others: list[float]

    @property
    def as_bad(self) -> int:
        """How many of the other choices leave an exact match as low as the chosen heads do, or lower."""
        return sum(other <= self.chosen + 1e-12 for other in self.others)

    @property
    def p(self) -> float:
        """The share of all choices, the chosen one counted, that hurt at least as much: a permutation p-value."""
        return (1 + self.as_bad) / (1 + len(self.others))


def knock_out_test(counts: pd.DataFrame, chosen: str) -> KnockOutTest:
    """The test from one task's counts: columns ``heads`` (empty: the whole model), ``length``, ``correct``, ``total``.

    Every length has the same weight, as in transfer accuracy. Raises KeyError without rows of ``chosen``.
    """
    means = (counts.correct / counts.total).groupby(counts.heads).mean()
    others = [float(value) for name, value in means.items() if name not in ("", chosen)]
    return KnockOutTest(float(means[""]), float(means[chosen]), others)
