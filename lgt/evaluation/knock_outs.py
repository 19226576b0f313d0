"""Knock-outs: how much worse a task gets when the outputs of several heads are replaced by their averages.

A knocked-out head is mean-ablated as in :mod:`lgt.evaluation.ablation`: its output before the output projection is
its mean over the batch at the same position, at every position. With several heads, each head gets its mean in the
unablated model [D], so that it does not depend on which other heads are knocked out. For a single head the drop in
exact match equals the entry of the ablation map for the same batch (tested).

Shapes as in :mod:`lgt.evaluation.forward`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import comb, prod

import numpy as np
from torch import Tensor

from lgt.core.config import RunConfig
from lgt.core.records import Head
from lgt.evaluation import reference
from lgt.evaluation.ablation import clean_pass
from lgt.evaluation.forward import attended, factors_of, fed_forward, for_each, heads_of, mask_of, supports
from lgt.evaluation.head_replacement import with_means
from lgt.evaluation.passes import Pass, evaluating, passes, scored_ends, tokens_per_pass
from lgt.evaluation.test_sets import test_set
from lgt.model.batch import Batch
from lgt.model.decoder import Decoder
from lgt.model.network import Network, ensure_no_edits

Heads = tuple[Head, ...]
Clean = list[tuple[list[Tensor], list[Tensor], Tensor]]
"""Everything that :func:`lgt.evaluation.ablation.clean_pass` yields, one entry per layer."""


@dataclass(frozen=True)
class KnockOut:
    """Exact-match counts of a task at a length without ``heads``. Without any heads, those of the unchanged model."""

    task: str
    length: int
    heads: Heads
    correct: int
    total: int


def knock_outs(
    network: Network, config: RunConfig, cells: Sequence[tuple[str, int]], choices: Sequence[Heads], prompts: int
) -> list[KnockOut]:
    """The counts for every (task, length) of ``cells`` and every choice of heads, on the first ``prompts`` prompts of
    the test set, or on all if there are fewer. A cell without test prompts gives no row.

    Raises ValueError for a head that the network does not have, and RuntimeError if one of its hook points has
    edits.
    """
    device = network.device
    sets = [(cell, test_set(config, *cell, prompts)) for cell in cells]
    filled = [(cell, batch.to(device)) for cell, batch in sets if len(batch)]
    with evaluating(network):
        counts = for_each(network, lambda pair: correct_without(network, pair[1], choices), filled)
    return [
        KnockOut(*cell, heads, correct, len(batch))
        for (cell, batch), found in zip(filled, counts, strict=True)
        for heads, correct in zip(choices, found, strict=True)
    ]


def correct_without(network: Network, batch: Batch, choices: Sequence[Collection[Head]]) -> list[int]:
    """Number of examples of ``batch`` that are answered exactly, for each choice of heads to knock out."""
    ensure_no_edits(network)
    for head in {head for choice in choices for head in choice}:
        if not (0 <= head[0] < network.layer_count and 0 <= head[1] < network.head_count):
            accepted = f"layers 0 to {network.layer_count - 1}, heads 0 to {network.head_count - 1}"
            raise ValueError(f"head {head} is not accepted; accepted: {accepted}")
    if supports(network):
        return fast_counts(network, batch, choices)
    return reference.correct_without(network, batch, choices)


def fast_counts(model: Decoder, batch: Batch, choices: Sequence[Collection[Head]]) -> list[int]:
    """:func:`correct_without` of a supported decoder."""
    ends = batch.present.sum(1).clamp(max=scored_ends(batch).max())  # no scored prediction depends on later tokens
    parts = passes(batch, ends, tokens_per_pass(batch.tokens.device))
    with evaluating(model):
        clean = list(clean_pass(model, parts, batch.present))
        return [
            sum(int(part.matches(logits_without(model, i, part, clean, choice)).sum()) for i, part in enumerate(parts))
            for choice in choices
        ]


def logits_without(model: Decoder, number: int, part: Pass, clean: Clean, choice: Collection[Head]) -> Tensor:
    """Logits [N, V] of the scored predictions of pass ``number`` with the heads of ``choice`` replaced by their means.

    The layers before the first such head are not computed again, because ``clean`` has their results.
    """
    first = min((layer for layer, _ in choice), default=len(clean) - 1)
    residual, factors = clean[first][0][number], factors_of(model, part)
    mask = mask_of(model, residual.shape[-2])
    for depth, layer in list(enumerate(model.blocks()))[first:]:
        given, means = clean[depth][1][number], clean[depth][2]  # [R, T', W], [T' or more, W]
        start = residual.shape[-2] - given.shape[-2]
        heads = given if depth == first else heads_of(layer, residual, mask, factors.heads, start)
        own = [head for at, head in choice if at == depth]
        if own:
            heads = with_means(heads, means[: heads.shape[-2]], own, model.config.heads)
        last = depth == len(clean) - 1
        if last:
            residual, heads = part.at_scored(residual), part.at_scored(heads)  # [N, W]
        channels = factors.scored_channels if last else factors.channels
        residual = fed_forward(layer, attended(layer, residual, heads), channels)
    return model.logits(residual)


def matched_choices(chosen: Collection[Head], heads: int, most: int, rng: np.random.Generator) -> list[Heads]:
    """Different other choices with as many heads in each layer as ``chosen``; a layer has ``heads`` heads.

    All such choices if there are at most ``most`` of them, else ``most`` random ones. Each layer keeps its number of
    heads, because ablating heads of the first layer makes every task worse.

    >>> matched_choices([(0, 1)], 3, 10, np.random.default_rng(0))
    [((0, 0),), ((0, 2),)]
    """
    own = tuple(sorted(chosen))
    counts = {layer: sum(head[0] == layer for head in own) for layer in sorted({head[0] for head in own})}
    if prod(comb(heads, count) for count in counts.values()) - 1 <= most:
        by_layer = [
            [tuple((layer, h) for h in c) for c in combinations(range(heads), n)] for layer, n in counts.items()
        ]
        every = [sum(parts, ()) for parts in product(*by_layer)]
        return [choice for choice in every if choice != own]
    found: dict[Heads, None] = {}
    while len(found) < most:
        drawn = tuple(
            (layer, int(head)) for layer, n in counts.items() for head in sorted(rng.choice(heads, n, replace=False))
        )
        if drawn != own:
            found[drawn] = None
    return list(found)
