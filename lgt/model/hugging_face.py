"""A decoder as a network of Hugging Face ``transformers``: the config and the weights with which it gives equal logits.

Nothing here imports ``transformers``; the tests load what is made here with it and compare the logits.

- Without ``qk_norm`` the network is a Llama. Names differ, numbers do not. Both have ``kv_heads`` and ``tied``.
- With ``qk_norm`` it is a Qwen3. A Qwen3 normalises queries and keys too, but all heads of a layer share one gain per
  channel, and ours has one gain per head. See :func:`_normalised` for how both are made equal.
- Without positions (``nope``) the angles of the rotation are divided by :data:`NO_ROTATION`. They are then so small
  that the rotation changes no float32 number.
- A layer that is applied several times is written several times.

Shapes: W width, H heads, G key and value heads, dh channels per head, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from lgt.core.checks import ConfigError
from lgt.core.choices import POSITIONS
from lgt.core.config import ModelConfig
from lgt.core.parts import FIELD as PARTS
from lgt.model.checkpoint import known_ids
from lgt.model.decoder import NORM_EPSILON, Attention, Decoder
from lgt.model.positions import encoding_named
from lgt.model.positions.nope import Nope
from lgt.model.positions.rope import Rope
from lgt.model.schedules import each_layer_once, order_of
from lgt.tasks.vocabulary import BOS, EOS, PAD, TOKENS

NO_ROTATION = 1e30
LONGEST = 32_768
"""The number of positions in the config. The network has no such limit; other programs reserve memory for so many."""


@dataclass(frozen=True)
class Counterpart:
    """A network of ``transformers``. ``config``: the content of ``config.json``. ``weights``: float32, by the names of
    ``transformers``. ``tokens``: the names of the V tokens in the order of their ids, which can differ from the ids of
    this process. ``notes``: sentences that say how this network differs from the decoder in form."""

    config: dict[str, Any]
    weights: dict[str, Tensor]
    tokens: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def architecture(self) -> str:
        """The class of ``transformers``, such as ``LlamaForCausalLM``."""
        return str(self.config["architectures"][0])


def check_counterpart(config: ModelConfig) -> None:
    """Raise ConfigError, which names the field, if ``transformers`` has no network that computes what ``config``
    does."""
    if encoding_named(config.position) not in (Rope, Nope):
        accepted = f"{Rope.name} or {Nope.name}, because the network of transformers has no other encoding"
        raise ConfigError(POSITIONS.path, config.position, accepted)
    if config.parts:
        accepted = "an empty text, because every head and channel of a network of transformers works for every prompt"
        raise ConfigError(PARTS, config.parts, accepted)
    order_of(config)


def counterpart(model: Decoder) -> Counterpart:
    """The network of ``transformers`` with the logits of ``model``. Raises ConfigError as :func:`check_counterpart`."""
    check_counterpart(model.config)
    kept = known_ids(model)
    weights = {
        "model.embed_tokens.weight": model.embedding.weight[kept],
        "model.norm.weight": model.norm.gain,
    }
    if not model.config.tied:  # else transformers uses the embedding, which tie_word_embeddings says
        weights["lm_head.weight"] = model.unembedding.weight[kept]
    for number, layer in enumerate(model.applied()):
        prefix = f"model.layers.{number}."
        weights[prefix + "input_layernorm.weight"] = layer.attention_norm.gain
        weights[prefix + "post_attention_layernorm.weight"] = layer.feed_forward_norm.gain
        for name, value in _attention(layer.attention).items():
            weights[f"{prefix}self_attn.{name}.weight"] = value
        for name in ("gate", "up", "down"):
            weights[f"{prefix}mlp.{name}_proj.weight"] = getattr(layer.feed_forward, name).weight
    own = {name: value.detach().to("cpu", torch.float32, copy=True).contiguous() for name, value in weights.items()}
    config = _config(model.config, len(kept), [kept.index(number) for number in (BOS, EOS, PAD)])
    return Counterpart(config, own, tuple(TOKENS[number] for number in kept), _notes(model.config))


def weights_file(found: Counterpart) -> bytes:
    """The content of ``model.safetensors``."""
    return save(found.weights, metadata={"format": "pt"})


def _config(config: ModelConfig, vocabulary: int, special: list[int]) -> dict[str, Any]:
    """The content of ``config.json``. ``special``: the ids of the begin, end and padding tokens."""
    of_kind: dict[str, Any] = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "mlp_bias": False}
    if config.qk_norm:
        of_kind = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "use_sliding_window": False}
    rotation = None if config.position == Rope.name else {"rope_type": "linear", "factor": NO_ROTATION}
    return {
        **of_kind, "vocab_size": vocabulary, "hidden_size": config.width, "intermediate_size": config.hidden,
        "num_hidden_layers": len(order_of(config)), "num_attention_heads": config.heads,
        "num_key_value_heads": config.key_value_heads, "head_dim": config.head_width * (2 if config.qk_norm else 1),
        "hidden_act": "silu", "rms_norm_eps": NORM_EPSILON, "attention_bias": False, "attention_dropout": 0.0,
        "rope_theta": config.rope_theta, "rope_scaling": rotation, "max_position_embeddings": LONGEST,
        "tie_word_embeddings": config.tied, "bos_token_id": special[0], "eos_token_id": special[1],
        "pad_token_id": special[2], "torch_dtype": "float32",
    }  # fmt: skip


def _attention(attention: Attention) -> dict[str, Tensor]:
    """The weights of one layer's attention."""
    query, key, value = attention.query.weight, attention.key.weight, attention.value.weight
    output = attention.output.weight
    if not attention.config.qk_norm:
        return {"q_proj": query, "k_proj": key, "v_proj": value, "o_proj": output}
    heads, value_heads = attention.config.heads, attention.config.key_value_heads
    query, query_norm = _normalised(query, attention.query_gain.flatten())
    key, key_norm = _normalised(key, attention.key_gain.flatten())
    value = value.view(value_heads, -1, value.shape[1])  # [G, dh, W]
    value = torch.cat((value, torch.zeros_like(value)), dim=1).flatten(0, 1)
    output = output.view(len(output), heads, -1)  # [W, H, dh]
    output = torch.cat((output, torch.zeros_like(output)), dim=2).flatten(1)
    # Their scores are divided by sqrt(2 dh), ours by sqrt(dh).
    return {"q_proj": query, "k_proj": key, "v_proj": value, "o_proj": output,
            "q_norm": query_norm * 2**0.5, "k_norm": key_norm}  # fmt: skip


