"""No positional encoding: the causal mask alone tells positions apart (Kazemnejad et al. 2023)."""

from __future__ import annotations

from lgt.model.positions.base import Encoding


class Nope(Encoding):
    """Changes neither queries nor keys nor scores."""

    name, title = "nope", "none"
