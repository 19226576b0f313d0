"""The rule *does not track*: over checkpoints the gap follows the heads' difference in neither direction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from lgt.experiments.rules.tracks import Tracks
from lgt.experiments.verdicts import Outcome, unrelated


@dataclass(frozen=True, kw_only=True)
class DoesNotTrack(Tracks):
    """The same rho as :class:`lgt.experiments.rules.tracks.Tracks`; the claim is that it is near zero."""

    name: ClassVar[str] = "does not track"
    words: ClassVar[str] = (
        "The same rho. *Reproduced* means that the whole interval is nearer to zero than the smallest rho that counts, "
        "*not reproduced* that the mean is at least as far from zero, up or down, and the interval does not hold zero."
    )

    def decide(self, numbers: Mapping[int, float], seeds: int) -> Outcome:
        """Reproduced when the interval lies near zero."""
        return unrelated(numbers, seeds, self.smallest)
