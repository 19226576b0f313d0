"""A decoder gets the weights of a pretrained Llama.

Each character has the row of the source's token for it, the begin token that of the source's begin token, and the end
token that of a line's end, because examples are lines. Tokens without a counterpart (padding, tags, maze nodes) start
from the mean of all rows.

Shapes: V tokens of the source, W width.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace

import torch
from torch import Tensor

from lgt.core.checks import ConfigError
from lgt.core.config import ModelConfig, RunConfig
from lgt.core.notices import warn_once
from lgt.core.seeding import generator
from lgt.core.start import Source, source_of
from lgt.model.checkpoint import ROWS
from lgt.model.decoder import Decoder
from lgt.model.pretrained.network import NEWLINES, Pretrained, Refused
from lgt.model.pretrained.opening import opened, refusals
from lgt.tasks.vocabulary import BOS, EOS, TOKENS

logger = logging.getLogger(__name__)


def begin(model: Decoder, config: RunConfig) -> None:
    """Give ``model``, the decoder of ``config``, the weights that ``training.start`` names; without a name do nothing.

    Raises ConfigError as :func:`lgt.model.pretrained.opening.opened` does, and if the config states another network
    than the source has.
    """
    if not config.training.start:
        return
    source = source_of(config.training.start)
    network = opened(source, config.training.start_sha256).network
    check_shape(config.model, network.shape, source)
    with refusals(source), torch.no_grad():
        ids = counterparts(network, model.embedding.num_embeddings)
        warn_once(logger, notice(source, ids))
        for name, parameter in model.named_parameters():
            values = network.read(name)
            if config.training.start_shuffled and values.ndim == 2:
                values = shuffled(values, config.model_seed, name)
            if name in ROWS:
                values = gathered(values, ids)
            if values.shape != parameter.shape:
                raise Refused(f"a tensor {name} of the shape {list(parameter.shape)}, not {list(values.shape)}")
            parameter.copy_(values)


def check_shape(stated: ModelConfig, found: ModelConfig, source: Source) -> None:
    """Raise ConfigError, which names every value that differs, unless a config states the network of ``source``. A
    partition may be added."""
    ours, theirs = asdict(replace(stated, parts="")), asdict(found)
    odd = [name for name in theirs if ours[name] != theirs[name]]
    if odd:
        said, wanted = (", ".join(f"{name}={values[name]}" for name in odd) for values in (ours, theirs))
        raise ConfigError("model", said, f"{wanted}, the network of {source}")


def counterparts(network: Pretrained, count: int) -> list[int | None]:
    """For each of our first ``count`` tokens the id of the source's token, or ``None``. Raises Refused if the source
    has no token for a character."""
    found = [network.ids.get(token) if len(token) == 1 else None for token in TOKENS[:count]]
    missing = [token for token, theirs in zip(TOKENS, found, strict=False) if len(token) == 1 and theirs is None]
    if missing:
        raise Refused(f"a tokenizer with a token for each character; this one has none for {' '.join(missing)}")
    found[BOS] = network.begin
    found[EOS] = next((network.ids[name] for name in NEWLINES if name in network.ids), None)
    return found


def gathered(rows: Tensor, ids: Sequence[int | None]) -> Tensor:
    """Rows [tokens, W] for our tokens, from the rows [V, W] of the source: that of the counterpart, or the mean of
    all."""
    greatest = max(theirs for theirs in ids if theirs is not None)
    if greatest >= len(rows):
        raise Refused(f"a row for each token; there are {len(rows):,} rows and a token {greatest:,}")
    mean = rows.mean(dim=0)
    return torch.stack([mean if theirs is None else rows[theirs] for theirs in ids])


def shuffled(values: Tensor, seed: int, name: str) -> Tensor:
    """The entries of a matrix in an order that depends on ``seed`` and ``name`` only."""
    order = generator(seed, "start", name).permutation(values.flatten().numpy())
    return torch.from_numpy(order).view(values.shape)


def new_tokens(ids: Sequence[int | None]) -> list[str]:
    """The names of our tokens without a counterpart."""
    return [token for token, theirs in zip(TOKENS, ids, strict=False) if theirs is None]


def notice(source: Source, ids: Sequence[int | None]) -> str:
    """A sentence that names the tokens that the source does not have."""
    new = new_tokens(ids)
    shown = ", ".join(new if len(new) < 20 else [*new[:16], "...", new[-1]])
    return f"{source} has no token for {len(new)} of our {len(ids)}, which start from its mean embedding: {shown}"
