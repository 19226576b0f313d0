"""The verdicts and the criteria for them. Code applies the same criteria to every figure [D].

The functions take one number per seed, such as a difference of transfer accuracy in [-1, 1]. Intervals are Student's
t intervals of the mean over seeds. ``docs/CLAIMS.md`` explains the first edition of the criteria (:func:`effect`,
:func:`absence`, :func:`unrelated`), ``docs/PREREGISTRATION.md`` the second one (:func:`contrast`, :func:`equivalent`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from lgt.metrics.intervals import t_interval

Outcome = Literal[
    "reproduced", "not reproduced", "too few seeds", "premise not met",
    "strong", "present", "absent", "opposite", "undecided", "necessary", "not necessary",
]  # fmt: skip
Sense = Literal["holds", "does not hold", "open", "no premise"]


@dataclass(frozen=True)
class Meaning:
    """What a verdict says about its claim (``sense``), and in ``words`` when it is given."""

    sense: Sense
    words: str


OUTCOMES: dict[Outcome, Meaning] = {
    "reproduced": Meaning(
        "holds", "the mean over seeds reaches the smallest number that counts, and its 95% t interval lies above 0"
    ),
    "not reproduced": Meaning("does not hold", "the whole interval lies below the smallest number that counts"),
    "too few seeds": Meaning("open", "fewer seeds than the figure needs"),
    "premise not met": Meaning(
        "no premise",
        "a task was not learned at the lengths that it was trained on; the figure then says nothing about transfer",
    ),
    "strong": Meaning("holds", "the whole interval lies above the smallest number that counts"),
    "present": Meaning("holds", "the whole interval lies above 0"),
    "absent": Meaning(
        "does not hold", "the 90% interval lies closer to 0 than the smallest number that counts, on both sides"
    ),
    "opposite": Meaning("does not hold", "the whole interval lies below 0"),
    "undecided": Meaning("open", "the interval is too wide, or the number too small, for one of the other verdicts"),
    "necessary": Meaning(
        "holds",
        "without shared heads transfer accuracy falls strongly, also when the main task's heads see long inputs, and "
        "stays where it is without an auxiliary",
    ),
    "not necessary": Meaning("does not hold", "with heads of its own the main task transfers equally far"),
}
"""Every verdict in the order in which pages list them: first the first edition's, then those of preregistered
experiments."""


def sense_of(outcome: str) -> Sense:
    """What a verdict says about its claim; ``open`` for other words, such as ``not run yet``."""
    return next((meaning.sense for known, meaning in OUTCOMES.items() if known == outcome), "open")


SMALLEST_EFFECT = 0.10
"""Ten percentage points of transfer accuracy. The effects in the paper's figures are larger than this."""
SMALLEST_CORRELATION = 0.30
"""The smallest Spearman's rho at which two quantities count as following each other."""
LEVEL = 0.05
"""The probability of a false finding that a family of preregistered tests may have."""
EQUIVALENCE_CONFIDENCE = 0.90
"""The confidence of an interval that has to lie within the margin: two one-sided tests at 5% each."""


