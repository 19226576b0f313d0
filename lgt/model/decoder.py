"""The decoder in reading order: norm, rotary positions, attention, feed-forward, layer, decoder.

A small Llama (Touvron et al. 2023): pre-norm RMSNorm, rotary positions, SwiGLU, no biases, untied embeddings. Two
named choices go beyond it: ``position="nope"`` (no positional encoding at all) and ``qk_norm`` (RMS norm of queries and
keys with a learned gain per head). Logits equal ``transformers.LlamaForCausalLM`` on the same weights (tested).

Shapes: B sequences, T tokens, W width, H heads, dh = W / H, V vocabulary.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgt.core.config import ModelConfig
from lgt.core.seeding import stream_seed
from lgt.model.hooks import HookPoint
from lgt.tasks.vocabulary import VOCABULARY_SIZE

NORM_EPSILON = 1e-5
# With queries and keys of unit RMS the largest attention score is gain * gain * sqrt(dh); 1.68 ** 2 = 2.83 lets a head
# of 16 channels start out able to prefer one of 40 positions (e^11 against 40) without being stuck on it.
INITIAL_QK_GAIN = 1.68


class RMSNorm(nn.Module):
    """Divide by the root mean square over channels and multiply by a learned gain; computed in float32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:  # [B, T, W]
        return F.rms_norm(x.float(), (x.shape[-1],), self.gain, NORM_EPSILON).to(x.dtype)


class Linear(nn.Linear):
    """A bias-free linear map whose float32 master weight is cast to the dtype of what it multiplies."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


def rotary_angles(positions: Tensor, head_width: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines [T, dh] of positions [T], in float32: in bfloat16 neighbouring positions above 256 coincide."""
    exponents = torch.arange(0, head_width, 2, device=positions.device, dtype=torch.float32) / head_width
    angles = positions.float()[:, None] * theta**-exponents  # [T, dh / 2]
    angles = torch.cat((angles, angles), dim=-1)  # [T, dh]
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotate channel pairs (i, i + dh/2) of x [B, H, T, dh] by the angles [T, dh]."""
    first, second = x.chunk(2, dim=-1)
    return x * cosines + torch.cat((-second, first), dim=-1) * sines


class Attention(nn.Module):
    """Causal multi-head self-attention with taps at the pattern and at each head's output before the projection.

    On a GPU PyTorch's attention kernel computes the heads without ever writing the pattern down, except while somebody
    reads or edits it. ``kernel`` asks for that on the CPU too, where it is the slower way for short sequences.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.kernel = False
        self.query = Linear(config.width, config.width)
        self.key = Linear(config.width, config.width)
        self.value = Linear(config.width, config.width)
        self.output = Linear(config.width, config.width)
        if config.qk_norm:
            self.query_gain = nn.Parameter(torch.full((config.heads, 1, 1), INITIAL_QK_GAIN))
            self.key_gain = nn.Parameter(torch.full((config.heads, 1, 1), INITIAL_QK_GAIN))
        self.pattern = HookPoint()  # [B, H, T, T], rows sum to one
        self.head_outputs = HookPoint()  # [B, H, T, dh]

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor] | None, mask: Tensor) -> Tensor:
        q, k, v = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))  # [B, H, T, dh]
        if self.config.qk_norm:
            q, k = self.normalised(q, self.query_gain), self.normalised(k, self.key_gain)
        if angles is not None:
            q, k = rotate(q, *angles), rotate(k, *angles)
        q, k = (q * self.config.head_width**-0.5).to(x.dtype), k.to(x.dtype)
        if (x.is_cuda or self.kernel) and not self.pattern.edits:  # the mask is the causal one, which the kernel knows
            heads = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0)
        else:
            scores = q @ k.transpose(-2, -1) + mask  # [B, H, T, T]
            heads = self.pattern(scores.softmax(dim=-1)) @ v
        heads = self.head_outputs(heads)  # [B, H, T, dh]
        return self.output(heads.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]  # [B, T, W]

    def split(self, x: Tensor) -> Tensor:  # [B, T, W] -> [B, H, T, dh]
        return x.view(*x.shape[:2], self.config.heads, self.config.head_width).transpose(1, 2)

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

    def forward(self, x: Tensor) -> Tensor:  # [B, T, W]
        return self.down(F.silu(self.gate(x)) * self.up(x))  # type: ignore[no-any-return]


