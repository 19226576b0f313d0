"""Checks of values. A refused value raises ConfigError: one line with the field, the value and the accepted values."""

from __future__ import annotations

import math


class ConfigError(ValueError):
    """A value that is not accepted. ``str()`` is one line: the field, the value, the accepted values."""

    def __init__(self, field_name: str, value: object, accepted: str) -> None:
        shown = repr(value)
        if len(shown) > 80:
            shown = shown[:77] + "..."
        super().__init__(f"{field_name}: {shown} is not accepted; accepted: {accepted}")
        self.field_name = field_name
        self.value = value
        self.accepted = accepted


def check_integer(name: str, value: object, low: int, high: int) -> None:
    """Raise ConfigError unless ``value`` is a whole number in [low, high] (booleans are refused)."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(name, value, f"a whole number from {low:,} to {high:,}")


def check_number(name: str, value: object, low: float, high: float) -> None:
    """Raise ConfigError unless ``value`` is a finite number in [low, high]."""
    ok = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not (ok and low <= value <= high):  # type: ignore[operator]
        raise ConfigError(name, value, f"a number from {low:g} to {high:g}")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise ConfigError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ConfigError(name, value, "one of " + ", ".join(choices))


def check_flag(name: str, value: object) -> None:
    """Raise ConfigError unless ``value`` is a boolean."""
    if not isinstance(value, bool):
        raise ConfigError(name, value, "true or false")
