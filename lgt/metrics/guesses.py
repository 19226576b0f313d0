"""A viewer's guess of a curve, compared with the measured curve."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lgt.core.config import RunConfig


def asked_lengths(config: RunConfig, measured: Iterable[int]) -> list[int]:
    """Up to four lengths at which a viewer is asked for a guess: the last trained one, the middle and the end of the
    transfer region, and the longest measured one.

    >>> from lgt.recipes.presets import group_config
    >>> asked_lengths(group_config("caprev", "demo"), range(1, 21))
    [8, 12, 16, 20]
    """
    lengths = sorted(set(measured))
    trained, end = config.main.training_length, config.transfer_length or config.main.training_length
    wanted = {trained, (trained + end) // 2, end, *lengths[-1:]}
    return sorted(wanted & set(lengths))


@dataclass(frozen=True)
class GuessError:
    """How far a guessed curve is from the measured one. ``points``: mean absolute difference in percentage points over
    the ``n`` guessed lengths. ``worst``: the length with the largest difference; ``guessed`` and ``measured`` are the
    shares there.
    """

    points: float
    n: int
    worst: int
    guessed: float
    measured: float


def guess_error(guess: Mapping[int, float], measured: Mapping[int, float]) -> GuessError:
    """Compare ``guess`` (share by length) with ``measured`` at the guessed lengths; nothing is interpolated.

    Raises ValueError for an empty guess and for a length that was not measured.
    """
    missing = sorted(set(guess) - set(measured))
    if missing or not guess:
        raise ValueError(f"no measured accuracy at length {missing[0]}" if missing else "a guess needs a length")
    off = {length: abs(share - measured[length]) for length, share in guess.items()}
    worst = max(sorted(off), key=lambda length: off[length])
    return GuessError(100 * sum(off.values()) / len(off), len(off), worst, guess[worst], measured[worst])
