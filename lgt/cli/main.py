"""The command line ``lgt``. A user error gives one line on standard error and exit code 2.

Each command is a function in a module of this package: it reads its options, calls a lower package and prints. The
modules import torch and training inside the commands that need them, so that ``lgt tasks`` starts quickly.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import typer
from typer.exceptions import TyperException

from lgt.cli import catalogue, judging, stored_runs, stores, training
from lgt.cli.bench import bench
from lgt.cli.dashboard import app as dashboard
from lgt.cli.demo import demo
from lgt.cli.launch import launch
from lgt.cli.measuring import evaluate
from lgt.cli.model_export import export_model
from lgt.cli.output import is_full, outlive_readers
from lgt.cli.pretrained import pretrained
from lgt.core import extensions
from lgt.core.checks import ConfigError
from lgt.core.plain_text import for_terminal
from lgt.store.errors import StoreError
from lgt.store.patience import waiting

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Length Transfer Lab: train task groups, measure length generalization transfer, store and show the results.",
)
COMMANDS: tuple[Callable[..., None], ...] = (
    training.train, training.submit, training.worker,
    stored_runs.runs, stored_runs.show, evaluate, export_model,
    stored_runs.attribute, stored_runs.cancel, stored_runs.retry,
    judging.experiment, judging.claims, judging.report,
    catalogue.tasks, catalogue.groups, catalogue.sample, pretrained,
    stores.export, stores.import_runs, stores.merge, stores.thin, stores.backup, stores.restore, stores.roles,
    stores.doctor, bench, dashboard, demo,
)  # fmt: skip
NAMES = {stores.import_runs: "import", export_model: "export-model"}
"""Commands whose name is no name of a function."""
for command in COMMANDS:
    app.command(NAMES.get(command))(command)
app.add_typer(launch, name="launch")

INTERRUPTED = 130  # the exit code of shells after Ctrl-C; Typer returns it too


def fail(message: str, code: int = 2) -> NoReturn:
    """Print one line to standard error and exit."""
    print("lgt: " + for_terminal(" ".join(message.split())), file=sys.stderr)
    raise SystemExit(code)


def main(arguments: list[str] | None = None, command: Callable[..., Any] = app) -> None:
    """Run the command line. A user error gives one line on standard error and exit code 2, an interrupt code 130."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console's encoding may lack a sign; a question mark stands for it
    outlive_readers()
    try:
        extensions.load()
        with waiting():
            code = command(arguments, standalone_mode=False)
        if sys.stdout:
            sys.stdout.flush()  # what cannot be written is an error here, not a message when Python ends
    except TyperException as error:
        fail(error.format_message())
    except (ConfigError, StoreError) as error:
        fail(str(error))
    except (KeyboardInterrupt, typer.Abort):
        fail("interrupted", INTERRUPTED)
    except OSError as error:
        if not is_full(error):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still to be written would fail again
        fail(f"the output cannot be written: {error.strerror}")
    if code == INTERRUPTED:
        fail("interrupted", INTERRUPTED)
    raise SystemExit(code if isinstance(code, int) else 0)
