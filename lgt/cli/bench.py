"""The command ``bench``: run the benchmarks in ``benchmarks/``, which only a checkout has, not an installed copy."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lgt.core import bounds
from lgt.core.checks import check_integer

CHECKOUT = Path(__file__).parents[2]


def bench(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Default: all, about an hour.")] = None,
    list_names: Annotated[bool, typer.Option("--list", help="List the benchmarks.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Few repetitions; writes nothing.")] = False,
    threads: Annotated[
        int, typer.Option(metavar="N", help="Number of CPU threads, also of the programs it is compared with.")
    ] = 2,
) -> None:
    """Measure this code and its peers, and write the tables of BENCHMARKS.md."""
    check_integer("--threads", threads, 1, bounds.THREADS.most)
    registry = benchmarks_of(CHECKOUT)
    if list_names:
        for name, entry in registry.BENCHMARKS.items():
            print(f"{name:<17} {entry.summary}")
        return
    command = ["python", "-m", "lgt", "bench", *(names or [])] + (["--threads", str(threads)] if threads != 2 else [])
    try:
        code = registry.run(names or [], quick=quick, threads=threads, command=command)
    except registry.Refused as error:
        raise typer.TyperException(str(error)) from error
    raise typer.Exit(code)


def benchmarks_of(checkout: Path) -> Any:
    """The module ``benchmarks.registry`` of ``checkout``. Raises TyperException where there is none."""
    if not (checkout / "benchmarks" / "registry.py").is_file():
        raise typer.TyperException(
            "`lgt bench` needs a checkout of Length Transfer Lab: this installed copy has no folder benchmarks/"
        )
    sys.path.insert(0, str(checkout))  # the command `lgt` does not put the current folder on the path
    return importlib.import_module("benchmarks.registry")
