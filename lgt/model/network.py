"""The interface of a network that evaluation and the playground use.

Exact match, ablation maps, attention patterns, knock-outs and live answers depend on :class:`Network`.
:class:`lgt.model.decoder.Decoder` implements it. A network of another kind needs only these members.

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
        """The device of the weights, on which tokens must be."""

    def residual(self, tokens: Tensor) -> Tensor:
        """Final residual stream [B, T, W] for tokens [B, T]. The values at a position do not depend on later tokens.
        (Only the second token, the task's tag, may decide what is used at the first; see :mod:`lgt.model.parts`.)"""

    def logits(self, residual: Tensor) -> Tensor:
        """Next-token logits [..., V] (float32) of a final residual stream [..., W]."""

    def pattern_hook(self, layer: int) -> HookPoint:
        """The hook point of a layer's attention patterns [B, H, T, T], called once per use; rows sum to 1."""

    def head_hook(self, layer: int) -> HookPoint:
        """The hook point of a layer's head outputs [B, H, T, dh] before the projection, called once per use."""

    def float32(self) -> AbstractContextManager[None]:
        """Inside the block the network computes in float32."""


def has_edits(network: Network) -> bool:
    """Whether any hook point of ``network`` has an edit."""
    return any(hook.edits for _, hook in _hooks(network))


def ensure_no_edits(network: Network) -> None:
    """Raise RuntimeError if a hook point of ``network`` has an edit. That is a bug in the code, not a user error."""
    left = [name for name, hook in _hooks(network) if hook.edits]
    if left:
        raise RuntimeError("hook points still edited: " + ", ".join(left))


def _hooks(network: Network) -> Iterator[tuple[str, HookPoint]]:
    for layer in range(network.layer_count):
        yield f"pattern of layer {layer}", network.pattern_hook(layer)
        yield f"head outputs of layer {layer}", network.head_hook(layer)
