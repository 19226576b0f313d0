"""The output of commands: tables on a terminal, plain columns in a pipe."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from lgt.core.config import RunConfig
from lgt.core.plain_text import for_terminal, visible
from lgt.core.terminal import console as new_console
from lgt.metrics.intervals import wilson_interval
from lgt.metrics.maps import mean_map
from lgt.metrics.run_curves import run_curves
from lgt.metrics.zones import TRANSFER_REGION, ZONES, zone
from lgt.recipes.labels import head_name

if TYPE_CHECKING:
    from lgt.store.queries import RunRecord


def cell(value: Any) -> str:
    """The text of a table cell, one line: empty for a missing value, numbers with four digits, lists joined by
    commas."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return for_terminal(", ".join(map(str, value)))
    if isinstance(value, dict):
        return for_terminal("  ".join(f"{name} {':'.join(map(str, pair))}" for name, pair in value.items()))
    return for_terminal(value)


def print_rows(rows: list[dict[str, Any]], columns: list[str]) -> None:
    """Print ``columns`` of ``rows``."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(Text(for_terminal(column.replace("_", " "))))
    for row in rows:
        table.add_row(*(Text(cell(row.get(column))) for column in columns))
    console = new_console()
    if not console.is_terminal:
        console.width = 250
    console.print(table)


def row_zone(row: Mapping[Any, Any]) -> str:
    """The zone of the row's length, for the row's task."""
    transfer_length = None if pd.isna(row["transfer_length"]) else int(row["transfer_length"])
    return zone(int(row["length"]), int(row["training_length"]), transfer_length)


def accuracy_lines(accuracy: pd.DataFrame) -> list[Text]:
    """One line per task, the main task first: exact match in percent at each length, the transfer region in bold."""
    rows = accuracy.sort_values("length").to_dict(orient="records")
    tasks = sorted({row["task"]: row for row in rows}.values(), key=lambda row: row["role"] != "main")
    lines = []
    for first in tasks:
        text = Text(f"{for_terminal(first['task'])} ({first['role']}, trained to {first['training_length']})\n")
        for row in (row for row in rows if row["task"] == first["task"]):
            style = "bold" if row_zone(row) == TRANSFER_REGION else "dim"
            text.append(f"{row['length']:>4}", "dim").append(f" {100 * row['correct'] / row['total']:3.0f}%", style)
        lines.append(text)
    return lines


def transfer_line(accuracy: pd.DataFrame) -> str | None:
    """A sentence with one run's transfer accuracy, its interval and n. ``None`` without a transfer region."""
    main = accuracy[accuracy.role == "main"].to_dict(orient="records")
    region = [row for row in main if row_zone(row) == TRANSFER_REGION]
    if not region:
        return None
    (run,) = run_curves(accuracy).values()
    if run.transfer is None:
        return f"incomplete: {run.missing}; there is no transfer accuracy"
    correct, total = (sum(int(row[name]) for row in region) for name in ("correct", "total"))
    low, high = wilson_interval(correct, total)
    lengths = [row["length"] for row in region]
    return (
        f"transfer accuracy {run.transfer:.3f} (mean over lengths {min(lengths)}-{max(lengths)}; "
        f"pooled 95% Wilson interval {low:.3f}-{high:.3f}, n = {total} prompts, 1 run)"
    )


def print_accuracy(accuracy: pd.DataFrame) -> None:
    """Print the accuracy table of one run and its transfer accuracy."""
    console = new_console()
    if not console.is_terminal:
        console.width = 400
    for line in accuracy_lines(accuracy):
        console.print(line)
    summary = transfer_line(accuracy)
    if summary:
        console.print(summary, highlight=False)


def print_heads(head_scores: pd.DataFrame, config: RunConfig) -> None:
    """Print the ablation maps of one run by zone: the drop of exact match in percentage points, per head and task."""
    for zone_name in ZONES:
        maps = mean_map(head_scores, config, zone_name)
        if maps.empty:
            continue
        lengths = ", ".join(map(str, maps.attrs["lengths"]))
        print(f"{zone_name}, lengths {lengths}: points of exact match lost without a head, mean over "
              f"{int(maps.examples.min())} prompts a task; in brackets the loss's rise in nats")  # fmt: skip
        lost: dict[tuple[int, int], dict[str, str]] = {}
        for row in maps.to_dict(orient="records"):
            text = f"{100 * row['accuracy_drop']:+.1f} ({row['loss_rise']:+.3f})"
            lost.setdefault((int(row["layer"]), int(row["head"])), {})[str(row["task"])] = text
        rows = [{"head": head_name(*head)} | of for head, of in sorted(lost.items())]
        print_rows(rows, ["head", *(spec.task for spec in config.tasks)])


def run_as_dict(record: RunRecord, accuracy: pd.DataFrame) -> dict[str, Any]:
    """The output of ``show --json`` as a dictionary."""
    columns = ["task", "length", "correct", "total"]
    plain = {
        name: getattr(record, name)
        for name in ("id", "uuid", "origin", "label", "experiment", "state", "stale", "step", "total_steps",
                     "config_hash", "code_version", "device", "seconds", "tokens", "error", "log_tail", "attempt",
                     "lost_workers", "created_at", "started_at", "finished_at", "tags", "notes")
    }  # fmt: skip
    rows = accuracy[columns].astype({"length": int, "correct": int, "total": int})
    return {**plain, "config": record.config.as_dict(), "accuracy": rows.to_dict(orient="records")}


def print_run(record: RunRecord, accuracy: pd.DataFrame, name: str) -> None:
    """Print one run as text; ``name``: see :meth:`lgt.store.library.Library.name`."""
    finished = record.finished_at and datetime.fromtimestamp(record.finished_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    facts = {
        "run": f"{name}  {record.label}",
        "state": f"{record.shown}, step {record.step} of {record.total_steps}",
        "error": record.error,
        "lost": record.lost_workers and f"{record.lost_workers} workers stopped reporting",
        "finished": finished,
        "took": record.seconds and f"{record.seconds:.0f} s on {record.device}",
        "code": record.code_version,
        "tags": ", ".join(record.tags),
        "note": record.notes,
        "uuid": record.uuid,
        "config": f"{record.config_hash}  {record.config.canonical_json()}",
    }
    for name, value in facts.items():
        if value:
            print(f"{name:<9}{for_terminal(value)}")
    if record.log_tail:
        print("log", *visible(record.log_tail).splitlines(), sep="\n  ")
    if not accuracy.empty:
        print_accuracy(accuracy)
