"""The base class of positional encodings: the ways in which an encoding can change attention.

Shapes: B sequences, T tokens, H heads, dh channels per head.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from lgt.core.config import ModelConfig


class Encoding(nn.Module):
    """A positional encoding. This base class gives attention no information about positions.

    A decoder makes one encoding for all of its layers. A subclass sets ``name`` (the value of ``model.position``) and
    ``title``, and overrides one or both of:

    - :meth:`prepare` and :meth:`turn`, to change queries and keys;
    - :meth:`bias`, to add a number to every attention score.

    It may have its own parameters, which are trained together with the decoder's. Positions are [T], or [B, T] if each
    sequence has its own positions.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config

    def prepare(self, positions: Tensor) -> tuple[Tensor, ...] | None:
        """The tensors that :meth:`turn` needs for ``positions``, computed once per pass. ``None``: it is not called."""
        return None

    @staticmethod
    def turn(x: Tensor, *prepared: Tensor) -> Tensor:
        """Queries or keys x [B, H, T, dh], changed for the computation of the scores; same shape."""
        return x

    def bias(self, positions: Tensor) -> Tensor | None:
        """Values that are added to the scores before the softmax, [H, T, T] or [B, H, T, T] (query, key), or ``None``.

        Entries for keys after the query do not matter: the causal mask is added as well.
        """
        return None
