"""Small random Llamas as files, made by ``transformers`` and ``gguf``: an independent source of weights and logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lgt.core.config import RunConfig, TaskSpec, TrainingConfig
from lgt.core.start import source_of
from lgt.model.decoder import Decoder
from lgt.model.pretrained import begin, opened
from lgt.tasks.vocabulary import EOS, TOKENS

CHARACTERS = [token for token in TOKENS if len(token) == 1]
BEGIN = 5


def vocabulary(newline: str = "\u010a") -> list[str]:
    """A vocabulary in which our characters stand in another order, among tokens that we do not have."""
    order = np.random.default_rng(4).permutation(len(CHARACTERS))
    words = [f"word{number}" for number in range(9)]
    return [*words[:BEGIN], "<s>", newline, *(CHARACTERS[place] for place in order), *words[BEGIN:]]


def llama(tied: bool = True, **changes: Any) -> LlamaForCausalLM:
    """A random Llama with three query heads to each key head. Its gains are not all one."""
    config = LlamaConfig(**{
        "vocab_size": len(vocabulary()), "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2,
        "num_attention_heads": 6, "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "rope_theta": 5000.0,
        "tie_word_embeddings": tied, "bos_token_id": BEGIN, "initializer_range": 0.3, **changes,
    })  # fmt: skip
    torch.manual_seed(3)
    network = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "norm" in name:
                parameter.uniform_(0.5, 1.5)
    return network


def as_folder(network: LlamaForCausalLM, folder: Path, tokens: list[str] | None = None) -> str:
    """Write a network as Hugging Face stores it; returns the source's text."""
    network.save_pretrained(folder)
    vocab = {token: number for number, token in enumerate(tokens or vocabulary())}
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": vocab, "merges": []}}))
    return f"folder:{folder}"


def in_gguf_order(rows: np.ndarray, heads: int) -> np.ndarray:
    """As llama.cpp's converter stores queries and keys (``LlamaModel.permute`` in ``convert_hf_to_gguf.py``)."""
    return rows.reshape(heads, 2, len(rows) // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def as_gguf(network: LlamaForCausalLM, path: Path, quantized: bool = False, **changes: Any) -> str:
    """Write a network as a GGUF file; returns the source's text. ``changes``: other metadata."""
    import gguf

    config, writer = network.config, gguf.GGUFWriter(path, changes.pop("architecture", "llama"))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(vocabulary())
    writer.add_bos_token_id(BEGIN)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(changes.pop("epsilon", 1e-5))
    writer.add_rope_freq_base(5000.0)
    writer.add_rope_dimension_count(changes.pop("rotated", config.hidden_size // config.num_attention_heads))
    for name, value in changes.items():
        writer.add_string(name.replace("__", "."), value)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, value in network.state_dict().items():
        rows = value.numpy()
        if "q_proj" in name or "k_proj" in name:
            of = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            rows = in_gguf_order(rows, of)
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        kind = gguf.GGMLQuantizationType.Q8_0 if quantized and rows.ndim == 2 and rows.shape[1] % 32 == 0 else None
        stored = rows if kind is None else gguf.quants.quantize(rows, kind)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), np.ascontiguousarray(stored), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return f"gguf:{path}"


def run_from(text: str, seed: int = 0, **training: Any) -> RunConfig:
    """A run that starts from the source ``text``, as that source is now."""
    found = opened(source_of(text))
    start = TrainingConfig(start=text, start_sha256=found.sha256, **training)
    tasks = (TaskSpec("string_copy", "main", 8),)
    return RunConfig(tasks, arm="alone-same-steps", model=found.network.shape, training=start, model_seed=seed)


def started(config: RunConfig) -> Decoder:
    """The decoder of a run at step 0."""
    model = Decoder(config.model, config.model_seed)
    begin(model, config)
    return model


def pairs(tokens: list[str], begin: int = BEGIN, newline: str = "\u010a") -> dict[int, int]:
    """For each of our tokens that a source has, its id there, from the source's list of tokens."""
    found = {TOKENS.index(token): tokens.index(token) for token in CHARACTERS}
    return found | {TOKENS.index("<bos>"): begin, EOS: tokens.index(newline)}


def prompts(among: list[int], rows: int = 5, length: int = 23) -> torch.Tensor:
    """Random sequences of our token ids ``among``."""
    source = torch.Generator().manual_seed(9)
    return torch.tensor(among)[torch.randint(len(among), (rows, length), generator=source)]