def effect(differences: Mapping[int, float], needed: int, smallest: float = SMALLEST_EFFECT) -> Outcome:
    """``reproduced`` if the mean difference is at least ``smallest`` and the whole interval is above zero.

    ``not reproduced`` if the whole interval is below ``smallest``. Otherwise ``undecided``; ``too few seeds`` with
    fewer than ``needed``.

    >>> effect({0: 0.6, 1: 0.7, 2: 0.5}, needed=3)
    'reproduced'
    >>> effect({0: 0.0, 1: 0.01, 2: 0.0}, needed=3)
    'not reproduced'
    >>> effect({0: 0.9, 1: 0.0, 2: 0.4}, needed=3)
    'undecided'
    """
    if len(differences) < needed:
        return "too few seeds"
    interval = t_interval(differences)
    if interval.low is None or interval.high is None:
        return "too few seeds"
    if interval.mean >= smallest and interval.low > 0:
        return "reproduced"
    return "not reproduced" if interval.high < smallest else "undecided"


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
    least ``smallest`` away from zero and the interval does not contain zero. Otherwise ``undecided``; ``too few seeds``
    with fewer than ``needed``.

    >>> unrelated({0: 0.1, 1: -0.1, 2: 0.0}, needed=3)
    'reproduced'
    >>> unrelated({0: -0.8, 1: -0.7, 2: -0.9}, needed=3)
    'not reproduced'
    """
    if len(correlations) < needed:
        return "too few seeds"
    up = effect(correlations, needed, smallest)
    down = effect({seed: -rho for seed, rho in correlations.items()}, needed, smallest)
    if "reproduced" in (up, down):
        return "not reproduced"
    return "reproduced" if up == down == "not reproduced" else "undecided"


def contrast(
    differences: Mapping[int, float], needed: int, smallest: float = SMALLEST_EFFECT, tests: int = 1
) -> Outcome:
    """The second edition's verdict on a difference. ``tests``: the number of tests of its family, by which the allowed
    probability of a false finding is divided (Bonferroni).

    ``strong`` if the interval lies above ``smallest``, ``present`` above 0, ``opposite`` below 0. ``absent`` if the
    difference is :func:`equivalent` to none. Otherwise ``undecided``; ``too few seeds`` with fewer than ``needed``.

    >>> contrast({0: 0.6, 1: 0.7, 2: 0.5}, needed=3), contrast({0: 0.06, 1: 0.07, 2: 0.05}, needed=3)
    ('strong', 'present')
    >>> contrast({0: 0.01, 1: -0.01, 2: 0.0}, needed=3), contrast({0: 0.9, 1: 0.0, 2: 0.4}, needed=3)
    ('absent', 'undecided')
    """
    if len(differences) < needed:
        return "too few seeds"
    interval = t_interval(differences, 1 - LEVEL / tests)
    if interval.low is not None and interval.high is not None:
        if interval.low > smallest:
            return "strong"
        if interval.low > 0:
            return "present"
        if interval.high < 0:
            return "opposite"
    return "absent" if equivalent(differences, smallest) else "undecided"


FROM_LEAST: tuple[Outcome, ...] = ("too few seeds", "opposite", "absent", "undecided", "present", "strong")
"""The outcomes of :func:`contrast`, from the one that denies a claim most to the one that supports it most."""


def least_of(
    differences: Collection[Mapping[int, float]], needed: int, smallest: float = SMALLEST_EFFECT, tests: int = 1
) -> Outcome:
    """The verdict on a claim that needs each of several differences: the least of their verdicts (:func:`contrast`), in
    the order of :data:`FROM_LEAST`. One difference is enough to deny the claim.

    >>> least_of([{0: 0.6, 1: 0.7, 2: 0.5}, {0: 0.06, 1: 0.07, 2: 0.05}], needed=3)
    'present'
    >>> least_of([{0: 0.6, 1: 0.7, 2: 0.5}, {0: 0.01, 1: -0.01, 2: 0.0}], needed=3)
    'absent'
    """
    return min((contrast(of, needed, smallest, tests) for of in differences), key=FROM_LEAST.index)


def equivalent(differences: Mapping[int, float], margin: float = SMALLEST_EFFECT) -> bool:
    """Whether the mean is within ``margin`` of 0: the 90% interval lies between -``margin`` and ``margin``.

    >>> equivalent({0: 0.02, 1: -0.03, 2: 0.0}), equivalent({0: 0.2, 1: -0.2, 2: 0.0}), equivalent({0: 0.0})
    (True, False, False)
    """
    interval = t_interval(differences, EQUIVALENCE_CONFIDENCE)
    return interval.low is not None and interval.high is not None and -margin < interval.low <= interval.high < margin
