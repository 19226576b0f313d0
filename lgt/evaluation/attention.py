"""Attention-matrix difference of two tasks whose prompts and answers occupy the same positions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lgt.core.config import RunConfig
from lgt.core.records import AttentionDifferenceRow
from lgt.evaluation import reference
from lgt.evaluation.forward import (
    attended,
    factors_of,
    fed_forward,
    for_each,
    mask_of,
    mixed,
    normed,
    patterns_of,
    supports,
)
from lgt.evaluation.passes import evaluating, passes_in_order, tokens_per_pass
from lgt.evaluation.test_sets import test_set
from lgt.model.batch import Batch
from lgt.model.decoder import Decoder
from lgt.model.network import Network, ensure_no_edits


def mean_patterns(network: Network, batch: Batch) -> Tensor:
    """Attention patterns averaged over the batch, [layers, H, T, T], without the last token, which predicts nothing.
    For a layer that is applied several times, the mean over its uses. Raises RuntimeError if a hook point has edits."""
    ensure_no_edits(network)
    return fast_patterns(network, batch) if supports(network) else reference.mean_patterns(network, batch)


def fast_patterns(model: Decoder, batch: Batch) -> Tensor:
    """:func:`mean_patterns` of a supported decoder."""
    device, blocks = batch.tokens.device, model.blocks()
    length = batch.tokens.shape[1] - 1
    total = torch.zeros(len(blocks), model.config.heads, length, length, device=device)
    with evaluating(model):
        mask = mask_of(model, length)
        for part in passes_in_order(batch, tokens_per_pass(device)):
            residual, factors = F.embedding(part.tokens, model.embedding.weight), factors_of(model, part)
            for layer, sums in zip(blocks, total, strict=True):
                x = normed(residual, layer.attention_norm.gain)
                patterns = patterns_of(layer.attention, x, mask)
                sums += patterns.sum(0)
                if layer is not blocks[-1]:
                    heads = mixed(layer.attention, patterns, x, factors.heads)
                    residual = fed_forward(layer, attended(layer, residual, heads), factors.channels)
    return total / len(batch)


def aligned(batch: Batch) -> Batch:
    """The examples of ``batch`` (at least one) that have its most frequent layout of prompt and answer, without
    padding."""
    layout = torch.cat((batch.prompt_length[:, None], batch.present.sum(1, keepdim=True), batch.scored.long()), dim=1)
    _, kind, counts = torch.unique(layout, dim=0, return_inverse=True, return_counts=True)
    rows = kind == counts.argmax()
    end = int(batch.present[rows][0].sum())
    return Batch(
        batch.tokens[rows, :end], batch.scored[rows, :end], batch.present[rows, :end], batch.prompt_length[rows]
    )


def comparable(a: Batch, b: Batch) -> bool:
    """Whether prompts and answers of both batches occupy the same positions in every example."""
    layouts = []
    for batch in (a, b):
        layout = torch.cat((batch.prompt_length[:, None], batch.present.sum(1, keepdim=True)), dim=1)
        if not len(batch) or (layout != layout[0]).any() or (batch.scored != batch.scored[0]).any():
            return False
        layouts.append((layout[0], batch.scored[0]))
    (layout_a, scored_a), (layout_b, scored_b) = layouts
    return bool(torch.equal(layout_a, layout_b) and torch.equal(scored_a, scored_b))


def attention_difference_rows(
    network: Network, config: RunConfig, lengths: list[int]
) -> list[AttentionDifferenceRow]:  # fmt: skip
    """Differences of the main task and each other task at each length. Pairs that are not comparable give no row."""
    device, count, main = network.device, config.evaluation.attribution_examples, config.main.task
    sets = {(s.task, length): test_set(config, s.task, length, count) for s in config.tasks for length in lengths}
    pairs = [(s.task, n) for s in config.auxiliaries for n in lengths if comparable(sets[main, n], sets[s.task, n])]
    needed = list(dict.fromkeys([(main, length) for _, length in pairs] + pairs))
    with evaluating(network):
        patterns = for_each(network, lambda cell: mean_patterns(network, sets[cell].to(device)), needed)
    found = dict(zip(needed, patterns, strict=True))
    return [
        AttentionDifferenceRow(main, task, length, layer, head, value)
        for task, length in pairs
        for layer, heads in enumerate(pattern_difference(found[main, length], found[task, length]).tolist())
        for head, value in enumerate(heads)
    ]


def pattern_difference(a: Tensor, b: Tensor) -> Tensor:
    """For each head, the sum over entries of |P_a - P_b|, [layers, H]. The patterns a and b are [layers, H, T, T]."""
    return (a - b).abs().sum(dim=(-2, -1))
