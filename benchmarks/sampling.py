"""The time of making a batch as a fraction of the training step, for all nine groups in the demo preset."""

from __future__ import annotations

import torch

from benchmarks import harness
from benchmarks.harness import Disagreement, Section, Settings
from lgt.core.config import RunConfig
from lgt.model.decoder import Decoder
from lgt.recipes.groups import GROUPS
from lgt.recipes.presets import group_config
from lgt.training.batches import _draw, batches_per_draw, make_batch
from lgt.training.steps import make_stepper


def check(config: RunConfig) -> None:
    """Check that a batch depends only on (config, step), not on earlier calls. Raises Disagreement."""
    first = make_batch(config, 5).tokens
    _draw.cache_clear()
    if not torch.equal(first, make_batch(config, 5).tokens):
        raise Disagreement(f"sampling: {config.group} made another batch of the same step")


def repetition(config: RunConfig, steps: int) -> tuple[float, float]:
    """Seconds per batch and per step. It makes a whole draw of batches, as training does."""
    drawn = batches_per_draw(config)
    _draw.cache_clear()
    making = harness.seconds(lambda: [make_batch(config, step) for step in range(drawn)]) / drawn
    stepper = make_stepper(Decoder(config.model, config.model_seed), config, device="cpu")
    batches = [make_batch(config, step) for step in range(steps + 2)]
    for batch in batches[:2]:
        stepper.step(batch, 1.0)
    return making, harness.seconds(lambda: [stepper.step(batch, 1.0) for batch in batches[2:]]) / steps


def run(settings: Settings) -> Section:
    """A line per group: milliseconds of a batch and of a step, and their share."""
    rows = []
    for group in GROUPS:
        config = group_config(group, "demo")
        check(config)
        found = [repetition(config, 5 if settings.quick else 60) for _ in range(settings.repetitions)]
        making, step = ([1000 * pair[side] for pair in found] for side in (0, 1))
        share = harness.spread([100 * pair[0] / sum(pair) for pair in found], "%")
        rows.append([group, harness.spread(making, "ms"), harness.spread(step, "ms"), f"**{share}**"])
    headers = ["group", "making a batch", "step on it", "share of making in both"]
    return Section(harness.table(headers, rows))
