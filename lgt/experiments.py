"""Experiments: one entry per figure of the paper, with the runs that answer it and the rule that judges them.

``lgt experiment NAME`` makes the runs that a store does not have yet; :mod:`lgt.claims` applies the rule. Figures are
those of Cai et al. (arXiv 2506.09251); what they state is in our words.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from lgt.checks import ConfigError
from lgt.config import Arm, Position, RunConfig, TaskSpec, with_setting
from lgt.groups import GROUPS, TaskGroup
from lgt.paper import GRID_LENGTHS as PAPER_LENGTHS
from lgt.presets import PRESETS, baseline, custom_config, group_config, preset_named
from lgt.store.comparisons import setting_of
from lgt.tasks import task_named

Maker = Callable[[int], RunConfig]
Rule = Literal[
    "gain", "no gain", "more", "more gain", "unstable over seeds", "unstable over steps", "tracks", "does not track",
    "ratio", "none",
]  # fmt: skip
Measure = Literal["map_difference", "attention_difference"]
TOGETHER, SAME_STEPS, SAME_EXAMPLES = "together", "alone, same steps", "alone, same main-task examples"
ARMS: dict[str, Arm] = {
    TOGETHER: "co-trained", SAME_STEPS: "alone-same-steps", SAME_EXAMPLES: "alone-same-examples",
}  # fmt: skip


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


def three_arms(group: str, preset: str, position: Position = "rope", prefix: str = "") -> dict[str, Maker]:
    """A task group and its two baselines."""
    return {prefix + name: _of_group(group, preset, arm, position) for name, arm in ARMS.items()}


def changed(arms: Mapping[str, Maker], *settings: str) -> dict[str, Maker]:
    """``arms`` of :func:`three_arms`, the co-trained one among them, trained with ``settings`` such as
    ``training.steps=1000``, baselines matched to that."""

    def of(name: str) -> Maker:
        def make(seed: int) -> RunConfig:
            together = arms[TOGETHER](seed)
            for setting in settings:
                together = with_setting(together, *setting.split("=", 1))
            return baseline(together, ARMS[name])

        return make

    return {name: of(name) for name in arms}


def _of_group(group: str, preset: str, arm: Arm, position: Position) -> Maker:
    return lambda seed: group_config(group, preset, arm=arm, position=position, seed=seed)


def one_auxiliary(group: str, preset: str, auxiliary: str) -> Maker:
    """The main task of ``group`` beside only one of its auxiliaries, for the steps of the whole group."""

    def make(seed: int) -> RunConfig:
        short, long = preset_named(preset).lengths[group]
        specs = [TaskSpec(GROUPS[group].main, "main", short), TaskSpec(auxiliary, "auxiliary", long)]
        return custom_config(specs, preset, task_named(GROUPS[group].main).family, seed=seed)

    return make


def _positions(group: str, preset: str, *settings: str) -> dict[str, Maker]:
    """``group`` with rotary positions and with none, then the main task alone with each, for the same steps."""

    def of(position: Position, arm: str) -> Maker:
        return changed(three_arms(group, preset, position), *settings)[arm]

    positions: tuple[Position, Position] = ("rope", "nope")
    return {name: of(name, TOGETHER) for name in positions} | {
        f"{name}, alone": of(name, SAME_STEPS) for name in positions
    }


THREE_LAYERS, FAST = "model.layers=3", "training.learning_rate=0.04"
"""How pairs were trained before the presets gave them something of their own (``benchmarks/RECIPES.md``)."""
CHECKPOINTS = 20


def followed(group: str, preset: str) -> Maker:
    """The runs of ``group``, measured ``CHECKPOINTS`` times on their way, each time with maps of two lengths a zone."""

    def make(seed: int) -> RunConfig:
        config = group_config(group, preset, seed=seed)
        measures = replace(
            config.evaluation, progress_examples=128, snapshots=CHECKPOINTS, attribution_snapshots=CHECKPOINTS,
            attribution_lengths=2,
        )  # fmt: skip
        return replace(config, evaluation=measures)

    return make


GRID_LENGTHS = (2, 4, 8, 16, 32)
GRID_STEPS = 2000
"""Steps of every run of the grid: as many as the longest length needs, so that cells differ in nothing but lengths."""


def cell_name(main_length: int, auxiliary_length: int) -> str:
    """How a cell of the grid is called, such as ``8 beside 16``."""
    return f"{main_length} beside {auxiliary_length}"


def grid_lengths(name: str) -> tuple[int, int]:
    """Inverse of :func:`cell_name`: (Lm, La)."""
    main_length, _, auxiliary_length = name.partition(" beside ")
    return int(main_length), int(auxiliary_length)


def _grid() -> dict[str, Maker]:
    """Flipping case and reversing beside their combination, at every pair of lengths."""

    def cell(main_length: int, auxiliary_length: int) -> Maker:
        def make(seed: int) -> RunConfig:
            specs = [TaskSpec(GROUPS["caprev"].main, "main", main_length)]
            specs += [TaskSpec(task, "auxiliary", auxiliary_length) for task in GROUPS["caprev"].auxiliaries]
            config = custom_config(specs, "demo", "strings", seed=seed)
            return replace(config, training=replace(config.training, steps=GRID_STEPS))

        return make

    cells = [(main, aux) for main in GRID_LENGTHS for aux in GRID_LENGTHS]
    return {cell_name(main, aux): cell(main, aux) for main, aux in cells}


def _first_results() -> dict[str, Maker]:
    series: dict[str, Maker] = {}
    for group, preset in (("caprev", "demo"), ("add-carry", "small"), ("control-add", "small")):
        series |= three_arms(group, preset, prefix=f"{group}, ")
    return series


def _circuits(
    name: str, group: str, preset: str, figures: str, pair: str, maps: Rule = "tracks", attention: Rule = "tracks",
    settings: Sequence[str] = (), replaced_by: str = "",
) -> list[Experiment]:  # fmt: skip
    """The two entries of a pair for claim 8: whether the gap follows the ablation maps, and the attention patterns."""
    series = changed({TOGETHER: followed(group, preset)}, *settings)
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
        Experiment("fig3b", 1, "3b, 3d", "small", "Longer subtraction lifts addition.",
                   three_arms("add-subtract", "small") | {TOGETHER: followed("add-subtract", "small")}),
        Experiment("fig3b-short", 1, "3b, 3d", "demo", "Longer subtraction lifts addition, in half the steps.",
                   three_arms("add-subtract", "demo") | {TOGETHER: followed("add-subtract", "demo")},
                   replaced_by="fig3b"),
        Experiment("fig3b-shallow", 1, "3b, 3d", "demo",
                   "Longer subtraction lifts addition, in half the steps and three layers.",
                   changed(three_arms("add-subtract", "demo"), THREE_LAYERS)
                   | changed({TOGETHER: followed("add-subtract", "demo")}, THREE_LAYERS), replaced_by="fig3b"),
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
        Experiment("fig6-shallow", 1, "6", "small", "Longer shortest paths lift maze walks, in four layers.",
                   changed(three_arms("dfs-path", "small"), "model.layers=4", FAST),
                   replaced_by="fig6"),
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
                   _positions("caprev", "demo", "model.layers=4", "training.steps=3000"), rule="more gain"),
        Experiment("fig12-strings-short", 5, "12, 13", "demo",
                   "Rotary positions beat none: flipping and reversing, in two layers and a third of the steps.",
                   _positions("caprev", "demo"), rule="more gain", replaced_by="fig12-strings"),
        Experiment("fig12-arithmetic", 5, "12, 13", "small", "Rotary positions beat none: addition.",
                   _positions("add-carry", "small"), rule="more gain"),
        Experiment("fig14-caprev-both", 3, "14", "demo", "Two auxiliaries beat one: flipping case and reversing.",
                   {"both": _of_group("caprev", "demo", "co-trained", "rope"),
                    "reverse only": one_auxiliary("caprev", "demo", "reverse")}, rule="more", seeds=3),
        Experiment("fig14-caprev-closer", 3, "14", "demo", "Reversing helps both together more than flipping.",
                   {"reverse only": one_auxiliary("caprev", "demo", "reverse"),
                    "capitalize only": one_auxiliary("caprev", "demo", "capitalize")}, rule="more", seeds=3),
        Experiment("fig14-add-both", 3, "14", "small", "Two auxiliaries beat one: digit sums and carries.",
                   {"both": _of_group("add-carry", "small", "co-trained", "rope"),
                    "no_carry only": one_auxiliary("add-carry", "small", "no_carry")}, rule="more", seeds=3),
        Experiment("fig14-add-closer", 3, "14", "small", "Digit sums help addition more than carries do.",
                   {"no_carry only": one_auxiliary("add-carry", "small", "no_carry"),
                    "carry_only only": one_auxiliary("add-carry", "small", "carry_only")}, rule="more", seeds=3),
        Experiment("fig10", 6, "10", "demo", "The gap is smallest where training lengths are alike.",
                   _grid(), rule="ratio", seeds=3),
        Experiment("fig11-seeds", 7, "11", "small", "Transfer differs from seed to seed: addition.",
                   {"together": followed("add-carry", "small")}, rule="unstable over seeds"),
        Experiment("fig11-steps", 7, "11", "small", "Transfer comes and goes during training: addition.",
                   {"together": followed("add-carry", "small")}, rule="unstable over steps"),
        *_circuits("fig11", "add-carry", "small", "11", "addition beside digit sums and carries"),
        *_circuits("fig17", "add-subtract", "small", "17", "addition beside subtraction"),
        *_circuits("fig17-short", "add-subtract", "demo", "17", "addition beside subtraction, half the steps",
                   replaced_by="fig17"),
        *_circuits("fig17-shallow", "add-subtract", "demo", "17",
                   "addition beside subtraction, half the steps, three layers",
                   settings=(THREE_LAYERS,), replaced_by="fig17"),
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
    """The experiment that makes the runs with these config hashes for these seeds, the one with the fewest runs; found
    by what the runs are, as entries may be renamed. ``None`` when none makes all of them."""
    makers = [one for one in EXPERIMENTS.values() if set(hashes) <= set().union(*(_hashes(one.name, s) for s in seeds))]
    return min(makers, key=lambda one: len(one.series), default=None)


@lru_cache(maxsize=4096)
def _hashes(name: str, seed: int) -> frozenset[str]:
    return frozenset(config.hash() for config in EXPERIMENTS[name].runs([seed]))


def preset_words(experiment: Experiment) -> str:
    """The preset that a figure is judged at and what is changed in it, such as ``demo with model.layers=3``."""
    if experiment.preset not in PRESETS:
        return experiment.preset
    first = next(iter(experiment.series.values()))(0)
    return " with ".join(part for part in (experiment.preset, ", ".join(setting_of(first).changes)) if part)


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
    return (
        f"Here (preset {preset_words(experiment)}): lengths {lengths}, {ours.model.layers} layers of "
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
