"""Positional encodings, one file each. ``rope``, ``nope``, ``alibi`` and ``fire`` are built in; :func:`register` adds
another.

Only the decoder in :mod:`lgt.model.decoder` computes every encoding. The faster code says which it supports and is not
used for others: the fused training step and the passes of :mod:`lgt.evaluation` those that :func:`has_fast_code` names,
ensembles those in their list.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lgt.core.checks import ConfigError
from lgt.core.choices import POSITIONS, Choice
from lgt.core.config import ModelConfig
from lgt.model.positions.alibi import Alibi
from lgt.model.positions.base import Encoding
from lgt.model.positions.fire import Fire
from lgt.model.positions.nope import Nope
from lgt.model.positions.rope import Rope

__all__ = ["Encoding", "encoding_named", "has_fast_code", "learned_parameters", "register", "registered"]

_ENCODINGS: dict[str, type[Encoding]] = {encoding.name: encoding for encoding in (Rope, Nope, Alibi, Fire)}


def encoding_named(name: str) -> type[Encoding]:
    """The encoding with this name. Raises ConfigError, which lists the known encodings, for an unknown name."""
    if name not in _ENCODINGS:
        raise ConfigError(POSITIONS.path, name, "one of " + ", ".join(_ENCODINGS))
    return _ENCODINGS[name]


def register(encoding: type[Encoding]) -> type[Encoding]:
    """Make ``encoding`` a value of ``model.position``; returns it, so that this function can decorate the class.

    Raises ConfigError for a name or title that is already used.
    """
    POSITIONS.add(Choice(encoding.name, encoding.title))
    _ENCODINGS[encoding.name] = encoding
    return encoding


@contextmanager
def registered(encoding: type[Encoding]) -> Iterator[type[Encoding]]:
    """:func:`register` inside the block only, for tests."""
    register(encoding)
    try:
        yield encoding
    finally:
        del _ENCODINGS[encoding.name]
        POSITIONS.remove(encoding.name)


def has_fast_code(name: str) -> bool:
    """Whether the fused training step and the fast passes of evaluation compute the encoding with this name.

    They compute rotary positions, and each encoding whose class changes neither queries nor keys. Of such an encoding
    they use the ``bias``, if it has one.
    """
    encoding = encoding_named(name)
    return encoding is Rope or (encoding.prepare is Encoding.prepare and encoding.turn is Encoding.turn)


def learned_parameters(config: ModelConfig) -> int:
    """Number of parameters of the positional encoding of ``config``. Counting them allocates no memory for them."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in encoding_named(config.position)(config).parameters())
