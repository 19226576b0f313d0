"""A Llama in a folder as Hugging Face stores it: ``config.json``, ``tokenizer.json`` and ``*.safetensors``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from lgt.core.config import ModelConfig
from lgt.model.pretrained.network import Pretrained, Refused, check_names, parameter_names, shape_of

WEIGHTS = "*.safetensors"
TEXTS = ("config.json", "tokenizer.json")
IGNORED = "rotary_emb.inv_freq"
"""A table that old files contain; it follows from the rotary base."""
OURS = {
    "model.embed_tokens.weight": "embedding.weight", "model.norm.weight": "norm.gain",
    "lm_head.weight": "unembedding.weight", "self_attn.q_proj.weight": "attention.query.weight",
    "self_attn.k_proj.weight": "attention.key.weight", "self_attn.v_proj.weight": "attention.value.weight",
    "self_attn.o_proj.weight": "attention.output.weight", "mlp.gate_proj.weight": "feed_forward.gate.weight",
    "mlp.up_proj.weight": "feed_forward.up.weight", "mlp.down_proj.weight": "feed_forward.down.weight",
    "input_layernorm.weight": "attention_norm.gain", "post_attention_layernorm.weight": "feed_forward_norm.gain",
}  # fmt: skip
PLAIN = {"model_type": "llama", "hidden_act": "silu", "attention_bias": False, "mlp_bias": False,
         "quantization_config": None, "sliding_window": None}  # fmt: skip
"""Entries of ``config.json`` with the values of a plain Llama; only the first has to be there."""


def files_of(folder: Path) -> list[Path]:
    """The files of a network in ``folder``, in the order in which their content is pinned. Raises Refused if one is
    missing."""
    texts = [folder / name for name in TEXTS]
    weights = sorted(path for path in folder.glob(WEIGHTS) if path.is_file())
    for path in texts:
        if not path.is_file():
            raise Refused(f"a folder with {path.name}")
    if not weights:
        pickled = any(folder.glob("*.bin")) and "; *.bin is not read, because it can run code"
        raise Refused(f"a folder with {WEIGHTS}{pickled or ''}")
    return [*texts, *weights]


def read_folder(folder: Path) -> Pretrained:
    """The network in ``folder``. Raises Refused for missing or damaged files and for another network than a Llama of
    our kind; OSError if a file cannot be read."""
    texts, weights = files_of(folder)[: len(TEXTS)], files_of(folder)[len(TEXTS) :]
    about, tokenizer = (_object(path) for path in texts)
    shape = _shape(about)
    where = _where(weights, tied=shape.tied)
    check_names(where, parameter_names(shape))
    begin = about.get("bos_token_id")

    def read(name: str) -> Tensor:
        path, theirs = where[name]
        try:
            with safe_open(path, framework="pt") as file:
                found: Tensor = file.get_tensor(theirs)
        except SafetensorError as error:
            raise Refused(f"a whole {path.name} ({error})") from error
        if not found.is_floating_point():
            raise Refused(f"weights that are not quantized; {theirs} has the type {found.dtype}")
        return found.float()

    return Pretrained(shape, _ids(tokenizer), begin if isinstance(begin, int) else None, read)


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise Refused(f"a whole {path.name}; this one is no JSON") from error
    if not isinstance(found, dict):
        raise Refused(f"a {path.name} that is a JSON object")
    return found


def _where(paths: list[Path], tied: bool) -> dict[str, tuple[Path, str]]:
    """The file of each tensor and its name there, by our name."""
    found: dict[str, tuple[Path, str]] = {}
    for path in paths:
        try:
            with safe_open(path, framework="pt") as file:
                names = list(file.keys())
        except (SafetensorError, ValueError) as error:
            raise Refused(f"whole files; {path.name} is damaged or cut off ({str(error)[:100]})") from error
        found |= {_our_name(name): (path, name) for name in names if not name.endswith(IGNORED)}
    if tied:
        found.pop("unembedding.weight", None)  # some files repeat the embedding
    return found


def _our_name(name: str) -> str:
    """The decoder's name of a tensor; a name that is unknown stays, so that :func:`check_names` can show it."""
    layer, _, rest = name.removeprefix("model.layers.").partition(".")
    inner = name.startswith("model.layers.") and layer.isdecimal() and rest in OURS
    return f"layers.{layer}.{OURS[rest]}" if inner else OURS.get(name, name)


def _shape(about: Mapping[str, Any]) -> ModelConfig:
    for name, plain in PLAIN.items():
        found = about.get(name, None if name == "model_type" else plain)
        if found != plain:
            raise Refused(f"a plain Llama, with {name} {plain!r}; this config.json has {found!r}")
    rotary = about.get("rope_parameters") or about.get("rope_scaling") or {}
    kind = rotary.get("rope_type", rotary.get("type", "default")) if isinstance(rotary, dict) else rotary
    if kind != "default":
        raise Refused(f"rotary positions without scaling; this config.json has {kind!r}")
    heads, width = about.get("num_attention_heads"), about.get("head_dim")
    return shape_of(
        layers=about.get("num_hidden_layers"), heads=heads, kv_heads=about.get("num_key_value_heads") or heads,
        width=about.get("hidden_size"), hidden=about.get("intermediate_size"),
        theta=rotary.get("rope_theta", about.get("rope_theta", 10_000.0)),
        tied=about.get("tie_word_embeddings", False) is True, epsilon=about.get("rms_norm_eps", 1e-6),
        head_width=width,
    )  # fmt: skip


def _ids(tokenizer: Mapping[str, Any]) -> dict[str, int]:
    """The id of each token, from the content of ``tokenizer.json``."""
    model, more = tokenizer.get("model"), tokenizer.get("added_tokens")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    try:
        if isinstance(vocabulary, list):  # Unigram: pairs of token and score in the order of their ids
            found = {str(token): number for number, (token, _) in enumerate(vocabulary)}
        else:
            found = {str(token): int(number) for token, number in dict(vocabulary or {}).items()}
        return {str(one["content"]): int(one["id"]) for one in more or []} | found
    except (ValueError, TypeError, KeyError) as error:
        raise Refused("a tokenizer.json with its vocabulary") from error
