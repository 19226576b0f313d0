"""The text format of numbers."""

from __future__ import annotations


def signed(value: float | None) -> str:
    """A number with two decimal places, its sign and a typographic minus; a dash for None."""
    return "–" if value is None else f"{value:+.2f}".replace("-", "−")
