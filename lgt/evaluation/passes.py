"""Passes: the rows of a batch that go through the network together, and their scored predictions.

Shapes: R rows (examples) of a pass, T positions, N scored predictions in it, W width, V vocabulary; ``...`` in front
are copies of the pass that differ in their activations (ablated heads).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lgt.model.batch import Batch
from lgt.model.network import Network

CPU_TOKENS_PER_PASS = 2048  # a layer's activations for this many tokens fit in a core's cache, at the size of demo
GPU_TOKENS_PER_PASS = 32_768


@contextmanager
def evaluating(network: Network) -> Iterator[None]:
    """Float32 activations and no gradients inside the block."""
    with network.float32(), torch.inference_mode():
        yield


def tokens_per_pass(device: torch.device) -> int:
    """Number of tokens that go through the network at once."""
    return CPU_TOKENS_PER_PASS if device.type == "cpu" else GPU_TOKENS_PER_PASS


@dataclass(frozen=True)
class Pass:
    """Some rows of a batch that go through the network together.

    ``rows`` [R]: their numbers in the batch. ``tokens`` [R, T]: the tokens that the network reads. ``row`` [N],
    ``position`` [N]: where each scored token is predicted. ``targets`` [N]: the scored tokens.
    """

    rows: Tensor
    tokens: Tensor
    row: Tensor
    position: Tensor
    targets: Tensor

    def first(self) -> int:
        """The first position at which some row predicts a scored token; T when there is none."""
        return int(self.position.min()) if len(self.position) else self.tokens.shape[1]

    def at_scored(self, values: Tensor) -> Tensor:
        """The vectors [..., N, W] at scored predictions of ``values`` [..., R, T', W], which hold the last T'."""
        kept = values.shape[-2]
        where = self.row * kept + self.position - (self.tokens.shape[1] - kept)
        return values.flatten(-3, -2).index_select(-2, where)

    def matches(self, logits: Tensor) -> Tensor:
        """Per row whether every scored token has the largest of its logits [..., N, V]; [..., R] (bool)."""
        return self._sums((logits.max(-1).indices != self.targets).float()) == 0

    def losses(self, logits: Tensor) -> Tensor:
        """Per row the mean cross-entropy of its scored tokens under logits [..., N, V]; [..., R] (nats)."""
        targets = self.targets.expand(logits.shape[:-1])
        nats = F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none").view(targets.shape)
        return self._sums(nats) / self._sums(torch.ones_like(nats)).clamp(min=1)

    def _sums(self, values: Tensor) -> Tensor:  # [..., N] -> [..., R]
        sums = values.new_zeros(*values.shape[:-1], len(self.rows))
        return sums.scatter_add_(-1, self.row.expand_as(values), values)


def scored_ends(batch: Batch) -> Tensor:
    """Per row the number of tokens that must be read to predict its last scored token, [B]."""
    return (batch.scored * torch.arange(batch.scored.shape[1], device=batch.scored.device)).amax(dim=1)


def passes(batch: Batch, ends: Tensor, tokens: int) -> list[Pass]:
    """All rows of ``batch``, at most ``tokens`` tokens at once (or one row); of row i the first ``ends[i]`` are read.

    Rows of like length go together, long ones first.
    """
    order, found = ends.argsort(descending=True, stable=True), []
    while len(order):
        width = max(1, int(ends[order[0]]))
        rows, order = order.tensor_split([max(1, tokens // width)])
        row, position = batch.scored[rows, 1 : width + 1].nonzero(as_tuple=True)
        read = batch.tokens[rows, : width + 1]
        found.append(Pass(rows, read[:, :width], row, position, read[row, position + 1]))
    return found


def whole(batch: Batch, tokens: int) -> list[Pass]:
    """All rows of ``batch`` in their order, at most ``tokens`` tokens at once (or one row); all but the last token of
    each row, which predicts nothing, are read."""
    width = batch.tokens.shape[1] - 1
    return passes(batch, torch.full((len(batch),), width, device=batch.tokens.device), tokens)
