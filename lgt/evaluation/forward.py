"""A faster forward pass of the decoder for measuring: the last layer is computed only where something is scored.

:func:`supports` says for which networks it holds; all others are measured by :mod:`lgt.evaluation.reference`, with
which the tests compare this module.

Shapes: R rows (examples) of a pass, T positions, N scored predictions in it, W width, H heads, dh = W / H, V
vocabulary; ``...`` in front are copies of the pass that differ in their activations (ablated heads).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeGuard, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lgt.evaluation.parallel import parallel_map
from lgt.evaluation.passes import Pass
from lgt.evaluation.reference import say_slow
from lgt.model.decoder import NORM_EPSILON, Attention, Decoder, Layer
from lgt.model.network import Network, has_edits
from lgt.model.positions.rope import rotary_angles
from lgt.model.schedules import each_layer_once

X = TypeVar("X")
Y = TypeVar("Y")

ENCODINGS = ("rope", "nope")
"""The positional encodings that these passes compute."""


def supports(network: Network) -> TypeGuard[Decoder]:
    """Whether these passes compute ``network``: a decoder with one of :data:`ENCODINGS` that applies each layer once,
    without edits at its hook points. A network of another kind is named in the log, once."""
    known = isinstance(network, Decoder) and network.config.position in ENCODINGS and each_layer_once(network.config)
    if not known:
        say_slow(network)
    return known and not has_edits(network)


def for_each(network: Network, function: Callable[[X], Y], items: Sequence[X]) -> list[Y]:
    """``function``, which measures ``network``, of each item, in order.

    Several items at once where these passes compute the network. The definition takes one after another, because it
    reads and edits hook points, which all threads share.
    """
    return parallel_map(function, items, network.device) if supports(network) else list(map(function, items))


def logits_of(model: Decoder, part: Pass) -> Tensor:
    """Logits [N, V] of the scored predictions of a pass."""
    return logits_after(model, F.embedding(part.tokens, model.embedding.weight), 0, part)


def logits_after(model: Decoder, residual: Tensor, number: int, part: Pass) -> Tensor:
    """Logits [..., N, V] of a pass from the residual stream [..., R, T, W] that comes into layer ``number``."""
    *whole, last = model.blocks()[number:]
    for layer in whole:
        residual = fed_forward(layer, attended(layer, residual, heads_of(layer, residual)))
    residual = attended(last, residual, heads_of(last, residual, part.first()))
    return model.logits(fed_forward(last, part.at_scored(residual)))


def attended(layer: Layer, residual: Tensor, heads: Tensor) -> Tensor:
    """The residual stream [..., T', W] after the attention of ``layer`` whose heads put out ``heads`` [..., T', W].

    ``residual`` [..., T, W] is what came into the layer; the last T' positions of it are used.
    """
    written: Tensor = layer.attention.output(heads)
    return written.add_(residual[..., residual.shape[-2] - heads.shape[-2] :, :])


def fed_forward(layer: Layer, residual: Tensor) -> Tensor:
    """The residual stream [..., W] after the feed-forward of ``layer``, from the stream after its attention."""
    x, inner = normed(residual, layer.feed_forward_norm.gain), layer.feed_forward
    written: Tensor = inner.down(F.silu(inner.gate(x)).mul_(inner.up(x)))
    return written.add_(residual)


def normed(x: Tensor, gain: Tensor | None = None) -> Tensor:
    """RMS norm over the last dimension, as ``F.rms_norm`` in half its time on a CPU."""
    size = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    scaled: Tensor = x * size.square_().div_(x.shape[-1]).add_(NORM_EPSILON).rsqrt_()
    return scaled if gain is None else scaled.mul_(gain)


def heads_of(layer: Layer, residual: Tensor, start: int = 0) -> Tensor:
    """What the heads of ``layer`` put out at positions from ``start`` on, side by side [..., T - start, W].

    ``residual`` [..., T, W] is what comes into the layer. With all positions, a GPU does not store the patterns, as in
    :class:`lgt.model.decoder.Attention`.
    """
    attention, x = layer.attention, normed(residual, layer.attention_norm.gain)
    if start or not (x.is_cuda or attention.kernel):
        return mixed(attention, patterns_of(attention, x, start), x)
    q, k, v = (by_head(attention, y) for y in (*rotated_qk(attention, x, 0), attention.value(x)))
    heads: Tensor = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0)
    return heads.transpose(1, 2).reshape(x.shape)


def patterns_of(attention: Attention, x: Tensor, start: int = 0) -> Tensor:
    """Attention patterns [M, H, T - start, T] of positions from ``start`` on in x [..., T, W], M rows in all."""
    count = x.shape[-2]
    mask = torch.full((count, count), float("-inf"), device=x.device).triu(1)[start:]
    q, k = (by_head(attention, y).flatten(0, 1) for y in rotated_qk(attention, x, start))
    patterns = torch.baddbmm(mask, q, k.transpose(1, 2)).softmax(dim=-1)
    return patterns.view(-1, attention.config.heads, *patterns.shape[1:])


def mixed(attention: Attention, patterns: Tensor, x: Tensor) -> Tensor:
    """Head outputs side by side [..., T', W]: the values of x [..., T, W] under ``patterns`` [M, H, T', T]."""
    heads = patterns @ by_head(attention, attention.value(x))
    return heads.transpose(1, 2).reshape(*x.shape[:-2], patterns.shape[-2], x.shape[-1])


def by_head(attention: Attention, x: Tensor) -> Tensor:
    """x [..., T, W] head by head, [M, H, T, dh] with M rows in all."""
    return x.reshape(-1, x.shape[-2], attention.config.heads, attention.config.head_width).transpose(1, 2)


def rotated_qk(attention: Attention, x: Tensor, start: int) -> tuple[Tensor, Tensor]:
    """Queries [..., T - start, W] from ``start`` on and keys [..., T, W] of x [..., T, W], whose products are scores.

    Norms and rotations are computed before the heads are split: on whole rows they take a fraction of the time. Gains
    and 1 / sqrt(dh) are multiplied into the queries. Channels i and i + dh/2, which rotate together, are neighbours
    here, so that a rotation is one product of complex numbers; the order of channels does not change a score.
    """
    config = attention.config
    order = torch.arange(config.width, device=x.device).view(config.heads, 2, -1).transpose(1, 2).flatten()
    q = F.linear(x[..., start:, :], attention.query.weight[order])
    k = F.linear(x, attention.key.weight[order])
    q, k = (y.view(*y.shape[:-1], config.heads, config.head_width) for y in (q, k))
    scale = torch.full((config.heads, 1), config.head_width**-0.5, device=x.device)
    if config.qk_norm:
        q, k = normed(q), normed(k)
        scale = scale * (attention.query_gain * attention.key_gain).flatten(1)
    if config.position == "nope":
        return (q * scale).flatten(-2), k.flatten(-2)
    if config.position != "rope":
        raise ValueError(f"model.position={config.position} is not computed here; ask supports() first")
    positions = torch.arange(x.shape[-2], device=x.device)
    cosines, sines = rotary_angles(positions, config.head_width, config.rope_theta)  # [T, dh], both halves the same
    turns = torch.complex(cosines, sines)[:, None, : config.head_width // 2]  # [T, 1, dh / 2]
    return _product(q, turns[start:] * scale), _product(k, turns.expand(-1, config.heads, -1))


def _product(x: Tensor, turns: Tensor) -> Tensor:
    """x [..., T, H, dh], pairs of neighbours read as complex numbers, times turns [T, H, dh / 2]; [..., T, W]."""
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-2], -1, 2))  # [..., T, W / 2]
    return torch.view_as_real(pairs * turns.flatten(1)).flatten(-2)
