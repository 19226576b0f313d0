"""Measure two sides in turn, A B A B, and compare them. This module is independent of what is measured."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SCRATCH = ROOT / ".cache" / "bench"  # ignored by git: files that later runs of a benchmark use again


class Failed(RuntimeError):
    """A benchmark has no result. ``str()`` is one line that says why."""


class Disagreement(Failed):
    """The two sides did not do the same work, so there is no ratio. ``str()`` is one line that says why."""


class NotHere(RuntimeError):
    """This machine lacks something that the benchmark needs. ``str()`` is one line that says what. Not a failure."""


@dataclass(frozen=True)
class Settings:
    """Settings of a benchmark. ``quick`` only tests that everything works: its numbers are never written to a file."""

    quick: bool = False
    threads: int = 2

    @property
    def repetitions(self) -> int:
        """Repetitions of each side."""
        return 2 if self.quick else 5


@dataclass(frozen=True)
class Section:
    """The result of a benchmark: Markdown lines, and figures (JSON values) that other benchmarks may use."""

    lines: list[str]
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """Seconds of both sides for each repetition. Repetition i of one side ran next to repetition i of the other."""

    ours: list[float]
    peer: list[float]

    @property
    def ratio(self) -> float:
        """How many times faster ours is: the peer's median divided by ours."""
        return statistics.median(self.peer) / statistics.median(self.ours)

    @property
    def ratio_range(self) -> tuple[float, float]:
        """Smallest and largest ratio of two neighbouring repetitions."""
        ratios = [peer / ours for ours, peer in zip(self.ours, self.peer, strict=True)]
        return min(ratios), max(ratios)

    def ratio_text(self) -> str:
        """Such as ``3.1x (2.9-3.4)``."""
        low, high = self.ratio_range
        return f"**{self.ratio:.2f}x** ({low:.2f}–{high:.2f})"


def alternate(
    ours: Callable[[int], float], peer: Callable[[int], float], check: Callable[[], None], repetitions: int
) -> Pair:
    """Call ``check``, then both sides in turn (A B A B); each returns the seconds of repetition i.

    Because they take turns, a slow phase of the machine slows both sides. Raises what ``check`` raises, usually
    :class:`Disagreement`.
    """
    check()
    pairs = [(ours(repetition), peer(repetition)) for repetition in range(repetitions)]
    return Pair([first for first, _ in pairs], [second for _, second in pairs])


def seconds(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def spread(values: Sequence[float], unit: str = "", digits: int = 3) -> str:
    """Median (smallest-largest) with ``digits`` significant digits, such as ``1.21 s (1.18-1.30)``."""
    middle, low, high = (number(value, digits) for value in (statistics.median(values), min(values), max(values)))
    return f"{middle}{unit and ' ' + unit} ({low}–{high})"


def number(value: float, digits: int = 3) -> str:
    """``value`` to ``digits`` significant digits, with thousands separated and without an exponent."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 10 ** (digits - 1) else f"{rounded:.{digits}g}"


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = [headers, ["---"] * len(headers), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]


def require_close(what: str, ours: Sequence[float], peer: Sequence[float], relative: float) -> float:
    """The largest relative difference of two series. Raises Disagreement when it exceeds ``relative``."""
    if len(ours) != len(peer):
        raise Disagreement(f"{what}: {len(ours)} values here, {len(peer)} there")
    differences = [abs(a - b) / max(abs(a), abs(b), 1e-30) for a, b in zip(ours, peer, strict=True)]
    worst = max(differences, default=0.0)
    if not all(difference <= relative for difference in differences):  # also true for NaN
        raise Disagreement(f"{what}: the two sides differ by {worst:.1e} relatively, more than {relative:.0e}")
    return worst


def child(target: str, arguments: dict[str, Any], settings: Settings, **environment: str) -> dict[str, Any]:
    """What ``module:function`` of this package returns for ``arguments``, run in a fresh process.

    The result also has ``wall``, the seconds from starting the process to its end, and ``epoch``, when it was started
    on the clock of ``time.monotonic``, which all processes of a machine share on Linux. Raises Failed with the last
    lines of a child that failed.
    """
    threads = str(settings.threads)
    variables = os.environ | {"OMP_NUM_THREADS": threads, "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-m", "benchmarks.child", target, json.dumps(arguments), threads]
    epoch = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    wall = time.monotonic() - epoch
    if done.returncode:
        raise Failed(f"{target} failed: " + " / ".join(done.stderr.strip().splitlines()[-3:]))
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result | {"wall": wall, "epoch": epoch}


def say(text: str) -> None:
    """Print progress to standard error. The tables go to standard output."""
    print(text, file=sys.stderr, flush=True)
