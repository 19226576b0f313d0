"""The definitions of generalization gap, accuracy at trained lengths, transfer accuracy and transfer gain.

Accuracies are shares in [0, 1] by length: the key is the length, not an index. Definitions marked [P] are in the paper
(arXiv 2506.09251); those marked [D] are decisions of this project.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lgt.metrics.arrays import Floats


def generalization_gap(
    main_accuracy: Mapping[int, float],
    auxiliary_accuracies: Sequence[Mapping[int, float]],
    main_length: int,
    auxiliary_length: int,
) -> float:
    """Mean over lengths 1..max(Lm, La) of |A_aux - A_main|, averaged over the auxiliaries; in [0, 1], 0 = same curve.

    [P] describes it in words; the normalisation is [D]. Lengths start at the shortest length at which *both* tasks of a
    pair were evaluated (a task has a minimum, such as two nodes of a maze); from there every length is needed. The gap
    is also 0 if both tasks fail, so show it together with :func:`transfer_accuracy`. Raises ValueError without an
    auxiliary, for missing lengths (the message lists them), and for an accuracy outside [0, 1].
    """
    if not auxiliary_accuracies:
        raise ValueError("the generalization gap needs at least one auxiliary")
    longest = max(main_length, auxiliary_length)
    gaps = []
    for auxiliary in auxiliary_accuracies:
        if not main_accuracy or not auxiliary:
            raise ValueError(f"no accuracy at any of the lengths 1 to {longest}")
        lengths = range(max(min(main_accuracy), min(auxiliary)), longest + 1)
        gap = _at(auxiliary, lengths, "auxiliary") - _at(main_accuracy, lengths, "main")
        gaps.append(float(np.abs(gap).mean()))
    return float(np.mean(gaps))


def trained_accuracy(accuracy: Mapping[int, float], training_length: int) -> float:
    """Mean accuracy over the measured lengths that a task was trained on, in [0, 1]; NaN if none was measured.

    Short lengths may be missing: a maze has at least two nodes.

    >>> trained_accuracy({1: 1.0, 2: 0.5, 3: 0.0}, 2)
    0.75
    """
    shares = [share for length, share in accuracy.items() if length <= training_length]
    return float(np.mean(shares)) if shares else float("nan")


def transfer_accuracy(accuracy: Mapping[int, float], main_length: int, transfer_length: int) -> float:
    """Mean main-task accuracy over the transfer region Lm < l <= La, in [0, 1].

    :func:`lgt.store.queries.final_accuracy` computes the same in SQL for the table of runs; a test holds them equal.

    Raises ValueError for an empty region, for missing lengths (the message lists them), and for an accuracy outside
    [0, 1].
    """
    return float(_at(accuracy, range(main_length + 1, transfer_length + 1), "main").mean())


def transfer_gain(with_auxiliary: float, alone: float) -> float:
    """Transfer accuracy of the co-trained run minus that of the main-only run, in [-1, 1]."""
    return with_auxiliary - alone


def _at(accuracy: Mapping[int, float], lengths: range, which: str) -> Floats:
    if not lengths:
        raise ValueError(f"{which} accuracy: there is no length from {lengths.start} to {lengths.stop - 1}")
    missing = [length for length in lengths if length not in accuracy]
    if missing:
        raise ValueError(f"{which} accuracy is missing at length " + ", ".join(map(str, missing)))
    values = np.array([accuracy[length] for length in lengths], dtype=float)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"{which} accuracy: every value must be a share from 0 to 1")
    return values
