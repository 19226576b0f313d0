"""The experiments beyond the paper's figures. They are preregistered: docs/PREREGISTRATION.md fixed their runs, seeds,
rules and thresholds before the first run and dates later changes; ``docs/preregistered.csv`` lists every run."""

from __future__ import annotations

from lgt.experiments.experiment import Experiment
from lgt.experiments.rules.contrast import Contrast
from lgt.experiments.rules.interchange import InterchangeRule
from lgt.experiments.rules.necessary import Necessary
from lgt.recipes.builders import WITH_CONTROL, Series, interchanged
from lgt.recipes.partitions import (
    ALONE,
    APART,
    CHANNELS_APART,
    CHANNELS_SHARED,
    CROWDED,
    HALF,
    OCCUPIED,
    SHARED,
    partitioned,
)

SEEDS = tuple(range(100, 120))
SECONDARY = {
    "half": (HALF, "Sharing two of four heads instead of all costs transfer"),
    "channels": (CHANNELS_APART, "Separate feed-forward channels cost transfer though heads are shared"),
    "crowded": (CROWDED, "A control task in the shared heads costs transfer"),
}
"""The series that are compared with shared heads, one test each, and their statements."""
FAIRER = {
    "equal": (CHANNELS_SHARED, CHANNELS_APART,
              "Separate feed-forward channels cost transfer, with as many channels for each task"),
    "exposure": (CROWDED, OCCUPIED, "Separate heads cost transfer, with the control task in both"),
}  # fmt: skip
"""Comparisons that a review asked for after the primary runs (the plan dates them): both series give each task as
much, and have the same tasks."""


def _partitions(group: str, preset: str, control: str, pair: str, *settings: str) -> tuple[Experiment, ...]:
    """The experiments about partitioned heads for one task group: the primary one and the secondary ones."""

    def of(name: str, statement: str, rule: Necessary | Contrast, *series: Series) -> Experiment:
        makers = {one: partitioned(group, preset, one, control, *settings) for one in series}
        return Experiment(name, 9, "", preset, f"{statement}: {pair}.", makers, rule, planned=SEEDS)

    primary = Necessary(shared=SHARED, apart=APART, occupied=OCCUPIED, alone=ALONE)
    name = f"heads-{group}"
    return (
        of(name, "Transfer needs shared heads", primary, SHARED, APART, OCCUPIED, ALONE),
        *(
            of(f"{name}-{key}", statement, Contrast(first=SHARED, second=series, tests=len(SECONDARY)), SHARED, series)
            for key, (series, statement) in SECONDARY.items()
        ),
        *(
            of(f"{name}-{key}", statement, Contrast(first=first, second=second, tests=len(FAIRER)), first, second)
            for key, (first, second, statement) in FAIRER.items()
        ),
    )


INTERCHANGES = 2
"""How many tests of interchanges there are; the level of each is divided by it."""


def _interchange(group: str, control: str, pair: str, seeds: int, *settings: str) -> Experiment:
    """The experiment about interchanges of head outputs for one task group."""
    return Experiment(
        f"interchange-{group}", 10, "", "demo",
        "In heads that the main task needs, the outputs of one auxiliary task's pass serve it better than those of a "
        f"control task's pass: {pair}.",
        {WITH_CONTROL: interchanged(group, "demo", control, *settings)}, InterchangeRule(tests=INTERCHANGES),
        planned=SEEDS[:seeds],
    )  # fmt: skip


BEYOND_PAPER: tuple[Experiment, ...] = (
    *_partitions("caprev", "demo", "string_copy", "flipping case and reversing", "training.steps=2000"),
    _interchange("caprev", "string_copy", "flipping case and reversing", 20, "training.steps=2000"),
    _interchange("add-carry", "copy_first_operand", "addition", 10),
)
