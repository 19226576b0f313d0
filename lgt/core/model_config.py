"""The settings of a run that describe its network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from lgt.core import bounds
from lgt.core.added_fields import added
from lgt.core.checks import ConfigError, check_flag, check_integer, check_number
from lgt.core.choices import POSITIONS, SCHEDULES
from lgt.core.parts import partition_of

Position: TypeAlias = str  # one of lgt.core.choices.POSITIONS


@dataclass(frozen=True)
class ModelConfig:
    """Shape of the decoder.

    ``hidden``: inner width of the SwiGLU feed-forward. ``position``: positional encoding, one of
    :data:`lgt.core.choices.POSITIONS`. ``qk_norm``: RMS norm of queries and keys, per head. ``schedule``: in which
    order the layers are applied, one of :data:`lgt.core.choices.SCHEDULES`. ``parts``: which tasks may use which heads
    and feed-forward channels (:mod:`lgt.core.parts`); empty: every task uses all. ``kv_heads``: number of key and value
    heads (grouped-query attention), a divisor of ``heads`` and smaller; 0: as many as ``heads``, whatever their number.
    ``tied``: the unembedding is the transposed embedding.
    """

    layers: int = 6
    heads: int = 6
    width: int = 384
    hidden: int = 1024
    position: Position = "rope"
    rope_theta: float = 10000.0
    qk_norm: bool = False
    schedule: str = added("once")
    parts: str = added("")
    kv_heads: int = added(0)
    tied: bool = added(False)

    def __post_init__(self) -> None:
        check_integer("model.layers", self.layers, 1, bounds.LAYERS.most)
        check_integer("model.heads", self.heads, 1, bounds.HEADS.most)
        check_integer("model.width", self.width, 2, bounds.WIDTH.most)
        check_integer("model.hidden", self.hidden, 2, bounds.HIDDEN.most)
        POSITIONS.check(self.position)
        check_number("model.rope_theta", self.rope_theta, 1.0, 1e8)
        check_flag("model.qk_norm", self.qk_norm)
        SCHEDULES.check(self.schedule)
        SCHEDULES.check_depth(self.schedule, self.layers)
        if self.width % (2 * self.heads):
            raise ConfigError("model.width", self.width, f"a multiple of {2 * self.heads} (2 x model.heads)")
        partition_of(self)
        check_kv_heads(self.kv_heads, self.heads)
        check_flag("model.tied", self.tied)

    @property
    def head_width(self) -> int:
        """Channels per head."""
        return self.width // self.heads

    @property
    def key_value_heads(self) -> int:
        """Key heads per layer, and as many value heads."""
        return self.kv_heads or self.heads

    @property
    def key_value_width(self) -> int:
        """Channels of all key heads of a layer together, and of all value heads."""
        return self.key_value_heads * self.head_width

    @property
    def queries_per_key(self) -> int:
        """Query heads that share one key head and one value head. Query head h uses number h // ``queries_per_key``."""
        return self.heads // self.key_value_heads

    def parameters(self, vocabulary: int) -> int:
        """Number of parameters of a decoder of this shape with ``vocabulary`` tokens, without those of its positional
        encoding (``fire`` has 66 + 32 heads, the other built-in ones have none); no decoder is made to count them."""
        attention = 2 * self.width * (self.width + self.key_value_width)
        gains = 2 * self.width + (self.heads + self.key_value_heads) * self.qk_norm
        layer = attention + 3 * self.width * self.hidden + gains
        return (1 if self.tied else 2) * vocabulary * self.width + self.layers * layer + self.width


def check_kv_heads(kv_heads: int, heads: int) -> None:
    """Raise ConfigError unless ``kv_heads`` is 0 or a smaller divisor of ``heads``. ``heads`` itself is refused: equal
    networks have one spelling and therefore one hash."""
    check_integer("model.kv_heads", kv_heads, 0, bounds.HEADS.most)
    accepted = [number for number in range(heads) if number == 0 or heads % number == 0]
    if kv_heads not in accepted:
        named = f"one of {', '.join(map(str, accepted))}"
        said = f"{named}: a smaller divisor of model.heads, or 0 for as many as model.heads"
        raise ConfigError("model.kv_heads", kv_heads, said)
