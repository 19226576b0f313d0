"""The text format of numbers."""

from __future__ import annotations

from lgt.metrics.intervals import Interval


def signed(value: float | None) -> str:
    """A number with two decimal places, its sign and a typographic minus; a dash for None."""
    return "–" if value is None else f"{value:+.2f}".replace("-", "−")


def with_interval(interval: Interval) -> str:
    """A mean with its interval, such as ``+0.61 (+0.47 to +0.76)``; the mean alone when it has no interval."""
    if interval.low is None or interval.high is None:
        return signed(interval.mean)
    return f"{signed(interval.mean)} ({signed(interval.low)} to {signed(interval.high)})"
