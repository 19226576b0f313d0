"""The decoder, from its parts to the whole: norm, attention, feed-forward, layer, decoder.

A small Llama (Touvron et al. 2023): pre-norm RMSNorm, rotary positions, SwiGLU, no biases. As in Llama, several query
heads may share a key and a value head (``kv_heads``; grouped-query attention, Ainslie et al. 2023), and the unembedding
may be the transposed embedding (``tied``). These options are added: other positional encodings
(:mod:`lgt.model.positions`), ``qk_norm`` (RMS norm of queries and keys with a learned gain per head), other layer
schedules (:mod:`lgt.model.schedules`) and partitions, with which a task uses only some heads and channels
(:mod:`lgt.model.parts`). With rotary positions and none of the added options, logits equal
``transformers.LlamaForCausalLM`` on the same weights (tested).

This module is the definition: it computes every encoding, schedule and partition. Other modules compute some of them
faster and say which ones. The tests compare them with this module.

Shapes: B sequences, T tokens, W width, H heads, dh = W / H, G key and value heads, F feed-forward channels, V
vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgt.core.config import ModelConfig
from lgt.core.parts import Part
from lgt.core.seeding import stream_seed
from lgt.model.hooks import HookPoint
from lgt.model.parts import TaskParts, Used
from lgt.model.positions import encoding_named
from lgt.model.schedules import order_of
from lgt.tasks.vocabulary import VOCABULARY_SIZE

NORM_EPSILON = 1e-5
# With queries and keys of unit RMS the largest attention score is gain * gain * sqrt(dh). For a head of 16 channels
# this is 1.68 ** 2 * 4 = 11.3 at the start: large enough to prefer one of 40 positions (e^11 is much more than 40), and
# small enough that training can still change the preference.
INITIAL_QK_GAIN = 1.68


class RMSNorm(nn.Module):
    """Divide by the root mean square over channels and multiply by a learned gain; computed in float32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:  # [B, T, W]
        return F.rms_norm(x.float(), (x.shape[-1],), self.gain, NORM_EPSILON).to(x.dtype)


class Linear(nn.Linear):
    """A linear map without bias. The weight is stored in float32 and cast to the dtype of the input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


class Attention(nn.Module):
    """Causal multi-head self-attention with hook points for the pattern and for the head outputs before the projection.

    On a GPU, PyTorch's attention kernel computes the heads without storing the pattern, unless the pattern's hook point
    has edits. With ``kernel`` the CPU uses that kernel too; it is slower there for short sequences.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.kernel = False
        self.turn = encoding_named(config.position).turn
        self.query = Linear(config.width, config.width)
        self.key = Linear(config.width, config.key_value_width)
        self.value = Linear(config.width, config.key_value_width)
        self.output = Linear(config.width, config.width)
        if config.qk_norm:
            self.query_gain = nn.Parameter(torch.full((config.heads, 1, 1), INITIAL_QK_GAIN))
            self.key_gain = nn.Parameter(torch.full((config.key_value_heads, 1, 1), INITIAL_QK_GAIN))
        self.pattern = HookPoint()  # [B, H, T, T], rows sum to one
        self.head_outputs = HookPoint()  # [B, H, T, dh]

    def forward(
        self, x: Tensor, prepared: tuple[Tensor, ...] | None, mask: Tensor, used: Used | None = None
    ) -> Tensor:  # fmt: skip
        q, k, v = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))  # k, v [B, G, T, dh]
        if self.config.qk_norm:
            q, k = self.normalised(q, self.query_gain), self.normalised(k, self.key_gain)
        k, v = self.for_queries(k), self.for_queries(v)  # [B, H, T, dh], as an encoding's turn expects
        if prepared is not None:
            q, k = self.turn(q, *prepared), self.turn(k, *prepared)
        q, k = (q * self.config.head_width**-0.5).to(x.dtype), k.to(x.dtype)
        if (x.is_cuda or self.kernel) and not self.pattern.edits:
            plain = mask.ndim == 2  # the causal mask without a bias; the kernel has its own causal mask
            heads = F.scaled_dot_product_attention(
                q, k, v, attn_mask=None if plain else mask, is_causal=plain, scale=1.0
            )
        else:
            scores = q @ k.transpose(-2, -1) + mask  # [B, H, T, T]
            heads = self.pattern(scores.softmax(dim=-1)) @ v
        if used is not None:
            heads = heads * used.heads[:, :, None, None].to(heads.dtype)
        heads = self.head_outputs(heads)  # [B, H, T, dh]
        return self.output(heads.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]  # [B, T, W]

    def split(self, x: Tensor) -> Tensor:  # [B, T, heads * dh] -> [B, heads, T, dh]
        return x.view(*x.shape[:2], -1, self.config.head_width).transpose(1, 2)

    def for_queries(self, x: Tensor) -> Tensor:
        """Keys or values [B, G, T, dh], each head as often as query heads use it, next to each other [B, H, T, dh]."""
        times = self.config.queries_per_key
        return x if times == 1 else x.repeat_interleave(times, dim=1)

    @staticmethod
    def normalised(x: Tensor, gain: Tensor) -> Tensor:
        return F.rms_norm(x.float(), (x.shape[-1],), eps=NORM_EPSILON) * gain


