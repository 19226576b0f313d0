"""Commands about runs in the store: runs, show, attribute, cancel, retry."""

from __future__ import annotations

import json
from dataclasses import replace

from lgt.cli import tables as cli_tables
from lgt.cli.shared_options import (
    Also,
    AsJson,
    Database,
    ReadDatabase,
    open_database,
    open_to_read,
    run_id_of,
    whole_number,
)
from lgt.recipes.settings import is_imported
from lgt.store.errors import StoreError


def runs(as_json: AsJson = False, database: ReadDatabase = None, also: Also = None) -> None:
    """List the runs of the shipped results and of your workspace."""
    from lgt.store import leases, live, queries, remarks
    from lgt.store.library import with_stores

    library = open_to_read(database, also)
    rows = json.loads(with_stores(library, remarks.shown(library, queries.runs(library))).to_json(orient="records"))
    for row in rows:
        row["run"] = library.name(row["id"])
        row["stale"] = leases.is_stale(row["state"], row["heartbeat_at"], row["origin"])
        row["shown"] = leases.shown_state(row["state"], row["heartbeat_at"], row["origin"])
    seconds_left = {run.id: run.seconds_left for run in live.live_runs(library)}
    for row in rows:
        seconds = seconds_left.get(row["id"])
        row["seconds_left"] = None if seconds is None else round(seconds)
    if as_json:
        rows = [row | {"id": row["number"]} for row in rows]
        hidden = ("shown", "number")
        shown = [{name: value for name, value in row.items() if name not in hidden} for row in rows]
        print(json.dumps(shown, indent=2))
        return
    columns = "run label shown preset model_seed step total_steps seconds seconds_left device"
    cli_tables.print_rows(rows, columns.split())


def cancel(run: str, database: Database = None) -> None:
    """Cancel a queued, running or abandoned run. Its worker stops within seconds. `retry` resumes it."""
    from lgt.store import leases, queries

    engine = open_database(database)
    record = queries.run(engine, whole_number(run))
    if not leases.cancel_run(engine, record.id):
        raise StoreError(f"run {record.id} cannot be cancelled: it is {record.state}")
    print(f"run {record.id}: cancelled")


def retry(run: str, database: Database = None) -> None:
    """Queue a failed or cancelled run again. It resumes from its last training state."""
    from lgt.store import queries, queue

    engine = open_database(database)
    record = queries.run(engine, whole_number(run))
    if is_imported(record.config):
        raise StoreError(f"run {record.id} cannot be retried: another program made it; start that program again")
    if not queue.retry(engine, record.id):
        raise StoreError(f"run {record.id} cannot be retried: it is {record.state}; only failed and cancelled runs can")
    print(f"run {record.id}: queued again; `python -m lgt worker` executes it")


def attribute(run: str, database: Database = None) -> None:
    """Measure the ablation maps of a finished run again, store them and print them."""
    number = whole_number(run)
    engine = open_database(database, create=False)
    from lgt.execution.reattribute import attribute
    from lgt.model.checkpoint import CheckpointError
    from lgt.store import queries

    try:
        attribute(engine, number)
    except CheckpointError as error:
        raise StoreError(f"run {number}: {error}") from error
    cli_tables.print_heads(queries.head_scores(engine, [number]), queries.run(engine, number).config)


def show(run: str, as_json: AsJson = False, database: ReadDatabase = None, also: Also = None) -> None:
    """Show one run: its state, device, code version, config and accuracy table."""
    if "." not in run:
        whole_number(run)  # before a store is opened
    library = open_to_read(database, also)
    run_id = run_id_of(library, run)
    from lgt.store import queries, remarks

    record = remarks.shown_of_run(library, queries.run(library, run_id))
    accuracy = queries.accuracy(library, [run_id])
    if as_json:
        number = replace(record, id=library.of(run_id)[1])
        print(json.dumps(cli_tables.run_as_dict(number, accuracy), indent=2))
    else:
        cli_tables.print_run(record, accuracy, library.name(run_id))
