"""The plain loop, written as in nanoGPT: the same architecture in eager PyTorch and float32.

One product for queries, keys and values, ``scaled_dot_product_attention``, logits at every position with
``ignore_index``, clipping, ``torch.optim.AdamW`` in its fused kernel (faster than its default on a CPU).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lgt.core.config import MAXIMUM_LENGTH, ModelConfig, TrainingConfig
from lgt.model.batch import Batch
from lgt.model.decoder import NORM_EPSILON, Decoder
from lgt.model.positions.rope import rotary_angles, rotate

IGNORED = -1
LONGEST = 4 * MAXIMUM_LENGTH  # number of positions with precomputed rotary angles


class PlainLayer(nn.Module):
    """Attention and SwiGLU, each behind an RMS norm."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, hidden, self.heads = config.width, config.hidden, config.heads
        self.norm_1, self.norm_2 = (nn.RMSNorm(width, eps=NORM_EPSILON) for _ in range(2))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.gate, self.up = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, width, bias=False)
        self.gains = nn.Parameter(torch.ones(2, config.heads, 1, 1)) if config.qk_norm else None

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:  # [B, T, W]
        B, T, W = x.shape
        q, k, v = self.qkv(self.norm_1(x)).view(B, T, 3, self.heads, W // self.heads).permute(2, 0, 3, 1, 4)
        if self.gains is not None:
            q = F.rms_norm(q, q.shape[-1:], eps=NORM_EPSILON) * self.gains[0]
            k = F.rms_norm(k, k.shape[-1:], eps=NORM_EPSILON) * self.gains[1]
        q, k = rotate(q, *angles), rotate(k, *angles)
        y = F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(B, T, W))
        h = self.norm_2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class PlainDecoder(nn.Module):
    """The decoder of :mod:`lgt.model.decoder` with rotary positions, starting from the weights of ``decoder``."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        config, vocabulary = decoder.config, decoder.embedding.num_embeddings
        self.embedding = nn.Embedding(vocabulary, config.width)
        self.layers = nn.ModuleList(PlainLayer(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width, eps=NORM_EPSILON)
        self.head = nn.Linear(config.width, vocabulary, bias=False)
        angles = rotary_angles(torch.arange(LONGEST), config.head_width, config.rope_theta)
        self.register_buffer("cosines", angles[0], persistent=False)
        self.register_buffer("sines", angles[1], persistent=False)
        for theirs, mine in self.beside(decoder):
            theirs.data.copy_(mine.data)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits [B, T, V]."""
        x = self.embedding(tokens)
        angles = self.cosines[: tokens.shape[1]], self.sines[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x, angles)
        return self.head(self.norm(x))

    def beside(self, decoder: Decoder) -> list[tuple[Tensor, Tensor]]:
        """Each weight here (or its part) with its counterpart in ``decoder``, as views that can be written to."""
        pairs = [(self.embedding.weight, decoder.embedding.weight), (self.norm.weight, decoder.norm.gain),
                 (self.head.weight, decoder.unembedding.weight)]  # fmt: skip
        for plain, ours in zip(self.layers, decoder.blocks(), strict=True):
            attention, feed = ours.attention, ours.feed_forward
            pairs += zip(plain.qkv.weight.chunk(3), (attention.query.weight, attention.key.weight,
                         attention.value.weight), strict=True)  # fmt: skip
            pairs += [(plain.norm_1.weight, ours.attention_norm.gain), (plain.out.weight, attention.output.weight),
                      (plain.norm_2.weight, ours.feed_forward_norm.gain), (plain.gate.weight, feed.gate.weight),
                      (plain.up.weight, feed.up.weight), (plain.down.weight, feed.down.weight)]  # fmt: skip
            if plain.gains is not None:
                pairs += [(plain.gains[0], attention.query_gain), (plain.gains[1], attention.key_gain)]
        return pairs

    def write_to(self, decoder: Decoder) -> Decoder:
        """``decoder`` with the current weights, so that the same code measures both sides."""
        for mine, theirs in self.beside(decoder):
            theirs.data.copy_(mine.data)
        return decoder


def plain_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Mean cross-entropy over the scored tokens, from logits at every position."""
    logits = model(batch.tokens[:, :-1])
    targets = torch.where(batch.scored, batch.tokens, IGNORED)[:, 1:]
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED)


class PeerLoop:
    """Forward, backward, clip, AdamW, with the interface of :class:`lgt.training.steps.Stepper`.

    Weight decay applies to the matrices of the layers.
    """

    def __init__(self, model: nn.Module, loss: Callable[[nn.Module, Batch], Tensor], training: TrainingConfig) -> None:
        self.model, self.loss, self.training = model, loss, training
        decayed = [p for name, p in model.named_parameters() if ".layers." in f".{name}" and p.ndim == 2]
        chosen = {id(p) for p in decayed}
        rest = [p for p in model.parameters() if id(p) not in chosen]
        self.bases = [training.learning_rate, training.embedding_learning_rate]
        groups = [{"params": decayed, "weight_decay": training.weight_decay}, {"params": rest, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), fused=True)

    def step(self, batch: Batch, factor: float) -> float:
        """One optimizer step at ``factor`` times the base rates; the loss before it (nats)."""
        loss = self.loss(self.model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.training.gradient_clip)
        for group, base in zip(self.optimizer.param_groups, self.bases, strict=True):
            group["lr"] = base * factor
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item()
