"""The command ``evaluate``: the stored weights of a run, measured again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from lgt.cli import tables as cli_tables
from lgt.cli.shared_options import Also, AsJson, ReadDatabase, open_to_read, run_id_of, whole_number
from lgt.core import bounds
from lgt.core.checks import ConfigError, check_choice
from lgt.core.config import Operands, RunConfig
from lgt.core.number_ranges import parse_ranges
from lgt.core.parts import parts_by_task
from lgt.core.plain_text import for_terminal
from lgt.core.records import AccuracyRow
from lgt.metrics.intervals import wilson_interval
from lgt.metrics.zones import zone
from lgt.store.errors import StoreError

if TYPE_CHECKING:
    from lgt.model.decoder import Decoder
    from lgt.store.checkpoints import CheckpointRecord
    from lgt.store.library import Library
    from lgt.store.queries import RunTaskRecord

Step = Annotated[
    int | None,
    typer.Option(parser=whole_number, metavar="N", help="The weights after N steps. Default: the last stored ones."),
]
Lengths = Annotated[
    str | None, typer.Option(metavar="LENGTHS", help="Such as 1-60 or 1,2,5-9. Default: the lengths of the run.")
]
Count = Annotated[
    int | None,
    typer.Option(parser=whole_number, metavar="N", help="Test prompts of each task and length. Default: as the run."),
]
HowDrawn = Annotated[
    str | None,
    typer.Option(
        metavar="equal|ragged",
        help="For tasks on two numbers: both have as many digits as the length (equal, as every run measures), or one "
        "of them has 1 to that many (ragged).",
    ),
]
Tasks = Annotated[
    list[str] | None, typer.Option("--task", metavar="TASK", help="Only this task of the run; may be repeated.")
]
Seed = Annotated[
    int | None,
    typer.Option(parser=whole_number, metavar="S", help="Another seed draws other test prompts. Default: the run's."),
]


def evaluate(
    run: str,
    step: Step = None,
    lengths: Lengths = None,
    examples: Count = None,
    operands: HowDrawn = None,
    task: Tasks = None,
    seed: Seed = None,
    as_json: AsJson = False,
    database: ReadDatabase = None,
    also: Also = None,
) -> None:  # fmt: skip
    """Measure the stored weights of a run again and print the accuracies. Stores are only read; nothing is stored.

    Every prompt is a test prompt, so no run was trained on it. Without options the counts are those that the run
    stored.
    """
    if "." not in run:
        whole_number(run)  # before a store is opened
    chosen = None if lengths is None else parse_lengths(lengths)
    if operands is not None:
        check_choice("--operands", operands, ("equal", "ragged"))
    library = open_to_read(database, also)
    run_id = run_id_of(library, run)
    from lgt.evaluation.again import Asked, accuracy_again, cells, evaluation_of
    from lgt.store import queries

    record = queries.run(library, run_id)
    config, asked = record.config, Asked(tuple(task or ()), chosen, examples, cast("Operands | None", operands), seed)
    cells(config, asked)  # before weights are read
    evaluation = evaluation_of(config, asked)
    weights = read_weights(library, run_id, step)
    counts = accuracy_again(network_of(weights, config, library.name(run_id)), config, asked)
    facts = {"run": library.name(run_id), "label": record.label, "step": weights.step,
             "examples": evaluation.examples, "operands": operands, "seed": evaluation.seed}  # fmt: skip
    rows = described(counts, record.tasks)
    if as_json:
        print(json.dumps({**facts, "accuracy": rows}, indent=2))
    else:
        print_measured(facts, rows)


def parse_lengths(text: str) -> tuple[int, ...]:
    """Lengths from ``1-60`` or ``1,2,5-9``, each once, in order. Raises ConfigError for anything else.

    >>> parse_lengths("5-7,1,6")
    (1, 5, 6, 7)
    """
    most, found = bounds.LENGTH.most, parse_ranges(text)
    if found is None or any(first < 1 or last > most for first, last in found):
        accepted = f"lengths from 1 to {most:,}, such as 1-9 or 1,2,5-9 ({bounds.LENGTH.variable} sets this limit)"
        raise ConfigError("--lengths", text, accepted)
    return tuple(sorted({length for first, last in found for length in range(first, last + 1)}))


def read_weights(library: Library, run_id: int, step: int | None, missing: str | None = None) -> CheckpointRecord:
    """The stored weights after ``step`` steps. Raises StoreError without any, ConfigError for another step.

    ``missing``: what the error says when there are none; by default where the accuracies are.
    """
    from lgt.store import checkpoints

    steps = list(checkpoints.list_checkpoints(library, run_ids=[run_id]).step)
    if not steps:
        name = library.name(run_id)
        missing = missing or (
            "so it cannot be measured again; its accuracies are: see `python -m lgt show " + name + "`"
        )
        raise StoreError(f"run {name}: its weights are not stored, {missing}")
    if step is not None and step not in steps:
        raise ConfigError("--step", step, "a step with stored weights: " + ", ".join(map(str, steps)))
    return checkpoints.read_checkpoint(library, run_id, step)


def network_of(weights: CheckpointRecord, config: RunConfig, name: str) -> Decoder:
    """The network with the weights of the run ``name``. Raises StoreError if they do not fit ``config``."""
    from lgt.model.checkpoint import CheckpointError, from_bytes

    try:
        return from_bytes(weights.weights, config.model, parts_by_task(config))
    except CheckpointError as error:
        raise StoreError(f"run {name}: {error}") from error


def described(counts: list[AccuracyRow], tasks: tuple[RunTaskRecord, ...]) -> list[dict[str, Any]]:
    """One row for each count: its task, length, zone and accuracy with a 95% Wilson interval. Without a test prompt
    there is no accuracy."""
    of = {task.task: task for task in tasks}
    rows = []
    for row in counts:
        task = of[row.task]
        region_end = task.transfer_length if task.role == "main" else None
        accuracy = row.correct / row.total if row.total else None
        low, high = wilson_interval(row.correct, row.total) if row.total else (None, None)
        rows.append({"task": row.task, "role": task.role, "length": row.length,
                     "zone": zone(row.length, task.training_length, region_end), "correct": row.correct,
                     "total": row.total, "accuracy": accuracy, "low": low, "high": high})  # fmt: skip
    return rows


def print_measured(facts: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Print what was measured, the table, and where there are fewer test prompts than asked."""
    facts = facts | {"label": for_terminal(facts["label"])}
    print("run {run}: {label}, weights after {step} steps; up to {examples} test prompts of each task and length, "
          "seed {seed}".format(**facts) + (f", {facts['operands']} operands" if facts["operands"] else ""))  # fmt: skip
    for row in rows:
        row["95%_interval"] = "" if row["low"] is None else f"{row['low']:.3f}-{row['high']:.3f}"
    cli_tables.print_rows(rows, ["task", "length", "zone", "correct", "total", "accuracy", "95%_interval"])
    few = [f"{row['task']} {row['length']} ({row['total']})" for row in rows if row["total"] < facts["examples"]]
    if few:
        print(f"fewer than {facts['examples']} different test prompts: " + ", ".join(few))
