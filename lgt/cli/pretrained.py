"""The command ``pretrained``, and the option ``--start``: a run that starts from a pretrained network."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lgt.core.config import RunConfig
from lgt.core.paths import absolute
from lgt.core.start import source_of

if TYPE_CHECKING:
    from lgt.model.pretrained import Opened

OPTION = "--start"


def pretrained(source: str) -> None:
    """Print the network of SOURCE, its SHA-256, which of our tokens it has, and the options with which a run starts
    there.

    SOURCE: package:NAME (a Python package with one GGUF file), gguf:PATH, folder:PATH (a Llama as Hugging Face stores
    it) or hub:OWNER/NAME@REVISION. Only hub: uses the network.
    """
    from lgt.model.pretrained import counterparts, notice, opened, refusals
    from lgt.tasks.vocabulary import VOCABULARY_SIZE

    found = opened(source_of(source, "SOURCE"), fetch=True)
    shape = found.network.shape
    with refusals(found.source):
        said = notice(found.source, counterparts(found.network, VOCABULARY_SIZE))
    print(f"{found.source}: a Llama with {shape.layers} layers of {shape.heads} heads, {shape.key_value_heads} of keys")
    tied = ", tied embeddings" * shape.tied
    print(f"width {shape.width}, hidden {shape.hidden}, rotary base {shape.rope_theta:g}{tied}")
    print(f"{shape.parameters(VOCABULARY_SIZE):,} parameters with our {VOCABULARY_SIZE} tokens")
    print(said)
    print(f"SHA-256 {found.sha256}")
    print(f"`lgt train {OPTION} {found.source} ...` starts a run there")


def from_start(config: RunConfig, text: str) -> RunConfig:
    """``config`` with the network and the pin of the source ``text``; ``config`` itself without a text. Raises
    ConfigError as :func:`lgt.model.pretrained.opened` does."""
    return starting_at(config, _opened(text)) if text else config


def _opened(text: str) -> Opened:
    from lgt.model.pretrained import opened

    return opened(source_of(text, OPTION), fetch=True)


def starting_at(config: RunConfig, found: Opened) -> RunConfig:
    """``config`` as a run that starts from ``found``."""
    source = found.source
    if source.kind in ("gguf", "folder"):  # a worker in another folder has to find it
        source = replace(source, place=str(absolute(source.place)))
    training = replace(config.training, start=str(source), start_sha256=found.sha256)
    return replace(config, model=found.network.shape, training=training)
