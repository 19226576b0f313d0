"""No positional encoding: only the causal mask depends on positions (Kazemnejad et al. 2023)."""

from __future__ import annotations

from lgt.model.positions.base import Encoding


class Nope(Encoding):
    """An encoding that does not change queries, keys or scores."""

    name, title = "nope", "none"
