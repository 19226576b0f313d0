"""Builders: the series of runs that a figure compares, made from the presets.

A *series* is a set of runs that differ only in their seed. :class:`Series` says which one it is; a :data:`Maker` gives
its run for a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from lgt.core.config import Arm, Position, RunConfig, TaskSpec, with_setting
from lgt.recipes.groups import GROUPS
from lgt.recipes.presets import baseline, custom_config, group_config, preset_named
from lgt.tasks import task_named

Maker = Callable[[int], RunConfig]
"""The run of one series for a seed."""
THREE_LAYERS, FAST = "model.layers=3", "training.learning_rate=0.04"
"""Settings with which pairs were trained before the presets had settings for single groups
(``benchmarks/RECIPES.md``)."""
INTERCHANGED = 64  # test prompts of each interchange
CHECKPOINTS = 20  # evaluated steps of a run of :func:`densely_measured`


class Lengths(NamedTuple):
    """The training lengths of a pair: Lm of the main task, La of its auxiliaries."""

    main: int
    auxiliary: int


@dataclass(frozen=True)
class Series:
    """One of the series of a figure. Rules use the other fields; ``label`` is only displayed.

    ``lengths`` is set for the cells of a grid, which differ only in their lengths. ``only_main``: the premise asks only
    that the main task is learned, because the other tasks cannot be. ``excused``: the premise ignores the series,
    because how much it learns in the same time is what is asked.
    """

    label: str
    arm: Arm = "co-trained"
    position: Position = "rope"
    lengths: Lengths | None = None
    only_main: bool = False
    excused: bool = False

    def __str__(self) -> str:
        return self.label

    @property
    def may_stay_unlearned(self) -> bool:
        """Whether the premise ignores this series: it is excused, or it is the baseline with the same examples, which
        trains for fewer steps."""
        return self.excused or self.arm == "alone-same-examples"


CO_TRAINED = Series("together")
ALONE_SAME_STEPS = Series("alone, same steps", "alone-same-steps")
ALONE_SAME_EXAMPLES = Series("alone, same main-task examples", "alone-same-examples")
BOTH = Series("both")
WITH_CONTROL = Series("together with a control task")
SHORT = Series("together, all tasks short")
SHUFFLED = Series("together, auxiliary answers shuffled", only_main=True)


def three_arms(group: str, preset: str, position: Position = "rope", prefix: str = "") -> dict[Series, Maker]:
    """The three arms of a task group: co-trained and two baselines. ``prefix`` is put before their labels."""
    return {
        replace(series, label=prefix + series.label): of_group(group, preset, series.arm, position)
        for series in (CO_TRAINED, ALONE_SAME_STEPS, ALONE_SAME_EXAMPLES)
    }


def changed(series: Mapping[Series, Maker], *settings: str) -> dict[Series, Maker]:
    """``series`` of :func:`three_arms`, trained with ``settings`` such as ``training.steps=1000``. ``series`` must
    contain the co-trained arm. The baselines are matched to the changed co-trained run."""

    def of(arm: Arm) -> Maker:
        def make(seed: int) -> RunConfig:
            co_trained = series[CO_TRAINED](seed)
            for setting in settings:
                co_trained = with_setting(co_trained, *setting.split("=", 1))
            return baseline(co_trained, arm)

        return make

    return {one: of(one.arm) for one in series}


def of_group(group: str, preset: str, arm: Arm = "co-trained", position: Position = "rope") -> Maker:
    """One arm of a task group."""
    return lambda seed: group_config(group, preset, arm=arm, position=position, seed=seed)


def short_auxiliaries(group: str, preset: str) -> Maker:
    """The runs of :data:`SHORT`: the group's tasks together, every one up to Lm only. They train for as many steps as
    the group, and are measured at the same lengths."""

    def make(seed: int) -> RunConfig:
        config = group_config(group, preset, seed=seed)
        tasks = tuple(replace(spec, training_length=config.main.training_length) for spec in config.tasks)
        return replace(config, group="custom", tasks=tasks)

    return make


def shuffled_auxiliaries(group: str, preset: str) -> Maker:
    """The runs of :data:`SHUFFLED`: the group's tasks together, but the auxiliaries' answers belong to other inputs."""
    return lambda seed: with_setting(group_config(group, preset, seed=seed), "options.auxiliary_answers", "shuffled")


def joined_by(config: RunConfig, control: str) -> RunConfig:
    """``config`` with a control task, trained to the auxiliaries' length La."""
    spec = TaskSpec(control, "control", config.auxiliaries[0].training_length)
    return replace(config, group="custom", tasks=(*config.tasks, spec))


def interchanged(group: str, preset: str, control: str, *settings: str) -> Maker:
    """The runs of ``group`` joined by a control task, with interchanges of head outputs at the last step. ``settings``
    such as ``training.steps=2000``."""

    def make(seed: int) -> RunConfig:
        config = group_config(group, preset, seed=seed)
        for setting in (*settings, f"evaluation.interchange_examples={INTERCHANGED}"):
            config = with_setting(config, *setting.split("=", 1))
        return joined_by(config, control)

    return make


def with_one_auxiliary(auxiliary: str) -> Series:
    """The series of the main task with only one of the auxiliaries of its group."""
    return Series(f"{auxiliary} only")


def one_auxiliary(group: str, preset: str, auxiliary: str) -> Maker:
    """The runs of :func:`with_one_auxiliary`, trained for as many steps as the whole group."""

    def make(seed: int) -> RunConfig:
        short, long = preset_named(preset).lengths[group]
        specs = [TaskSpec(GROUPS[group].main, "main", short), TaskSpec(auxiliary, "auxiliary", long)]
        return custom_config(specs, preset, task_named(GROUPS[group].main).family, seed=seed)

    return make


def of_position(position: Position, arm: Arm = "co-trained") -> Series:
    """The series of a task group, or of its main task alone, with one positional encoding."""
    return Series(position + ("" if arm == "co-trained" else ", alone"), arm, position)


def positions(group: str, preset: str, *settings: str) -> dict[Series, Maker]:
    """``group`` with rotary positions and with none, then its main task alone with each, for the same steps."""

    def make(position: Position, arm: Series) -> Maker:
        return changed(three_arms(group, preset, position), *settings)[arm]

    both: tuple[Position, Position] = ("rope", "nope")
    return {of_position(name, of.arm): make(name, of) for of in (CO_TRAINED, ALONE_SAME_STEPS) for name in both}


def densely_measured(group: str, preset: str) -> Maker:
    """The runs of ``group``, measured at ``CHECKPOINTS`` steps, each time with maps at two lengths per zone."""

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
"""Steps of every run of the grid: enough for the longest length, so that cells differ only in their lengths."""


def cell(main_length: int, auxiliary_length: int) -> Series:
    """The series of one cell of the grid."""
    return Series(f"{main_length} beside {auxiliary_length}", lengths=Lengths(main_length, auxiliary_length))


def grid() -> dict[Series, Maker]:
    """The tasks of the group ``caprev`` (flip case and reverse) at every pair of training lengths."""

    def make(main_length: int, auxiliary_length: int) -> Maker:
        specs = [TaskSpec(GROUPS["caprev"].main, "main", main_length)]
        specs += [TaskSpec(task, "auxiliary", auxiliary_length) for task in GROUPS["caprev"].auxiliaries]

        def of_seed(seed: int) -> RunConfig:
            config = custom_config(specs, "demo", "strings", seed=seed)
            return replace(config, training=replace(config.training, steps=GRID_STEPS))

        return of_seed

    return {cell(main, other): make(main, other) for main in GRID_LENGTHS for other in GRID_LENGTHS}
