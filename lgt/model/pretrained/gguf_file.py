"""A Llama in a GGUF file, which the package ``gguf`` parses and dequantizes.

GGUF stores the rows of queries and keys in another order: channel i of a head and channel i + dh/2, which are rotated
together, are neighbours. Here they get the order of Hugging Face's Llama, which is ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lgt.core.config import ModelConfig
from lgt.model.pretrained.network import Pretrained, Refused, check_names, needed, parameter_names, shape_of

MAGIC = b"GGUF"
OURS = {
    "token_embd.weight": "embedding.weight", "output_norm.weight": "norm.gain", "output.weight": "unembedding.weight",
    "attn_q": "attention.query", "attn_k": "attention.key", "attn_v": "attention.value",
    "attn_output": "attention.output", "ffn_gate": "feed_forward.gate", "ffn_up": "feed_forward.up",
    "ffn_down": "feed_forward.down",
}  # fmt: skip
NORMS = {"attn_norm.weight": "attention_norm.gain", "ffn_norm.weight": "feed_forward_norm.gain"}
DAMAGED = (ValueError, KeyError, IndexError, TypeError, OverflowError, AttributeError, MemoryError)
"""What the package raises for a file that is cut off or damaged."""


def read_gguf(path: Path) -> Pretrained:
    """The network in the file ``path``. Raises Refused for a file that is no GGUF, that is damaged, or that has another
    network than a Llama of our kind; OSError if it cannot be read."""
    with path.open("rb") as file:
        first = file.read(len(MAGIC))
    if first != MAGIC:
        raise Refused(f"a GGUF file, which begins with GGUF; {path.name} begins with {first!r}")
    gguf = needed("gguf")
    try:
        reader = gguf.GGUFReader(path)
        values = {name: field.contents() for name, field in reader.fields.items() if _is_needed(name)}
        tensors = {_our_name(tensor.name): tensor for tensor in reader.tensors}
    except DAMAGED as error:
        raise Refused(f"a whole GGUF file; {path.name} is damaged or cut off ({_words(error)})") from error
    shape = _shape(values, tied="unembedding.weight" not in tensors)
    check_names(tensors, parameter_names(shape))
    tokens = values.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, list):
        raise Refused("a GGUF file with its list of tokens (tokenizer.ggml.tokens)")
    ids = {str(token): number for number, token in reversed(list(enumerate(tokens)))}
    begin = values.get("tokenizer.ggml.bos_token_id")

    def read(name: str) -> Tensor:
        return _weights(gguf, tensors[name], name, shape)

    return Pretrained(shape, ids, begin if isinstance(begin, int) else None, read)


def _is_needed(name: str) -> bool:
    wanted = ("general.architecture", "tokenizer.ggml.tokens", "tokenizer.ggml.bos_token_id")
    return name.startswith("llama.") or name in wanted


def _our_name(name: str) -> str:
    """The decoder's name of a tensor; a name that is unknown stays, so that :func:`check_names` can show it."""
    block, _, rest = name.removeprefix("blk.").partition(".")
    if not name.startswith("blk.") or not block.isdecimal():
        return OURS.get(name, name)
    what, _, kind = rest.rpartition(".")
    if rest in NORMS:
        return f"layers.{block}.{NORMS[rest]}"
    return f"layers.{block}.{OURS[what]}.weight" if kind == "weight" and what in OURS else name


def _shape(values: dict[str, Any], tied: bool) -> ModelConfig:
    kind = values.get("general.architecture")
    if kind != "llama":
        raise Refused(f"the architecture llama; this file has {kind!r}")
    for name, plain in (("rope.scaling.type", "none"), ("expert_count", 0), ("attention.sliding_window", 0)):
        found = values.get(f"llama.{name}", plain)
        if found != plain:
            raise Refused(f"a plain Llama; this file has llama.{name} = {found!r}, which is not computed here")
    heads = values.get("llama.attention.head_count")
    widths = {values[name] for name in ("llama.rope.dimension_count", "llama.attention.key_length",
                                        "llama.attention.value_length") if name in values}  # fmt: skip
    if len(widths) > 1:
        raise Refused(f"heads whose channels are all rotated; this file has the widths {sorted(widths)}")
    return shape_of(
        layers=values.get("llama.block_count"), heads=heads,
        kv_heads=values.get("llama.attention.head_count_kv", heads), width=values.get("llama.embedding_length"),
        hidden=values.get("llama.feed_forward_length"), theta=values.get("llama.rope.freq_base", 10_000.0), tied=tied,
        epsilon=values.get("llama.attention.layer_norm_rms_epsilon"), head_width=next(iter(widths), None),
    )  # fmt: skip


def _weights(gguf: Any, tensor: Any, name: str, shape: ModelConfig) -> Tensor:
    try:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
    except (NotImplementedError, *DAMAGED) as error:
        raise Refused(f"a whole GGUF file of known types; {tensor.name} cannot be read ({_words(error)})") from error
    found = torch.from_numpy(values.astype("float32", copy=True))
    if name.endswith("attention.query.weight"):
        return in_our_order(found, shape.heads)
    return in_our_order(found, shape.key_value_heads) if name.endswith("attention.key.weight") else found


def in_our_order(rows: Tensor, heads: int) -> Tensor:
    """The rows [heads * dh, W] of a projection, from GGUF's order to ours."""
    if rows.ndim != 2 or len(rows) % (2 * heads):
        raise Refused(f"projections with rows for {heads} heads; this file has {list(rows.shape)}")
    return rows.view(heads, -1, 2, rows.shape[1]).transpose(1, 2).reshape(rows.shape)


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__
