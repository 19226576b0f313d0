"""Exact match per (task, length), computed with one teacher-forced pass.

The greedy answer equals the reference if and only if the argmax is right at every scored position, given the reference
prefix. If it is right everywhere, greedy decoding writes the reference token by token. Otherwise greedy decoding
differs from the reference at the first wrong position. A test compares this with greedy decoding.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lgt.core.config import RunConfig
from lgt.core.records import AccuracyRow
from lgt.evaluation import reference
from lgt.evaluation.forward import for_each, logits_of, supports
from lgt.evaluation.parallel import parallel_map
from lgt.evaluation.passes import Pass, evaluating, passes, scored_ends, tokens_per_pass
from lgt.evaluation.test_sets import test_set
from lgt.fused import answers as compiled
from lgt.model.batch import Batch
from lgt.model.network import Network
from lgt.tasks import evaluation_lengths, task_named


def answer_scores(network: Network, batch: Batch) -> tuple[Tensor, Tensor]:
    """Per example of ``batch``: exact match [B] (bool) and mean cross-entropy over its scored tokens [B] (nats).

    Edits at hook points of ``network`` stay active.
    """
    if not supports(network):
        return reference.answer_scores(network, batch)
    model, device = network, batch.tokens.device
    matches, losses = torch.ones(len(batch), dtype=torch.bool, device=device), torch.zeros(len(batch), device=device)

    def score(part: Pass) -> None:
        logits = logits_of(model, part)
        matches[part.rows], losses[part.rows] = part.matches(logits), part.losses(logits)

    with evaluating(model):
        parallel_map(score, passes(batch, scored_ends(batch), tokens_per_pass(device)), device)
    return matches, losses


def scores_of(network: Network) -> Callable[[Network, Batch], tuple[Tensor, Tensor]]:
    """The fastest function that computes what :func:`answer_scores` computes for ``network``. It may compile code."""
    return compiled.answer_scores if compiled.supports(network) else answer_scores  # type: ignore[return-value]


def accuracy_rows(network: Network, config: RunConfig, examples: int) -> list[AccuracyRow]:
    """Counts for every task of the run at every evaluated length, ``examples`` test prompts each (or all there are)."""
    device = network.device
    cells = [(s.task, length) for s in config.tasks for length in evaluation_lengths(task_named(s.task), config)]
    drawn = [(cell, test_set(config, *cell, examples)) for cell in cells]
    filled = [(cell, batch) for cell, batch in drawn if len(batch)]  # a task may have no test prompt of a short length
    batches = [batch for _, batch in filled]

    scores = scores_of(network)

    def correct(batch: Batch) -> int:
        return int(scores(network, batch.to(device))[0].sum())

    with evaluating(network):
        counts = for_each(network, correct, batches)
    return [AccuracyRow(*cell, count, len(batch)) for (cell, batch), count in zip(filled, counts, strict=True)]
