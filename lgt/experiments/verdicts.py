"""When a claim counts as reproduced. Applied by code, the same for every figure [D].

The unit is the seed: ``values`` are one number per seed, differences of transfer accuracy in [-1, 1]. The interval is
Student's t for the mean over seeds. ``docs/CLAIMS.md`` has the rules in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from lgt.metrics.intervals import t_interval

Outcome = Literal["reproduced", "not reproduced", "too few seeds", "premise not met"]

SMALLEST_EFFECT = 0.10
"""Ten points of transfer accuracy. Less is not what the paper's figures show, whatever its sign."""
SMALLEST_CORRELATION = 0.30
"""Spearman's rho below which two quantities are not said to follow each other."""


def effect(differences: Mapping[int, float], needed: int, smallest: float = SMALLEST_EFFECT) -> Outcome:
    """Whether a difference is there: its mean at least ``smallest`` and its interval above zero.

    Not there when the whole interval is below ``smallest``. Between the two, and with fewer seeds than
    ``needed``, there are too few.

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
    """Whether a difference is *not* there, as a claim about a control says: the reverse of :func:`effect`.

    >>> absence({0: 0.0, 1: 0.01, 2: 0.0}, needed=3)
    'reproduced'
    """
    reverse: dict[Outcome, Outcome] = {"reproduced": "not reproduced", "not reproduced": "reproduced"}
    found = effect(differences, needed, smallest)
    return reverse.get(found, found)


def unrelated(correlations: Mapping[int, float], needed: int, smallest: float = SMALLEST_CORRELATION) -> Outcome:
    """Whether two quantities do *not* follow each other in either direction, as the claim about controls says.

    So when the whole interval lies within ``smallest`` of zero; not so when the mean is at least ``smallest`` away and
    the interval does not hold zero.

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
