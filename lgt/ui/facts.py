"""Reads what the sentences of :mod:`lgt.ui.story` are about, and which figure of the paper they belong to."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from lgt.core.config import Arm, RunConfig
from lgt.experiments.entries import EXPERIMENTS
from lgt.experiments.experiment import Experiment
from lgt.metrics.by_seed import auxiliaries_by_seed, mean_curve, paired_gain, trained_by_seed, transfer_by_seed
from lgt.recipes.builders import CO_TRAINED
from lgt.recipes.settings import Setting
from lgt.store.comparisons import Comparison
from lgt.ui import data, panels
from lgt.ui.story import Control, Facts


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
        auxiliaries=auxiliaries_by_seed(together),
        gain=paired_gain(sides[1], sides[0]),
        course=course(together, comparison.config),
        control=control(found, comparison),
    )


def course(together: pd.DataFrame, config: RunConfig) -> dict[int, float]:
    """The main task's exact match at the first and the last length of its transfer region, mean over runs."""
    means = mean_curve(together)
    ends = {config.main.training_length + 1, config.transfer_length}
    return {length: share for length, share in means.items() if length in ends}


def figure_of(comparison: Comparison) -> Experiment | None:
    """The figure of the paper that asks whether this very pair gains something; None for any other pair."""
    asked = replace(comparison.config, model_seed=0).result_hash()
    about_gain = (experiment for experiment in EXPERIMENTS.values() if experiment.about_gain)
    return next((one for one in about_gain if one.series[CO_TRAINED](0).result_hash() == asked), None)


def control(found: dict[Setting, Comparison], comparison: Comparison) -> Control | None:
    """Transfer of the same main task beside an unrelated task, see :func:`control_of`."""
    other = control_of(found, comparison)
    summary = transfer_by_seed(data.read_accuracy(other.ids("co-trained"))) if other else None
    return Control(panels.beside(other), summary, panels.setting_key(other.setting)) if other and summary else None


def control_of(found: dict[Setting, Comparison], comparison: Comparison) -> Comparison | None:
    """The comparison of the same main task with an unrelated task: same lengths, same network, trained alike."""
    config = comparison.config
    for other in found.values():
        theirs = other.config
        alike = (theirs.main, theirs.transfer_length, theirs.model, theirs.training, theirs.options) == (
            config.main, config.transfer_length, config.model, config.training, config.options,
        )  # fmt: skip
        if alike and any(spec.role == "control" for spec in theirs.auxiliaries) and other.ids("co-trained"):
            return other
    return None
