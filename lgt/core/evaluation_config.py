"""The settings that say what is measured of a run."""

from __future__ import annotations

from dataclasses import dataclass

from lgt.core import bounds
from lgt.core.added_fields import added
from lgt.core.checks import check_integer


@dataclass(frozen=True)
class EvaluationConfig:
    """What is measured. ``examples``: test prompts per (task, length) at the last step, ``progress_examples`` at
    earlier evaluated steps.

    ``maximum_length``: lengths 1..maximum_length are evaluated. ``snapshots``: number of equally spaced steps at which
    the model is evaluated, the last step included. ``attribution_snapshots``: the number of these steps, counted from
    the last, at which ablation maps are made. Each time there are maps at ``attribution_lengths`` lengths per zone of
    the main task, each from ``attribution_examples`` examples. ``interchange_examples``: examples of each interchange
    of head outputs at the last step (:mod:`lgt.evaluation.interchange`); 0 for none. ``seed`` fixes the test sets; all
    runs of this project use the same one.
    """

    examples: int = 1024
    progress_examples: int = 128
    maximum_length: int = 40
    snapshots: int = 8
    attribution_snapshots: int = 1
    attribution_examples: int = 128
    attribution_lengths: int = 3
    seed: int = 2506
    interchange_examples: int = added(0)

    def __post_init__(self) -> None:
        check_integer("evaluation.examples", self.examples, 1, bounds.CONFIG_EXAMPLES.most)
        check_integer("evaluation.progress_examples", self.progress_examples, 1, bounds.CONFIG_EXAMPLES.most)
        check_integer("evaluation.maximum_length", self.maximum_length, 1, bounds.MAXIMUM_LENGTH)
        check_integer("evaluation.snapshots", self.snapshots, 1, bounds.CONFIG_SNAPSHOTS.most)
        check_integer("evaluation.attribution_snapshots", self.attribution_snapshots, 0, bounds.CONFIG_SNAPSHOTS.most)
        check_integer("evaluation.attribution_examples", self.attribution_examples, 1, bounds.CONFIG_EXAMPLES.most)
        check_integer("evaluation.attribution_lengths", self.attribution_lengths, 1, bounds.MAXIMUM_LENGTH)
        check_integer("evaluation.interchange_examples", self.interchange_examples, 0, bounds.CONFIG_EXAMPLES.most)
        check_integer("evaluation.seed", self.seed, 0, 2**63 - 1)
