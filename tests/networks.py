"""Encodings, a schedule and a network that the package does not have, for tests of what it says about them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lgt.core.config import ModelConfig
from lgt.model.hooks import HookPoint
from lgt.model.positions import Encoding
from lgt.model.positions.fire import Fire
from lgt.model.schedules import Schedule


class Slopes(Encoding):
    """Scores fall with the distance, each head at its own rate (as in ALiBi, Press et al. 2022)."""

    name, title = "slopes", "falling with distance"

    def bias(self, positions: Tensor) -> Tensor:
        distance = positions[..., :, None] - positions[..., None, :]  # [T, T] or [B, T, T]
        rates = 0.5 ** torch.arange(1, self.config.heads + 1, device=positions.device)
        return -rates[:, None, None] * distance[..., None, :, :].float()


class Learned(Encoding):
    """A learned function of the distance, added to the scores, and a learned factor on queries and keys: parameters
    of one and of two dimensions, drawn by PyTorch's own rules."""

    name, title = "learned", "learned from distance"

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.hidden = nn.Linear(1, 5)
        self.rates = nn.Linear(5, config.heads, bias=False)  # a constant would not change a softmax
        self.factor = nn.Parameter(torch.rand(config.head_width) + 0.5)

    def prepare(self, positions: Tensor) -> tuple[Tensor, ...]:
        return (self.factor,)

    @staticmethod
    def turn(x: Tensor, *prepared: Tensor) -> Tensor:
        return x * prepared[0]

    def bias(self, positions: Tensor) -> Tensor:
        distance = (positions[..., :, None] - positions[..., None, :]).float().abs().log1p()
        return self.rates(torch.tanh(self.hidden(distance[..., None]))).movedim(-1, -3)


def spread(encoding: Encoding) -> None:
    """Give a FIRE encoding a threshold among the positions and hidden units that bend among the distances. A unit that
    is linear over all distances adds a constant to the scores of a query: its bias has no gradient but rounding."""
    if isinstance(encoding, Fire):
        bends = torch.linspace(0.05, 0.6, len(encoding.hidden.bias))
        with torch.no_grad():
            encoding.threshold.fill_(7.5 / 512)
            encoding.hidden.bias.copy_(-encoding.hidden.weight[:, 0] * bends)


BACK = Schedule("back", "forth and back", lambda layers: (*range(layers), *reversed(range(layers))))


class Averager(nn.Module):
    """A network that is no decoder: two layers of three heads that mix embeddings, without projections or norms."""

    layer_count, head_count = 2, 3

    def __init__(self, vocabulary: int, width: int = 12) -> None:
        super().__init__()
        source = torch.Generator().manual_seed(2)
        draw = lambda *shape: nn.Parameter(torch.randn(*shape, generator=source))  # noqa: E731
        self.embedding, self.scores, self.out = draw(vocabulary, width), draw(2, 3), draw(width, vocabulary)
        self.patterns, self.heads = ([HookPoint() for _ in range(2)] for _ in range(2))

    @property
    def device(self) -> torch.device:
        return self.out.device

    def residual(self, tokens: Tensor) -> Tensor:
        x = self.embedding[tokens]  # [B, T, W]
        mask = torch.full((tokens.shape[1],) * 2, float("-inf")).triu(1)
        for layer in range(2):
            values = x.view(*x.shape[:2], 3, -1).transpose(1, 2)  # [B, H, T, dh]
            scores = self.scores[layer].view(1, 3, 1, 1) * (values @ values.transpose(2, 3)) + mask
            pattern = self.patterns[layer](scores.softmax(-1))
            x = x + self.heads[layer](pattern @ values).transpose(1, 2).flatten(2)
        return x

    def logits(self, residual: Tensor) -> Tensor:
        return residual @ self.out

    def pattern_hook(self, layer: int) -> HookPoint:
        return self.patterns[layer]

    def head_hook(self, layer: int) -> HookPoint:
        return self.heads[layer]

    @contextmanager
    def float32(self) -> Iterator[None]:
        yield
