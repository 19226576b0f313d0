"""What pages may change in the store: queue, cancel, retry, mark and delete runs. Every write opens the store anew."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import streamlit as st

from lgt.core import bounds
from lgt.core.checks import ConfigError
from lgt.core.config import RunConfig
from lgt.core.plain_text import for_markdown
from lgt.execution import worker_processes
from lgt.recipes.labels import run_label
from lgt.recipes.limits import read_only
from lgt.store import leases, queries, queue, remarks, tags, writes
from lgt.store.engine import Engine, database_url, open_store
from lgt.store.errors import StoreError
from lgt.store.locations import WORKSPACE
from lgt.store.schema import RunState
from lgt.ui import data, open_stores

READY_SECONDS = worker_processes.IDLE_SECONDS - 30.0
"""After this time a waiting worker is about to end, and another one may be needed."""
REFUSAL = "refusal"
"""Where the session keeps why the last action was refused, until the page shows it."""


def _workspace() -> Engine:
    """The user's own store to write, created if it is missing. Raises StoreError."""
    engine = open_store(database_url())
    open_stores.look_for_stores_again()
    return engine


def known_runs(configs: Sequence[RunConfig]) -> list[int | None]:
    """For each config the newest run of it that is waiting, running or done in the workspace, if any."""
    source = data.library().chosen([WORKSPACE])
    hashes = [config.hash() for config in configs]
    found = queries.existing_with_hashes(source, hashes, queries.NOT_MISSING)
    return [found.get(config_hash) for config_hash in hashes]


def runs_elsewhere(configs: Sequence[RunConfig]) -> list[int]:
    """The finished runs of these configs in other stores than the workspace."""
    found = data.library()
    source = found.chosen({member.name for member in found.members} - {WORKSPACE})
    hashes = [config.hash() for config in configs]
    runs = queries.existing_with_hashes(source, hashes, [RunState.DONE])
    return [runs[config_hash] for config_hash in hashes if config_hash in runs]


def unused_seed(runs_of: Callable[[int], Sequence[RunConfig]]) -> int:
    """The first model seed for which the store lacks a run; 0 when the runs cannot be made or all seeds are taken."""
    known = data.known_hashes()
    seeds = (
        seed for seed in range(bounds.SEEDS.most) if not known.issuperset(config.hash() for config in runs_of(seed))
    )
    try:
        return next(seeds, 0)
    except ConfigError:
        return 0


def submit(configs: Sequence[RunConfig], token: str) -> list[int]:
    """Queue runs of ``configs`` in the workspace, once for each ``token``, and start workers as needed; returns the ids
    of the runs.

    Raises ConfigError or StoreError with what to change.
    """
    engine = _workspace()
    ids = writes.create_runs(engine, configs, labels=[run_label(config) for config in configs], token=token)
    worker_processes.ensure_workers(database_url(), len(ids))
    offset = next(member.offset for member in data.library().members if member.name == WORKSPACE)
    return [number + offset for number in ids]


def in_workspace(run_ids: Sequence[int]) -> list[int]:
    """The numbers of runs in the workspace. Raises StoreError for a run of another store, which nobody may change."""
    numbers = []
    for run_id in run_ids:
        member, number = data.library().of(run_id)
        if member.name != WORKSPACE:
            whose = f"run {data.name(run_id)} belongs to {member.title}"
            raise StoreError(f"{whose}; only runs of your workspace can be changed or deleted")
        numbers.append(number)
    return numbers


def cancel(run_id: int) -> bool:
    """Cancel a run; False when it had already ended."""
    (number,) = in_workspace([run_id])
    return leases.cancel_run(_workspace(), number)


def retry(run_id: int) -> bool:
    """Queue an ended run again and start a worker if needed; False when the run has not failed."""
    (number,) = in_workspace([run_id])
    again = queue.retry(_workspace(), number)
    worker_processes.ensure_workers(database_url(), 1)
    return again


def retag(run_ids: Sequence[int], *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> list[int]:
    """Add and remove tags (see :mod:`lgt.store.tags`); returns the ids of the runs of the workspace that this changed.

    Tags of runs of other stores are kept in the workspace. Such a run cannot be deleted, which raises StoreError.
    """
    own, others = own_and_others(run_ids)
    if tags.DELETED in add:
        in_workspace(run_ids)
    engine, numbers = _workspace(), dict(zip(in_workspace(own), own, strict=True))
    changed = tags.change_tags(engine, list(numbers), add=add, remove=remove)
    if others:
        shown = {record.uuid: tags.joined_tags(record.tags) for record in map(data.read_run, others)}
        remarks.change_tags(engine, shown, add=add, remove=remove)
    return [numbers[number] for number in changed]


def note(run_ids: Sequence[int], text: str) -> None:
    """Replace the note of runs. Notes about runs of other stores are kept in the workspace."""
    own, others = own_and_others(run_ids)
    engine = _workspace()
    tags.set_note(engine, in_workspace(own), text)
    if others:
        remarks.set_note(engine, [data.read_run(run_id).uuid for run_id in others], text)


def own_and_others(run_ids: Sequence[int]) -> tuple[list[int], list[int]]:
    """The runs of the workspace, and those of other stores."""
    own = [run_id for run_id in run_ids if data.library().of(run_id)[0].name == WORKSPACE]
    return own, [run_id for run_id in run_ids if run_id not in own]


def delete(run_ids: Sequence[int]) -> int:
    """Delete runs from the store; this cannot be undone. Returns how many there were."""
    return writes.delete_runs(_workspace(), in_workspace(run_ids))


def start_workers(runs: int) -> int:
    """Start workers on this machine for this number of waiting runs, as far as slots are free; returns how many."""
    return worker_processes.ensure_workers(database_url(), runs)


def keep_worker_ready() -> None:
    """Start a worker that loads torch and then waits for the next run, so that this run begins at once.

    Nothing happens without a store, in a read-only dashboard, or while a worker of the dashboard is there.
    """
    if not read_only() and data.exists():
        _ready_worker(database_url())


@st.cache_resource(ttl=READY_SECONDS, show_spinner=False, max_entries=16)
def _ready_worker(url: str) -> int:
    """How many workers were started; asked once in ``READY_SECONDS``, however often pages are drawn."""
    try:
        return 0 if worker_processes.busy_slots(url) else worker_processes.ensure_workers(url, 1)
    except StoreError as error:
        logging.getLogger(__name__).warning("no worker is waiting for the next run: %s", error)
        return 0


def workers() -> int:
    """How many workers of the dashboard are there now on this machine."""
    return worker_processes.busy_slots(database_url())


def try_action(action: Callable[..., object], *arguments: object, **options: object) -> None:
    """Do what a button asks. For a refusal by the store, see :func:`show_refusal`."""
    try:
        action(*arguments, **options)
    except (ConfigError, StoreError) as error:
        st.session_state[REFUSAL] = str(error)


def show_refusal() -> None:
    """Show once why the last action was refused; nothing when it was not."""
    refusal = st.session_state.pop(REFUSAL, None)
    if refusal:
        st.error(for_markdown(refusal))
