"""Slow, separate ways to the same numbers, which the tests compare the package with."""

from __future__ import annotations

import torch
from torch import Tensor

from lgt.evaluation.passes import evaluating
from lgt.model.batch import Batch
from lgt.model.decoder import Decoder
from lgt.model.hooks import Edit


def replace_head(head: int, replacement: Tensor) -> Edit:
    """An edit for head outputs [B, H, T, dh]: ``replacement`` ([T, dh] or [B, T, dh]) instead of one head."""

    def edit(value: Tensor) -> Tensor:
        value = value.clone()
        value[:, head] = replacement.to(value.dtype)
        return value

    return edit


def greedy_answers(model: Decoder, batch: Batch) -> Tensor:
    """Tokens [B, T] in which every scored position was chosen greedily, one token a pass, from the tokens before it.

    Positions that are not scored (the prompt, and the queries of ``mqar``) are given.
    """
    tokens = torch.where(batch.scored, torch.zeros_like(batch.tokens), batch.tokens)
    with evaluating(model):
        for position in range(1, tokens.shape[1]):
            wanted = batch.scored[:, position]
            if wanted.any():
                best = model(tokens[:, :position])[:, -1].argmax(-1)
                tokens[:, position] = torch.where(wanted, best, tokens[:, position])
    return tokens
