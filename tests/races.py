"""The races of a store, for the tests of their numbers and of their pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lgt.charts.race import race_picture
from lgt.core.config import Arm
from lgt.metrics.race import Measured, race
from lgt.store import queries
from lgt.store.comparisons import Comparison, comparisons
from lgt.store.engine import open_store

TITLES = ("Alone", "With a longer related task")


def comparison(path: Path, pair: str) -> Comparison:
    """The comparison with this key, such as ``caprev.demo``."""
    return {setting.key: one for setting, one in comparisons(open_store(str(path))).items()}[pair]


def measured(path: Path, of: Comparison, arm: Arm) -> Measured:
    """The runs of one arm at all their steps."""
    engine, ids = open_store(str(path)), of.ids(arm)
    return Measured(queries.accuracy(engine, ids, "all"), queries.head_scores(engine, ids, "all"))


def race_of(path: Path, pair: str, seed: int | None = None, arm: Arm = "alone-same-steps") -> dict[str, Any]:
    """The race of a comparison at the usual threshold."""
    of = comparison(path, pair)
    return race(measured(path, of, arm), measured(path, of, "co-trained"), of.config, 0.1, seed)


def picture_of(path: Path, pair: str, seed: int | None = None) -> dict[str, Any]:
    """Its picture."""
    return race_picture(race_of(path, pair, seed), TITLES)
