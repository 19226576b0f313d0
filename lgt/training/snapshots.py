"""The measurements at a snapshot of training, and the steps and lengths of these measurements."""

from __future__ import annotations

from collections.abc import Collection

from lgt.core.config import RunConfig
from lgt.evaluation.ablation import head_score_rows
from lgt.evaluation.attention import attention_difference_rows
from lgt.evaluation.exact_match import accuracy_rows
from lgt.evaluation.interchange import interchange_rows
from lgt.metrics.zones import IN_DISTRIBUTION, TRANSFER_REGION, ZONES, Zone, zone_lengths
from lgt.model.checkpoint import measured_copy, to_bytes
from lgt.model.decoder import Decoder
from lgt.tasks import evaluation_lengths, task_named
from lgt.training.recorder import Recorder


def snapshot_steps(config: RunConfig) -> list[int]:
    """The evaluated steps: ``evaluation.measured_steps`` or, if it is empty, ``evaluation.snapshots`` equally spaced
    steps; always including the last step."""
    count, steps = config.evaluation.snapshots, config.training.steps
    if config.evaluation.measured_steps:
        return sorted({step for step in config.evaluation.steps if step < steps} | {steps})
    return sorted({round(steps * i / count) for i in range(1, count + 1)} - {0} | {steps})


BEFORE_THE_END: tuple[Zone, ...] = (IN_DISTRIBUTION, TRANSFER_REGION)
"""The zones whose lengths get ablation maps before the last step, and interchanges at the last. At the last step all
zones get maps."""


def attribution_lengths(config: RunConfig, among: Collection[Zone] = ZONES) -> list[int]:
    """The lengths at which maps are made: up to ``attribution_lengths`` evenly spaced ones per zone of the main task.

    All tasks of the run are mapped at the same lengths, so that their maps can be compared. Lengths that one of the
    tasks does not have are left out.
    """
    ranges = [evaluation_lengths(task_named(spec.task), config) for spec in config.tasks]
    evaluated = sorted(set(ranges[0]).intersection(*ranges))
    zones = zone_lengths(evaluated, config.main.training_length, config.transfer_length)
    chosen: list[int] = []
    for zone, lengths in zones.items():
        count = min(config.evaluation.attribution_lengths, len(lengths)) if zone in among else 0
        chosen += [lengths[int((i + 0.5) * len(lengths) / count)] for i in range(count)]
    return sorted(chosen)


def measure(model: Decoder, config: RunConfig, step: int, recorder: Recorder) -> None:
    """Measure ``model`` after ``step`` steps and send rows to ``recorder``; at the last step also the checkpoint."""
    measured = measured_copy(model)
    last = step == config.training.steps
    examples = config.evaluation.examples if last else config.evaluation.progress_examples
    recorder.accuracy(step, accuracy_rows(measured, config, examples))
    if step in snapshot_steps(config)[-config.evaluation.attribution_snapshots or len(snapshot_steps(config)) + 1 :]:
        lengths = attribution_lengths(config, ZONES if last else BEFORE_THE_END)
        recorder.head_scores(step, head_score_rows(measured, config, lengths))
        recorder.attention_differences(step, attention_difference_rows(measured, config, lengths))
    if last and config.evaluation.interchange_examples:
        recorder.interchanges(step, interchange_rows(measured, config, attribution_lengths(config, BEFORE_THE_END)))
    if last:
        recorder.checkpoint(step, to_bytes(measured))
