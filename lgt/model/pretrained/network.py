"""What a reader of a format gives: the shape of a pretrained Llama, its tokens, and its weights by our names."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from lgt.core.checks import ConfigError
from lgt.core.config import ModelConfig
from lgt.core.start import FIELD, Source
from lgt.model.decoder import NORM_EPSILON

NEWLINES = ("\u010a", "\n", "<0x0A>")
"""A line's end as a token: in a byte-level vocabulary, as itself, and as a byte of a SentencePiece vocabulary."""
PER_LAYER = ("attention.query.weight", "attention.key.weight", "attention.value.weight", "attention.output.weight",
             "feed_forward.gate.weight", "feed_forward.up.weight", "feed_forward.down.weight", "attention_norm.gain",
             "feed_forward_norm.gain")  # fmt: skip
"""The parameters of a layer of the decoder, without ``layers.N.``."""


@dataclass(frozen=True)
class Pretrained:
    """A pretrained Llama. ``ids``: the id of each token by its text. ``begin``: the id of its begin token. ``read``:
    the weights (float32) of a parameter of :class:`lgt.model.decoder.Decoder` by its name, with a row for each token of
    the source where ours has a row for each of our tokens."""

    shape: ModelConfig
    ids: Mapping[str, int]
    begin: int | None
    read: Callable[[str], Tensor]


class Refused(ValueError):
    """A file that cannot be used; ``str()`` says what would be accepted."""


def refuse(source: Source, accepted: str) -> ConfigError:
    """The error for ``source``: one line that says what would be accepted."""
    return ConfigError(FIELD, str(source), " ".join(accepted.split())[:400])


def needed(package: str) -> Any:
    """The module ``package`` of the optional extra. Raises Refused, which says how to install it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        accepted = f"a source that can be read without the package {package}, which is not installed"
        raise Refused(f"{accepted}; `make pretrained` installs it (or pip: the extra `pretrained`)") from error


def parameter_names(shape: ModelConfig) -> list[str]:
    """The names of all parameters of a decoder of this shape."""
    names = ["embedding.weight", "norm.gain", *([] if shape.tied else ["unembedding.weight"])]
    return names + [f"layers.{layer}.{name}" for layer in range(shape.layers) for name in PER_LAYER]


def check_names(found: Iterable[str], wanted: Iterable[str]) -> None:
    """Raise Refused unless a file has the tensors ``wanted`` and no others."""
    there, asked = set(found), set(wanted)
    if asked - there:
        raise Refused(f"a file with all tensors of a Llama; {sorted(asked - there)[0]} is missing")
    if there - asked:
        raise Refused(f"a plain Llama; this network has {sorted(there - asked)[0]}, which is not computed here")


def shape_of(
    *, layers: object, heads: object, kv_heads: object, width: object, hidden: object, theta: object, tied: bool,
    epsilon: object, head_width: object = None,
) -> ModelConfig:  # fmt: skip
    """The shape as a section of a config. Raises Refused for values that are no numbers and for what our decoder does
    not compute, ConfigError for a size above a limit."""
    sizes = {"layers": layers, "heads": heads, "kv_heads": kv_heads, "width": width, "hidden": hidden}
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise Refused(f"a file that states its {name}; this one has {value!r}")
    numbers = {name: int(str(value)) for name, value in sizes.items()}
    if not isinstance(theta, int | float) or not isinstance(epsilon, int | float):
        raise Refused(f"a file that states its rotary base and epsilon; this one has {theta!r} and {epsilon!r}")
    if not math.isclose(epsilon, NORM_EPSILON, rel_tol=1e-5):
        raise Refused(f"an RMS norm with epsilon {NORM_EPSILON:g}; this network has {epsilon:g}")
    if head_width is not None and head_width != numbers["width"] / numbers["heads"]:
        wanted = f"{numbers['width']} / {numbers['heads']} channels per head"
        raise Refused(f"{wanted}, all of them rotated; this network has {head_width!r}")
    shared = 0 if numbers["kv_heads"] == numbers["heads"] else numbers["kv_heads"]
    return ModelConfig(
        layers=numbers["layers"], heads=numbers["heads"], width=numbers["width"], hidden=numbers["hidden"],
        rope_theta=float(theta), kv_heads=shared, tied=tied,
    )  # fmt: skip