class Layer(nn.Module):
    """One pre-norm decoder layer: attention, then feed-forward, each added to the residual stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.width)
        self.attention = Attention(config)
        self.feed_forward_norm = RMSNorm(config.width)
        self.feed_forward = FeedForward(config)

    def forward(self, residual: Tensor, angles: tuple[Tensor, Tensor] | None, mask: Tensor) -> Tensor:
        residual = residual + self.attention(self.attention_norm(residual), angles, mask)
        return residual + self.feed_forward(self.feed_forward_norm(residual))  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """Embedding, layers, norm, unembedding. ``compute`` is the dtype of activations; parameters stay float32."""

    def __init__(self, config: ModelConfig, seed: int = 0, vocabulary: int = VOCABULARY_SIZE) -> None:
        super().__init__()
        self.config = config
        self.compute = torch.float32
        self.embedding = nn.Embedding(vocabulary, config.width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.width)
        self.unembedding = Linear(config.width, vocabulary)
        initialise(self, seed)

    def blocks(self) -> list[Layer]:
        """The layers, first to last, with their type."""
        return [layer for layer in self.layers if isinstance(layer, Layer)]

    def residual(self, tokens: Tensor, positions: Tensor | None = None) -> Tensor:
        """Final residual stream [B, T, W], before the last norm, of tokens [B, T]; ``positions`` [T]: 0..T-1."""
        length = tokens.shape[1]
        if positions is None:
            positions = torch.arange(length, device=tokens.device)
        angles = None
        if self.config.position == "rope":
            angles = rotary_angles(positions, self.config.head_width, self.config.rope_theta)
        mask = torch.full((length, length), float("-inf"), device=tokens.device, dtype=self.compute).triu(1)
        residual = F.embedding(tokens, self.embedding.weight).to(self.compute)  # [B, T, W]
        for layer in self.layers:
            residual = layer(residual, angles, mask)
        return residual

    def logits(self, residual: Tensor) -> Tensor:
        """Next-token logits [..., V] (float32) of a final residual stream [..., W]."""
        return self.unembedding(self.norm(residual)).float()  # type: ignore[no-any-return]

    def forward(self, tokens: Tensor, positions: Tensor | None = None) -> Tensor:
        """Logits [B, T, V] (float32) of the next token at every position of tokens [B, T]."""
        return self.logits(self.residual(tokens, positions))

    def loss(self, tokens: Tensor, scored: Tensor) -> Tensor:
        """Mean cross-entropy (nats) over the tokens [B, T] marked in ``scored`` [B, T], given their prefixes."""
        return self.loss_at(tokens, scored_places(scored).to(tokens.device))

    def loss_at(self, tokens: Tensor, places: Tensor) -> Tensor:
        """:meth:`loss` with the scored tokens given by :func:`scored_places` [N] on the device of tokens [B, T]."""
        residual = self.residual(tokens[:, :-1]).flatten(0, 1)[places]  # [N, W]
        return F.cross_entropy(self.logits(residual), tokens[:, 1:].flatten()[places])


def scored_places(scored: Tensor) -> Tensor:
    """Flat indices [N] into the predictions [B, T - 1] of the tokens marked in ``scored`` [B, T].

    How many there are decides shapes: found on the CPU, where the batch is made, a GPU need not be waited for.
    """
    return scored[:, 1:].flatten().nonzero().squeeze(1)


def initialise(model: Decoder, seed: int) -> None:
    """Draw all parameters from the stream ``(seed, "model")``; gains keep their constant start.

    Matrices: normal with standard deviation 1 / sqrt(fan-in), the two that write to the residual stream scaled down by
    sqrt(2 * layers) (GPT-2's rule); embeddings: normal, 1 / sqrt(width).
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


def parameter_count(model: nn.Module) -> int:
    """Number of trained numbers."""
    return sum(parameter.numel() for parameter in model.parameters())
