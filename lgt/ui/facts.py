"""Reads what the sentences of :mod:`lgt.ui.story` are about."""

from __future__ import annotations

from lgt.config import Arm
from lgt.store.comparisons import Comparison, Setting
from lgt.summaries import SeedSummary, beside_by_seed, paired_gain, trained_by_seed, transfer_by_seed
from lgt.ui import data, panels
from lgt.ui.story import Facts


def gather(found: dict[Setting, Comparison], comparison: Comparison, baseline: Arm) -> Facts:
    """Every number that the page's sentences need."""
    alone = data.read_accuracy(comparison.ids(baseline))
    together = data.read_accuracy(comparison.ids("co-trained"))
    sides = transfer_by_seed(alone), transfer_by_seed(together)
    return Facts(
        config=comparison.config,
        alone=sides[0],
        alone_trained=trained_by_seed(alone),
        together=sides[1],
        together_trained=trained_by_seed(together),
        others=beside_by_seed(together),
        gain=paired_gain(sides[1], sides[0]),
        control=control(found, comparison),
    )


def control(found: dict[Setting, Comparison], comparison: Comparison) -> tuple[str, SeedSummary] | None:
    """Transfer of the same main task beside an unrelated task, with the same lengths and preset."""
    for setting, other in found.items():
        alike = (setting.preset, setting.position, setting.changes) == (
            comparison.setting.preset, comparison.setting.position, comparison.setting.changes,
        )  # fmt: skip
        same_task = other.config.main == comparison.config.main
        unrelated = any(spec.role == "control" for spec in other.config.others)
        if alike and same_task and unrelated and other.config.transfer_length == comparison.config.transfer_length:
            summary = transfer_by_seed(data.read_accuracy(other.ids("co-trained")))
            return (panels.beside(other), summary) if summary else None
    return None
