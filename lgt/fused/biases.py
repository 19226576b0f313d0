"""The biases that a positional encoding adds to the attention scores, for the compiled code of the fused step.

PyTorch computes the table of biases before the compiled code runs. If the encoding has parameters, the compiled code
returns the gradient of the table, summed over sequences and layers, and autograd continues from there to the
parameters. Both use one thread, because results must not depend on the number of threads.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lgt.model.cores import one_core
from lgt.model.positions import Encoding


def table_of(encoding: Encoding, heads: int, length: int) -> Tensor | None:
    """The biases of ``encoding`` for the positions 0 to ``length`` - 1, [H, T, T] (query, key, float32), or None."""
    with one_core():
        found = encoding.bias(torch.arange(length))
        return None if found is None else found.float().expand(heads, length, length).contiguous()


class Biases:
    """The biases of ``encoding`` for ``heads`` heads. ``gradient``: the flat gradient of the decoder, of which the
    encoding's parameters are the end."""

    def __init__(self, encoding: Encoding, heads: int, gradient: Tensor) -> None:
        self.encoding, self.heads = encoding, heads
        own = list(encoding.parameters())
        sizes = [parameter.numel() for parameter in own]
        pieces = torch.split(gradient[len(gradient) - sum(sizes) :], sizes)
        pairs = zip(own, pieces, strict=True)
        self.learned = [(parameter, piece) for parameter, piece in pairs if parameter.requires_grad]

    def table(self, length: int) -> tuple[Tensor | None, Tensor | None]:
        """The biases of the positions 0 to ``length`` - 1, [H, T, T] (query, key), and an uninitialised tensor of that
        shape for their gradient. The first is None without biases, the second if nothing about them is learned."""
        table = table_of(self.encoding, self.heads, length)
        return table, torch.empty_like(table) if table is not None and table.requires_grad else None

    def write_gradient(self, table: Tensor, table_gradient: Tensor) -> None:
        """Write the gradient of the encoding's parameters, from that of ``table`` [H, T, T]."""
        with one_core():
            found = torch.autograd.grad(
                table, [parameter for parameter, _ in self.learned], table_gradient, allow_unused=True
            )
        for (_, piece), value in zip(self.learned, found, strict=True):
            piece.copy_(torch.zeros_like(piece) if value is None else value.reshape(-1))
