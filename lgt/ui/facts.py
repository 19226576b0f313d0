"""The numbers that the sentences of the Overview page need, from the store, for :mod:`lgt.ui.overview_sentences`."""

from __future__ import annotations

from dataclasses import replace

from lgt.core.config import Arm
from lgt.experiments.experiment import Experiment
from lgt.experiments.registry import EXPERIMENTS
from lgt.metrics.by_seed import auxiliaries_by_seed, mean_curve, paired_gain, trained_by_seed, transfer_by_seed
from lgt.recipes.builders import CO_TRAINED
from lgt.recipes.settings import Setting, has_control
from lgt.store.comparisons import Comparison
from lgt.ui import data
from lgt.ui.overview_sentences import Control, Facts
from lgt.ui.titles import auxiliary_words


def gather_facts(found: dict[Setting, Comparison], comparison: Comparison, baseline: Arm) -> Facts:
    """Every number that the sentences of Overview need. ``baseline``: the arm that is shown beside the co-trained
    one."""
    alone = data.read_accuracy(comparison.ids(baseline))
    together = data.read_accuracy(comparison.ids("co-trained"))
    transfer_alone, transfer_together = transfer_by_seed(alone), transfer_by_seed(together)
    config = comparison.config
    ends = {config.main.training_length + 1, config.transfer_length}
    return Facts(
        config=config,
        alone=transfer_alone,
        alone_trained=trained_by_seed(alone),
        together=transfer_together,
        together_trained=trained_by_seed(together),
        auxiliaries=auxiliaries_by_seed(together),
        gain=paired_gain(transfer_together, transfer_alone),
        region_ends={length: share for length, share in mean_curve(together).items() if length in ends},
        control=control(found, comparison),
    )


def figure_of(comparison: Comparison) -> Experiment | None:
    """The figure of the paper about the transfer gain of exactly these tasks, trained like this; None without one."""
    asked = replace(comparison.config, model_seed=0).result_hash()
    about_gain = (experiment for experiment in EXPERIMENTS.values() if experiment.about_gain)
    return next((one for one in about_gain if one.series[CO_TRAINED](0).result_hash() == asked), None)


def control(found: dict[Setting, Comparison], comparison: Comparison) -> Control | None:
    """The transfer accuracy of the same main task beside a control task, see :func:`control_of`."""
    other = control_of(found, comparison)
    summary = transfer_by_seed(data.read_accuracy(other.ids("co-trained"))) if other else None
    return Control(auxiliary_words(other.config), summary, other.setting.key) if other and summary else None


def control_of(found: dict[Setting, Comparison], comparison: Comparison) -> Comparison | None:
    """The comparison of the same main task with a control task: same lengths, same network, trained in the same way."""
    config = comparison.config
    for other in found.values():
        theirs = other.config
        same = (theirs.main, theirs.transfer_length, theirs.model, theirs.training, theirs.options) == (
            config.main, config.transfer_length, config.model, config.training, config.options,
        )  # fmt: skip
        if same and has_control(theirs) and other.ids("co-trained"):
            return other
    return None
