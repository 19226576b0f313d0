"""A store in which every text that another person can write is one of :data:`tests.faults.hostile_strings.HOSTILE`.

The store passes the checks that a further store must pass: these texts are allowed, so pages and commands show them.
"""

from __future__ import annotations

import itertools
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Engine, select, update

from lgt.core.config import RunConfig, TaskSpec, TrainingConfig
from lgt.core.records import AccuracyRow, AttentionDifferenceRow, HeadScoreRow
from lgt.recipes.presets import baseline, custom_config, group_config
from lgt.recipes.settings import IMPORTED
from lgt.store import imports, leases, queries, remarks, writes
from lgt.store.engine import open_store, write_transaction
from lgt.store.schema import Run, RunState
from lgt.store.stored_runs import check_store
from tests.faults.hostile_strings import marked

TEXTS = ("label", "experiment", "code_version", "device", "notes", "owner", "token")
"""The columns of a run that may have any text; tags, errors and logs are written for themselves."""


def build(source: Path, path: Path, first: int) -> Path:
    """Write the store to ``path``: the runs of ``source`` with hostile texts, and further runs with hostile tasks,
    groups and presets. ``first`` is the number of the text that the first column gets."""
    shutil.copy(source, path)
    engine = open_store(str(path))
    numbers = itertools.count(first)
    for state in ("queued", "running", "failed", "cancelled", "failed"):
        _unfinished(engine, state, next(numbers))
    config = group_config("caprev", "demo")
    measured = _measured(engine, config)
    for _ in range(2):
        _imported(engine, numbers, measured)
        _with_labels(engine, config, numbers, measured)
    _free_tasks(engine, numbers, measured)
    _overwrite_texts(engine, numbers)
    with write_transaction(engine) as connection:  # about runs of another store
        for _ in range(2):
            said = {"tags": marked(next(numbers)), "notes": marked(next(numbers)), "tags_at": 1.0, "notes_at": 1.0}
            remarks.write(connection, str(uuid.uuid4()), said)
    check_store(engine)
    engine.dispose()
    return path


Measured = dict[str, list]


def _measured(engine: Engine, config: RunConfig) -> Measured:
    """What a stored run of ``config`` measured, with the places of its tasks in place of their names."""
    run_id = queries.existing_with_hash(engine, config.hash(), ("done",))
    assert run_id is not None
    places = {spec.task: place for place, spec in enumerate(config.tasks)}
    scores = [HeadScoreRow(row.task, row.length, row.layer, row.head, row.accuracy_drop, row.loss_rise, row.examples)
              for row in queries.head_scores(engine, [run_id]).itertuples()]  # fmt: skip
    other = queries.attention_differences(engine, [run_id]).itertuples()
    differences = [AttentionDifferenceRow(row.task_a, row.task_b, row.length, row.layer, row.head, row.difference)
                   for row in other]  # fmt: skip
    counts = [AccuracyRow(row.task, row.length, row.correct, row.total)
              for row in queries.accuracy(engine, [run_id]).itertuples()]  # fmt: skip
    named = {"scores": scores, "differences": differences, "counts": counts}
    return {"places": [places], **named}


def _renamed(measured: Measured, tasks: list[str]) -> Measured:
    """``measured`` for other tasks in the same places; of tasks that a run lacks nothing."""
    (places,) = measured["places"]
    names = {task: tasks[place] for task, place in places.items() if place < len(tasks)}
    found: Measured = {}
    for kind, fields in (("scores", ("task",)), ("differences", ("task_a", "task_b")), ("counts", ("task",))):
        rows = [row for row in measured[kind] if all(getattr(row, name) in names for name in fields)]
        found[kind] = [replace(row, **{name: names[getattr(row, name)] for name in fields}) for row in rows]
    return found


def _finished(engine: Engine, config: RunConfig, measured: Measured, origin: str = "trained") -> None:
    """A finished run with these measurements."""
    steps, own = config.training.steps, _renamed(measured, [spec.task for spec in config.tasks])
    with write_transaction(engine) as connection:
        run_id = imports.start(connection, config, "to be replaced", str(uuid.uuid4()))
        imports.record(connection, run_id, steps, own["counts"])
        imports.finish(connection, run_id, RunState.DONE)
        connection.execute(update(Run).where(Run.id == run_id).values(origin=origin))
    writes.record_attribution(engine, run_id, steps, own["scores"], own["differences"])


def _imported(engine: Engine, numbers: Iterator[int], measured: Measured) -> None:
    """A pair of imported runs whose tasks and group have hostile names, also with maps of their heads."""
    names = [marked(next(numbers)) for _ in range(3)]
    group = marked(next(numbers))[:100]
    of = [TaskSpec(names[0], "main", 8), *(TaskSpec(name, "auxiliary", 16) for name in names[1:])]
    together = RunConfig(tuple(of), group=group, preset=IMPORTED, transfer_length=16, training=TrainingConfig(steps=1))
    for config in (together, replace(together, tasks=together.tasks[:1], arm="alone-same-steps")):
        _finished(engine, config, measured, IMPORTED)


def _with_labels(engine: Engine, config: RunConfig, numbers: Iterator[int], measured: Measured) -> None:
    """A pair of runs of known tasks whose group and preset have hostile names."""
    labels = {"group": marked(next(numbers))[:100], "preset": marked(next(numbers))[:100]}
    for arm in ("co-trained", "alone-same-steps"):
        _finished(engine, replace(baseline(config, arm), **labels), measured)


def _free_tasks(engine: Engine, numbers: Iterator[int], measured: Measured) -> None:
    """Runs of a known main task beside a task that nobody knows: its name would stand in a command to copy."""
    for _ in range(2):
        specs = [TaskSpec("reverse", "main", 8), TaskSpec(marked(next(numbers)), "auxiliary", 16)]
        _finished(engine, custom_config(specs, "demo", "strings"), measured)


def _unfinished(engine: Engine, state: str, number: int) -> None:
    run_id = writes.create_run(engine, group_config("caprev", "demo", seed=1000 + number), label=marked(number))
    if state == "queued":
        return
    attempt = leases.start_run(engine, run_id, "test", "cpu")
    if state != "running":
        reason, log = (marked(number + more) if state == "failed" else None for more in (1, 2))
        leases.finish_run(engine, run_id, attempt, state, reason, log_tail=log)


def _overwrite_texts(engine: Engine, numbers: Iterator[int]) -> None:
    """Put the next texts into the columns of every run."""
    with write_transaction(engine) as connection:
        for run_id, state in connection.execute(select(Run.id, Run.state)).all():
            values: dict[str, object] = {name: marked(next(numbers)) for name in TEXTS}
            values["tags"] = ",".join(marked(next(numbers)).replace(",", " ") for _ in range(2))
            values |= {"tags_at": time.time() - 60, "notes_at": time.time() - 60}
            if state == "failed":
                values |= {"error": marked(next(numbers)), "log_tail": marked(next(numbers))}
            connection.execute(update(Run).where(Run.id == run_id).values(values))
