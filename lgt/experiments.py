"""Experiments: one entry per question with the runs that answer it. ``lgt experiment NAME`` makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from lgt.checks import ConfigError
from lgt.config import Arm, RunConfig
from lgt.presets import group_config


@dataclass(frozen=True)
class Experiment:
    """A named question. ``comparisons`` lists (group, preset) pairs; each is run in all three arms."""

    name: str
    question: str
    comparisons: tuple[tuple[str, str], ...]

    def runs(self, seeds: Sequence[int]) -> list[RunConfig]:
        """Every run it needs, seeds outermost so that each finished seed completes a comparison.

        Configs that are the same run under another name (the main-alone runs of two groups with one main task) are
        listed once.
        """
        configs = [
            group_config(group, preset, arm=arm, seed=seed)
            for seed in seeds
            for group, preset in self.comparisons
            for arm in get_args(Arm)
        ]
        return list({config.hash(): config for config in reversed(configs)}.values())[::-1]


EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            "first-results",
            "Does a longer related task lift a task beyond its training length, and an unrelated one not?",
            (("caprev", "demo"), ("add-carry", "small"), ("control-add", "small")),
        ),
    )
}


def experiment_named(name: str) -> Experiment:
    """The experiment with this name. Raises ConfigError naming the known ones."""
    if name not in EXPERIMENTS:
        raise ConfigError("experiment", name, "one of " + ", ".join(EXPERIMENTS))
    return EXPERIMENTS[name]


def parse_seeds(text: str) -> list[int]:
    """Seeds from ``0-4`` or ``0,2,5``. Raises ConfigError for anything else.

    >>> parse_seeds("0-2,7")
    [0, 1, 2, 7]
    """
    seeds: list[int] = []
    accepted = "seeds such as 0-4 or 0,2,5 (at most 1,000)"
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()) or len(low + high) > 18:
            raise ConfigError("--seeds", text, accepted)
        first, last = int(low), int(high) if dash else int(low)
        if not first <= last < first + 1000:
            raise ConfigError("--seeds", text, accepted)
        seeds += range(first, last + 1)
    return sorted(set(seeds))
