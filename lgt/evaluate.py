"""Exact match per (task, length), decided by one teacher-forced pass.

The greedy answer equals the reference exactly when the argmax is right at every scored position given the reference
prefix: if it is, greedy decoding writes the reference token by token; if not, it leaves the reference at the first
wrong position. ``greedy_answers`` is the slow way, kept for the test of this equivalence and for looking at answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from lgt.batches import Batch, test_set
from lgt.config import RunConfig
from lgt.model import Decoder
from lgt.records import AccuracyRow
from lgt.tasks import evaluation_lengths, task_named

TOKENS_PER_PASS = 32_768


@contextmanager
def evaluating(model: Decoder) -> Iterator[None]:
    """Float32 activations and no gradients inside the block."""
    before = model.compute
    model.compute = torch.float32
    try:
        with torch.inference_mode():
            yield
    finally:
        model.compute = before


def answer_scores(model: Decoder, batch: Batch) -> tuple[Tensor, Tensor]:
    """Per example of ``batch``: exact match [B] (bool) and mean cross-entropy over its scored tokens [B] (nats)."""
    rows = max(1, TOKENS_PER_PASS // batch.tokens.shape[1])
    matches, losses = [], []
    for tokens, scored in zip(torch.split(batch.tokens, rows), torch.split(batch.scored, rows), strict=True):
        targets, mask = tokens[:, 1:], scored[:, 1:]
        residual = model.residual(tokens[:, :-1])[mask]  # [scored tokens, W]
        logits = model.logits(residual)  # [scored tokens, V]
        right = torch.ones_like(mask)
        right[mask] = logits.argmax(-1) == targets[mask]
        matches.append(right.all(dim=1))
        nats = torch.zeros(mask.shape, dtype=logits.dtype, device=logits.device)
        nats[mask] = torch.nn.functional.cross_entropy(logits, targets[mask], reduction="none")
        losses.append(nats.sum(1) / mask.sum(1).clamp(min=1))
    return torch.cat(matches), torch.cat(losses)


def accuracy_rows(model: Decoder, config: RunConfig, examples: int) -> list[AccuracyRow]:
    """Counts for every task of the run at every evaluated length, ``examples`` test prompts each (or all there are)."""
    device = next(model.parameters()).device
    rows = []
    with evaluating(model):
        for spec in config.tasks:
            for length in evaluation_lengths(task_named(spec.task), config):
                batch = test_set(config, spec.task, length, examples)
                if len(batch):
                    matches, _ = answer_scores(model, batch.to(device))
                    rows.append(AccuracyRow(spec.task, length, int(matches.sum()), len(batch)))
    return rows


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
