"""A campaign makes all runs of an experiment: it queues the missing runs, starts workers and reports progress."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine

from lgt.core import bounds
from lgt.core.config import RunConfig
from lgt.core.version import code_version
from lgt.execution.worker_processes import start_workers, wait_for_workers
from lgt.experiments.experiment import Experiment
from lgt.recipes.labels import run_label
from lgt.store import queries, queue, writes
from lgt.store.engine import full_url
from lgt.store.schema import RunState


def runs_of(experiment: Experiment, seeds: Sequence[int]) -> list[RunConfig]:
    """All runs of ``experiment``. Raises ConfigError for more than one request may have."""
    configs = experiment.runs(seeds)
    bounds.REQUEST.check(f"runs of {experiment.name}", len(configs))
    return configs


def queue_missing(engine: Engine, experiment: Experiment, seeds: Sequence[int]) -> list[int]:
    """Queue every run of ``experiment`` that is not queued, running or done; returns the new ids."""
    configs = runs_of(experiment, seeds)
    queue.requeue_expired(engine)
    there = queries.existing_with_hashes(engine, [config.hash() for config in configs], queries.NOT_MISSING)
    return [
        writes.create_run(
            engine, config, label=run_label(config), experiment=experiment.name, code_version=code_version()
        )
        for config in configs
        if config.hash() not in there
    ]


def run_campaign(engine: Engine, experiment: Experiment, seeds: Sequence[int], *, workers: int) -> None:
    """Queue the missing runs and execute them with ``workers`` processes until the queue is empty."""
    queue_missing(engine, experiment, seeds)
    wait_for_workers(start_workers(full_url(engine), workers, "--threads", "1", "--experiment", experiment.name))


def campaign_status(engine: Engine, experiment: Experiment, seeds: Sequence[int]) -> tuple[list[str], bool]:
    """Text lines with the state of each run of the experiment and the number done; and whether all runs are done."""
    lines, done = [], 0
    configs = runs_of(experiment, seeds)
    found = queries.existing_with_hashes(engine, [config.hash() for config in configs], tuple(RunState))
    for config in configs:
        run_id = found.get(config.hash())
        state = queries.run(engine, run_id).state.value if run_id is not None else "missing"
        done += state == "done"
        lines.append(f"{state:<9} {run_label(config)}" + (f" (run {run_id})" if run_id is not None else ""))
    return [*lines, f"{done} of {len(configs)} runs done"], done == len(configs)
