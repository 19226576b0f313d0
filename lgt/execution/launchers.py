"""Hand workers to an engine that starts and watches them.

A launcher only starts ``lgt worker`` processes. The queue and the leases stay in the store, which checks the attempt
number with every write. So the engine may kill and repeat a worker at any moment.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass

from lgt.core.checks import ConfigError
from lgt.core.paths import absolute
from lgt.execution.worker_processes import python_path, worker_command
from lgt.store.errors import StoreError
from lgt.store.store_urls import database_file, is_server, parsed

WARNED_SECONDS = 90
"""How long before the end of its time a Slurm job gets SIGTERM. A worker gives its run back within one step of training
or one measurement."""
TIME = re.compile(r"\d{1,3}:\d{2}:\d{2}|\d{1,3}-\d{1,2}:\d{2}")  # Slurm reads 04:00 as four minutes
NAME = re.compile(r"[\w.-]{1,100}")
MEMORY = re.compile(r"\d{1,7}[KMGT]?")
NEAR = ("", "localhost", "127.0.0.1", "::1")
"""Names of a server that only its own machine can reach."""


@dataclass(frozen=True)
class SlurmJob:
    """An array of ``workers`` jobs; what is empty is left to the cluster. ``time``: ``HOURS:MINUTES:SECONDS`` or
    ``DAYS-HOURS:MINUTES``. ``memory``: such as ``2G``, for each worker."""

    workers: int
    threads: int = 1
    time: str = ""
    memory: str = ""
    partition: str = ""
    idle: int = 60
    experiment: str = ""

    def check(self) -> None:
        """Raise ConfigError with the name of the first option that is not accepted."""
        for option, text, form, accepted in (
            ("--time", self.time, TIME, "a time such as 04:00:00 or 1-12:00"),
            ("--memory", self.memory, MEMORY, "a number and K, M, G or T, such as 2G"),
            ("--partition", self.partition, NAME, "the name of a partition: letters, digits, dot, dash, underscore"),
        ):
            if text and form.fullmatch(text) is None:
                raise ConfigError(option, text, accepted)

    def script(self) -> str:
        """The batch script. The store is not in it: its URL may have a password, and everybody can read a job."""
        options = {
            "job-name": "lgt-worker", "array": f"1-{self.workers}", "requeue": "", "open-mode": "append",
            "signal": f"B:TERM@{WARNED_SECONDS}", "output": "lgt-worker-%A_%a.log", "ntasks": "1",
            "cpus-per-task": str(self.threads), "time": self.time, "mem": self.memory, "partition": self.partition,
        }  # fmt: skip
        lines = [f"#SBATCH --{name}" + (f"={value}" if value else "") for name, value in options.items()
                 if value or name == "requeue"]  # fmt: skip
        words = worker_command("--threads", str(self.threads), "--idle", str(self.idle))
        words += ["--experiment", self.experiment] if self.experiment else []
        return "\n".join(["#!/bin/bash", *lines, *HEAD, *_paths(), f"exec {shlex.join(words)}", ""])


HEAD = (
    "# Workers of Length Transfer Lab. Each takes runs from the queue of the store until it is empty. Ninety seconds",
    "# before the end of its time, and when it is cancelled, a worker stores the state of its run and gives it back.",
    ': "${LGT_DATABASE_URL:?set it to the URL of the store before sbatch; Slurm hands it on to the jobs}"',
)  # fmt: skip


def _paths() -> list[str]:
    """Where the jobs find this code, and the folder of training states that all nodes share."""
    found = {"PYTHONPATH": python_path(), "LGT_FILES": os.environ.get("LGT_FILES", "")}
    if found["LGT_FILES"]:
        found["LGT_FILES"] = str(absolute(found["LGT_FILES"]))
    return [f"export {name}={shlex.quote(value)}" for name, value in found.items() if value]


def check_many_hosts(url: str) -> list[str]:
    """What to know before workers on several machines write to the store at ``url``, one line each.

    Raises StoreError for a SQLite file: SQLite's locks do not hold between machines, so writes would be lost.
    """
    if not is_server(url):
        raise StoreError(f"{database_file(url)} is a SQLite file, whose locks do not hold between machines: workers on "
                         "several hosts would lose writes; give a PostgreSQL URL, or use `launch local`")  # fmt: skip
    named, notes = parsed(url), []
    if (named.host or str(named.query.get("host", ""))) in NEAR or str(named.query.get("host", "")).startswith("/"):
        notes.append("the store's server is named as only this machine can reach it")
    if not os.environ.get("LGT_FILES"):
        notes.append("LGT_FILES is not set: a run that goes on on another machine starts over; name a shared folder")
    return notes
