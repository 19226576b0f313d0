"""All measurements by their definition, for any network: one hook point, head or choice of heads at a time.

This code is simple and slow. :mod:`lgt.evaluation.forward` is faster and gives the same numbers for the networks that
it supports (tested). This module measures all other networks. It uses only :class:`lgt.model.network.Network`.

A layer may be applied several times in a pass. Its head is then replaced at each use by the head's mean at that use,
and the attention pattern of a head is its mean over the uses [D]. So every result has one entry per (layer, head).
Only one thread at a time may measure a network, because all threads share its hook points.

Shapes: B examples, R examples of a pass, T positions, W width, H heads, dh channels per head.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor

from lgt.core.notices import warn_once
from lgt.core.records import Head
from lgt.evaluation.head_replacement import means_of, replaced
from lgt.evaluation.passes import Pass, evaluating, passes_in_order, tokens_per_pass
from lgt.model.batch import Batch
from lgt.model.decoder import Decoder
from lgt.model.hooks import recorded
from lgt.model.network import Network, has_edits

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AblationMap:
    """``accuracy_drop`` and ``loss_rise`` [layers, heads]: unablated minus ablated exact match (a share of examples,
    positive = the head matters) and ablated minus unablated answer-token cross-entropy (nats), over ``examples``."""

    accuracy_drop: Tensor
    loss_rise: Tensor
    examples: int


def log_slow_evaluation(network: Network) -> None:
    """Log, once for each kind of network, that it has no fast evaluation of heads."""
    kind = f"networks of type {type(network).__name__}"
    if isinstance(network, Decoder):
        kind = f"networks with model.position={network.config.position}, model.schedule={network.config.schedule}"
    warn_once(logger, f"{kind}: no fast evaluation of heads; the reference takes many times as long")


def answer_scores(
    network: Network, batch: Batch, off: Mapping[Head, Tensor] | None = None
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Per example of ``batch``: exact match [B] (bool) and mean cross-entropy over its scored tokens [B] (nats).

    ``off``: heads with their replacement outputs, see :func:`replaced`. If the caller has edited a hook point, all rows
    go through the network in one pass, because the edit may expect all rows in order.
    """
    size = batch.tokens.numel() if has_edits(network) else tokens_per_pass(batch.tokens.device)
    with evaluating(network), replaced(network, off or {}):
        scores = [_scores(network, part) for part in passes_in_order(batch, size)]
    matches, losses = zip(*scores, strict=True)
    return torch.cat(matches), torch.cat(losses)


def _scores(network: Network, part: Pass) -> tuple[Tensor, Tensor]:
    logits = network.logits(part.at_scored(network.residual(part.tokens)))
    return part.matches(logits), part.losses(logits)


def ablation_map(network: Network, batch: Batch) -> AblationMap:
    """The map of one task at one length, over all examples of ``batch``. One head after another is replaced."""
    match, loss = answer_scores(network, batch)
    drop = torch.zeros(network.layer_count, network.head_count)
    rise = torch.zeros_like(drop)
    for head, means in mean_outputs(network, batch).items():
        ablated_match, ablated_loss = answer_scores(network, batch, {head: means})
        drop[head] = match.float().mean() - ablated_match.float().mean()
        rise[head] = (ablated_loss - loss).mean()
    return AblationMap(drop, rise, len(batch))


def correct_without(network: Network, batch: Batch, choices: Sequence[Collection[Head]]) -> list[int]:
    """Number of examples of ``batch`` that are answered exactly, for each choice of heads to knock out."""
    means = mean_outputs(network, batch)
    return [int(answer_scores(network, batch, {head: means[head] for head in choice})[0].sum()) for choice in choices]


def mean_patterns(network: Network, batch: Batch) -> Tensor:
    """Attention patterns averaged over the batch, [layers, H, T, T], without the last token, which predicts nothing."""
    parts = passes_in_order(batch, tokens_per_pass(batch.tokens.device))
    totals = []
    with evaluating(network):
        for part in parts:
            _, uses = with_patterns(network, part.tokens)
            totals.append(torch.stack([torch.stack(values).mean(0).sum(0) for values in uses]))
    return torch.stack(totals).sum(0) / len(batch)


def with_patterns(network: Network, tokens: Tensor) -> tuple[Tensor, list[list[Tensor]]]:
    """Final residual stream [R, T, W] for tokens [R, T], and for each layer a list of attention patterns [R, H, T, T],
    one for each use of the layer."""
    with ExitStack() as stack:
        hooks = [network.pattern_hook(layer) for layer in range(network.layer_count)]
        found = [stack.enter_context(recorded(hook)) for hook in hooks]
        return network.residual(tokens), found


def head_outputs(network: Network, tokens: Tensor) -> dict[Head, Tensor]:
    """The output of each head for tokens [B, T], [uses, B, T - 1, dh], for each use of its layer. The last token
    predicts nothing and is not read."""
    with ExitStack() as stack:
        hooks = [network.head_hook(layer) for layer in range(network.layer_count)]
        found = [stack.enter_context(recorded(hook)) for hook in hooks]
        network.residual(tokens[:, :-1])
    return {
        (layer, head): torch.stack([value[:, head] for value in uses])
        for layer, uses in enumerate(found)
        for head in range(network.head_count)
    }


def mean_outputs(network: Network, batch: Batch) -> dict[Head, Tensor]:
    """The mean output of each head over ``batch``, [uses, T, dh], for each use of its layer. The mean at a position is
    over the examples that have a token at this position."""
    parts = passes_in_order(batch, tokens_per_pass(batch.tokens.device))
    heads = [(layer, head) for layer in range(network.layer_count) for head in range(network.head_count)]
    present = [batch.present[part.rows, : part.tokens.shape[1]] for part in parts]
    with evaluating(network):
        return means_of(network, [part.tokens for part in parts], present, heads)
