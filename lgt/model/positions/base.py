"""What a positional encoding may do to a decoder's attention.

Shapes: B sequences, T tokens, H heads, dh channels per head.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from lgt.core.config import ModelConfig


class Encoding(nn.Module):
    """A positional encoding; this base class tells attention nothing about positions.

    A decoder makes one for all of its layers. A subclass sets ``name`` (the value of ``model.position``) and ``title``,
    and overrides one or both of:

    - :meth:`prepare` and :meth:`turn`, to change queries and keys;
    - :meth:`bias`, to add a number to every attention score.

    It may have parameters of its own, which are trained with the decoder's. Positions are [T], or [B, T] where each
    sequence has its own.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config

    def prepare(self, positions: Tensor) -> tuple[Tensor, ...] | None:
        """What :meth:`turn` needs for these positions, computed once per pass; ``None``: it is not called."""
        return None

    @staticmethod
    def turn(x: Tensor, *prepared: Tensor) -> Tensor:
        """Queries or keys x [B, H, T, dh] as they enter the scores, same shape."""
        return x

    def bias(self, positions: Tensor) -> Tensor | None:
        """What is added to the scores before the softmax, [H, T, T] or [B, H, T, T] (query, key); ``None``: nothing.

        Entries for keys after the query do not matter: the causal mask is added as well.
        """
        return None
