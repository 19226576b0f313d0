"""Passes: the rows of a batch that go through the network together, and their scored predictions.

Shapes: R rows (examples) of a pass, T positions, N scored predictions in it, W width, V vocabulary; Leading
dimensions ``...`` are copies of the pass that differ in their activations (ablated heads).
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
    """Inside the block, activations are float32 and no gradients are computed."""
    with network.float32(), torch.inference_mode():
        yield


def tokens_per_pass(device: torch.device) -> int:
    """The largest number of tokens that go through the network at once."""
    return CPU_TOKENS_PER_PASS if device.type == "cpu" else GPU_TOKENS_PER_PASS


@dataclass(frozen=True)
class Pass:
    """Some rows of a batch that go through the network together.

    ``rows`` [R]: their indices in the batch. ``tokens`` [R, T]: the tokens that the network reads. ``row`` [N] and
    ``position`` [N]: the row of the pass and the position at which each scored token is predicted. ``targets`` [N]: the
    scored tokens.
    """

    rows: Tensor
    tokens: Tensor
    row: Tensor
    position: Tensor
    targets: Tensor

    def first(self) -> int:
        """The first position at which any row predicts a scored token; T if there is none."""
        return int(self.position.min()) if len(self.position) else self.tokens.shape[1]

    def at_scored(self, values: Tensor) -> Tensor:
        """The vectors [..., N, W] at the scored predictions. ``values`` [..., R, T', W] has the last T' positions."""
        kept = values.shape[-2]
        where = self.row * kept + self.position - (self.tokens.shape[1] - kept)
        return values.flatten(-3, -2).index_select(-2, where)

    def matches(self, logits: Tensor) -> Tensor:
        """For each row, whether every scored token has the largest logit; [..., R] (bool). ``logits``: [..., N, V]."""
        return self._sums((logits.max(-1).indices != self.targets).float()) == 0

    def losses(self, logits: Tensor) -> Tensor:
        """For each row, the mean cross-entropy of its scored tokens; [..., R] (nats). ``logits``: [..., N, V]."""
        targets = self.targets.expand(logits.shape[:-1])
        nats = F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none").view(targets.shape)
        return self._sums(nats) / self._sums(torch.ones_like(nats)).clamp(min=1)

    def _sums(self, values: Tensor) -> Tensor:  # [..., N] -> [..., R]
        sums = values.new_zeros(*values.shape[:-1], len(self.rows))
        return sums.scatter_add_(-1, self.row.expand_as(values), values)


def scored_ends(batch: Batch) -> Tensor:
    """For each row, the number of tokens that must be read to predict its last scored token, [B]."""
    return (batch.scored * torch.arange(batch.scored.shape[1], device=batch.scored.device)).amax(dim=1)


def passes(batch: Batch, ends: Tensor, tokens: int) -> list[Pass]:
    """Passes of all rows of ``batch`` with at most ``tokens`` tokens each, or one row. Of row i, ``ends[i]`` tokens are
    read.

    Rows of similar length share a pass; the longest rows come first.
    """
    order, found = ends.argsort(descending=True, stable=True), []
    while len(order):
        width = max(1, int(ends[order[0]]))
        rows, order = order.tensor_split([max(1, tokens // width)])
        row, position = batch.scored[rows, 1 : width + 1].nonzero(as_tuple=True)
        read = batch.tokens[rows, : width + 1]
        found.append(Pass(rows, read[:, :width], row, position, read[row, position + 1]))
    return found


def passes_in_order(batch: Batch, tokens: int) -> list[Pass]:
    """Passes of all rows of ``batch`` in their order, with at most ``tokens`` tokens each, or one row. Of each row, all
    tokens but the last, which predicts nothing, are read."""
    width = batch.tokens.shape[1] - 1
    return passes(batch, torch.full((len(batch),), width, device=batch.tokens.device), tokens)
