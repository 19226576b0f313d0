"""How numbers are written."""

from __future__ import annotations


def signed(value: float | None) -> str:
    """A number with two places, its sign and a typographic minus; a dash for none."""
    return "–" if value is None else f"{value:+.2f}".replace("-", "−")
