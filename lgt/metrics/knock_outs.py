"""The permutation test of a knock-out: the chosen heads are compared with other heads of the same layers."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class KnockOutTest:
    """Mean exact match of a task over lengths: of the whole model (``intact``), without the ``chosen`` heads, and
    without each of the ``others``, which are other choices of as many heads in the same layers."""

    intact: float
    chosen: float
    others: list[float]

    @property
    def as_bad(self) -> int:
        """The number of other choices without which exact match is as low as without the chosen heads, or lower."""
        return sum(other <= self.chosen + 1e-12 for other in self.others)

    @property
    def p(self) -> float:
        """Permutation p-value: the share of all choices, the chosen one included, that are at least as harmful."""
        return (1 + self.as_bad) / (1 + len(self.others))


def knock_out_test(counts: pd.DataFrame, chosen: str) -> KnockOutTest:
    """The test from one task's counts: columns ``heads`` (empty: the whole model), ``length``, ``correct``, ``total``.

    Every length has the same weight, as in transfer accuracy. Raises KeyError if ``counts`` has no rows of ``chosen``.
    """
    means = (counts.correct / counts.total).groupby(counts.heads).mean()
    others = [float(value) for name, value in means.items() if name not in ("", chosen)]
    return KnockOutTest(float(means[""]), float(means[chosen]), others)
