"""The largest sizes that a person, an address, a command, a file or a stored row may ask for, one entry for each.

Every check reads its number here. SECURITY.md has the list as a table (:func:`markdown_table`). A run is checked where
it is queued, where a worker takes it and where it is retried (:func:`lgt.recipes.limits.check_limits`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lgt.core.checks import ConfigError
from lgt.core.processors import usable_cores

Door = Literal["form", "address", "command", "row", "retry", "measuring", "file", "program"]
"""Where a size can be asked for: a form of a page; the address of a page; an option of a command, or a variable that
names stores; a queued run that a worker takes; a run that is retried; a stored run that is measured again; a file that
is read; a program that records its own runs."""


@dataclass(frozen=True)
class Bound:
    """A largest size. ``counts``: what the number counts. ``doors``: where the size can be asked for. ``checked``: the
    function or class that refuses more. ``unit``: the word after the number in messages. ``settable``: the environment
    variable :attr:`variable` can change it, to ``least`` or more."""

    name: str
    default: int | Callable[[], int]
    unit: str
    counts: str
    doors: tuple[Door, ...]
    checked: str
    settable: bool = False
    least: int = 1

    @property
    def variable(self) -> str:
        """The environment variable that sets the number, such as ``LGT_MAX_STEPS``; empty if none does."""
        return f"LGT_MAX_{self.name.upper()}" if self.settable else ""

    @property
    def most(self) -> int:
        """The number now. Raises ConfigError if the variable is not a whole number, or is less than ``least``."""
        text = os.environ.get(self.variable) if self.settable else None
        if text:
            if not text.isdecimal() or not self.least <= int(text[:11]) < 2**31:
                raise ConfigError(self.variable, text, "a whole number " + ("above 0" if self.least else "from 0"))
            return int(text)
        return self.default() if callable(self.default) else self.default

    @property
    def accepted(self) -> str:
        """Such as ``at most 100,000 steps (LGT_MAX_STEPS sets this limit)``."""
        said = f"at most {self.most:,} {self.unit}".rstrip()
        return f"{said} ({self.variable} sets this limit)" if self.settable else said

    def check(self, field: str, value: int) -> None:
        """Raise ConfigError, which names ``field`` and the limit, if ``value`` is more than the limit."""
        if value > self.most:
            raise ConfigError(field, value, self.accepted)

    def check_text(self, field: str, text: str) -> None:
        """Raise ConfigError, which shows the beginning of the text, if it has more characters than the limit."""
        if len(text) > self.most:
            raise ConfigError(field, text[:40] + "…", self.accepted)


RUN: tuple[Door, ...] = ("command", "row", "retry")
MEASURED: tuple[Door, ...] = (*RUN, "measuring")
LIMITS, CONFIG = "lgt.recipes.limits.check_limits", "lgt.core.config.RunConfig"

STEPS = Bound("steps", 100_000, "steps", "optimizer steps of a run", RUN, LIMITS, True)
PARAMETERS = Bound("parameters", 150_000_000, "parameters", "parameters of a decoder", MEASURED, LIMITS, True)
MAXIMUM_LENGTH = 512
"""The largest length in a config, whatever LGT_MAX_LENGTH says."""
LENGTH = Bound("length", MAXIMUM_LENGTH, "",
               f"training and evaluation lengths; a config has at most {MAXIMUM_LENGTH} whatever is set",
               ("form", *MEASURED), LIMITS, True)  # fmt: skip
BATCH = Bound("batch", 8_192, "examples", "examples in a batch", RUN, LIMITS, True)
EXAMPLES = Bound("examples", 16_384, "examples", "test examples for each task and length", MEASURED, LIMITS, True)
SNAPSHOTS = Bound("snapshots", 100, "snapshots", "steps at which a run is measured", RUN, LIMITS, True)
CONFIG_STEPS = Bound("config_steps", 1_000_000, "steps", "optimizer steps in a config, whatever LGT_MAX_STEPS says",
                     ("command", "row"), CONFIG)  # fmt: skip
CONFIG_BATCH = Bound("config_batch", 65_536, "examples", "examples in a batch of a config, whatever LGT_MAX_BATCH says",
                     ("command", "row"), CONFIG)  # fmt: skip
CONFIG_EXAMPLES = Bound("config_examples", 100_000, "examples",
                        "test examples for each task and length in a config, whatever LGT_MAX_EXAMPLES says",
                        ("command", "row"), CONFIG)  # fmt: skip
CONFIG_SNAPSHOTS = Bound("config_snapshots", 1_000, "snapshots",
                         "measured steps in a config, whatever LGT_MAX_SNAPSHOTS says",
                         ("command", "row"), CONFIG)  # fmt: skip
TASKS = Bound("tasks", 16, "tasks", "tasks of a run", ("command", "row", "file", "program"), CONFIG)
AUXILIARIES = Bound("auxiliaries", 3, "tasks", "auxiliary tasks chosen on the Launch page", ("form", "address"),
                    "lgt.ui.group_form.own_tasks")  # fmt: skip
POOL = Bound("pool", 64, "batches", "batches that are sorted together", ("command", "row"), CONFIG)
LAYERS = Bound("layers", 64, "layers", "layers of a decoder", ("command", "row"), CONFIG)
DEPTH = Bound("depth", 128, "layers", "layers that a decoder applies, each use of a repeated layer counted",
              ("command", "row"), CONFIG)  # fmt: skip
HEADS = Bound("heads", 64, "heads", "attention heads of a layer", ("command", "row"), CONFIG)
WIDTH = Bound("width", 4_096, "channels", "width of a decoder", ("command", "row"), CONFIG)
HIDDEN = Bound("hidden", 16_384, "channels", "inner width of the feed-forward", ("command", "row"), CONFIG)
DIGITS = Bound("digits", 9, "digits", "digits of the second factor of a product", ("command", "row"), CONFIG)
GRID = Bound("grid", 8, "nodes", "side of a maze", ("command", "row"), CONFIG)
PARTS = Bound("parts", 1_000, "characters", "the text of a partition (`model.parts`)", ("command", "row"), CONFIG)
SOURCE = Bound("source", 500, "characters", "the text that names a pretrained network (`training.start`)",
               ("command", "row"), CONFIG)  # fmt: skip
CONFIG_TEXT = Bound("config_text", 100_000, "characters", "the stored text of a config", ("row",),
                    "lgt.core.config.RunConfig.from_json")  # fmt: skip

SEEDS = Bound("seeds", 1_000, "seeds", "seeds that one text names", ("form", "address", "command"),
              "lgt.experiments.seeds.parse_seeds")  # fmt: skip
RANGES = Bound("ranges", 20_000, "characters", "a text of numbers and ranges, such as seeds or lengths",
               ("command",), "lgt.core.number_ranges.parse_ranges")  # fmt: skip
REQUEST = Bound("request", 1_000, "runs", "runs that one form or command asks for (seeds times arms)",
                ("form", "address", "command"), "lgt.store.writes.create_runs", True)  # fmt: skip
QUEUE = Bound("queue", 1_000, "runs", "runs that wait", ("form", "command", "retry"),
              "lgt.store.writes.check_queue_length", True)  # fmt: skip
WORKERS = Bound("workers", usable_cores, "workers",
                "workers that the dashboard starts on one machine, and therefore its runs at the same time",
                ("form",), "lgt.execution.worker_processes.ensure_workers", True, 0)  # fmt: skip
PROCESSES = Bound("processes", 256, "processes", "workers that one command starts", ("command",), "lgt.cli")
THREADS = Bound("threads", 1_024, "threads", "CPU threads of a process", ("command",), "lgt.cli")
TOGETHER = Bound("together", 64, "runs", "seeds that a GPU trains together", ("command",), "lgt.cli.training")
SAMPLES = Bound("samples", 100_000, "examples", "examples that `lgt sample` prints", ("command",),
                "lgt.tasks.sampling.sample_rows")  # fmt: skip

STORES = Bound("stores", 16, "stores", "stores read at once, the shipped one and the workspace included",
               ("form", "command"), "lgt.store.locations.check_count", True)  # fmt: skip
UPLOAD = Bound("upload", 200, "MB", "MB of a store that a visitor drops on a page", ("form",),
               "lgt.ui.stores", True)  # fmt: skip
DROPPED = Bound("dropped", 20, "stores", "dropped stores that the server keeps; older ones are removed", ("form",),
                "lgt.store.dropped.keep")  # fmt: skip
PATH = Bound("path", 4_096, "characters", "the path of a store typed on a page", ("form",), "lgt.ui.stores")
IMPORT_BYTES = Bound("import_bytes", 200_000_000, "bytes", "an imported file, also after it is unpacked", ("file",),
                     "lgt.store.exchange.read_file")  # fmt: skip
IMPORT_ROWS = Bound("import_rows", 1_000_000, "rows", "rows of an imported file", ("file",),
                    "lgt.store.exchange.read_file")  # fmt: skip
IMPORT_COLUMNS = Bound("import_columns", 100, "columns", "columns of an imported file", ("file",),
                       "lgt.store.exchange.read_file")  # fmt: skip
STORED_TEXT = Bound("stored_text", 1_000_000, "characters", "a text in another person's store", ("file",),
                    "lgt.store.stored_runs.check_columns")  # fmt: skip
STORED_VALUE = Bound("stored_value", 64 * 1024 * 1024, "bytes", "a value in a SQLite store", ("file",),
                     "lgt.store.engine")  # fmt: skip
COPIED_STORE = Bound("copied_store", 4 * 1024**3, "bytes", "a SQLite store that is copied to be read",
                     ("file",), "lgt.store.reading_copies")  # fmt: skip
ROW_WEIGHTS = Bound("row_weights", 8 * 1024 * 1024, "bytes", "weights in a row, also after they are unpacked",
                    ("file",), "lgt.store.coding.decoded")  # fmt: skip
SCHEMA_OBJECTS = Bound("schema_objects", 100, "objects", "tables, views and indexes of a SQLite store", ("file",),
                       "lgt.store.known_schemas.check_schema")  # fmt: skip

NAME = Bound("name", 200, "characters", "the name of a task, an experiment or a run", ("row", "file", "program"),
             "lgt.core.config.TaskSpec, lgt.store.writes.create_runs, lgt.store.imports.start")  # fmt: skip
NOTE = Bound("note", 2_000, "characters", "a note about a run", ("form", "program"), "lgt.store.tags.check_note")
TAGS = Bound("tags", 1_000, "characters", "all tags of a run together", ("form", "program"),
             "lgt.store.tags.with_changes")  # fmt: skip
SEARCH = Bound("search", 200, "characters", "the search text of the Runs page", ("form", "address"),
               "lgt.ui.pages.runs.choose_runs")  # fmt: skip
ADDRESS = Bound("address", 8_000, "characters", "the parameters of an address, all together", ("address",),
                "lgt.ui.address.refusal")  # fmt: skip
ADDRESS_VALUES = Bound("address_values", 1_000, "values", "values in an address: parameters, and parts between commas",
                       ("address",), "lgt.ui.address.refusal")  # fmt: skip
SERIES = Bound("series", 6, "series", "series drawn together on the Explore page", ("form", "address"),
               "lgt.ui.address.select_several")  # fmt: skip
PICTURED = Bound("pictured", 3, "lengths", "lengths whose answers are drawn on the page of a run", ("form", "address"),
                 "lgt.ui.address.select_several")  # fmt: skip
COMPARED = Bound("compared", 6, "runs", "runs compared on the Runs page", ("form",),
                 "lgt.ui.pages.runs.show_comparison")  # fmt: skip
PROMPT = Bound("prompt", 60, "", "the length of a prompt in the Playground, in units of its task",
               ("form", "address"), "lgt.tasks.prompts.longest")  # fmt: skip
PROMPT_TEXT = Bound("prompt_text", 240, "characters", "the text of a field of the Playground", ("form", "address"),
                    "lgt.ui.prompt_fields.field")  # fmt: skip
ANSWER = Bound("answer", 1_024, "tokens", "tokens that a model writes in the Playground", ("form",),
               "lgt.evaluation.generation.answer")  # fmt: skip

BOUNDS: tuple[Bound, ...] = tuple(found for found in list(globals().values()) if isinstance(found, Bound))
"""All of them, in the order of this file."""
SETTABLE = tuple(bound for bound in BOUNDS if bound.settable)
"""Those that an environment variable can change. ``lgt doctor`` and the Launch page show them."""


def markdown_table() -> list[str]:
    """The lines of the table in SECURITY.md: every bound, with the default and where it is checked."""
    lines = ["| limit | default | variable | what it counts | asked by | checked in |", "|---|---|---|---|---|---|"]
    for bound in BOUNDS:
        default = "usable cores" if callable(bound.default) else f"{bound.default:,}"
        checked = ", ".join(f"`{name}`" for name in bound.checked.split(", "))
        variable = f"`{bound.variable}`" if bound.settable else ""
        lines.append(
            f"| {bound.name} | {default} | {variable} | {bound.counts} | {', '.join(bound.doors)} | {checked} |"
        )
    return lines
