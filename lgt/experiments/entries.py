"""Experiments: one entry per figure of the paper, with the runs that answer it and the rule that judges them.

``lgt experiment NAME`` makes the runs that a store does not have yet; :mod:`lgt.experiments.claims` applies the rule. Figures are
those of Cai et al. (arXiv 2506.09251); what they state is in our words.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from lgt.core.checks import ConfigError
from lgt.core.config import RunConfig
from lgt.recipes.builders import (
    FAST,
    GRID_LENGTHS,
    THREE_LAYERS,
    TOGETHER,
    Maker,
    changed,
    densely_measured,
    grid,
    of_group,
    one_auxiliary,
    positions,
    three_arms,
)
from lgt.recipes.groups import GROUPS, TaskGroup
from lgt.recipes.paper import GRID_LENGTHS as PAPER_LENGTHS
from lgt.recipes.presets import PRESETS
from lgt.recipes.settings import setting_of

Rule = Literal[
    "gain", "no gain", "more", "more gain", "unstable over seeds", "unstable over steps", "tracks", "does not track",
    "ratio", "none",
]  # fmt: skip
Measure = Literal["map_difference", "attention_difference"]


@dataclass(frozen=True)
class Experiment:
    """A figure: ``series`` are its runs by name, each a function of the seed.

    ``rule`` decides the verdict (``docs/CLAIMS.md``): ``gain``, the series "together" beats the better of its two
    baselines; ``no gain``, it beats neither; ``more``, the first series beats the second; ``more gain``, the first
    series beats the third by more than the second beats the fourth; ``unstable ...``, transfer accuracy varies more
    than accuracy at trained lengths; ``tracks``, over checkpoints the gap rises and falls with
    ``measure``, ``does not track``, it does not; ``ratio``, the gap is smaller where La is half or twice Lm than
    further apart, relative to no transfer; ``none``, no verdict. A verdict needs ``seeds`` seeds.

    ``replaced_by``: the entry that judges the same figure now, with another recipe. What was tried before stays, with
    its verdict, and does not count.
    """

    name: str
    claim: int
    figures: str
    preset: str
    statement: str
    series: Mapping[str, Maker]
    rule: Rule = "gain"
    seeds: int = 5
    measure: Measure = "map_difference"
    replaced_by: str = ""

    @property
    def main(self) -> str:
        """The main task's name."""
        return next(iter(self.series.values()))(0).main.task

    def runs(self, seeds: Sequence[int]) -> list[RunConfig]:
        """Every run it needs, seeds outermost so that each finished seed completes a comparison.

        Configs that are the same run under another name (the main-alone runs of two groups with one main task) are
        listed once.
        """
        configs = [make(seed) for seed in seeds for make in self.series.values()]
        return list({config.hash(): config for config in reversed(configs)}.values())[::-1]


def _first_results() -> dict[str, Maker]:
    series: dict[str, Maker] = {}
    for group, preset in (("caprev", "demo"), ("add-carry", "small"), ("control-add", "small")):
        series |= three_arms(group, preset, prefix=f"{group}, ")
    return series


def _beside_subtraction(preset: str, *settings: str) -> dict[str, Maker]:
    """Addition beside subtraction and its baselines; the co-trained runs are followed, as figure 17 needs them."""
    arms = changed(three_arms("add-subtract", preset), *settings)
    return arms | changed({TOGETHER: densely_measured("add-subtract", preset)}, *settings)


def _circuits(
    name: str, group: str, preset: str, figures: str, pair: str, maps: Rule = "tracks", attention: Rule = "tracks",
    settings: Sequence[str] = (), replaced_by: str = "",
) -> list[Experiment]:  # fmt: skip
    """The two entries of a pair for claim 8: whether the gap follows the ablation maps, and the attention patterns."""
    series = changed({TOGETHER: densely_measured(group, preset)}, *settings)
    return [
        Experiment(
            f"{name}-maps", 8, figures, preset, f"Ablation-map difference {maps} the gap: {pair}.",
            series, maps, 3, replaced_by=replaced_by and f"{replaced_by}-maps",
        ),
        Experiment(
            f"{name}-attention", 8, figures, preset,
            f"Attention difference {attention} the gap: {pair}.",
            series, attention, 3, "attention_difference", replaced_by and f"{replaced_by}-attention",
        ),
    ]  # fmt: skip


EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        Experiment("fig3a", 1, "3a, 3d", "small", "Digit sums and carries of longer numbers lift addition.",
                   three_arms("add-carry", "small")),
        Experiment("fig3b", 1, "3b, 3d", "demo", "Longer subtraction lifts addition.", _beside_subtraction("demo")),
        Experiment("fig3b-fast", 1, "3b, 3d", "demo", "Longer subtraction lifts addition, at twice the learning rate.",
                   _beside_subtraction("demo", FAST), replaced_by="fig3b"),
        Experiment("fig3b-fast-small", 1, "3b, 3d", "small",
                   "Longer subtraction lifts addition, at twice the learning rate and steps.",
                   _beside_subtraction("small", FAST), replaced_by="fig3b"),
        Experiment("fig3b-shallow", 1, "3b, 3d", "demo",
                   "Longer subtraction lifts addition, in three layers, at twice the learning rate.",
                   _beside_subtraction("demo", THREE_LAYERS, FAST), replaced_by="fig3b"),
        Experiment("fig3c", 1, "3c, 3d", "demo", "Longer multiplication lifts addition.",
                   three_arms("add-multiply", "demo")),
        Experiment("fig3c-fast", 1, "3c, 3d", "demo",
                   "Longer multiplication lifts addition, at twice the learning rate.",
                   changed(three_arms("add-multiply", "demo"), FAST), replaced_by="fig3c"),
        Experiment("fig3c-shallow", 1, "3c, 3d", "demo",
                   "Longer multiplication lifts addition, in three layers, at twice the learning rate.",
                   changed(three_arms("add-multiply", "demo"), THREE_LAYERS, FAST), replaced_by="fig3c"),
        Experiment("fig3c-shallow-small", 1, "3c, 3d", "small",
                   "Longer multiplication lifts addition, in three layers, at twice the learning rate and steps.",
                   changed(three_arms("add-multiply", "small"), THREE_LAYERS, FAST), replaced_by="fig3c"),
        Experiment("fig4a", 1, "4a, 4b", "demo", "Longer associative recall lifts copying.",
                   three_arms("copy-mqar", "demo")),
        Experiment("fig4a-short", 1, "4a, 4b", "demo", "Longer associative recall lifts copying, in 1,000 steps.",
                   changed(three_arms("copy-mqar", "demo"), "training.steps=1000"), replaced_by="fig4a"),
        Experiment("fig4a-short-small", 1, "4a, 4b", "small",
                   "Longer associative recall lifts copying, at greater lengths in 2,000 steps.",
                   changed(three_arms("copy-mqar", "small"), "training.steps=2000"), replaced_by="fig4a"),
        Experiment("fig4c", 1, "4c, 4d", "demo", "Flipping case and reversing, each longer, lift both together.",
                   three_arms("caprev", "demo")),
        Experiment("fig6", 1, "6", "small", "Longer shortest paths lift maze walks.",
                   three_arms("dfs-path", "small")),
        Experiment("fig6-shallow", 1, "6", "small",
                   "Longer shortest paths lift maze walks, in four layers, at twice the learning rate.",
                   changed(three_arms("dfs-path", "small"), "model.layers=4", FAST), replaced_by="fig6"),
        Experiment("fig7", 4, "7", "demo", "Swapped: longer maze walks lift shortest paths.",
                   three_arms("path-dfs", "demo")),
        Experiment("fig8-add", 2, "8", "small", "A longer unrelated copy does not lift addition.",
                   three_arms("control-add", "small"), rule="no gain"),
        Experiment("fig8-copy", 2, "8", "demo", "A longer unrelated reversal does not lift copying.",
                   three_arms("control-copy", "demo"), rule="no gain"),
        Experiment("fig8-copy-short", 2, "8", "demo",
                   "A longer unrelated reversal does not lift copying, in 1,000 steps.",
                   changed(three_arms("control-copy", "demo"), "training.steps=1000"), rule="no gain",
                   replaced_by="fig8-copy"),
        Experiment("fig12-strings", 5, "12, 13", "demo", "Rotary positions beat none: flipping and reversing.",
                   positions("caprev", "demo", "model.layers=4", "training.steps=3000"), rule="more gain"),
        Experiment("fig12-strings-short", 5, "12, 13", "demo",
                   "Rotary positions beat none: flipping and reversing, in two layers and a third of the steps.",
                   positions("caprev", "demo"), rule="more gain", replaced_by="fig12-strings"),
        Experiment("fig12-arithmetic", 5, "12, 13", "small", "Rotary positions beat none: addition.",
                   positions("add-carry", "small"), rule="more gain"),
        Experiment("fig14-caprev-both", 3, "14", "demo", "Two auxiliaries beat one: flipping case and reversing.",
                   {"both": of_group("caprev", "demo", "co-trained", "rope"),
                    "reverse only": one_auxiliary("caprev", "demo", "reverse")}, rule="more", seeds=3),
        Experiment("fig14-caprev-closer", 3, "14", "demo", "Reversing helps both together more than flipping.",
                   {"reverse only": one_auxiliary("caprev", "demo", "reverse"),
                    "capitalize only": one_auxiliary("caprev", "demo", "capitalize")}, rule="more", seeds=3),
        Experiment("fig14-add-both", 3, "14", "small", "Two auxiliaries beat one: digit sums and carries.",
                   {"both": of_group("add-carry", "small", "co-trained", "rope"),
                    "no_carry only": one_auxiliary("add-carry", "small", "no_carry")}, rule="more", seeds=3),
        Experiment("fig14-add-closer", 3, "14", "small", "Digit sums help addition more than carries do.",
                   {"no_carry only": one_auxiliary("add-carry", "small", "no_carry"),
                    "carry_only only": one_auxiliary("add-carry", "small", "carry_only")}, rule="more", seeds=3),
        Experiment("fig10", 6, "10", "demo", "The gap is smallest where training lengths are alike.",
                   grid(), rule="ratio", seeds=3),
        Experiment("fig11-seeds", 7, "11", "small", "Transfer differs from seed to seed: addition.",
                   {"together": densely_measured("add-carry", "small")}, rule="unstable over seeds"),
        Experiment("fig11-steps", 7, "11", "small", "Transfer comes and goes during training: addition.",
                   {"together": densely_measured("add-carry", "small")}, rule="unstable over steps"),
        *_circuits("fig11", "add-carry", "small", "11", "addition beside digit sums and carries"),
        *_circuits("fig17", "add-subtract", "demo", "17", "addition beside subtraction"),
        *_circuits("fig17-fast", "add-subtract", "demo", "17",
                   "addition beside subtraction, at twice the learning rate", settings=(FAST,), replaced_by="fig17"),
        *_circuits("fig17-fast-small", "add-subtract", "small", "17",
                   "addition beside subtraction, at twice the learning rate and steps",
                   settings=(FAST,), replaced_by="fig17"),
        *_circuits("fig17-shallow", "add-subtract", "demo", "17",
                   "addition beside subtraction, in three layers, at twice the learning rate",
                   settings=(THREE_LAYERS, FAST), replaced_by="fig17"),
        *_circuits("fig18", "caprev", "demo", "18", "flipping case and reversing", attention="does not track"),
        *_circuits("fig19", "control-add", "small", "19", "the unrelated copy beside addition", "does not track",
                   "does not track"),
        Experiment("first-results", 1, "3a, 4c, 8", "demo and small",
                   "The runs of figures 3a, 4c and 8-add, which came first.", _first_results(), rule="none"),
    )
}  # fmt: skip


