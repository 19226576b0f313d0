"""Runs for the tests of commands that read weights."""

from __future__ import annotations

from sqlalchemy import Engine

from lgt.core.config import RunConfig
from lgt.store import leases, writes


def store_run(engine: Engine, config: RunConfig, recorder, label: str, *, weights: bool) -> None:
    """Store a finished run with the counts that ``recorder`` has collected, and with its weights if wanted."""
    run_id = writes.create_run(engine, config, label=label, state="running")
    attempt = leases.start_run(engine, run_id, "test", "cpu")
    for step, rows in recorder.accuracies.items():
        writes.record_accuracy(engine, run_id, attempt, step, rows)
    for step, data in recorder.checkpoints.items() if weights else ():
        writes.record_checkpoint(engine, run_id, attempt, step, data)
    leases.finish_run(engine, run_id, attempt, "done")
