"""The rows that a run reports while it trains. The store keeps them.

Accuracy rows contain counts, not ratios. NaN is stored as a missing value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

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


SourceInput = Literal["mean", "same", "other", "same answer"]
"""What replaces head outputs in an interchange, see :class:`InterchangeRow`."""
SOURCE_INPUTS: tuple[SourceInput, ...] = get_args(SourceInput)


@dataclass(frozen=True, slots=True)
class InterchangeRow:
    """What ``task`` loses when outputs of heads are replaced by those that the network has in another pass.

    ``source_input``: ``same``: prompts of ``source_task`` with the same input; ``other``: with the input of another
    test prompt; ``same answer``: with the input to which the right answer of ``source_task`` is that of ``task``. With
    ``mean`` the heads have their mean outputs, as in a mean-ablation map, and ``source_task`` is ``task``.

    ``layer`` and ``head`` count from 0. ``head`` = the number of heads stands for all heads of the layer; ``layer`` =
    the number of layers for all layers. The other fields are those of :class:`HeadScoreRow`.
    """

    task: str
    source_task: str
    source_input: SourceInput
    length: int
    layer: int
    head: int
    accuracy_drop: float
    loss_rise: float
    examples: int


@dataclass(frozen=True, slots=True)
class LogRow:
    """One line of the training log: loss (nats per answer token), learning rate and speed at ``step``."""

    step: int
    loss: float
    learning_rate: float
    tokens_per_second: float
