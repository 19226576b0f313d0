"""Commands that start workers: on this machine, or as jobs of Slurm."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from lgt.cli.shared_options import Database, open_database, whole_number
from lgt.core import bounds
from lgt.core.checks import ConfigError, check_integer
from lgt.core.processors import usable_cores
from lgt.store.errors import StoreError

launch = typer.Typer(rich_markup_mode=None, help="Start workers for the queue of a store.")
Workers = Annotated[int, typer.Option("--workers", parser=whole_number, metavar="N", help="Number of workers.")]
Threads = Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Number of CPU threads of each worker.")]
Idle = Annotated[
    int, typer.Option(parser=whole_number, metavar="SECONDS", help="How long a worker waits for new runs.")
]
OnlyExperiment = Annotated[str, typer.Option("--experiment", help="Only runs of this experiment.")]
LONGEST_IDLE = 10**6


@launch.command()
def local(
    workers: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="Number of workers; default: one a core.")
    ] = None,
    threads: Threads = 1,
    idle: Idle = 0,
    experiment: OnlyExperiment = "",
    database: Database = None,
) -> None:  # fmt: skip
    """Start workers on this machine and wait for them. Ctrl-C or SIGTERM: each gives its run back."""
    count = usable_cores() if workers is None else workers
    check_integer("--workers", count, 1, bounds.PROCESSES.most)
    check_integer("--threads", threads, 1, bounds.THREADS.most)
    check_integer("--idle", idle, 0, LONGEST_IDLE)
    engine = open_database(database)
    from lgt.execution.worker_processes import start_workers, wait_for_workers
    from lgt.store.engine import full_url

    options = ["--threads", str(threads), "--idle", str(idle), *(["--experiment", experiment] if experiment else [])]
    print(f"workers: {count} (Ctrl-C: they give their runs back)", flush=True)
    raise typer.Exit(wait_for_workers(start_workers(full_url(engine), count, *options)))


@launch.command()
def slurm(
    workers: Workers,
    threads: Threads = 1,
    time: Annotated[str, typer.Option(help="Time of each job, such as 04:00:00.")] = "",
    memory: Annotated[str, typer.Option(help="Memory of each job, such as 2G.")] = "",
    partition: Annotated[str, typer.Option(help="Partition of the cluster.")] = "",
    idle: Idle = 60,
    experiment: OnlyExperiment = "",
    output: Annotated[Path, typer.Option(help="The file to write.")] = Path("lgt-workers.sbatch"),
    show: Annotated[bool, typer.Option("--print", help="Only print the script.")] = False,
    submit: Annotated[bool, typer.Option("--submit", help="Hand the script to sbatch.")] = False,
    database: Database = None,
) -> None:  # fmt: skip
    """Write a job array for Slurm, each job one worker. The store must be on a PostgreSQL server.

    A node that fails has its job repeated; before the end of its time a job gives its run back.
    """
    check_integer("--workers", workers, 1, bounds.PROCESSES.most)
    check_integer("--threads", threads, 1, bounds.THREADS.most)
    check_integer("--idle", idle, 0, LONGEST_IDLE)
    from lgt.execution.launchers import SlurmJob, check_many_hosts
    from lgt.store.engine import database_url

    job, url = SlurmJob(workers, threads, time, memory, partition, idle, experiment), database_url(database)
    job.check()
    for note in check_many_hosts(url):
        print(f"lgt: {note}", file=sys.stderr)
    if show:
        print(job.script(), end="")
        return
    if submit and shutil.which("sbatch") is None:
        raise ConfigError("--submit", True, "a machine that has Slurm's sbatch; without it, copy the file to one")
    if submit:
        submit_script(output, job.script(), database)
    else:
        write(output, job.script())
        print(f"{output}: {workers} workers; set LGT_DATABASE_URL, then `sbatch {output}`")


def write(path: Path, text: str) -> None:
    """Write a new file. Raises StoreError when it is there already or cannot be written."""
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}; choose another file with --output") from error


def submit_script(path: Path, script: str, database: str | None) -> None:
    """Write a script and hand it to Slurm, with the store in its environment. Raises StoreError when Slurm refuses it;
    the file is then removed, so that the next try can write it."""
    from lgt.store.engine import full_url

    engine = open_database(database)  # so that the store is there, with this schema, before many workers open it
    environment = os.environ | {"LGT_DATABASE_URL": full_url(engine)}  # no argument: everybody can read those
    write(path, script)
    done = subprocess.run(["sbatch", os.fspath(path)], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        path.unlink(missing_ok=True)
        raise StoreError(f"sbatch refused {path}: {(done.stderr or done.stdout).strip()}")
    print(done.stdout.strip())
