"""What evaluation and the playground may ask of a network, stated in shapes.

Exact match, ablation maps, attention patterns, knock-outs and live answers depend on :class:`Network`.
:class:`lgt.model.decoder.Decoder` is one; a network of another kind needs these members and nothing else.

Shapes: B sequences, T tokens, W width, H heads, dh channels per head, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor

from lgt.model.hooks import HookPoint


class Network(Protocol):
    """A causal decoder of token ids. A layer that is applied several times calls its hook points at each use."""

    @property
    def layer_count(self) -> int:
        """Number of layers that have weights of their own."""

    @property
    def head_count(self) -> int:
        """H, the number of heads in each layer."""

    @property
    def device(self) -> torch.device:
        """Where the weights are and the tokens have to be."""

    def residual(self, tokens: Tensor) -> Tensor:
        """Final residual stream [B, T, W] of tokens [B, T]; what stands at a position depends on no later token."""

    def logits(self, residual: Tensor) -> Tensor:
        """Next-token logits [..., V] (float32) of a final residual stream [..., W]."""

    def pattern_hook(self, layer: int) -> HookPoint:
        """Where the attention patterns [B, H, T, T] of a layer pass, once for each use of the layer; rows sum to 1."""

    def head_hook(self, layer: int) -> HookPoint:
        """Where the head outputs [B, H, T, dh] of a layer pass, once for each use, before the output projection."""

    def float32(self) -> AbstractContextManager[None]:
        """Inside the block the network computes in float32."""


def has_edits(network: Network) -> bool:
    """Whether any hook point of ``network`` has an edit."""
    return any(hook.edits for _, hook in _hooks(network))


def ensure_no_edits(network: Network) -> None:
    """Raise RuntimeError when any hook point of ``network`` has an edit (a bug, never a user's mistake)."""
    left = [name for name, hook in _hooks(network) if hook.edits]
    if left:
        raise RuntimeError("hook points still edited: " + ", ".join(left))


def _hooks(network: Network) -> Iterator[tuple[str, HookPoint]]:
    for layer in range(network.layer_count):
        yield f"pattern of layer {layer}", network.pattern_hook(layer)
        yield f"head outputs of layer {layer}", network.head_hook(layer)
