"""A batch of token sequences as tensors, the input of a network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lgt.tasks.base import Examples


@dataclass(frozen=True)
class Batch:
    """Token ids [B, T] (int64, padded on the right) and which of them are scored answer tokens [B, T] (bool).

    ``present`` [B, T] (bool) marks real tokens, ``prompt_length`` [B] counts the tokens before the answer.
    ``drawn`` [B, H] (bool) marks the heads that are drawn for each sequence; ``None`` if none are (``model.parts``).
    """

    tokens: Tensor
    scored: Tensor
    present: Tensor
    prompt_length: Tensor
    drawn: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """The same batch on ``device``."""
        drawn = None if self.drawn is None else self.drawn.to(device)
        moved = Batch(*(t.to(device) for t in (self.tokens, self.scored, self.present, self.prompt_length)))
        return replace(moved, drawn=drawn)

    def __len__(self) -> int:
        return self.tokens.shape[0]


def as_batch(examples: Examples) -> Batch:
    """Tensors of ``examples``, padded to the longest sequence among them."""
    width = int(examples.total_length.max(initial=0))
    positions = np.arange(width)
    return Batch(
        torch.from_numpy(np.ascontiguousarray(examples.tokens[:, :width])),
        torch.from_numpy(np.ascontiguousarray(examples.scored[:, :width])),
        torch.from_numpy(positions[None, :] < examples.total_length[:, None]),
        torch.from_numpy(examples.prompt_length),
    )
