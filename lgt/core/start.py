"""Where a run's first weights come from (``training.start``): a pretrained network, or random numbers.

The text names the source: ``package:NAME`` (an installed Python package that carries one GGUF file), ``gguf:PATH``,
``folder:PATH`` (a Llama as Hugging Face stores it) or ``hub:OWNER/NAME@REVISION``. ``training.start_sha256`` pins its
content, so that the run can be repeated. ``lgt pretrained SOURCE`` prints both. :mod:`lgt.model.pretrained` reads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lgt.core import bounds
from lgt.core.checks import ConfigError, check_flag

if TYPE_CHECKING:
    from lgt.core.config import TrainingConfig

FIELD, PIN = "training.start", "training.start_sha256"
ACCEPTED = "an empty text (random weights), package:NAME, gguf:PATH, folder:PATH or hub:OWNER/NAME@REVISION"
_PLACES = {
    "package": re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"),
    "gguf": re.compile(r"[^\x00-\x1f]+"),
    "folder": re.compile(r"[^\x00-\x1f]+"),
    "hub": re.compile(r"[\w.-]+/[\w.-]+@[\w./-]+"),
}
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Source:
    """A source of weights. ``kind``: ``package``, ``gguf``, ``folder`` or ``hub``. ``place``: what stands behind it."""

    kind: str
    place: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.place}"


def source_of(text: object, field: str = FIELD) -> Source:
    """The source that ``text`` names. Raises ConfigError, which names ``field``, for any other text.

    >>> source_of("gguf:some/file.gguf")
    Source(kind='gguf', place='some/file.gguf')
    """
    if isinstance(text, str):
        bounds.SOURCE.check_text(field, text)
        kind, _, place = text.partition(":")
        if kind in _PLACES and _PLACES[kind].fullmatch(place):
            return Source(kind, place)
    raise ConfigError(field, text, ACCEPTED)


def check_start(training: TrainingConfig) -> None:
    """Raise ConfigError unless a source has a pin, and without a source nothing else is said about it."""
    check_flag("training.start_shuffled", training.start_shuffled)
    if training.start:
        source_of(training.start)
        if not isinstance(training.start_sha256, str) or not _SHA256.fullmatch(training.start_sha256):
            accepted = "the SHA-256 of the weights that the run starts from, which `lgt pretrained SOURCE` prints"
            raise ConfigError(PIN, training.start_sha256, accepted)
        return
    if training.start != "":
        raise ConfigError(FIELD, training.start, ACCEPTED)
    if training.start_sha256 != "":
        raise ConfigError(PIN, training.start_sha256, f"an empty text, because {FIELD} is empty")
    if training.start_shuffled:
        raise ConfigError("training.start_shuffled", True, f"false, because {FIELD} is empty")
