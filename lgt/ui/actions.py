"""What pages may change: queueing, cancelling and retrying runs. Every write opens the store for itself."""

from __future__ import annotations

from collections.abc import Sequence

from lgt.config import RunConfig
from lgt.execution import local
from lgt.labels import run_label
from lgt.store import leases, queries, queue, writes
from lgt.store.engine import database_url, open_store
from lgt.store.schema import RunState

LIVE = (RunState.QUEUED, RunState.RUNNING, RunState.DONE)


def known_runs(configs: Sequence[RunConfig]) -> list[int | None]:
    """For each config the newest run of it that is waiting, running or done, if any."""
    engine = open_store(database_url(), read_only=True)
    return [queries.existing_with_hash(engine, config.hash(), LIVE) for config in configs]


def submit(configs: Sequence[RunConfig], token: str) -> list[int]:
    """Queue runs of ``configs``, once for each ``token``, and see to it that workers are there; returns their ids.

    Raises ConfigError or StoreError with what to change.
    """
    engine = open_store(database_url())
    ids = writes.create_runs(engine, configs, labels=[run_label(config) for config in configs], token=token)
    local.ensure_workers(database_url(), len(ids))
    return ids


def cancel(run_id: int) -> bool:
    """Cancel a run; False when it had already ended."""
    return leases.cancel_run(open_store(database_url()), run_id)


def retry(run_id: int) -> bool:
    """Queue an ended run again and see to it that workers are there; False when it has not failed."""
    again = queue.retry(open_store(database_url()), run_id)
    local.ensure_workers(database_url(), 1)
    return again


def start_workers(runs: int) -> int:
    """Start workers on this machine for so many waiting runs, as far as slots are free; returns how many."""
    return local.ensure_workers(database_url(), runs)


def workers() -> int:
    """How many workers of the dashboard are there now on this machine."""
    return local.busy_slots(database_url())
