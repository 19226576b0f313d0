"""Measure the heads of a finished run again, from its stored weights."""

from __future__ import annotations

from sqlalchemy import Engine

from lgt.core.parts import parts_by_task
from lgt.evaluation.ablation import head_score_rows
from lgt.evaluation.attention import attention_difference_rows
from lgt.model.checkpoint import from_bytes
from lgt.recipes.limits import check_measuring
from lgt.store import checkpoints, queries, writes
from lgt.training.snapshots import attribution_lengths


def attribute(engine: Engine, run_id: int) -> None:
    """Measure ablation maps and attention differences of a finished run at its last step, and store them.

    Lengths and prompts come from the run's config, so the rows equal those that training itself stores. Raises
    StoreError when the run is not done or its weights are missing or damaged, CheckpointError when the weights do not
    fit its config, ConfigError when measuring it is above the limits.
    """
    record = queries.run(engine, run_id)
    writes.check_finished(run_id, record.state)
    check_measuring(record.config)
    config, stored = record.config, checkpoints.read_checkpoint(engine, run_id)
    model, lengths = from_bytes(stored.weights, config.model, parts_by_task(config)), attribution_lengths(config)
    scores = head_score_rows(model, config, lengths)
    differences = attention_difference_rows(model, config, lengths)
    writes.record_attribution(engine, run_id, stored.step, scores, differences)
