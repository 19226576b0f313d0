"""Linear biases, ALiBi (Press et al. 2021, arXiv 2108.12409): scores fall linearly with the distance."""

from __future__ import annotations

import torch
from torch import Tensor

from lgt.model.positions.base import Encoding


class Alibi(Encoding):
    """Adds -slope * (query position - key position) to a score. Each head has its own slope, see :func:`slopes`.

    It has no parameters.
    """

    name, title = "alibi", "ALiBi"

    def bias(self, positions: Tensor) -> Tensor:
        """[H, T, T] for positions [T], [B, H, T, T] for positions [B, T]."""
        distance = (positions[..., :, None] - positions[..., None, :]).float()  # [T, T] or [B, T, T]
        return -slopes(self.config.heads, positions.device)[:, None, None] * distance[..., None, :, :]


def slopes(heads: int, device: torch.device | None = None) -> Tensor:
    """The slopes of ``heads`` heads, [heads].

    For a power of two they are 2^(-8/H), 2^(-16/H), ..., 2^(-8). For another number the authors' code takes the slopes
    of the next smaller power n, and then every second one of those of 2n, from the first on.

    >>> slopes(4).tolist(), slopes(3).tolist()
    ([0.25, 0.0625, 0.015625, 0.00390625], [0.0625, 0.00390625, 0.25])
    """
    power = 1 << heads.bit_length() - 1  # the largest power of two that is at most `heads`
    own = 2.0 ** (torch.arange(1, power + 1, device=device) * (-8 / power))
    further = 2.0 ** (torch.arange(1, 2 * power + 1, 2, device=device) * (-4 / power))
    return torch.cat((own, further[: heads - power]))