def experiment_named(name: str) -> Experiment:
    """The experiment with this name. Raises ConfigError naming the known ones."""
    if name not in EXPERIMENTS:
        raise ConfigError("experiment", name, "one of " + ", ".join(EXPERIMENTS))
    return EXPERIMENTS[name]


def _first(experiment: Experiment) -> tuple[RunConfig, TaskGroup]:
    """The first series' run of seed 0 and the task group that it belongs to, of a free pair that of its main task."""
    ours = next(iter(experiment.series.values()))(0)
    return ours, GROUPS.get(ours.group) or next(of for of in GROUPS.values() if of.main == ours.main.task)


def replaced_sentence(experiment: Experiment) -> str:
    """Which entry judges the figure now; empty for one that does."""
    if not experiment.replaced_by:
        return ""
    return f"An earlier recipe, which does not count; {experiment.replaced_by} judges this figure now"


def made_by(hashes: Collection[str], seeds: Collection[int]) -> Experiment | None:
    """The experiment that makes the runs with these config hashes for these seeds, and not many others; found by what
    the runs are, as entries may be renamed.

    ``None`` when none makes all of them, or only one that makes more than three times as many.
    """
    made = {name: set().union(*(_hashes(name, seed) for seed in seeds)) for name in EXPERIMENTS}
    sizes = {name: len(of) for name, of in made.items() if set(hashes) <= of and len(of) <= 3 * len(set(hashes))}
    return EXPERIMENTS[min(sizes, key=lambda name: sizes[name])] if sizes else None


