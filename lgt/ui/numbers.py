"""Numbers in words: counts, shares and differences, with their range and the number of seeds. No Streamlit here."""

from __future__ import annotations

from lgt.metrics.by_seed import SeedSummary


def counted(number: int, noun: str) -> str:
    """Such as ``1 run`` or ``2 runs``."""
    return f"{number} {noun}" + "s" * (number != 1)


def spread(summary: SeedSummary, style: str = ".0%") -> str:
    """The range of a summary and its number of seeds, such as ``mean of 5 seeds, 46% to 77%``."""
    if summary.n == 1:
        return "1 seed"
    low, high = (f"{extreme(summary.values.values()):{style}}" for extreme in (min, max))
    return f"each of {summary.n} seeds" if low == high else f"mean of {summary.n} seeds, {low} to {high}"


def share_over_seeds(summary: SeedSummary) -> str:
    """A mean share with its range, such as ``68% (mean of 5 seeds, 46% to 77%)``."""
    return f"{summary.mean:.0%} ({spread(summary)})"


def points_spread(summary: SeedSummary) -> str:
    """The range of differences of shares in percentage points, such as ``mean of 5 seeds, +20 to +80``."""
    return spread(summary, "+.0%").replace("%", "")


def points_over_seeds(difference: SeedSummary) -> str:
    """A mean difference of shares with its range, such as ``+56 points (mean of 5 seeds, +20 to +80)``."""
    return f"{100 * difference.mean:+.0f} points ({points_spread(difference)})"


def percent(share: float) -> str:
    """A probability; never rounded to 0 or to 100%."""
    return "under 0.1%" if share < 0.001 else "over 99.9%" if share > 0.999 else f"{share:.1%}"
