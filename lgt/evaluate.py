"""Exact match per (task, length), decided by one teacher-forced pass.

The greedy answer equals the reference exactly when the argmax is right at every scored position given the reference
prefix: if it is, greedy decoding writes the reference token by token; if not, it leaves the reference at the first
wrong position. ``greedy_answers`` is the slow way, kept for the test of this equivalence and for looking at answers.

Measuring asks for nothing but predictions of scored tokens, so passes are made for that: rows of like length together,
in the last layer queries only from the first scored prediction on and all else only at scored ones, and no more tokens
at once than a cache holds. ``lgt.model`` stays the definition (the tests hold these passes against it), and passes go
through it whenever a tap is read or edited.

Shapes: R rows (examples) of a pass, T positions, N scored predictions in it, W width, H heads, dh = W / H, V
vocabulary; ``...`` in front are copies of the pass that differ in their activations (ablated heads).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lgt.batches import Batch, test_set
from lgt.config import RunConfig
from lgt.model import NORM_EPSILON, Attention, Decoder, Layer, rotary_angles
from lgt.records import AccuracyRow
from lgt.taps import Tap
from lgt.tasks import evaluation_lengths, task_named

X = TypeVar("X")
Y = TypeVar("Y")

CPU_TOKENS_PER_PASS = 2048  # what a layer makes of so many tokens stays in a core's cache, for models of demo's size
GPU_TOKENS_PER_PASS = 32_768


@contextmanager
def evaluating(model: Decoder) -> Iterator[None]:
    """Float32 activations and no gradients inside the block."""
    before = model.compute
    model.compute = torch.float32
    try:
        with torch.inference_mode():
            yield
    finally:
        model.compute = before


def each(function: Callable[[X], Y], items: Sequence[X], device: torch.device) -> list[Y]:
    """``function`` of each item, in order; on the CPU by as many threads as PyTorch has here, with one core each.

    Cores that share operations as small as these meet after every one, and one that is held up holds up all: on a busy
    machine that takes many times as long. Here they share nothing, and results do not depend on their number.
    """
    threads, quick = torch.get_num_threads(), torch.is_inference_mode_enabled()
    if device.type != "cpu" or threads == 1:
        return list(map(function, items))

    def apart(item: X) -> Y:
        with torch.inference_mode(quick):  # belongs to a thread, as the number of threads does
            return function(item)

    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(apart, items))
    finally:
        torch.set_num_threads(threads)  # new threads take the number that was set last, in whichever thread


def tokens_per_pass(device: torch.device) -> int:
    """How many tokens go through the network at once."""
    return CPU_TOKENS_PER_PASS if device.type == "cpu" else GPU_TOKENS_PER_PASS


@dataclass(frozen=True)
class Pass:
    """Some rows of a batch on their way through the network together.

    ``rows`` [R]: their numbers in the batch. ``tokens`` [R, T]: what they read. ``row`` [N], ``position`` [N]: where
    their scored tokens are predicted. ``targets`` [N]: these tokens.
    """

    rows: Tensor
    tokens: Tensor
    row: Tensor
    position: Tensor
    targets: Tensor

    def first(self) -> int:
        """The first position at which some row predicts a scored token; T when there is none."""
        return int(self.position.min()) if len(self.position) else self.tokens.shape[1]

    def at_scored(self, values: Tensor) -> Tensor:
        """The vectors [..., N, W] at scored predictions of ``values`` [..., R, T', W], which hold the last T'."""
        kept = values.shape[-2]
        where = self.row * kept + self.position - (self.tokens.shape[1] - kept)
        return values.flatten(-3, -2).index_select(-2, where)

    def matches(self, logits: Tensor) -> Tensor:
        """Per row whether every scored token has the largest of its logits [..., N, V]; [..., R] (bool)."""
        return self._sums((logits.max(-1).indices != self.targets).float()) == 0

    def losses(self, logits: Tensor) -> Tensor:
        """Per row the mean cross-entropy of its scored tokens under logits [..., N, V]; [..., R] (nats)."""
        targets = self.targets.expand(logits.shape[:-1])
        nats = F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none").view(targets.shape)
        return self._sums(nats) / self._sums(torch.ones_like(nats)).clamp(min=1)

    def _sums(self, values: Tensor) -> Tensor:  # [..., N] -> [..., R]
        sums = values.new_zeros(*values.shape[:-1], len(self.rows))
        return sums.scatter_add_(-1, self.row.expand_as(values), values)


def scored_ends(batch: Batch) -> Tensor:
    """Per row how many tokens must be read to predict the last of its scored ones, [B]."""
    return (batch.scored * torch.arange(batch.scored.shape[1], device=batch.scored.device)).amax(dim=1)


def passes(batch: Batch, ends: Tensor, tokens: int) -> list[Pass]:
    """All rows of ``batch``, at most ``tokens`` tokens at once (or one row); of row i the first ``ends[i]`` are read.

    Rows of like length go together, long ones first.
    """
    order, found = ends.argsort(descending=True, stable=True), []
    while len(order):
        width = max(1, int(ends[order[0]]))
        rows, order = order.tensor_split([max(1, tokens // width)])
        row, position = batch.scored[rows, 1 : width + 1].nonzero(as_tuple=True)
        read = batch.tokens[rows, : width + 1]
        found.append(Pass(rows, read[:, :width], row, position, read[row, position + 1]))
    return found


def tapped(model: Decoder) -> bool:
    """Whether somebody reads or edits what passes a tap of ``model``."""
    return any(tap.edits for tap in model.modules() if isinstance(tap, Tap))


def logits_of(model: Decoder, part: Pass) -> Tensor:
    """Logits [N, V] of the scored predictions of a pass."""
    if tapped(model):
        return model.logits(part.at_scored(model.residual(part.tokens)))
    return logits_after(model, F.embedding(part.tokens, model.embedding.weight), 0, part)


def logits_after(model: Decoder, residual: Tensor, number: int, part: Pass) -> Tensor:
    """Logits [..., N, V] when ``residual`` [..., R, T, W] is what layer ``number`` and those behind it are given."""
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
    """The residual stream [..., W] after the feed-forward of ``layer``, which gets it from its attention."""
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

    ``residual`` [..., T, W] is what comes into the layer. Where all positions are asked for, a GPU need not write the
    patterns down, as in :class:`lgt.model.Attention`.
    """
    attention, x = layer.attention, normed(residual, layer.attention_norm.gain)
    if start or not (x.is_cuda or attention.kernel):
        return mixed(attention, patterns_of(attention, x, start), x)
    q, k, v = (by_head(attention, y) for y in (*turned(attention, x, 0), attention.value(x)))
    heads: Tensor = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0)
    return heads.transpose(1, 2).reshape(x.shape)


