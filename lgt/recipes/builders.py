"""Series: the runs that a figure compares, each a function of the seed; made of what the presets have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from lgt.core.config import Arm, Position, RunConfig, TaskSpec, with_setting
from lgt.recipes.groups import GROUPS
from lgt.recipes.presets import baseline, custom_config, group_config, preset_named
from lgt.tasks import task_named

Maker = Callable[[int], RunConfig]
TOGETHER, SAME_STEPS, SAME_EXAMPLES = "together", "alone, same steps", "alone, same main-task examples"
ARMS: dict[str, Arm] = {
    TOGETHER: "co-trained", SAME_STEPS: "alone-same-steps", SAME_EXAMPLES: "alone-same-examples",
}  # fmt: skip
THREE_LAYERS, FAST = "model.layers=3", "training.learning_rate=0.04"
"""How pairs were trained before the presets gave them something of their own (``benchmarks/RECIPES.md``)."""
CHECKPOINTS = 20


def three_arms(group: str, preset: str, position: Position = "rope", prefix: str = "") -> dict[str, Maker]:
    """A task group and its two baselines."""
    return {prefix + name: of_group(group, preset, arm, position) for name, arm in ARMS.items()}


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


def of_group(group: str, preset: str, arm: Arm, position: Position) -> Maker:
    """One arm of a task group."""
    return lambda seed: group_config(group, preset, arm=arm, position=position, seed=seed)


def one_auxiliary(group: str, preset: str, auxiliary: str) -> Maker:
    """The main task of ``group`` beside only one of its auxiliaries, for the steps of the whole group."""

    def make(seed: int) -> RunConfig:
        short, long = preset_named(preset).lengths[group]
        specs = [TaskSpec(GROUPS[group].main, "main", short), TaskSpec(auxiliary, "auxiliary", long)]
        return custom_config(specs, preset, task_named(GROUPS[group].main).family, seed=seed)

    return make


def positions(group: str, preset: str, *settings: str) -> dict[str, Maker]:
    """``group`` with rotary positions and with none, then the main task alone with each, for the same steps."""

    def of(position: Position, arm: str) -> Maker:
        return changed(three_arms(group, preset, position), *settings)[arm]

    both: tuple[Position, Position] = ("rope", "nope")
    return {name: of(name, TOGETHER) for name in both} | {f"{name}, alone": of(name, SAME_STEPS) for name in both}


def densely_measured(group: str, preset: str) -> Maker:
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


def grid() -> dict[str, Maker]:
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
