"""Experiments: one entry per figure of the paper, with the runs that answer it and the rule that judges them.

``lgt experiment NAME`` makes the runs that a store does not have yet; :mod:`lgt.claims` applies the rule. Figures are
those of Cai et al. (arXiv 2506.09251); what they state is in our words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lgt.checks import ConfigError
from lgt.config import Arm, Position, RunConfig, TaskSpec
from lgt.groups import GROUPS
from lgt.presets import custom_config, group_config, preset_named
from lgt.tasks import task_named

Maker = Callable[[int], RunConfig]
Rule = Literal["gain", "no gain", "more", "none"]
TOGETHER, SAME_STEPS, SAME_EXAMPLES = "together", "alone, same steps", "alone, same main-task examples"


@dataclass(frozen=True)
class Experiment:
    """A figure: ``series`` are its runs by name, each a function of the seed.

    ``rule`` decides the verdict (``docs/CLAIMS.md``): ``gain``, the series "together" beats the better of its two
    baselines; ``no gain``, it does not; ``more``, the first series beats the second; ``none``, no verdict. A verdict
    needs ``seeds`` seeds.
    """

    name: str
    claim: int
    figures: str
    preset: str
    statement: str
    series: Mapping[str, Maker]
    rule: Rule = "gain"
    seeds: int = 5

    def runs(self, seeds: Sequence[int]) -> list[RunConfig]:
        """Every run it needs, seeds outermost so that each finished seed completes a comparison.

        Configs that are the same run under another name (the main-alone runs of two groups with one main task) are
        listed once.
        """
        configs = [make(seed) for seed in seeds for make in self.series.values()]
        return list({config.hash(): config for config in reversed(configs)}.values())[::-1]


def three_arms(group: str, preset: str, position: Position = "rope", prefix: str = "") -> dict[str, Maker]:
    """A task group and its two baselines."""
    arms: dict[str, Arm] = {
        TOGETHER: "co-trained", SAME_STEPS: "alone-same-steps", SAME_EXAMPLES: "alone-same-examples",
    }  # fmt: skip
    return {prefix + name: _of_group(group, preset, arm, position) for name, arm in arms.items()}


def _of_group(group: str, preset: str, arm: Arm, position: Position) -> Maker:
    return lambda seed: group_config(group, preset, arm=arm, position=position, seed=seed)


def one_auxiliary(group: str, preset: str, auxiliary: str) -> Maker:
    """The main task of ``group`` beside only one of its auxiliaries, for the steps of the whole group."""

    def make(seed: int) -> RunConfig:
        short, long = preset_named(preset).lengths[group]
        specs = [TaskSpec(GROUPS[group].main, "main", short), TaskSpec(auxiliary, "auxiliary", long)]
        return custom_config(specs, preset, task_named(GROUPS[group].main).family, seed=seed)

    return make


def _first_results() -> dict[str, Maker]:
    series: dict[str, Maker] = {}
    for group, preset in (("caprev", "demo"), ("add-carry", "small"), ("control-add", "small")):
        series |= three_arms(group, preset, prefix=f"{group}, ")
    return series


EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        Experiment("fig3a", 1, "3a, 3d", "small", "Digit sums and carries of longer numbers lift addition.",
                   three_arms("add-carry", "small")),
        Experiment("fig3b", 1, "3b, 3d", "demo", "Longer subtraction lifts addition.",
                   three_arms("add-subtract", "demo")),
        Experiment("fig3c", 1, "3c, 3d", "demo", "Longer multiplication lifts addition.",
                   three_arms("add-multiply", "demo")),
        Experiment("fig4a", 1, "4a, 4b", "demo", "Longer associative recall lifts copying.",
                   three_arms("copy-mqar", "demo")),
        Experiment("fig4a-small", 1, "4a, 4b", "small", "Longer associative recall lifts copying, at greater lengths.",
                   three_arms("copy-mqar", "small")),
        Experiment("fig4c", 1, "4c, 4d", "demo", "Flipping case and reversing, each longer, lift both together.",
                   three_arms("caprev", "demo")),
        Experiment("fig6", 1, "6", "small", "Longer shortest paths lift maze walks.",
                   three_arms("dfs-path", "small")),
        Experiment("fig7", 4, "7", "demo", "Swapped: longer maze walks lift shortest paths.",
                   three_arms("path-dfs", "demo")),
        Experiment("fig8-add", 2, "8", "small", "A longer unrelated copy does not lift addition.",
                   three_arms("control-add", "small"), rule="no gain"),
        Experiment("fig8-copy", 2, "8", "demo", "A longer unrelated reversal does not lift copying.",
                   three_arms("control-copy", "demo"), rule="no gain"),
        Experiment("fig12-strings", 5, "12, 13", "demo", "Rotary positions transfer better than none (caprev).",
                   {"rope": _of_group("caprev", "demo", "co-trained", "rope"),
                    "nope": _of_group("caprev", "demo", "co-trained", "nope")}, rule="more"),
        Experiment("fig12-arithmetic", 5, "12, 13", "small", "Rotary positions transfer better than none (add-carry).",
                   {"rope": _of_group("add-carry", "small", "co-trained", "rope"),
                    "nope": _of_group("add-carry", "small", "co-trained", "nope")}, rule="more"),
        Experiment("fig14-caprev-both", 3, "14", "demo", "Two auxiliaries beat the better one (reverse) for caprev.",
                   {"both": _of_group("caprev", "demo", "co-trained", "rope"),
                    "reverse only": one_auxiliary("caprev", "demo", "reverse")}, rule="more", seeds=3),
        Experiment("fig14-caprev-closer", 3, "14", "demo", "Reverse helps caprev more than flipping case does.",
                   {"reverse only": one_auxiliary("caprev", "demo", "reverse"),
                    "capitalize only": one_auxiliary("caprev", "demo", "capitalize")}, rule="more", seeds=3),
        Experiment("fig14-add-both", 3, "14", "small", "Two auxiliaries beat the better one (digit sums) for addition.",
                   {"both": _of_group("add-carry", "small", "co-trained", "rope"),
                    "no_carry only": one_auxiliary("add-carry", "small", "no_carry")}, rule="more", seeds=3),
        Experiment("fig14-add-closer", 3, "14", "small", "Digit sums help addition more than carries do.",
                   {"no_carry only": one_auxiliary("add-carry", "small", "no_carry"),
                    "carry_only only": one_auxiliary("add-carry", "small", "carry_only")}, rule="more", seeds=3),
        Experiment("first-results", 1, "3a, 4c, 8", "demo and small",
                   "The runs of figures 3a, 4c and 8-add, which came first.", _first_results(), rule="none"),
    )
}  # fmt: skip


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