def patterns_of(attention: Attention, x: Tensor, start: int = 0) -> Tensor:
    """Attention patterns [M, H, T - start, T] of positions from ``start`` on in x [..., T, W], M rows in all."""
    count = x.shape[-2]
    mask = torch.full((count, count), float("-inf"), device=x.device).triu(1)[start:]
    q, k = (by_head(attention, y).flatten(0, 1) for y in turned(attention, x, start))
    patterns = torch.baddbmm(mask, q, k.transpose(1, 2)).softmax(dim=-1)
    return patterns.view(-1, attention.config.heads, *patterns.shape[1:])


def mixed(attention: Attention, patterns: Tensor, x: Tensor) -> Tensor:
    """Head outputs side by side [..., T', W]: the values of x [..., T, W] under ``patterns`` [M, H, T', T]."""
    heads = patterns @ by_head(attention, attention.value(x))
    return heads.transpose(1, 2).reshape(*x.shape[:-2], patterns.shape[-2], x.shape[-1])


def by_head(attention: Attention, x: Tensor) -> Tensor:
    """x [..., T, W] head by head, [M, H, T, dh] with M rows in all."""
    return x.reshape(-1, x.shape[-2], attention.config.heads, attention.config.head_width).transpose(1, 2)


def turned(attention: Attention, x: Tensor, start: int) -> tuple[Tensor, Tensor]:
    """Queries [..., T - start, W] from ``start`` on and keys [..., T, W] of x [..., T, W], whose products are scores.

    Norms and rotations come before heads are taken apart: on whole rows they take a fraction of the time. Gains and
    1 / sqrt(dh) are in the queries. Channels i and i + dh/2, which rotate together, lie side by side here, so that a
    rotation is one product of complex numbers; the order of channels does not change a score.
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
    positions = torch.arange(x.shape[-2], device=x.device)
    cosines, sines = rotary_angles(positions, config.head_width, config.rope_theta)  # [T, dh], both halves the same
    turns = torch.complex(cosines, sines)[:, None, : config.head_width // 2]  # [T, 1, dh / 2]
    return _product(q, turns[start:] * scale), _product(k, turns.expand(-1, config.heads, -1))


def _product(x: Tensor, turns: Tensor) -> Tensor:
    """x [..., T, H, dh], pairs of neighbours read as complex numbers, times turns [T, H, dh / 2]; [..., T, W]."""
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-2], -1, 2))  # [..., T, W / 2]
    return torch.view_as_real(pairs * turns.flatten(1)).flatten(-2)


def answer_scores(model: Decoder, batch: Batch) -> tuple[Tensor, Tensor]:
    """Per example of ``batch``: exact match [B] (bool) and mean cross-entropy over its scored tokens [B] (nats)."""
    device, ends = batch.tokens.device, scored_ends(batch)
    tokens = tokens_per_pass(device)
    if tapped(model):  # an edit may be meant for all rows, in order, at all positions
        ends, tokens = torch.full_like(ends, batch.tokens.shape[1] - 1), batch.tokens.numel()
    matches, losses = torch.ones(len(batch), dtype=torch.bool, device=device), torch.zeros(len(batch), device=device)

    def score(part: Pass) -> None:
        logits = logits_of(model, part)
        matches[part.rows], losses[part.rows] = part.matches(logits), part.losses(logits)

    with evaluating(model):
        each(score, passes(batch, ends, tokens), device)
    return matches, losses


def accuracy_rows(model: Decoder, config: RunConfig, examples: int) -> list[AccuracyRow]:
    """Counts for every task of the run at every evaluated length, ``examples`` test prompts each (or all there are)."""
    device = next(model.parameters()).device
    cells = [(s.task, length) for s in config.tasks for length in evaluation_lengths(task_named(s.task), config)]
    drawn = [(cell, test_set(config, *cell, examples)) for cell in cells]
    filled = [(cell, batch) for cell, batch in drawn if len(batch)]  # a tiny task may have no test prompt of a length
    batches = [batch for _, batch in filled]

    def correct(batch: Batch) -> int:
        return int(answer_scores(model, batch.to(device))[0].sum())

    with evaluating(model):
        counts = each(correct, batches, device)
    return [AccuracyRow(*cell, count, len(batch)) for (cell, batch), count in zip(filled, counts, strict=True)]


def greedy_answers(model: Decoder, batch: Batch) -> Tensor:
    """Tokens [B, T] in which every scored position was chosen greedily, one token a pass, from the tokens before it.

    Positions that are not scored (the prompt, and the queries of ``mqar``) are given.
    """
    tokens = torch.where(batch.scored, torch.zeros_like(batch.tokens), batch.tokens)
    with evaluating(model):
        for position in range(1, tokens.shape[1]):
            wanted = batch.scored[:, position]
            if wanted.any():
                best = model(tokens[:, :position])[:, -1].argmax(-1)
                tokens[:, position] = torch.where(wanted, best, tokens[:, position])
    return tokens
