"""The parts of a network that training can leave as they are (``training.frozen``).

A frozen parameter gets no update at all, no weight decay either, and its gradient does not count in the norm by which
gradients are clipped. The text has names of :data:`GROUPS` in their order, separated by commas, such as
``embedding,attention``. :func:`group_of` says which parameters each name means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lgt.core.checks import ConfigError

if TYPE_CHECKING:
    from lgt.core.config import RunConfig

FIELD = "training.frozen"
GROUPS = ("embedding", "attention", "feed_forward", "norms", "unembedding")


def check_frozen(text: object) -> None:
    """Raise ConfigError unless ``text`` names some groups, each once and in order, but not all; or none."""
    names = text.split(",") if isinstance(text, str) and text else []
    if text != ",".join(name for name in GROUPS if name in names):
        raise ConfigError(FIELD, text, "an empty text, or some of these in this order: " + ",".join(GROUPS))
    if len(names) == len(GROUPS):
        raise ConfigError(FIELD, text, "fewer groups, because nothing would be trained")


def check_tied(config: RunConfig) -> None:
    """Raise ConfigError if only one of embedding and unembedding is frozen and both are one matrix
    (``model.tied``)."""
    names = config.training.frozen.split(",")
    if config.model.tied and ("embedding" in names) != ("unembedding" in names):
        accepted = "embedding and unembedding both or neither, because model.tied makes them one matrix"
        raise ConfigError(FIELD, config.training.frozen, accepted)


def group_of(parameter: str) -> str:
    """The group of a decoder's parameter, from its name.

    - ``embedding``: ``embedding.weight``. ``unembedding``: ``unembedding.weight``, which does not exist if
      ``model.tied`` makes it the same matrix; then both groups are frozen together (:func:`check_tied`).
    - ``attention``: query, key, value and output of every layer, the gains of ``qk_norm``, and the parameters of a
      positional encoding, if it has any.
    - ``feed_forward``: gate, up and down of every layer.
    - ``norms``: the gains before attention, before the feed-forward and before the unembedding.

    >>> [group_of(name) for name in ("norm.gain", "layers.0.attention.key.weight", "layers.1.attention_norm.gain")]
    ['norms', 'attention', 'norms']
    """
    kinds = {"embedding": "embedding", "unembedding": "unembedding", "encoding": "attention", "norm": "norms",
             "attention": "attention", "feed_forward": "feed_forward", "attention_norm": "norms",
             "feed_forward_norm": "norms"}  # fmt: skip
    first, *rest = parameter.split(".")
    return kinds[rest[1] if first == "layers" else first]


def is_frozen(parameter: str, frozen: str) -> bool:
    """Whether the parameter with this name keeps its weights, when ``training.frozen`` is ``frozen``.

    >>> is_frozen("layers.0.attention.key.weight", "attention,norms"), is_frozen("embedding.weight", "")
    (True, False)
    """
    return group_of(parameter) in frozen.split(",")
