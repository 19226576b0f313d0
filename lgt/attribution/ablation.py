"""Mean-ablation maps: how much does a task lose when one head says only what it says on average?

Definition (project's science notes; after the paper's circuit analysis): for each head, replace its output before the
output projection by its mean over the evaluation batch at the same position, at every position. All examples of a batch
have the same task length, so positions line up; where answers end at different places (mazes), the mean at a position
is taken over the examples that have a token there.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor

from lgt.batches import Batch, test_set
from lgt.config import RunConfig
from lgt.evaluate import answer_scores, evaluating
from lgt.model import Decoder
from lgt.records import HeadScoreRow
from lgt.taps import edited, recorded, replace_head


@dataclass(frozen=True)
class AblationMap:
    """``accuracy_drop`` and ``loss_rise`` [layers, heads]: unablated minus ablated exact match (a share of examples,
    positive = the head matters) and ablated minus unablated answer-token cross-entropy (nats), over ``examples``."""

    accuracy_drop: Tensor
    loss_rise: Tensor
    examples: int


def mean_head_outputs(model: Decoder, batch: Batch) -> list[Tensor]:
    """Per layer the mean [H, T, dh] of each head's output over the examples that have a token at the position."""
    present = batch.present[:, :-1]
    with evaluating(model), ExitStack() as stack:
        records = [stack.enter_context(recorded(layer.attention.head_outputs)) for layer in model.blocks()]
        model.residual(batch.tokens[:, :-1])
    weight = present[:, None, :, None].float()  # [B, 1, T, 1]
    count = weight.sum(0).clamp(min=1)
    return [(record[0] * weight).sum(0) / count for record in records]


def ablation_map(model: Decoder, batch: Batch) -> AblationMap:
    """The map of one task at one length, over all examples of ``batch``."""
    means = mean_head_outputs(model, batch)
    layers, heads = model.config.layers, model.config.heads
    drop, rise = torch.zeros(layers, heads), torch.zeros(layers, heads)
    with evaluating(model):
        match, loss = answer_scores(model, batch)
        for layer, block in enumerate(model.blocks()):
            for head in range(heads):
                with edited(block.attention.head_outputs, replace_head(head, means[layer][head])):
                    ablated_match, ablated_loss = answer_scores(model, batch)
                drop[layer, head] = match.float().mean() - ablated_match.float().mean()
                rise[layer, head] = (ablated_loss - loss).mean()
    return AblationMap(drop, rise, len(batch))


def head_score_rows(model: Decoder, config: RunConfig, lengths: list[int]) -> list[HeadScoreRow]:
    """Maps of every task of the run at every one of ``lengths``, as rows (layers and heads counted from 0)."""
    device = next(model.parameters()).device
    rows = []
    for spec in config.tasks:
        for length in lengths:
            batch = test_set(config, spec.task, length, config.evaluation.attribution_examples)
            if not len(batch):
                continue
            result = ablation_map(model, batch.to(device))
            drops, rises = result.accuracy_drop.tolist(), result.loss_rise.tolist()
            rows += [
                HeadScoreRow(spec.task, length, layer, head, drops[layer][head], rises[layer][head], result.examples)
                for layer in range(model.config.layers)
                for head in range(model.config.heads)
            ]
    return rows
