"""What can be measured of a finished run from its stored weights."""

from __future__ import annotations

from sqlalchemy import Engine

from lgt.evaluation.ablation import head_score_rows
from lgt.evaluation.attention import attention_difference_rows
from lgt.model.checkpoint import from_bytes
from lgt.store import checkpoints, queries, writes
from lgt.training.snapshots import attribution_lengths


def attribute(engine: Engine, run_id: int) -> None:
    """Measure ablation maps and attention differences of a finished run at its last step, and store them.

    Lengths and prompts are those of the run's config, so that the rows are those which the run itself makes. Raises
    StoreError when the run is not finished or has no intact weights, CheckpointError when they do not fit its config.
    """
    record = queries.run(engine, run_id)
    writes.check_finished(run_id, record.state)
    config, kept = record.config, checkpoints.read_checkpoint(engine, run_id)
    model, lengths = from_bytes(kept.weights, config.model), attribution_lengths(config)
    scores = head_score_rows(model, config, lengths)
    differences = attention_difference_rows(model, config, lengths)
    writes.record_attribution(engine, run_id, kept.step, scores, differences)
