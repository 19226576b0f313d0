"""Mean-ablation maps: how much worse a task gets when the output of one head is replaced by its average.

Definition (after the paper's circuit analysis): for each head, replace its output before the output projection by its
mean over the evaluation batch at the same position, at every position. All examples of a batch have the same task
length, so their positions correspond. If answers have different lengths (mazes), the mean at a position is over the
examples that have a token at this position.

Shapes as in :mod:`lgt.evaluation.forward`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from lgt.core.config import RunConfig
from lgt.core.records import HeadScoreRow
from lgt.evaluation import reference
from lgt.evaluation.forward import (
    attended,
    factors_of,
    fed_forward,
    for_each,
    heads_of,
    logits_after,
    mask_of,
    supports,
)
from lgt.evaluation.head_replacement import each_head_replaced, position_means
from lgt.evaluation.passes import Pass, evaluating, passes, scored_ends, tokens_per_pass
from lgt.evaluation.reference import AblationMap
from lgt.evaluation.test_sets import test_set
from lgt.model.batch import Batch
from lgt.model.decoder import Decoder
from lgt.model.network import Network, ensure_no_edits


def ablation_map(network: Network, batch: Batch) -> AblationMap:
    """The map of one task at one length, over all examples of ``batch``. Raises RuntimeError if a hook point of
    ``network`` has edits."""
    ensure_no_edits(network)
    return fast_map(network, batch) if supports(network) else reference.ablation_map(network, batch)


def fast_map(model: Decoder, batch: Batch) -> AblationMap:
    """:func:`ablation_map` of a supported decoder, all heads of a layer at once.

    One unablated pass goes through the layers. Replacing a head changes nothing before its layer's output projection,
    so each variant starts there from the unablated pass's activations.
    """
    parts, ablated = _parts(model, batch), []
    with evaluating(model):
        for number, (residuals, heads, means) in enumerate(clean_pass(model, parts, batch.present)):
            steps = list(zip(parts, residuals, heads, strict=True))
            ablated.append(_scores(parts, (ablated_logits(model, number, *step, means) for step in steps)))
        match, loss = _scores(parts, (last_logits(model, *step) for step in steps))  # [B]
        matches, losses = (torch.stack(values) for values in zip(*ablated, strict=True))  # [layers, H, B]
        drop, rise = match.mean() - matches.mean(-1), (losses - loss).mean(-1)
    return AblationMap(drop.cpu(), rise.cpu(), len(batch))


def last_logits(model: Decoder, part: Pass, residual: Tensor, heads: Tensor) -> Tensor:
    """Logits [N, V] of a pass, from the input [R, T, W] of the last layer and the outputs [R, T', W] of its heads."""
    last, channels = model.blocks()[-1], factors_of(model, part).scored_channels
    return model.logits(fed_forward(last, part.at_scored(attended(last, residual, heads)), channels))


def clean_pass(
    model: Decoder, parts: list[Pass], present: Tensor
) -> Iterator[tuple[list[Tensor], list[Tensor], Tensor]]:
    """The activations of the unablated model, layer by layer. Yields for each layer the residual streams [R, T, W] at
    its input and the outputs [R, T', W] of its heads, both as a list with one entry per part, and the means [T', W] of
    the outputs. T' is T, but in the last layer it is the number of positions from the first scored prediction on."""
    *before, last = model.blocks()
    residuals = [F.embedding(part.tokens, model.embedding.weight) for part in parts]
    widths = [part.tokens.shape[1] for part in parts]
    mask_of_width = {width: mask_of(model, width) for width in set(widths)}  # parts of one width share it
    masks = [mask_of_width[width] for width in widths]
    factors = [factors_of(model, part) for part in parts]
    for layer in (*before, last):
        start = min(part.first() for part in parts) if layer is last else 0
        given = zip(residuals, masks, factors, strict=True)
        heads = [heads_of(layer, x, mask, used.heads, start) for x, mask, used in given]
        there = [present[part.rows, start : part.tokens.shape[1]] for part in parts]
        yield residuals, heads, position_means(heads, there)
        if layer is not last:
            streams = [attended(layer, x, given) for x, given in zip(residuals, heads, strict=True)]
            residuals = [fed_forward(layer, x, used.channels) for x, used in zip(streams, factors, strict=True)]


def ablated_logits(model: Decoder, number: int, part: Pass, residual: Tensor, heads: Tensor, means: Tensor) -> Tensor:
    """Logits [H, N, V] of a pass. In entry h, head h of layer ``number`` is replaced by its mean.

    ``residual`` [R, T, W] is the input of that layer, ``heads`` [R, T', W] are the outputs of its heads and ``means``
    [T' or more, W] their means, both at the last T' positions.
    """
    layer, last = model.blocks()[number], number == len(model.layers) - 1
    factors, means = factors_of(model, part), means[: heads.shape[1]].expand_as(heads)
    if last:
        residual, heads, means = (part.at_scored(values) for values in (residual, heads, means))  # [N, W]
    variants = each_head_replaced(heads, means, model.config.heads)
    channels = factors.scored_channels if last else factors.channels
    residual = fed_forward(layer, attended(layer, residual, variants), channels)
    return model.logits(residual) if last else logits_after(model, residual, number + 1, part, factors)


def _parts(model: Decoder, batch: Batch) -> list[Pass]:
    """Passes of all rows. Tokens after the last scored prediction are left out: no scored prediction uses them."""
    ends = batch.present.sum(1).clamp(max=scored_ends(batch).max())
    return passes(batch, ends, max(1, tokens_per_pass(batch.tokens.device) // model.config.heads))


def _scores(parts: list[Pass], logits: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Exact match (0 or 1) and mean cross-entropy (nats), [..., B] each, with rows in the order of ``parts``."""
    pairs = [(part.matches(values).float(), part.losses(values)) for part, values in zip(parts, logits, strict=True)]
    matches, losses = zip(*pairs, strict=True)
    return torch.cat(matches, -1), torch.cat(losses, -1)


def head_score_rows(network: Network, config: RunConfig, lengths: list[int]) -> list[HeadScoreRow]:
    """The maps of every task of the run at each of ``lengths``, as rows (layers and heads counted from 0)."""
    device, count = network.device, config.evaluation.attribution_examples
    sets = {(s.task, length): test_set(config, s.task, length, count) for s in config.tasks for length in lengths}
    sets = {cell: batch for cell, batch in sets.items() if len(batch)}
    with evaluating(network):
        maps = for_each(network, lambda batch: ablation_map(network, batch.to(device)), list(sets.values()))
    return [
        HeadScoreRow(task, length, layer, head, drop, rise, found.examples)
        for (task, length), found in zip(sets, maps, strict=True)
        for layer, both in enumerate(zip(found.accuracy_drop.tolist(), found.loss_rise.tolist(), strict=True))
        for head, (drop, rise) in enumerate(zip(*both, strict=True))
    ]
