"""The rows that a run reports while it trains. The store keeps them.

Accuracy rows contain counts, not ratios. NaN is stored as a missing value.
"""

from __future__ import annotations

from dataclasses import dataclass

Head = tuple[int, int]
"""(layer, head), both counted from 0."""


@dataclass(frozen=True, slots=True)
class AccuracyRow:
    """Exact-match count on the fixed test set of (task, length): ``correct`` of ``total`` examples."""

    task: str
    length: int
    correct: int
    total: int


@dataclass(frozen=True, slots=True)
class HeadScoreRow:
    """One entry of a mean-ablation map, measured on ``examples`` examples of (task, length).

    ``accuracy_drop`` is the fall in exact match (a fraction, may be negative), ``loss_rise`` the rise in answer-token
    cross-entropy (nats). ``layer`` and ``head`` count from 0.
    """

    task: str
    length: int
    layer: int
    head: int
    accuracy_drop: float
    loss_rise: float
    examples: int


@dataclass(frozen=True, slots=True)
class AttentionDifferenceRow:
    """For one head, the sum over entries of abs(P_a - P_b). P is a task's attention at ``length``, the batch mean."""

    task_a: str
    task_b: str
    length: int
    layer: int
    head: int
    difference: float


@dataclass(frozen=True, slots=True)
class LogRow:
    """One line of the training log: loss (nats per answer token), learning rate and speed at ``step``."""

    step: int
    loss: float
    learning_rate: float
    tokens_per_second: float