class FeedForward(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x))."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate = Linear(config.width, config.hidden)
        self.up = Linear(config.width, config.hidden)
        self.down = Linear(config.hidden, config.width)

    def forward(self, x: Tensor, used: Used | None = None) -> Tensor:  # [B, T, W]
        inner = F.silu(self.gate(x)) * self.up(x)  # [B, T, F]
        if used is not None:
            inner = inner * used.channels[:, None].to(inner.dtype)
        return self.down(inner)  # type: ignore[no-any-return]


class Layer(nn.Module):
    """One pre-norm decoder layer: attention, then feed-forward, each added to the residual stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.width)
        self.attention = Attention(config)
        self.feed_forward_norm = RMSNorm(config.width)
        self.feed_forward = FeedForward(config)

    def forward(
        self, residual: Tensor, prepared: tuple[Tensor, ...] | None, mask: Tensor, used: Used | None = None
    ) -> Tensor:  # fmt: skip
        residual = residual + self.attention(self.attention_norm(residual), prepared, mask, used)
        return residual + self.feed_forward(self.feed_forward_norm(residual), used)  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """Embedding, layers, norm, unembedding. ``compute`` is the dtype of activations; parameters stay float32.

    It is a :class:`lgt.model.network.Network`. With a partition, ``by_task`` says what the tasks of its run may use
    (:func:`lgt.core.parts.parts_by_task`); then sequences need at least two tokens, because the second names the task.
    With ``tied`` there is no ``unembedding``: the embedding is used in its place. ``unknown``: ids of tokens that have
    no weights (:mod:`lgt.model.checkpoint`); they are never predicted.
    """

    def __init__(
        self, config: ModelConfig, seed: int = 0, vocabulary: int = VOCABULARY_SIZE,
        by_task: Mapping[str, Part] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.config = config
        self.compute = torch.float32
        self.parts = TaskParts(config, by_task or {}) if config.parts else None
        self.embedding = nn.Embedding(vocabulary, config.width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.width)
        self.unknown: tuple[int, ...] = ()
        if not config.tied:
            self.unembedding = Linear(config.width, vocabulary)
        with torch.random.fork_rng(devices=[]):  # the seed also decides an encoding's initial weights
            torch.manual_seed(stream_seed(seed, "encoding"))
            self.encoding = encoding_named(config.position)(config)
        initialise(self, seed)

    @property
    def by_task(self) -> Mapping[str, Part]:
        """What the tasks that the partition names may use; empty without one."""
        return {} if self.parts is None else self.parts.by_task

    def blocks(self) -> list[Layer]:
        """The layers in order of their numbers, with the type :class:`Layer`."""
        return [layer for layer in self.layers if isinstance(layer, Layer)]

    def applied(self) -> list[Layer]:
        """The layers in the order of their application. A layer that is used several times occurs several times."""
        blocks = self.blocks()
        return [blocks[number] for number in order_of(self.config)]

    def residual(self, tokens: Tensor, positions: Tensor | None = None, drawn: Tensor | None = None) -> Tensor:
        """Final residual stream [B, T, W], before the last norm, for tokens [B, T]. ``positions``: [T] or [B, T],
        default 0..T-1. ``drawn``: the heads drawn for each sequence of a training batch [B, H]."""
        length = tokens.shape[1]
        if positions is None:
            positions = torch.arange(length, device=tokens.device)
        prepared, bias = self.encoding.prepare(positions), self.encoding.bias(positions)
        mask = torch.full((length, length), float("-inf"), device=tokens.device, dtype=self.compute).triu(1)
        if bias is not None:
            mask = mask + bias.to(self.compute)  # [H, T, T] or [B, H, T, T]
        used = self.used(tokens, drawn)
        residual = F.embedding(tokens, self.embedding.weight).to(self.compute)  # [B, T, W]
        for layer in self.applied():
            residual = layer(residual, prepared, mask, used)
        return residual

    def used(self, tokens: Tensor, drawn: Tensor | None = None) -> Used | None:
        """What the sequences tokens [B, T] may use; ``None`` without a partition. ``drawn``: see :meth:`residual`."""
        return None if self.parts is None else self.parts(tokens, drawn)

    def logits(self, residual: Tensor) -> Tensor:
        """Next-token logits [..., V] (float32) of a final residual stream [..., W]."""
        x = self.norm(residual)
        found: Tensor = F.linear(x, self.embedding.weight.to(x.dtype)) if self.config.tied else self.unembedding(x)
        if self.unknown:
            found = found.index_fill(-1, torch.tensor(self.unknown, device=found.device), float("-inf"))
        return found.float()

    @property
    def layer_count(self) -> int:
        """Number of layers, each counted once."""
        return len(self.layers)

    @property
    def head_count(self) -> int:
        """Heads per layer."""
        return self.config.heads

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.embedding.weight.device

    def pattern_hook(self, layer: int) -> HookPoint:
        """The hook point of a layer's attention patterns [B, H, T, T], which each use of the layer calls once."""
        return self.blocks()[layer].attention.pattern

    def head_hook(self, layer: int) -> HookPoint:
        """The hook point of a layer's head outputs [B, H, T, dh], which each use of the layer calls once."""
        return self.blocks()[layer].attention.head_outputs

    @contextmanager
    def float32(self) -> Iterator[None]:
        """Inside the block, activations are float32."""
        before, self.compute = self.compute, torch.float32
        try:
            yield
        finally:
            self.compute = before

    def forward(self, tokens: Tensor, positions: Tensor | None = None) -> Tensor:
        """Logits [B, T, V] (float32) of the next token at every position of tokens [B, T]."""
        return self.logits(self.residual(tokens, positions))

    def loss(self, tokens: Tensor, scored: Tensor, drawn: Tensor | None = None) -> Tensor:
        """Mean cross-entropy (nats) over the tokens [B, T] marked in ``scored`` [B, T], given their prefixes.

        ``drawn``: see :meth:`residual`.
        """
        return self.loss_at(tokens, scored_places(scored).to(tokens.device), drawn)

    def loss_at(self, tokens: Tensor, places: Tensor, drawn: Tensor | None = None) -> Tensor:
        """:meth:`loss` with the scored tokens given by :func:`scored_places` [N] on the device of tokens [B, T]."""
        residual = self.residual(tokens[:, :-1], drawn=drawn).flatten(0, 1)[places]  # [N, W]
        return F.cross_entropy(self.logits(residual), tokens[:, 1:].flatten()[places])


def scored_places(scored: Tensor) -> Tensor:
    """Flat indices [N] into the predictions [B, T - 1] of the tokens marked in ``scored`` [B, T].

    Call it on the CPU, where the batch is made. N decides tensor shapes, and on a GPU reading N would wait for the GPU.
    """
    return scored[:, 1:].flatten().nonzero().squeeze(1)


def initialise(model: Decoder, seed: int) -> None:
    """Draw all matrices from the stream ``(seed, "model")``. Gains and other vectors keep their initial values.

    Matrices: normal with standard deviation 1 / sqrt(fan-in). For the two matrices of a layer that write to the
    residual stream, it is divided by sqrt(2 * layers), as in GPT-2. Embeddings: normal with 1 / sqrt(width).
    """
    source = torch.Generator().manual_seed(stream_seed(seed, "model"))
    scale = (2 * len(model.layers)) ** -0.5
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim != 2:
                continue
            fan_in = parameter.shape[1]
            writes = name.endswith(("attention.output.weight", "feed_forward.down.weight"))
            parameter.normal_(0.0, fan_in**-0.5 * (scale if writes else 1.0), generator=source)
