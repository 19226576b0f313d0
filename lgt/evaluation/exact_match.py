"""Exact match per (task, length), decided by one teacher-forced pass.

The greedy answer equals the reference exactly when the argmax is right at every scored position given the reference
prefix: if it is, greedy decoding writes the reference token by token; if not, it leaves the reference at the first
wrong position. :func:`greedy_answers` is the slow way, kept for the test of this equivalence.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lgt.core.config import RunConfig
from lgt.core.records import AccuracyRow
from lgt.evaluation.forward import logits_of
from lgt.evaluation.parallel import parallel_map
from lgt.evaluation.passes import Pass, evaluating, has_edits, passes, scored_ends, tokens_per_pass
from lgt.evaluation.test_sets import test_set
from lgt.model.batch import Batch
from lgt.model.decoder import Decoder
from lgt.tasks import evaluation_lengths, task_named


def answer_scores(model: Decoder, batch: Batch) -> tuple[Tensor, Tensor]:
    """Per example of ``batch``: exact match [B] (bool) and mean cross-entropy over its scored tokens [B] (nats)."""
    device, ends = batch.tokens.device, scored_ends(batch)
    tokens = tokens_per_pass(device)
    if has_edits(model):  # an edit may be meant for all rows, in order, at all positions
        ends, tokens = torch.full_like(ends, batch.tokens.shape[1] - 1), batch.tokens.numel()
    matches, losses = torch.ones(len(batch), dtype=torch.bool, device=device), torch.zeros(len(batch), device=device)

    def score(part: Pass) -> None:
        logits = logits_of(model, part)
        matches[part.rows], losses[part.rows] = part.matches(logits), part.losses(logits)

    with evaluating(model):
        parallel_map(score, passes(batch, ends, tokens), device)
    return matches, losses


def accuracy_rows(model: Decoder, config: RunConfig, examples: int) -> list[AccuracyRow]:
    """Counts for every task of the run at every evaluated length, ``examples`` test prompts each (or all there are)."""
    device = next(model.parameters()).device
    cells = [(s.task, length) for s in config.tasks for length in evaluation_lengths(task_named(s.task), config)]
    drawn = [(cell, test_set(config, *cell, examples)) for cell in cells]
    filled = [(cell, batch) for cell, batch in drawn if len(batch)]  # a tiny task may have no test prompt of a length
    batches = [batch for _, batch in filled]

    def correct(batch: Batch) -> int:
        return int(answer_scores(model, batch.to(device))[0].sum())

    with evaluating(model):
        counts = parallel_map(correct, batches, device)
    return [AccuracyRow(*cell, count, len(batch)) for (cell, batch), count in zip(filled, counts, strict=True)]


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
