"""A faster forward pass of the decoder for measuring. It leaves out positions of the last layer that are not scored.

:func:`supports` tells which networks it can compute. :mod:`lgt.evaluation.reference` measures all others. The tests
compare both modules.

Shapes: R rows (examples) of a pass, T positions, N scored predictions in it, W width, H heads, dh = W / H, G key and
value heads, F feed-forward channels, V vocabulary. Leading dimensions ``...`` are copies of the pass that differ in
their activations (ablated heads).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeGuard, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lgt.evaluation.parallel import parallel_map
from lgt.evaluation.passes import Pass
from lgt.evaluation.reference import log_slow_evaluation
from lgt.model.decoder import NORM_EPSILON, Attention, Decoder, Layer
from lgt.model.network import Network, has_edits
from lgt.model.positions import has_fast_code
from lgt.model.positions.rope import rotary_angles
from lgt.model.schedules import each_layer_once

X = TypeVar("X")
Y = TypeVar("Y")


def supports(network: Network) -> TypeGuard[Decoder]:
    """Whether these passes compute ``network``: a decoder whose encoding has fast code
    (:func:`lgt.model.positions.has_fast_code`), which applies each layer once and has no edits at its hook points.
    Networks of another kind are logged once."""
    known = isinstance(network, Decoder) and has_fast_code(network.config.position) and each_layer_once(network.config)
    if not known:
        log_slow_evaluation(network)
    return known and not has_edits(network)


def for_each(network: Network, function: Callable[[X], Y], items: Sequence[X]) -> list[Y]:
    """The results of ``function``, which measures ``network``, for all items, in order.

    If these passes compute the network, several threads process the items. The definition processes one item after
    another, because it reads and edits hook points, which all threads share.
    """
    return parallel_map(function, items, network.device) if supports(network) else list(map(function, items))


@dataclass(frozen=True)
class Factors:
    """What the rows of a pass may use (:mod:`lgt.model.parts`), in the shapes of these passes; ``None``: everything.

    ``heads`` [R, 1, W]: for concatenated head outputs. ``channels`` [R, 1, F]: for inner activations, and
    ``scored_channels`` [N, F] for those at the scored predictions.
    """

    heads: Tensor | None = None
    channels: Tensor | None = None
    scored_channels: Tensor | None = None


def factors_of(model: Decoder, part: Pass) -> Factors:
    """The factors of a pass. Without a partition there are none."""
    used = model.used(part.tokens)
    if used is None:
        return Factors()
    heads = used.heads.repeat_interleave(model.config.head_width, dim=1)
    return Factors(heads[:, None], used.channels[:, None], used.channels[part.row])


def logits_of(model: Decoder, part: Pass) -> Tensor:
    """Logits [N, V] of the scored predictions of a pass."""
    residual = F.embedding(part.tokens, model.embedding.weight)
    return logits_after(model, residual, 0, part, factors_of(model, part))


def logits_after(model: Decoder, residual: Tensor, number: int, part: Pass, factors: Factors) -> Tensor:
    """Logits [..., N, V] of a pass, from the residual stream [..., R, T, W] at the input of layer ``number``."""
    *whole, last = model.blocks()[number:]
    mask = mask_of(model, residual.shape[-2])
    for layer in whole:
        heads = heads_of(layer, residual, mask, factors.heads)
        residual = fed_forward(layer, attended(layer, residual, heads), factors.channels)
    residual = attended(last, residual, heads_of(last, residual, mask, factors.heads, part.first()))
    return model.logits(fed_forward(last, part.at_scored(residual), factors.scored_channels))


def attended(layer: Layer, residual: Tensor, heads: Tensor) -> Tensor:
    """The residual stream [..., T', W] after the attention of ``layer``, for the head outputs ``heads`` [..., T', W].

    ``residual`` [..., T, W] is the input of the layer, of which the last T' positions are used.
    """
    written: Tensor = layer.attention.output(heads)
    return written.add_(residual[..., residual.shape[-2] - heads.shape[-2] :, :])


def fed_forward(layer: Layer, residual: Tensor, channels: Tensor | None) -> Tensor:
    """The residual stream [..., W] after the feed-forward of ``layer``, from the stream after its attention.

    ``channels``: the factors of inner activations [..., F], see :class:`Factors`.
    """
    x, feed_forward = normed(residual, layer.feed_forward_norm.gain), layer.feed_forward
    inner = F.silu(feed_forward.gate(x)).mul_(feed_forward.up(x))
    written: Tensor = feed_forward.down(inner if channels is None else inner.mul_(channels))
    return written.add_(residual)


def normed(x: Tensor, gain: Tensor | None = None) -> Tensor:
    """RMS norm over the last dimension. Equals ``F.rms_norm`` and takes half the time on a CPU."""
    size = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    scaled: Tensor = x * size.square_().div_(x.shape[-1]).add_(NORM_EPSILON).rsqrt_()
    return scaled if gain is None else scaled.mul_(gain)


def mask_of(model: Decoder, length: int) -> Tensor:
    """What is added to the scores of ``length`` = T tokens: the causal mask [T, T], or, if the encoding of ``model``
    adds biases, the mask with them [H, T, T]."""
    mask = torch.full((length, length), float("-inf"), device=model.device).triu(1)
    bias = model.encoding.bias(torch.arange(length, device=model.device))
    return mask if bias is None else (mask + bias.float()).expand(model.config.heads, length, length)


def heads_of(layer: Layer, residual: Tensor, mask: Tensor, factors: Tensor | None, start: int = 0) -> Tensor:
    """The concatenated outputs [..., T - start, W] of the heads of ``layer`` at positions from ``start`` on.

    ``residual`` [..., R, T, W] is the input of the layer, ``mask`` that of :func:`mask_of`, ``factors`` [R, 1, W] those
    of :class:`Factors`. If ``start`` is 0, a GPU does not store the patterns, as in
    :class:`lgt.model.decoder.Attention`.
    """
    attention, x = layer.attention, normed(residual, layer.attention_norm.gain)
    if start or not (x.is_cuda or attention.kernel):
        return mixed(attention, patterns_of(attention, x, mask, start), x, factors)
    q, k, v = (by_head(attention, y) for y in (*rotated_qk(attention, x, 0), attention.value(x)))
    plain = mask.ndim == 2  # the causal mask without biases; the kernel has its own
    added = None if plain else mask
    heads: Tensor = F.scaled_dot_product_attention(q, k, v, attn_mask=added, is_causal=plain, scale=1.0)
    heads = heads.transpose(1, 2).reshape(x.shape)
    return heads if factors is None else heads * factors


def patterns_of(attention: Attention, x: Tensor, mask: Tensor, start: int = 0) -> Tensor:
    """Attention patterns [M, H, T - start, T] at positions from ``start`` on, for x [..., T, W] of M rows and the mask
    of :func:`mask_of`."""
    q, k = (by_head(attention, y) for y in rotated_qk(attention, x, start))  # [M, H, T - start, dh], [M, H, T, dh]
    if mask.ndim == 3:
        return torch.matmul(q, k.transpose(2, 3)).add_(mask[:, start:]).softmax(dim=-1)
    scores = torch.baddbmm(mask[start:], q.flatten(0, 1), k.flatten(0, 1).transpose(1, 2))
    return scores.softmax(dim=-1).view(-1, attention.config.heads, *scores.shape[1:])


def mixed(attention: Attention, patterns: Tensor, x: Tensor, factors: Tensor | None) -> Tensor:
    """Concatenated head outputs [..., T', W]: the values of x [..., T, W] weighted by ``patterns`` [M, H, T', T], times
    ``factors`` [R, 1, W]."""
    heads = patterns @ by_head(attention, attention.value(x))
    heads = heads.transpose(1, 2).reshape(*x.shape[:-2], patterns.shape[-2], x.shape[-1])
    return heads if factors is None else heads * factors


def by_head(attention: Attention, x: Tensor) -> Tensor:
    """Queries [..., T, W], keys or values [..., T, G dh], split into heads and each key or value head as often as query
    heads use it, [M, H, T, dh] with M rows in total."""
    heads = x.reshape(-1, x.shape[-2], x.shape[-1] // attention.config.head_width, attention.config.head_width)
    heads = heads.transpose(1, 2)
    return heads if x.shape[-1] == attention.config.width else attention.for_queries(heads)


def rotated_qk(attention: Attention, x: Tensor, start: int) -> tuple[Tensor, Tensor]:
    """Queries [..., T - start, W] from ``start`` on and keys [..., T, G dh] of x [..., T, W]; their products are the
    scores.

    Norms and rotations are computed before the heads are split, because they are much faster on whole rows. The queries
    include the gains and the factor 1 / sqrt(dh). Channels i and i + dh/2, which rotate together, are reordered to be
    neighbours, so that a rotation is one product of complex numbers. The order of channels does not change a score.
    """
    config = attention.config
    order = torch.arange(config.width, device=x.device).view(config.heads, 2, -1).transpose(1, 2).flatten()
    q = F.linear(x[..., start:, :], attention.query.weight[order])
    k = F.linear(x, attention.key.weight[order[: config.key_value_width]])
    q, k = (y.view(*y.shape[:-1], -1, config.head_width) for y in (q, k))
    scale = torch.full((config.heads, 1), config.head_width**-0.5, device=x.device)
    if config.qk_norm:
        q, k = normed(q), normed(k)
        shared = attention.key_gain.repeat_interleave(config.queries_per_key, dim=0)
        scale = scale * (attention.query_gain * shared).flatten(1)
    if not has_fast_code(config.position):
        raise ValueError(f"model.position={config.position} is not computed here; ask supports() first")
    if config.position != "rope":
        return (q * scale).flatten(-2), k.flatten(-2)
    positions = torch.arange(x.shape[-2], device=x.device)
    cosines, sines = rotary_angles(positions, config.head_width, config.rope_theta)  # [T, dh], both halves the same
    turns = torch.complex(cosines, sines)[:, None, : config.head_width // 2]  # [T, 1, dh / 2]
    return _product(q, turns[start:] * scale), _product(k, turns.expand(-1, config.key_value_heads, -1))


def _product(x: Tensor, turns: Tensor) -> Tensor:
    """x [..., T, heads, dh] times turns [T, heads, dh / 2] (complex), [..., T, heads * dh]. Two neighbours are one
    complex number."""
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-2], -1, 2))  # [..., T, heads * dh / 2]
    return torch.view_as_real(pairs * turns.flatten(1)).flatten(-2)
