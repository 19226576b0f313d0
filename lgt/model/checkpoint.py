"""Conversion of weights to safetensors bytes and back. No pickle is used, so reading bytes runs no code.

If a network has appended tokens, which follow version 1 of the vocabulary, the header of its checkpoint lists their
names. Their rows are found by name, because such a token can have another id in the process that reads the checkpoint.
All other checkpoints have no such list: in every release their rows are the tokens of version 1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from lgt.core.config import ModelConfig
from lgt.core.parts import Part
from lgt.model.decoder import Decoder
from lgt.model.positions import learned_parameters
from lgt.tasks.vocabulary import TOKEN_ID, TOKENS, VERSION, VOCABULARY_SIZE

FORMAT = "lgt-decoder-1"
ROWS = ("embedding.weight", "unembedding.weight")
"""The matrices that have one row for each token. With ``model.tied`` there is only the first one."""


class CheckpointError(ValueError):
    """Bytes that are not a checkpoint of the given model shape; ``str()`` is one line."""


def stored_weights(model: Decoder) -> dict[str, Tensor]:
    """The state of ``model`` as it is stored: every matrix rounded to bfloat16, gains in float32.

    All measurements use these weights, so that the stored numbers can be measured again from the stored checkpoint.
    Rounding halves the size of ``results.db``. Training in bfloat16 rounds the same matrices in every forward pass.
    """
    return {
        name: value.detach().to("cpu", torch.bfloat16 if value.ndim == 2 else torch.float32, copy=True)
        for name, value in model.state_dict().items()
    }


def measured_copy(model: Decoder) -> Decoder:
    """A float32 copy of ``model`` with its :func:`stored_weights`."""
    copy = Decoder(model.config, vocabulary=model.embedding.num_embeddings, by_task=model.by_task)
    copy.load_state_dict(stored_weights(model))
    copy.unknown = model.unknown
    return copy.to(next(model.parameters()).device)


def known_ids(model: Decoder) -> list[int]:
    """The ids of the tokens for which ``model`` has weights, in order: all ids except ``model.unknown``."""
    return [number for number in range(model.embedding.num_embeddings) if number not in model.unknown]


def to_bytes(model: Decoder) -> bytes:
    """Safetensors bytes of :func:`stored_weights`, with the names of the appended tokens."""
    weights, about, kept = stored_weights(model), {"format": FORMAT}, known_ids(model)
    if len(kept) > VOCABULARY_SIZE:
        weights |= {name: weights[name][kept].contiguous() for name in ROWS if name in weights}
        tokens = [TOKENS[number] for number in kept[VOCABULARY_SIZE:]]
        about |= {"vocabulary": str(VERSION), "tokens": json.dumps(tokens)}
    return save(weights, metadata=about)


def from_bytes(data: bytes, config: ModelConfig, by_task: Mapping[str, Part] | None = None) -> Decoder:
    """The decoder whose weights are ``data``, with the token ids of this process. ``by_task``: as for a decoder.

    Raises CheckpointError if the bytes do not fit ``config``, or have a token that this process does not know.
    """
    try:
        weights = load(data)
    except (SafetensorError, ValueError, OverflowError) as error:
        raise CheckpointError(f"not a safetensors file: {error}") from error
    ids = _token_ids(data)
    learned = config.parameters(len(ids)) + learned_parameters(config)
    if sum(value.numel() for value in weights.values()) != learned:  # first, because a shape may be very large
        raise CheckpointError(f"checkpoint does not fit the model, which has {learned:,} parameters")
    model = Decoder(config, vocabulary=len(ids), by_task=by_task)
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if wanted != found:
        odd = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        raise CheckpointError(f"checkpoint does not fit the model: {odd[0]} (and {len(odd) - 1} more)")
    if ids != list(range(len(ids))):
        model = _with_rows_at(weights, ids, model)
    model.load_state_dict(weights)
    return model


def _token_ids(data: bytes) -> list[int]:
    """For each row, the id of its token in this process. Raises CheckpointError for a token that has no id."""
    about = header_texts(data)
    try:
        names = [str(name) for name in json.loads(about.get("tokens", "[]"))]
        version = int(about.get("vocabulary", VERSION))
    except (ValueError, TypeError) as error:
        raise CheckpointError("the checkpoint's list of tokens is damaged") from error
    if version != VERSION:
        raise CheckpointError(f"the checkpoint has version {version} of the vocabulary; this code knows {VERSION}")
    for name in names:
        if name not in TOKEN_ID:
            raise CheckpointError(
                f"the checkpoint has the unknown token {name[:60]!r}: load the extension that registers it"
            )
    ids = [*range(VOCABULARY_SIZE), *(TOKEN_ID[name] for name in names)]
    if len(set(ids)) != len(ids):
        raise CheckpointError("the checkpoint's list of tokens names one token twice")
    return ids


def _with_rows_at(weights: dict[str, Tensor], ids: list[int], like: Decoder) -> Decoder:
    """A decoder like ``like`` for ``weights``, whose rows are moved to the token ids ``ids``. It never chooses another
    token."""
    config, count = like.config, max(ids) + 1
    for name in ROWS:
        if name not in weights:
            continue
        rows = weights[name].new_zeros(count, config.width)
        rows[ids] = weights[name]
        weights[name] = rows
    model = Decoder(config, vocabulary=count, by_task=like.by_task)
    model.unknown = tuple(sorted(set(range(count)) - set(ids)))
    return model


def header_texts(data: bytes) -> dict[str, str]:
    """The texts in the header of valid safetensors bytes. The library reads them only from files."""
    length = int.from_bytes(data[:8], "little")
    found: dict[str, str] = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    return found
