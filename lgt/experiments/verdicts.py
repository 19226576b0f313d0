"""The criteria for a reproduced claim. Code applies the same criteria to every figure [D].

The functions take one number per seed, such as a difference of transfer accuracy in [-1, 1]. The interval is Student's
t interval of the mean over seeds. ``docs/CLAIMS.md`` explains the rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from lgt.metrics.intervals import t_interval

Outcome = Literal["reproduced", "not reproduced", "too few seeds", "premise not met"]

SMALLEST_EFFECT = 0.10
"""Ten percentage points of transfer accuracy. The effects in the paper's figures are larger than this."""
SMALLEST_CORRELATION = 0.30
"""The smallest Spearman's rho at which two quantities count as following each other."""


def effect(differences: Mapping[int, float], needed: int, smallest: float = SMALLEST_EFFECT) -> Outcome:
    """``reproduced`` if the mean difference is at least ``smallest`` and the whole interval is above zero.

    ``not reproduced`` if the whole interval is below ``smallest``. Otherwise, and with fewer seeds than ``needed``,
    ``too few seeds``.

    >>> effect({0: 0.6, 1: 0.7, 2: 0.5}, needed=3)
    'reproduced'
    >>> effect({0: 0.0, 1: 0.01, 2: 0.0}, needed=3)
    'not reproduced'
    >>> effect({0: 0.9, 1: 0.0, 2: 0.4}, needed=3)
    'too few seeds'
    """
    if len(differences) < needed:
        return "too few seeds"
    interval = t_interval(differences)
    if interval.low is None or interval.high is None:
        return "too few seeds"
    if interval.mean >= smallest and interval.low > 0:
        return "reproduced"
    return "not reproduced" if interval.high < smallest else "too few seeds"


def absence(differences: Mapping[int, float], needed: int, smallest: float = SMALLEST_EFFECT) -> Outcome:
    """The reverse of :func:`effect`, for the claim that controls make *no* difference.

    >>> absence({0: 0.0, 1: 0.01, 2: 0.0}, needed=3)
    'reproduced'
    """
    reverse: dict[Outcome, Outcome] = {"reproduced": "not reproduced", "not reproduced": "reproduced"}
    found = effect(differences, needed, smallest)
    return reverse.get(found, found)


def unrelated(correlations: Mapping[int, float], needed: int, smallest: float = SMALLEST_CORRELATION) -> Outcome:
    """For the claim that two quantities do *not* follow each other, in either direction.

    ``reproduced`` if the whole interval is less than ``smallest`` away from zero. ``not reproduced`` if the mean is at
    least ``smallest`` away from zero and the interval does not contain zero. Otherwise ``too few seeds``.

    >>> unrelated({0: 0.1, 1: -0.1, 2: 0.0}, needed=3)
    'reproduced'
    >>> unrelated({0: -0.8, 1: -0.7, 2: -0.9}, needed=3)
    'not reproduced'
    """
    up = effect(correlations, needed, smallest)
    down = effect({seed: -rho for seed, rho in correlations.items()}, needed, smallest)
    if "reproduced" in (up, down):
        return "not reproduced"
    return "reproduced" if up == down == "not reproduced" else "too few seeds"
