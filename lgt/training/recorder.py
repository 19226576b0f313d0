"""The interface to which the training loop sends its measurements, and an implementation in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from lgt.core.records import AccuracyRow, AttentionDifferenceRow, HeadScoreRow, InterchangeRow, LogRow


class Recorder(Protocol):
    """Receives what a run reports, in order of steps. Rows of a step replace earlier rows of the same step.

    A resumed run reports again everything after the step at which it resumes.
    """

    def progress(self, step: int, tokens: int, seconds: float, log: list[LogRow]) -> None:
        """The progress: ``step`` optimizer steps with ``tokens`` tokens took ``seconds``. ``log``: new log rows."""

    def accuracy(self, step: int, rows: list[AccuracyRow]) -> None:
        """Exact-match counts after ``step`` steps."""

    def head_scores(self, step: int, rows: list[HeadScoreRow]) -> None:
        """Mean-ablation maps after ``step`` steps."""

    def attention_differences(self, step: int, rows: list[AttentionDifferenceRow]) -> None:
        """Attention-matrix differences after ``step`` steps."""

    def interchanges(self, step: int, rows: list[InterchangeRow]) -> None:
        """Interchanges of head outputs after ``step`` steps."""

    def checkpoint(self, step: int, weights: bytes) -> None:
        """The measured weights after ``step`` steps, as safetensors bytes."""

    def training_state(self, step: int, state: bytes) -> None:
        """A state from which training can continue after ``step`` steps, see :mod:`lgt.training.state`. It replaces the
        previous state."""


@dataclass
class MemoryRecorder:
    """A recorder that keeps everything in memory, for tests and for runs without a store."""

    logs: list[LogRow] = field(default_factory=list)
    accuracies: dict[int, list[AccuracyRow]] = field(default_factory=dict)
    maps: dict[int, list[HeadScoreRow]] = field(default_factory=dict)
    differences: dict[int, list[AttentionDifferenceRow]] = field(default_factory=dict)
    exchanged: dict[int, list[InterchangeRow]] = field(default_factory=dict)
    checkpoints: dict[int, bytes] = field(default_factory=dict)
    states: dict[int, bytes] = field(default_factory=dict)

    def progress(self, step: int, tokens: int, seconds: float, log: list[LogRow]) -> None:
        self.logs += log

    def accuracy(self, step: int, rows: list[AccuracyRow]) -> None:
        self.accuracies[step] = rows

    def head_scores(self, step: int, rows: list[HeadScoreRow]) -> None:
        self.maps[step] = rows

    def attention_differences(self, step: int, rows: list[AttentionDifferenceRow]) -> None:
        self.differences[step] = rows

    def interchanges(self, step: int, rows: list[InterchangeRow]) -> None:
        self.exchanged[step] = rows

    def checkpoint(self, step: int, weights: bytes) -> None:
        self.checkpoints[step] = weights

    def training_state(self, step: int, state: bytes) -> None:
        self.states[step] = state
