"""Several seeds of one config on a CPU: threads one seed after another, single-thread processes, or one ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from benchmarks import harness
from benchmarks.harness import Section, Settings, say

SHAPES = (("caprev", "demo"), ("add-carry", "small"))


def train_seeds(group: str, preset: str, seeds: list[int], steps: int, together: bool = False) -> dict[str, Any]:
    """Seconds of ``steps`` steps of every seed in this process, one after another or as one ensemble."""
    from lgt.model.decoder import Decoder
    from lgt.recipes.presets import group_config
    from lgt.training.batches import make_batch
    from lgt.training.ensemble import EnsembleStep
    from lgt.training.steps import make_stepper

    config = group_config(group, preset)
    models = [Decoder(config.model, seed) for seed in seeds]
    steppers: Sequence[Any] = [make_stepper(model, config) for model in models]
    if together:
        steppers = [EnsembleStep(models, config.training, "cpu")]

    def train(first: int, count: int) -> None:
        for stepper in steppers:
            for step in range(first, first + count):
                stepper.step(make_batch(config, step), 1.0)

    train(0, 2)  # the first calls allocate memory
    return {"seconds": harness.seconds(lambda: train(2, steps))}


def one_after_another(shape: tuple[str, str], steps: int, settings: Settings) -> float:
    """All seeds in one process that uses every thread."""
    arguments = {"group": shape[0], "preset": shape[1], "seeds": list(range(settings.threads)), "steps": steps}
    return float(harness.child("seeds:train_seeds", arguments, settings)["seconds"])


def as_ensemble(shape: tuple[str, str], steps: int, settings: Settings) -> float:
    """All seeds stacked, in PyTorch."""
    seeds = list(range(settings.threads))
    arguments = {"group": shape[0], "preset": shape[1], "seeds": seeds, "steps": steps, "together": True}
    return float(harness.child("seeds:train_seeds", arguments, settings)["seconds"])


def as_processes(shape: tuple[str, str], steps: int, settings: Settings) -> float:
    """One single-thread process a seed, all at once; the seconds of the slowest."""
    alone = replace(settings, threads=1)

    def seed(number: int) -> float:
        arguments = {"group": shape[0], "preset": shape[1], "seeds": [number], "steps": steps}
        return float(harness.child("seeds:train_seeds", arguments, alone)["seconds"])

    with ThreadPoolExecutor(settings.threads) as pool:
        return max(pool.map(seed, range(settings.threads)))


def run(settings: Settings) -> Section:
    """A line per shape: steps per second of all seeds together."""
    rows = []
    for shape in SHAPES:
        steps = 8 if settings.quick else 64
        ways: dict[Any, list[float]] = {one_after_another: [], as_processes: [], as_ensemble: []}
        for _ in range(settings.repetitions):
            for way, seconds in ways.items():
                seconds.append(way(shape, steps, settings))
        say(f"  {shape[0]} {shape[1]} done")
        total = steps * settings.threads
        rows.append([f"`{shape[1]}` ({shape[0]})", *(harness.spread([total / s for s in t]) for t in ways.values())])
    headers = [
        f"steps/s over {settings.threads} seeds", f"one process, {settings.threads} threads",
        f"{settings.threads} processes, 1 thread each", "one ensemble in PyTorch",
    ]  # fmt: skip
    return Section(harness.table(headers, rows))
