"""The command that trains one small task group and shows the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lgt.cli import dashboard
from lgt.cli import tables as cli_tables
from lgt.cli.shared_options import Database, open_database, whole_number
from lgt.cli.training import Settings, chosen_config
from lgt.core.checks import check_integer
from lgt.recipes.groups import DEMO_GROUP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from lgt.core.config import RunConfig


def demo(
    seed: Annotated[int, typer.Option(parser=whole_number, metavar="S", help="Model seed of both runs.")] = 0,
    settings: Settings = None,
    no_app: Annotated[bool, typer.Option("--no-app", help="Only train; do not start the dashboard.")] = False,
    port: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Port of the dashboard.")] = 8501,
    database: Database = None,
) -> None:
    """Train a small task group together and alone, one to two minutes, and start the dashboard on the result.

    Runs that the workspace has already are not trained again.
    """
    check_integer("--port", port, 1, 65535)
    together, alone = (
        chosen_config(DEMO_GROUP, None, [], "demo", seed, "rope", main_only, False, settings or [])
        for main_only in (False, True)
    )
    engine = open_database(database)
    train_missing(engine, (together, alone))
    print_result(engine, together, alone)
    if no_app:
        return
    from lgt.recipes.settings import setting_of

    print(
        f"The dashboard shows this pair at http://127.0.0.1:{port}/?stores=workspace&pair={setting_of(together).key}",
        "Ctrl-C ends it; `lgt app` starts it again.", sep="\n", flush=True,
    )  # fmt: skip
    dashboard.app(port=port, database=database)


def train_missing(engine: Engine, configs: Sequence[RunConfig]) -> None:
    """Train those of ``configs`` that the store has no finished run of, and print their progress."""
    from lgt.execution.foreground import run_in_foreground
    from lgt.store import queries

    done = queries.existing_with_hashes(engine, [config.hash() for config in configs], ["done"])
    for number, config in enumerate(configs, start=1):
        print(f"{number} of {len(configs)}: ", end="", flush=True)
        if config.hash() in done:
            print(f"run {done[config.hash()]} is finished already")
        else:
            run_in_foreground(engine, config, threads=None, device="cpu", show=cli_tables.print_accuracy)


def print_result(engine: Engine, together: RunConfig, alone: RunConfig) -> None:
    """Print the transfer accuracy of both runs."""
    from lgt.recipes.labels import task_title
    from lgt.store import queries

    done = queries.existing_with_hashes(engine, [together.hash(), alone.hash()], ["done"])
    transfer = queries.final_accuracy(engine).set_index("run_id").transfer
    first, last = together.main.training_length + 1, together.transfer_length
    both, one = (f"{transfer[done[config.hash()]]:.0%}" for config in (together, alone))
    print(
        f"{task_title(together.main.task)}, never trained at lengths {first} to {last}: {both} of its answers there "
        f"are right when it is trained together with longer tasks, {one} when it is trained alone."
    )
