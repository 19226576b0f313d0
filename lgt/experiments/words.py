"""Texts about an experiment: the scale at which it is judged, and whether another experiment has replaced it."""

from __future__ import annotations

from lgt.experiments.experiment import Experiment
from lgt.recipes.groups import GROUPS, TaskGroup
from lgt.recipes.paper import GRID_LENGTHS as PAPER_LENGTHS
from lgt.recipes.presets import PRESETS
from lgt.recipes.settings import setting_of

OPTIMIZERS = {"muon": "Muon", "adamw": "AdamW"}


def replaced_sentence(experiment: Experiment) -> str:
    """A sentence that names the experiment that judges the figure now; empty if the experiment is not replaced."""
    if not experiment.replaced_by:
        return ""
    return f"An earlier recipe, which does not count; {experiment.replaced_by} judges this figure now"


def preset_changes(experiment: Experiment) -> tuple[str, ...]:
    """The changes of a figure to its preset that all its co-trained runs share, such as ``("model.layers=3",)``.

    What its series change differently is what the figure compares.
    """
    if experiment.preset not in PRESETS:
        return ()
    makers = (make for series, make in experiment.series.items() if series.arm == "co-trained")
    of_series = [setting_of(make(0)).changes for make in makers]
    if not of_series:
        return ()
    first, *others = of_series
    return tuple(change for change in first if all(change in changes for changes in others))


def paper_group(experiment: Experiment) -> TaskGroup | None:
    """The paper's task group of a figure. For freely chosen tasks, a group with the same main task. Else ``None``."""
    ours = experiment.example()
    return GROUPS.get(ours.group) or next((of for of in GROUPS.values() if of.main == ours.main.task), None)


def lengths_here(experiment: Experiment) -> str:
    """The training lengths of a figure here, such as ``6 ← 12``, or ``2 to 32`` for a grid."""
    cells = experiment.grid_lengths
    if cells:
        return f"{min(map(min, cells))} to {max(map(max, cells))}"
    ours = experiment.example()
    return f"{ours.main.training_length} ← {ours.transfer_length}"


def lengths_in_paper(experiment: Experiment) -> str:
    """The training lengths of the paper's figure, such as ``16 ← 32``; empty when the paper has no such pair."""
    if experiment.grid_lengths:
        return f"{PAPER_LENGTHS[0]} to {PAPER_LENGTHS[-1]}"
    group = paper_group(experiment) if experiment.figures else None
    return f"{group.main_length} ← {group.auxiliary_length}" if group else ""


def scale_sentence(experiment: Experiment) -> str:
    """A sentence with the lengths and the network with which a figure is judged here, and those of the paper's
    figure."""
    ours, group = experiment.example(), paper_group(experiment)
    normed = ", normed queries and keys" if ours.model.qk_norm else ""
    optimizer = OPTIMIZERS.get(ours.training.optimizer, ours.training.optimizer)
    changes = "".join(f", {change}" for change in preset_changes(experiment))
    here = (
        f"Here (preset {experiment.preset}{changes}): lengths {lengths_here(experiment)}, {ours.model.layers} layers "
        f"of {ours.model.heads} heads, width {ours.model.width}{normed}, {ours.training.steps:,} steps with {optimizer}"
    )
    if group is None or not experiment.figures:
        return here
    network = PRESETS["paper"].recipe(group).model
    return (
        f"{here}. The paper: lengths {lengths_in_paper(experiment)}, {network.layers} layers of {network.heads} heads, "
        f"width {network.width}, AdamW"
    )
