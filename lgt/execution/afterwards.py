"""What can be measured of a finished run from its stored weights."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Engine

from lgt.attribution.ablation import head_score_rows
from lgt.attribution.attention import attention_difference_rows
from lgt.checkpoint import from_bytes
from lgt.snapshots import attribution_lengths
from lgt.store import queries, writes


def attribute(engine: Engine, run_id: int, *, lengths_per_zone: int | None, examples: int | None) -> None:
    """Measure ablation maps and attention differences of a finished run, and store them.

    At ``lengths_per_zone`` lengths of each zone on ``examples`` prompts each, by default as the run's config says:
    then the rows are those that the run itself made. Raises StoreError when the run is not finished or has no intact
    weights, CheckpointError when they do not fit its config, ConfigError for a number out of range.
    """
    config, kept = queries.run(engine, run_id).config, queries.checkpoint(engine, run_id)
    wanted = {"attribution_lengths": lengths_per_zone, "attribution_examples": examples}
    given = {name: value for name, value in wanted.items() if value is not None}
    config = replace(config, evaluation=replace(config.evaluation, **given))
    model, lengths = from_bytes(kept.weights, config.model), attribution_lengths(config)
    scores = head_score_rows(model, config, lengths)
    differences = attention_difference_rows(model, config, lengths)
    writes.record_later_attribution(engine, run_id, kept.step, scores, differences)
