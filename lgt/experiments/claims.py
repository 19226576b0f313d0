"""The claims that have experiments here, the paper's and our own, and the number of figures of a claim by verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lgt.core.checks import ConfigError

if TYPE_CHECKING:
    from lgt.experiments.judgements import Judgement

CLAIMS = {
    1: "A related longer auxiliary lifts the main task in the transfer region, further than it gets alone.",
    2: "Unrelated auxiliaries do not.",
    3: "Two auxiliaries beat one, and the closer one beats the other.",
    4: "It also holds with main and auxiliary swapped on mazes.",
    5: "Rotary positions transfer better than none.",
    6: "It depends on the ratio of the lengths: strongest between a half and two.",
    7: "It is unstable over seeds and over training steps.",
    8: "Over checkpoints the gap follows the difference of the ablation maps; attention patterns follow it for "
    "arithmetic and not for strings; for controls neither does.",
    9: "Beyond the paper: transfer needs shared attention heads (tested for flipping and reversing).",
    10: "Beyond the paper: heads that the main task needs put out what serves it also while the network does an "
    "auxiliary task, more than while it does a control task.",
    11: "Beyond the paper: pretraining on text helps a network to use a task at lengths that it was not trained on "
    "(tested for copying strings).",
}
"""The claims by number, in our words. From 9 on they are not in the paper."""


def register_claim(number: int, statement: str) -> None:
    """Add a claim for the experiments of an extension. Raises ConfigError if another claim has this number."""
    if CLAIMS.setdefault(number, statement) != statement:
        raise ConfigError("claim", number, f"a number that is free, such as {max(CLAIMS) + 1}")


def counting(judgements: Sequence[Judgement]) -> list[Judgement]:
    """The judgements that count: those of experiments that have not been replaced."""
    return [one for one in judgements if not one.experiment.replaced_by]


def verdict_counts(judgements: Sequence[Judgement], claim: int) -> dict[str, int]:
    """The number of figures of a claim by verdict, most frequent first. Replaced experiments do not count."""
    counts = Counter(one.verdict for one in counting(judgements) if one.experiment.claim == claim)
    return dict(counts.most_common())
