"""Attention-matrix difference of two tasks, for tasks whose sequences line up position by position."""

from __future__ import annotations

from contextlib import ExitStack

import torch
from torch import Tensor

from lgt.batches import Batch, test_set
from lgt.config import RunConfig
from lgt.evaluate import evaluating
from lgt.model import Decoder
from lgt.records import AttentionDifferenceRow
from lgt.taps import recorded


def mean_patterns(model: Decoder, batch: Batch) -> Tensor:
    """Attention patterns averaged over the batch, [layers, H, T, T] (without the last token: it predicts nothing)."""
    with evaluating(model), ExitStack() as stack:
        records = [stack.enter_context(recorded(layer.attention.pattern)) for layer in model.blocks()]
        model.residual(batch.tokens[:, :-1])
    return torch.stack([record[0].mean(0) for record in records])


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


def attention_difference(model: Decoder, a: Batch, b: Batch) -> Tensor | None:
    """Per head the sum over entries of |P_a - P_b|, [layers, H]; ``None`` when the layouts are not comparable."""
    if not comparable(a, b):
        return None
    return (mean_patterns(model, a) - mean_patterns(model, b)).abs().sum(dim=(-2, -1))


def attention_difference_rows(model: Decoder, config: RunConfig, lengths: list[int]) -> list[AttentionDifferenceRow]:
    """Main task against every other task of the run at every length; pairs that are not comparable give no row."""
    device = next(model.parameters()).device
    count, rows = config.evaluation.attribution_examples, []
    for spec in config.others:
        for length in lengths:
            pair = [test_set(config, task, length, count).to(device) for task in (config.main.task, spec.task)]
            result = attention_difference(model, *pair)
            if result is None:
                continue
            rows += [
                AttentionDifferenceRow(config.main.task, spec.task, length, layer, head, value)
                for layer, heads in enumerate(result.tolist())
                for head, value in enumerate(heads)
            ]
    return rows
