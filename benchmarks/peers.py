"""The same weights in transformers' Llama and in TransformerLens. Both lack QK-norm per head, so these pairs have none.

Peers are imported inside the functions, so a benchmark that does not need them runs without them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import SCRATCH, Settings, say
from lgt.core.config import RunConfig
from lgt.core.version import code_version
from lgt.model.batch import Batch
from lgt.model.checkpoint import from_bytes, measured_copy, to_bytes
from lgt.model.decoder import NORM_EPSILON, Decoder
from lgt.recipes.presets import group_config
from lgt.training.batches import make_batch
from lgt.training.loop import learning_rate_factor
from lgt.training.steps import make_stepper

IGNORED = -100  # transformers' ignore index


def without_qk_norm(config: RunConfig) -> RunConfig:
    """``config`` with a network that the peers support too."""
    return replace(config, model=replace(config.model, qk_norm=False))


def trained_without_qk_norm(settings: Settings) -> tuple[RunConfig, Decoder]:
    """A ``caprev`` run of the demo preset without QK-norm, trained once and cached in the scratch folder.

    Some of its answers are right and some are wrong, so that counts and maps are informative.
    """
    config = without_qk_norm(group_config("caprev", "demo"))
    steps = 200 if settings.quick else config.training.steps
    path = SCRATCH / f"caprev-{config.hash()}-{steps}-{code_version().rpartition('.')[2]}.safetensors"
    if not path.exists():
        say(f"training {steps} steps without QK-norm, once")
        model = Decoder(config.model, config.model_seed)
        stepper = make_stepper(model, config, device="cpu")
        for step in range(steps):
            stepper.step(make_batch(config, step), learning_rate_factor(config.training, step))
        SCRATCH.mkdir(parents=True, exist_ok=True)
        path.write_bytes(to_bytes(measured_copy(model)))
    return config, from_bytes(path.read_bytes(), config.model)


def as_llama(decoder: Decoder) -> nn.Module:
    """``transformers.LlamaForCausalLM`` with the weights of ``decoder``; transformers chooses the attention (sdpa)."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = decoder.config
    llama = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=decoder.embedding.num_embeddings, hidden_size=config.width, intermediate_size=config.hidden,
            num_hidden_layers=config.layers, num_attention_heads=config.heads, rms_norm_eps=NORM_EPSILON,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta}, tie_word_embeddings=False,
            bos_token_id=None, eos_token_id=None, pad_token_id=None,
        )
    )  # fmt: skip
    llama.load_state_dict(llama_weights(decoder))
    return llama


def llama_weights(decoder: Decoder) -> dict[str, Tensor]:
    """The weights of ``decoder`` under transformers' names."""
    names = {"query": "self_attn.q_proj", "key": "self_attn.k_proj", "value": "self_attn.v_proj",
             "output": "self_attn.o_proj"}  # fmt: skip
    weights = {"model.embed_tokens.weight": decoder.embedding.weight, "model.norm.weight": decoder.norm.gain,
               "lm_head.weight": decoder.unembedding.weight}  # fmt: skip
    for number, layer in enumerate(decoder.blocks()):
        prefix = f"model.layers.{number}."
        weights[prefix + "input_layernorm.weight"] = layer.attention_norm.gain
        weights[prefix + "post_attention_layernorm.weight"] = layer.feed_forward_norm.gain
        for ours, theirs in names.items():
            weights[f"{prefix}{theirs}.weight"] = getattr(layer.attention, ours).weight
        for name in ("gate", "up", "down"):
            weights[f"{prefix}mlp.{name}_proj.weight"] = getattr(layer.feed_forward, name).weight
    return {name: value.detach().clone() for name, value in weights.items()}


def llama_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Transformers' own loss with the labels of the scored tokens; no cache of keys and values in training."""
    labels = torch.where(batch.scored, batch.tokens, IGNORED)
    loss: Tensor = model(input_ids=batch.tokens, labels=labels, use_cache=False).loss
    return loss


def as_hooked(decoder: Decoder) -> Any:
    """``transformer_lens.HookedTransformer`` with the weights of ``decoder``, from a config: nothing is downloaded."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    config = decoder.config
    hooked = HookedTransformer(
        HookedTransformerConfig(
            n_layers=config.layers, d_model=config.width, n_ctx=2048, d_head=config.head_width, n_heads=config.heads,
            d_mlp=config.hidden, d_vocab=decoder.embedding.num_embeddings, act_fn="silu", gated_mlp=True,
            normalization_type="RMS", final_rms=True, eps=NORM_EPSILON, positional_embedding_type="rotary",
            rotary_dim=config.head_width, rotary_base=config.rope_theta, device="cpu", init_weights=False,
        )
    )  # fmt: skip
    missing = hooked.load_state_dict(hooked_weights(decoder), strict=False)
    left = [name for name in missing.missing_keys if name.rpartition(".")[2].startswith(("W_", "w", "b_"))]
    if left or missing.unexpected_keys:
        raise RuntimeError(f"TransformerLens names its weights otherwise: {left + missing.unexpected_keys}")
    return hooked.eval()


def hooked_weights(decoder: Decoder) -> dict[str, Tensor]:
    """The weights of ``decoder`` in TransformerLens's names and shapes; its biases are zero."""
    config = decoder.config
    heads, head_width, width = config.heads, config.head_width, config.width
    weights = {
        "embed.W_E": decoder.embedding.weight, "ln_final.w": decoder.norm.gain,
        "unembed.W_U": decoder.unembedding.weight.T, "unembed.b_U": torch.zeros(decoder.embedding.num_embeddings),
    }  # fmt: skip
    for number, layer in enumerate(decoder.blocks()):
        attention, feed = layer.attention, layer.feed_forward
        own = {"ln1.w": layer.attention_norm.gain, "ln2.w": layer.feed_forward_norm.gain,
               "attn.W_O": attention.output.weight.T.reshape(heads, head_width, width), "attn.b_O": torch.zeros(width),
               "mlp.W_gate": feed.gate.weight.T, "mlp.W_in": feed.up.weight.T, "mlp.W_out": feed.down.weight.T,
               "mlp.b_in": torch.zeros(config.hidden), "mlp.b_out": torch.zeros(width)}  # fmt: skip
        for letter, map_ in (("Q", attention.query), ("K", attention.key), ("V", attention.value)):
            own[f"attn.W_{letter}"] = map_.weight.view(heads, head_width, width).transpose(1, 2)
            own[f"attn.b_{letter}"] = torch.zeros(heads, head_width)
        weights |= {f"blocks.{number}.{name}": value for name, value in own.items()}
    return {name: value.detach().clone() for name, value in weights.items()}
