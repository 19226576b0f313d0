"""The three zones of a main task's lengths: in-distribution, transfer region, out-of-distribution."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

Zone = Literal["in-distribution", "transfer region", "out-of-distribution"]
IN_DISTRIBUTION: Final = "in-distribution"
TRANSFER_REGION: Final = "transfer region"
OUT_OF_DISTRIBUTION: Final = "out-of-distribution"
ZONES: Final[tuple[Zone, Zone, Zone]] = (IN_DISTRIBUTION, TRANSFER_REGION, OUT_OF_DISTRIBUTION)
ZONE_TITLES: Final[dict[Zone, str]] = {
    IN_DISTRIBUTION: "trained", TRANSFER_REGION: "transfer region", OUT_OF_DISTRIBUTION: "beyond",
}  # fmt: skip
"""The zones as pages, charts, files and addresses name them."""


def zone(length: int, training_length: int, transfer_length: int | None) -> Zone:
    """The zone of ``length`` for one task of one run.

    ``training_length`` is the training length of the task: Lm for a main task, La for an auxiliary. ``transfer_length``
    is La for a main task. It is ``None`` for an auxiliary and for a run without comparison, which have no transfer
    region.

    >>> [zone(length, 8, 16) for length in (8, 9, 17)]
    ['in-distribution', 'transfer region', 'out-of-distribution']
    >>> zone(9, 8, None)
    'out-of-distribution'
    """
    if length <= training_length:
        return IN_DISTRIBUTION
    if transfer_length is not None and length <= transfer_length:
        return TRANSFER_REGION
    return OUT_OF_DISTRIBUTION


def zone_lengths(lengths: Iterable[int], training_length: int, transfer_length: int | None) -> dict[Zone, list[int]]:
    """``lengths`` by zone, in the order of :data:`ZONES`; a zone without a length is left out.

    >>> zone_lengths(range(1, 6), 2, 4)
    {'in-distribution': [1, 2], 'transfer region': [3, 4], 'out-of-distribution': [5]}
    """
    members: dict[Zone, list[int]] = {name: [] for name in ZONES}
    for length in sorted(set(lengths)):
        members[zone(length, training_length, transfer_length)].append(length)
    return {name: found for name, found in members.items() if found}
