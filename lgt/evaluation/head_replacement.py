"""The replacement of the output of a knocked-out head: its mean output at each position.

Mean-ablation maps, knock-outs, the slow reference measurements and the playground all use this module.

Shapes: R rows, T positions, W width, H heads, dh = W / H channels of a head.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle

import torch
from torch import Tensor

from lgt.core.records import Head
from lgt.model.hooks import Edit, edited, recorded
from lgt.model.network import Network


def means_of(
    network: Network, parts: Sequence[Tensor], present: Sequence[Tensor], heads: Collection[Head]
) -> dict[Head, Tensor]:
    """Mean outputs [uses, T, dh] of ``heads`` over examples in several parts, with the longest part first.

    ``parts``: tokens [R, T] of each part. ``present``: for each part [R, T] (bool), whether a token is not padding.
    """
    layers = sorted({layer for layer, _ in heads})
    found: dict[int, list[list[Tensor]]] = {layer: [] for layer in layers}  # [part][use]: [R, H, T, dh]
    for part in parts:
        with ExitStack() as stack:
            records = {layer: stack.enter_context(recorded(network.head_hook(layer))) for layer in layers}
            network.residual(part)
        for layer, values in records.items():
            found[layer].append(values)
    return {
        (layer, head): torch.stack(
            [position_means([use[:, head] for use in uses], present) for uses in zip(*found[layer], strict=True)]
        )
        for layer, head in heads
    }


def position_means(values: Sequence[Tensor], present: Sequence[Tensor]) -> Tensor:
    """Mean [T, W] at each position over the rows that have a token there. The first part must be the longest.

    ``values``: for each part [R, T, W]. ``present``: for each part [R, T] (bool).
    """
    total, count = torch.zeros_like(values[0][0]), torch.zeros_like(values[0][0, :, :1])
    for part, there in zip(values, present, strict=True):
        weight = there[..., None].to(part.dtype)
        total[: part.shape[1]] += (part * weight).sum(0)
        count[: part.shape[1]] += weight.sum(0)
    return total / count.clamp(min=1)


@contextmanager
def replaced(network: Network, means: Mapping[Head, Tensor]) -> Iterator[None]:
    """Inside the block, the output of each head of ``means`` is replaced by its value [uses, T or more, dh]: entry u at
    the u-th use of the layer in a pass. Every pass starts with the first use. A value [uses, B, T or more, dh] has
    another output for each of the B rows of a pass."""
    with ExitStack() as stack:
        for (layer, head), values in means.items():
            stack.enter_context(edited(network.head_hook(layer), _replacing(head, values)))
        yield


def _replacing(head: int, means: Tensor) -> Edit:
    """An edit of head outputs [B, H, T, dh] that sets ``head`` to ``means``, see :func:`replaced`."""
    uses = cycle(means)

    def edit(value: Tensor) -> Tensor:
        value = value.clone()
        value[:, head] = next(uses)[..., : value.shape[2], :]
        return value

    return edit


def each_head_replaced(heads: Tensor, means: Tensor, count: int) -> Tensor:
    """Concatenated head outputs [..., W] in ``count`` = H variants [H, ..., W]. In variant h, head h has its mean."""
    variants = heads.expand(count, *heads.shape).clone()
    for head, mean in enumerate(means.chunk(count, dim=-1)):
        variants[head].chunk(count, dim=-1)[head].copy_(mean)
    return variants


def with_means(heads: Tensor, means: Tensor, chosen: Collection[int], count: int) -> Tensor:
    """Concatenated outputs [R, T, W] of ``count`` heads, with those of ``chosen`` replaced by ``means`` [T, W]."""
    pieces = list(heads.chunk(count, -1))
    for head, mean in enumerate(means.chunk(count, -1)):
        if head in chosen:
            pieces[head] = mean.expand_as(pieces[head])
    return torch.cat(pieces, -1)


def continued(means: Tensor, width: int) -> Tensor:
    """``means`` [uses, reached, dh], cut to [uses, width, dh] or extended to it with the mean over positions.

    The extension is needed for positions that no prompt of the batch reaches [D].
    """
    beyond = means.mean(1, keepdim=True).expand(-1, max(0, width - means.shape[1]), -1)
    return torch.cat((means[:, :width], beyond), 1)