def _normalised(weight: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
    """A projection to heads of 2 dh channels [2 dh H, W] and a norm weight [2 dh] for all heads, which give what the
    projection ``weight`` [dh H, W] gives after the RMS norm and the gain per head ``gain`` [H].

    Let g be the largest gain of the layer and a = gain / g. Each channel x becomes two: a x and sqrt(1 - a^2) x. The
    sum of their squares is x^2, so the RMS is the same for every a. The norm weight is g for the first and 0 for the
    second: what is left is g a x / RMS, which is gain x / RMS. There are twice as many channels, so the mean square
    would be half as large; the factor sqrt(2) keeps it the same, also beside the epsilon of the norm.

    The two are neighbours, because the rotation of heads of 2 dh channels turns pair 2 i by the angle that ours has for
    pair i. Pair 2 i + 1 is zero.
    """
    heads, weight, gain = len(gain), weight.double(), gain.double()
    largest = gain.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
    share = (gain / largest)[:, None, None]  # [H, 1, 1]
    rows = weight.view(heads, -1, weight.shape[1])  # [H, dh, W]
    pairs = torch.stack((share * rows, (1 - share**2).clamp_min(0).sqrt() * rows), dim=2)  # [H, dh, 2, W]
    norm = torch.stack((largest, torch.zeros_like(largest))).repeat(rows.shape[1])  # [2 dh]
    return (pairs * 2**0.5).flatten(0, 2), norm / 2**0.5


def _notes(config: ModelConfig) -> tuple[str, ...]:
    notes = []
    if config.qk_norm:
        notes.append(
            "The run normalises queries and keys with one learned gain per head (`model.qk_norm`). Qwen3 shares its "
            f"gains over the heads of a layer. So each head has {2 * config.head_width} channels here instead of "
            f"{config.head_width}, and the gains of the heads are part of `q_proj` and `k_proj`."
        )
    if config.position == Nope.name:
        notes.append(
            "The run has no positional encoding (`model.position` is `nope`). The rotation is still computed here, but "
            f"its angles are divided by {NO_ROTATION:g}, so it changes nothing."
        )
    if not each_layer_once(config):
        order = ", ".join(str(number + 1) for number in order_of(config))
        notes.append(
            f"The run applies its layers in the order {order} (`model.schedule` is `{config.schedule}`). Each "
            "application is a layer of its own here. Training this network further would not keep the copies equal."
        )
    return tuple(notes)
