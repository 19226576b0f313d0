"""Weights as safetensors bytes, and back. Nothing here ever unpickles."""

from __future__ import annotations

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from lgt.core.config import ModelConfig
from lgt.model.decoder import Decoder
from lgt.model.positions import learned_parameters
from lgt.tasks.vocabulary import VOCABULARY_SIZE


class CheckpointError(ValueError):
    """Bytes that are no checkpoint of the given model shape; ``str()`` is one line."""


def stored_weights(model: Decoder) -> dict[str, Tensor]:
    """The state of ``model`` as it is stored: every matrix rounded to bfloat16, gains in float32.

    Everything measured is measured on these weights, so that a stored number belongs to the stored checkpoint.
    Rounding halves ``results.db``; training in bfloat16 rounds the same matrices in every forward pass anyway.
    """
    return {
        name: value.detach().to("cpu", torch.bfloat16 if value.ndim == 2 else torch.float32, copy=True)
        for name, value in model.state_dict().items()
    }


def measured_copy(model: Decoder) -> Decoder:
    """A float32 copy of ``model`` that carries its :func:`stored_weights`."""
    copy = Decoder(model.config, vocabulary=model.embedding.num_embeddings)
    copy.load_state_dict(stored_weights(model))
    return copy.to(next(model.parameters()).device)


def to_bytes(model: Decoder) -> bytes:
    """Safetensors bytes of :func:`stored_weights`."""
    return save(stored_weights(model), metadata={"format": "lgt-decoder-1"})


def from_bytes(data: bytes, config: ModelConfig) -> Decoder:
    """The decoder whose weights are ``data``. Raises CheckpointError when bytes and shape do not belong together."""
    try:
        weights = load(data)
    except (SafetensorError, ValueError, OverflowError) as error:
        raise CheckpointError(f"not a safetensors file: {error}") from error
    learned = config.parameters(VOCABULARY_SIZE) + learned_parameters(config)
    if sum(value.numel() for value in weights.values()) != learned:  # before making a decoder of whatever size
        raise CheckpointError(f"checkpoint does not fit the model, which has {learned:,} parameters")
    model = Decoder(config)
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if wanted != found:
        odd = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        raise CheckpointError(f"checkpoint does not fit the model: {odd[0]} (and {len(odd) - 1} more)")
    model.load_state_dict(weights)
    return model