def seeds_text(seeds: Collection[int]) -> str:
    """Seeds as :func:`parse_seeds` reads them.

    >>> seeds_text({2, 0, 1}), seeds_text([7, 0])
    ('0-2', '0,7')
    """
    ordered = sorted(set(seeds))
    gapless = len(ordered) > 1 and ordered == list(range(ordered[0], ordered[-1] + 1))
    return f"{ordered[0]}-{ordered[-1]}" if gapless else ",".join(map(str, ordered))


@lru_cache(maxsize=4096)
def _hashes(name: str, seed: int) -> frozenset[str]:
    return frozenset(config.hash() for config in EXPERIMENTS[name].runs([seed]))


def preset_changes(experiment: Experiment) -> tuple[str, ...]:
    """What a figure changes in its preset, such as ``("model.layers=3",)``."""
    if experiment.preset not in PRESETS:
        return ()
    return setting_of(next(iter(experiment.series.values()))(0)).changes


def lengths_beside(experiment: Experiment) -> tuple[str, str]:
    """The training lengths of a figure here and in the paper, such as ``6 ← 12`` and ``16 ← 32``."""
    if experiment.rule == "ratio":
        return f"{GRID_LENGTHS[0]} to {GRID_LENGTHS[-1]}", f"{PAPER_LENGTHS[0]} to {PAPER_LENGTHS[-1]}"
    ours, group = _first(experiment)
    here = f"{ours.main.training_length} ← {ours.transfer_length}"
    return here, f"{group.main_length} ← {group.auxiliary_length}"


def scale_sentence(experiment: Experiment) -> str:
    """At which lengths and with which network a figure is judged here, and which the paper has."""
    (ours, group), (lengths, theirs) = _first(experiment), lengths_beside(experiment)
    normed = ", normed queries and keys" if ours.model.qk_norm else ""
    optimizer = {"muon": "Muon", "adamw": "AdamW"}[ours.training.optimizer]
    network = PRESETS["paper"].recipe(group).model
    changes = "".join(f", {change}" for change in preset_changes(experiment))
    return (
        f"Here (preset {experiment.preset}{changes}): lengths {lengths}, {ours.model.layers} layers of "
        f"{ours.model.heads} heads, width {ours.model.width}{normed}, {ours.training.steps:,} steps with {optimizer}. "
        f"The paper: lengths {theirs}, {network.layers} layers of {network.heads} heads, "
        f"width {network.width}, AdamW"
    )


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
