"""The settings that say what is measured of a run."""

from __future__ import annotations

from dataclasses import dataclass

from lgt.core import bounds
from lgt.core.added_fields import added
from lgt.core.checks import ConfigError, check_integer


@dataclass(frozen=True)
class EvaluationConfig:
    """What is measured. ``examples``: test prompts per (task, length) at the last step, ``progress_examples`` at
    earlier evaluated steps.

    ``maximum_length``: lengths 1..maximum_length are evaluated. ``snapshots``: number of equally spaced steps at which
    the model is evaluated, the last step included. ``attribution_snapshots``: the number of these steps, counted from
    the last, at which ablation maps are made. Each time there are maps at ``attribution_lengths`` lengths per zone of
    the main task, each from ``attribution_examples`` examples. ``interchange_examples``: examples of each interchange
    of head outputs at the last step (:mod:`lgt.evaluation.interchange`); 0 for none. ``seed`` fixes the test sets; all
    runs of this project use the same one. ``further_lengths``: lengths above ``maximum_length`` that are evaluated,
    too, such as ``20,24,32``. ``measured_steps``: the steps at which the model is evaluated, such as ``0,10,60``,
    instead of ``snapshots`` equally spaced ones. Steps after the last one are left out, and the last one is always
    evaluated.
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
    further_lengths: str = added("")
    measured_steps: str = added("")

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
        longest = bounds.MAXIMUM_LENGTH
        check_rising("evaluation.further_lengths", self.further_lengths, self.maximum_length + 1, longest)
        check_rising("evaluation.measured_steps", self.measured_steps, 0, bounds.CONFIG_STEPS.most)

    @property
    def lengths_beyond(self) -> tuple[int, ...]:
        """The lengths that ``further_lengths`` names."""
        return rising(self.further_lengths)

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps that ``measured_steps`` names."""
        return rising(self.measured_steps)


def rising(text: str) -> tuple[int, ...]:
    """The numbers of a text such as ``20,24``, which :func:`check_rising` accepts; none for an empty text."""
    return tuple(int(part) for part in text.split(",")) if text else ()


def check_rising(name: str, text: object, low: int, high: int) -> None:
    """Raise ConfigError unless ``text`` is empty or has whole numbers from ``low`` to ``high``, each above the one
    before, separated by commas and without signs, spaces or leading zeros. So equal lists have one text."""
    if isinstance(text, str) and len(text) <= bounds.RANGES.most:
        parts = text.split(",") if text else []
        numbers = [int(part) for part in parts if part.isdecimal() and part.isascii() and len(part) < 10]
        within = all(low <= number <= high for number in numbers)
        if within and numbers == sorted(set(numbers)) and ",".join(map(str, numbers)) == text:
            return
    raise ConfigError(name, text, f"an empty text, or rising whole numbers from {low:,} to {high:,} such as 20,24,32")
