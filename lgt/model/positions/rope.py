"""Rotary positions (Su et al. 2021): queries and keys are rotated by an angle proportional to their position."""

from __future__ import annotations

import torch
from torch import Tensor

from lgt.model.positions.base import Encoding


class Rope(Encoding):
    """Rotates each channel pair (i, i + dh/2) of a head. The angle is position * ``rope_theta`` ** (-2i / dh)."""

    name, title = "rope", "rotary"

    def prepare(self, positions: Tensor) -> tuple[Tensor, ...]:
        """Cosines and sines, [T, dh] each, or [B, 1, T, dh] if each sequence has its own positions."""
        where = positions if positions.ndim == 1 else positions[:, None]
        return rotary_angles(where, self.config.head_width, self.config.rope_theta)

    @staticmethod
    def turn(x: Tensor, *prepared: Tensor) -> Tensor:
        """x [B, H, T, dh] rotated by the prepared angles."""
        return rotate(x, *prepared)


def rotary_angles(positions: Tensor, head_width: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines [..., dh] of positions [...]. They are float32, because bfloat16 rounds neighbouring positions
    above 256 to the same number."""
    exponents = torch.arange(0, head_width, 2, device=positions.device, dtype=torch.float32) / head_width
    angles = positions.float()[..., None] * theta**-exponents  # [..., dh / 2]
    angles = torch.cat((angles, angles), dim=-1)  # [..., dh]
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotate channel pairs (i, i + dh/2) of x [B, H, T, dh] by the angles [T, dh] or [B, 1, T, dh]."""
    first, second = x.chunk(2, dim=-1)
    return x * cosines + torch.cat((-second, first), dim=-1) * sines
