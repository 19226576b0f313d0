"""How time and memory grow with width, length and number of runs, and what a sweep of 1,000 runs costs."""

from __future__ import annotations

import resource
import statistics
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import document, harness
from benchmarks.harness import ROOT, Section, Settings, say
from lgt.core.config import RunConfig
from lgt.recipes.presets import group_config

FIGURE = ROOT / "docs" / "scale.svg"
WIDTHS, LENGTHS, RUNS = (32, 64, 128, 256), (8, 16, 32, 64), (1, 2, 4, 8)
WORKERS = 2  # single-thread processes, as a campaign starts
SWEEP = 1000
AXES = {"width": "width", "length": "longest training length La", "runs": f"runs queued on {WORKERS} workers"}


def with_width(width: int) -> RunConfig:
    """The ``caprev`` demo run with another width; heads and the ratio of the hidden width stay."""
    config = group_config("caprev", "demo")
    return replace(config, model=replace(config.model, width=width, hidden=width * 11 // 4))


def with_length(length: int) -> RunConfig:
    """The ``caprev`` demo run with another La; Lm is half of it."""
    config = group_config("caprev", "demo")
    tasks = tuple(replace(spec, training_length=length // (2 if spec.role == "main" else 1)) for spec in config.tasks)
    return replace(config, tasks=tasks, transfer_length=length)


def measure_step(axis: str, value: int, steps: int) -> dict[str, Any]:
    """Seconds of a step (median) and the peak memory of this process in MB."""
    from lgt.model.decoder import Decoder
    from lgt.training.batches import make_batch
    from lgt.training.steps import make_stepper

    config = with_width(value) if axis == "width" else with_length(value)
    stepper = make_stepper(Decoder(config.model), config, device="cpu")
    times = []
    for step in range(steps + 2):
        batch = make_batch(config, step)
        times.append(harness.seconds(lambda batch=batch: stepper.step(batch, 1.0)))
    return {"seconds": statistics.median(times[2:]), "memory": peak_megabytes(resource.RUSAGE_SELF)}


def measure_runs(count: int, steps: int | None) -> dict[str, Any]:
    """Seconds from starting the workers on ``count`` queued runs until all are done; memory of the largest worker."""
    from lgt.execution.worker_processes import start_workers, wait_for_workers
    from lgt.store import writes
    from lgt.store.engine import open_store

    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "runs.db")
        engine = open_store(path)
        for seed in range(count):
            config = group_config("caprev", "demo", seed=seed)
            training = replace(config.training, steps=steps or config.training.steps)
            writes.create_run(engine, replace(config, training=training))
        started = time.monotonic()
        wait_for_workers(start_workers(path, WORKERS))
        wall = time.monotonic() - started
    return {"seconds": wall, "memory": peak_megabytes(resource.RUSAGE_CHILDREN)}


def peak_megabytes(who: int) -> float:
    """Largest resident size so far; Linux counts it in kilobytes."""
    return resource.getrusage(who).ru_maxrss / 1000


def measured(settings: Settings) -> pd.DataFrame:
    """All points: axis, value, seconds, memory, medians over fresh processes."""
    steps, run_steps = (3, 20) if settings.quick else (30, None)
    plan = [("width", value, "scale:measure_step") for value in (WIDTHS[:2] if settings.quick else WIDTHS)]
    plan += [("length", value, "scale:measure_step") for value in (LENGTHS[:2] if settings.quick else LENGTHS)]
    plan += [("runs", value, "scale:measure_runs") for value in (RUNS[:2] if settings.quick else RUNS)]
    rows = []
    for axis, value, target in plan:
        arguments = {"count": value, "steps": run_steps} if axis == "runs" else {"axis": axis, "value": value,
                                                                                 "steps": steps}  # fmt: skip
        repetitions = 1 if axis == "runs" or settings.quick else settings.repetitions
        found = [harness.child(target, arguments, settings) for _ in range(repetitions)]
        point = {name: statistics.median(one[name] for one in found) for name in ("seconds", "memory")}
        rows.append({"axis": axis, "value": value} | point)
        say(f"  {axis} {value}: {point['seconds']:.4g} s, {point['memory']:.0f} MB")
    return pd.DataFrame(rows)


def exponents(points: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Axis -> quantity -> the slope of the least-squares line through the logarithms."""
    return {
        str(axis): {name: slope(part["value"], part[name]) for name in ("seconds", "memory")}
        for axis, part in points.groupby("axis", sort=False)
    }


def slope(x: Any, y: Any) -> float:
    """Exponent p of the least-squares fit y = c x^p."""
    return float(np.polyfit(np.log(np.asarray(x, float)), np.log(np.asarray(y, float)), 1)[0])


def figure(points: pd.DataFrame) -> Any:
    """Seconds and memory against each axis, both logarithmic, with the fitted line."""
    import altair as alt

    rows = []
    for name, title in (("seconds", "seconds"), ("memory", "peak memory (MB)")):
        charts = []
        for axis, label in AXES.items():
            part = points[points.axis == axis]
            ticks = alt.Axis(values=sorted(part["value"]))
            x = alt.X("value:Q", title=label, axis=ticks, scale=alt.Scale(type="log", base=2, nice=False))
            y = alt.Y(f"{name}:Q", title=title, scale=alt.Scale(type="log"))
            base = alt.Chart(part).encode(x, y)
            line = base.transform_regression("value", name, method="pow").mark_line(color="#888888", strokeDash=[4, 3])
            charts.append((line + base.mark_point(size=60, filled=True)).properties(width=210, height=160))
        rows.append(alt.hconcat(*charts))
    return alt.vconcat(*rows)


def cost_rows(points: pd.DataFrame, gpu: dict[str, Any]) -> list[list[str]]:
    """The cost of a sweep: from measured runs where there are some, else an estimate that is marked as one."""
    runs = points[points.axis == "runs"].sort_values("value").iloc[-1]
    hours = SWEEP * runs.seconds / runs.value / 3600
    how = f"{int(runs.value)} runs took {runs.seconds:.0f} s, times {SWEEP / runs.value:.0f}"
    cost = f"{hours:.1f} hours ({WORKERS * hours:.1f} core hours)"
    rows = [[f"{SWEEP:,} `demo` runs (caprev), {WORKERS} cores", cost, how]]
    for devices in (1, 8):
        cost, how = "not measured", "no GPU figure in this file"
        if "seconds_per_paper_run" in gpu:
            cost = f"{SWEEP * gpu['seconds_per_paper_run'] / 3600 / devices:,.0f} hours"
            how = "**estimate**: training time of one run times runs, divided by GPUs; not run"
        rows.append([f"{SWEEP:,} `paper` runs (add-carry), {devices} GPU{'s' * (devices > 1)}", cost, how])
    return rows


def run(settings: Settings) -> Section:
    """Points, exponents, cost table; writes docs/scale.svg unless quick."""
    points = measured(settings)
    if not settings.quick:
        figure(points).save(FIGURE)
    powers = exponents(points)
    rows = []
    for axis, label in AXES.items():
        part = points[points.axis == axis]
        cells = [", ".join(f"{int(v)}: {harness.number(y)}" for v, y in zip(part["value"], part[name], strict=True))
                 for name in ("seconds", "memory")]  # fmt: skip
        rows.append([label, cells[0], f"{powers[axis]['seconds']:.2f}", cells[1], f"{powers[axis]['memory']:.2f}"])
    lines = harness.table(["against", "seconds", "exponent", "peak memory, MB", "exponent"], rows)
    gpu = document.figures(document.DOCUMENT.read_text(), "gpu") if document.DOCUMENT.exists() else {}
    lines += ["", "![Time and memory against width, length and number of runs](docs/scale.svg)", ""]
    return Section([*lines, *harness.table(["sweep", "cost", "how"], cost_rows(points, gpu))], {"exponents": powers})
