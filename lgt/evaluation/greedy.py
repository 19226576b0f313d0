"""The greedy answers of a network to many prompts at once.

The predictions of one pass are the greedy answer up to the first token that differs from what the network reads. So the
first pass reads the true answers. Every row takes over its predictions from its first difference on, and is read again
until nothing differs. After k passes at least k tokens of an answer are final, usually many more; a right answer needs
one pass. The result is that of :func:`lgt.evaluation.generation.answer`, which writes one token at a time (tested).

Shapes: B examples, T positions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lgt.evaluation.forward import for_each, logits_of, supports
from lgt.evaluation.passes import Pass, evaluating, passes, scored_ends, tokens_per_pass
from lgt.model.batch import Batch
from lgt.model.network import Network
from lgt.tasks.vocabulary import EOS


def greedy_answers(network: Network, batch: Batch) -> list[tuple[int, ...]]:
    """What ``network`` writes after each prompt of ``batch`` if it always takes the most probable token.

    An answer ends with the end token, or when it has as many tokens as the true answer. Tokens that are part of the
    question (the queries of ``mqar``) are given, and there the end token ends nothing. Edits at hook points stay
    active.
    """
    if not len(batch):
        return []
    batch = batch.to(network.device)
    ends = scored_ends(batch)
    place = torch.arange(batch.tokens.shape[1], device=network.device)
    asked = (place >= batch.prompt_length[:, None]) & (place <= ends[:, None])
    questions = (asked & ~batch.scored).any(dim=1, keepdim=True)
    written, rows = batch.tokens.clone(), torch.arange(len(batch), device=network.device)
    with evaluating(network):
        for _ in range(int(asked.sum(1).amax())):  # each time at least one token more is final
            best = _predicted(network, _part(batch, written, rows))
            over = _after_end(written[rows] == EOS, asked[rows] & ~questions[rows])
            wrong = (best != written[rows]) & ~over
            first = torch.where(wrong, place, len(place)).amin(dim=1, keepdim=True)
            written[rows] = torch.where(place >= first, best, written[rows])
            rows = rows[wrong.any(dim=1)]
            if not len(rows):
                break
    kept = asked & ~_after_end(written == EOS, asked & ~questions)
    return [tuple(row[mask].tolist()) for row, mask in zip(written.cpu(), kept.cpu(), strict=True)]


def _part(batch: Batch, written: Tensor, rows: Tensor) -> Batch:
    """The ``rows`` of ``batch``, with the tokens that are ``written`` now."""
    return Batch(written[rows], batch.scored[rows], batch.present[rows], batch.prompt_length[rows])


def _after_end(ends: Tensor, counts: Tensor) -> Tensor:
    """Which places [B, T] (bool) lie after the first end token. ``ends``: where end tokens are, ``counts``: where they
    end an answer, both [B, T]."""
    found = (ends & counts).long()
    return found.cumsum(1) > found


def _predicted(network: Network, batch: Batch) -> Tensor:
    """The most probable token [B, T] at every scored place, given the tokens of ``batch`` before it; at all other
    places the token of ``batch``."""
    best = batch.tokens.clone()
    fast = network if supports(network) else None

    def fill(part: Pass) -> None:
        logits = logits_of(fast, part) if fast else network.logits(part.at_scored(network.residual(part.tokens)))
        best[part.rows[part.row], part.position + 1] = logits.argmax(-1)

    for_each(network, fill, passes(batch, scored_ends(batch), tokens_per_pass(batch.tokens.device)))
    return best
