"""The benchmarks by name, and the function that runs them. A module is imported only when it runs."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass

from benchmarks import document
from benchmarks.document import Refused
from benchmarks.harness import Failed, NotHere, Section, Settings, say


@dataclass(frozen=True)
class Benchmark:
    """One entry: the module whose ``run(settings)`` measures it, what it compares, the peer packages it needs."""

    module: str
    summary: str
    needs: tuple[str, ...] = ()


BENCHMARKS: dict[str, Benchmark] = {
    "training": Benchmark("training", "training tokens/s: plain PyTorch loop, transformers", ("transformers",)),
    "agreement": Benchmark("agreement", "loss curves of the fused step and PyTorch's eager one, five seeds each"),
    "time_to_transfer": Benchmark("transfer", "process start to 90 % at 1.5 times the trained length: plain loop"),
    "evaluation": Benchmark("evaluation", "all lengths, 1,024 examples: transformers' generate", ("transformers",)),
    "ablation": Benchmark("ablation", "one ablation map: TransformerLens hooks", ("transformer_lens",)),
    "sampling": Benchmark("sampling", "making a batch as a share of the training step, every group"),
    "limit": Benchmark("limit", "the training step and evaluation as shares of one core's peak, part by part"),
    "seeds": Benchmark("seeds", "several seeds at once on a CPU: threads, processes, one ensemble"),
    "pages": Benchmark("pages", "a page, warm: store of 10,000 runs and six million rows against 100 runs"),
    "stores": Benchmark("stores", "a page, warm: three stores of 470, 10,000 and 3 runs against the shipped one"),
    "start": Benchmark("start", "dashboard process start to first chart in a browser", ("playwright",)),
    "gpu": Benchmark("gpu", "paper preset on a GPU: plain loop on the same GPU"),
    "server": Benchmark("server", "PostgreSQL: a claim beside 200,000 finished runs, writes per second", ("psycopg",)),
    "scale": Benchmark("scale", "time and memory against width, length and number of runs; cost of a sweep"),
}


def chosen(names: list[str]) -> list[str]:
    """The benchmarks to run, all without ``names``. Raises Refused for an unknown name or a missing peer package."""
    for name in names:
        if name not in BENCHMARKS:
            raise Refused(f"benchmark: {name!r} is not accepted; accepted: one of {', '.join(BENCHMARKS)}")
    wanted = list(dict.fromkeys(names)) or list(BENCHMARKS)
    missing = {need for name in wanted for need in BENCHMARKS[name].needs if not importlib.util.find_spec(need)}
    if missing:
        raise Refused(f"{', '.join(sorted(missing))} is not installed here; run `make bench`")
    return wanted


def run(names: list[str], *, quick: bool, threads: int, command: list[str]) -> int:
    """Run the benchmarks, print each one's table and, unless ``quick``, write it to BENCHMARKS.md; the exit code.

    If a benchmark disagrees with its peer, this is reported and the others continue. Raises Refused before measuring.
    """
    wanted = chosen(names)
    if not quick:
        document.require(wanted)
    import torch

    torch.set_num_threads(threads)
    settings, code = Settings(quick=quick, threads=threads), 0
    for name in wanted:
        say(f"{name}: {BENCHMARKS[name].summary}")
        try:
            section = importlib.import_module(f"benchmarks.{BENCHMARKS[name].module}").run(settings)
        except NotHere as reason:
            section = Section([f"not run: {reason}"])
        except Failed as error:
            say(f"lgt: {name}: {error}; no ratio is given")
            code = 1
            continue
        print(f"\n## {name}\n\n" + "\n".join(section.lines) + "\n", flush=True)
        if not quick:
            document.write(name, section, command, threads)
    return code
