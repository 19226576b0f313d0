"""Learned biases, FIRE (Li et al. 2023, Functional Interpolation for Relative Positions, arXiv 2310.04418).

The bias of query i and key j is MLP(psi(i - j) / psi(max(L, i))) with psi(x) = log(c x + 1): a learned function of the
distance as a share of the distances that are possible at i. c, the threshold L and the MLP are learned.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lgt.core.config import ModelConfig
from lgt.model.positions.base import Encoding

HIDDEN = 32  # inner width of the MLP, as in the paper
INITIAL_C, INITIAL_THRESHOLD = 0.1, 512.0  # as in the authors' code
EPSILON = 1e-6


class Fire(Encoding):
    """Adds a learned function of query and key positions to the scores, one number for each head.

    One MLP gives the biases of all layers, because a decoder makes one encoding for all of them (the paper's shared
    variant). The parameters are c [1], the factor of the initial threshold [1], and an MLP 1 -> 32 -> H with ReLU. The
    threshold is learned through a factor, as in the authors' code, because a step of an optimizer would hardly change
    a number of this size. The MLP's second layer has no bias: a constant for all keys does not change a softmax.
    """

    name, title = "fire", "FIRE"

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.c = nn.Parameter(torch.tensor([INITIAL_C]))
        self.threshold = nn.Parameter(torch.ones(1))
        self.hidden = nn.Linear(1, HIDDEN)
        self.output = nn.Linear(HIDDEN, config.heads, bias=False)

    def bias(self, positions: Tensor) -> Tensor:
        """[H, T, T] for positions [T], [B, H, T, T] for positions [B, T]."""
        query, key = positions[..., :, None].float(), positions[..., None, :].float()
        farthest = torch.maximum(query, (self.threshold * INITIAL_THRESHOLD).abs())  # [T, 1] or [B, T, 1]
        share = self.psi(query - key) / (self.psi(farthest) + EPSILON)  # [T, T] or [B, T, T]
        return self.output(torch.relu(self.hidden(share[..., None]))).movedim(-1, -3)  # type: ignore[no-any-return]

    def psi(self, distance: Tensor) -> Tensor:
        """log(|c x| + 1) of distances x, of any shape."""
        return (self.c * distance).abs().log1p()
