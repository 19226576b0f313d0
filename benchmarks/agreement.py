"""Do the fused step and PyTorch's eager step learn the same? Five seeds of each, the same batches, float32.

Rounding differs, so the two curves of a seed differ after some hundred steps. Their distributions over seeds must
agree. The figure shows both over training; the table compares, paired over seeds, the logarithm of the loss in
five windows and the transfer accuracy in the end.
"""

from __future__ import annotations

from dataclasses import replace

import altair as alt
import numpy as np
import pandas as pd
from scipy import stats

from benchmarks import harness
from benchmarks.harness import ROOT, Section, Settings, say
from lgt.core.config import RunConfig
from lgt.evaluation.exact_match import accuracy_rows
from lgt.metrics.transfer import transfer_accuracy
from lgt.model.checkpoint import measured_copy
from lgt.model.decoder import Decoder
from lgt.recipes.presets import group_config
from lgt.training.batches import make_batch
from lgt.training.loop import learning_rate_factor
from lgt.training.steps import make_stepper

FIGURE = ROOT / "docs" / "agreement.svg"
SEEDS = range(5)
STEPS = 500  # length of the schedule: half the preset's, because the eager steps take minutes
WINDOW = 20  # number of steps that are averaged to one point of a curve
NAMES = {True: "fused step", False: "PyTorch, eager"}


def one_run(config: RunConfig, fused: bool) -> tuple[pd.DataFrame, float]:
    """The curve (columns step, loss in nats, seed, path) and the transfer accuracy in the end."""
    model = Decoder(config.model, config.model_seed)
    stepper = make_stepper(model, config, fused=fused)
    losses = [
        float(stepper.step(make_batch(config, step), learning_rate_factor(config.training, step)))
        for step in range(config.training.steps)
    ]
    points = np.array(losses)[: len(losses) // WINDOW * WINDOW].reshape(-1, WINDOW).mean(axis=1)
    frame = pd.DataFrame({"step": WINDOW * np.arange(1, len(points) + 1), "loss": points})
    frame["seed"], frame["path"] = config.model_seed, NAMES[fused]
    rows = accuracy_rows(measured_copy(model), config, 128)
    main = {row.length: row.correct / row.total for row in rows if row.task == config.main.task}
    return frame, transfer_accuracy(main, config.main.training_length, config.transfer_length or 0)


def measure(seeds: range, steps: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Curves of all runs, and per path and seed the transfer accuracy."""
    curves, results = [], []
    for seed in seeds:
        config = group_config("caprev", "demo", seed=seed)
        config = replace(config, training=replace(config.training, steps=steps))
        for fused in (True, False):
            frame, transfer = one_run(config, fused)
            curves.append(frame)
            results.append({"path": NAMES[fused], "seed": seed, "transfer": transfer})
            say(f"  seed {seed}, {NAMES[fused]}: transfer accuracy {transfer:.3f}")
    return pd.concat(curves, ignore_index=True), pd.DataFrame(results)


def comparison(curves: pd.DataFrame, results: pd.DataFrame) -> list[tuple[str, str, str, str]]:
    """Rows of the table: what, fused and eager as mean (smallest to largest seed), p of the paired t test."""
    rows = []
    last = int(curves.step.max())
    for fifth in range(1, 6):
        low, high = last * (fifth - 1) // 5, last * fifth // 5
        part = curves[(curves.step > low) & (curves.step <= high)]
        mean = part.assign(loss=np.log10(part.loss)).groupby(["path", "seed"]).loss.mean()
        rows.append((f"log10 loss, steps {low + 1} to {high}", *_pair(mean.unstack("path"))))
    rows.append(("transfer accuracy", *_pair(results.set_index(["path", "seed"]).transfer.unstack("path"))))
    return rows


def _pair(table: pd.DataFrame) -> tuple[str, str, str]:
    cells = [f"{table[n].mean():.3f} ({table[n].min():.3f} to {table[n].max():.3f})" for n in NAMES.values()]
    p = stats.ttest_rel(table[NAMES[True]], table[NAMES[False]]).pvalue
    return cells[0], cells[1], f"{p:.2f}"


def figure(curves: pd.DataFrame) -> alt.LayerChart:
    """Geometric mean over seeds with the band from smallest to largest, logarithmic loss."""
    curves = curves.assign(log=np.log10(curves.loss))
    table = curves.groupby(["path", "step"]).log.agg(["mean", "min", "max"]).reset_index()
    for column in ("mean", "min", "max"):
        table[column] = 10 ** table[column]
    base = alt.Chart(table).encode(
        alt.X("step:Q", title="optimizer step"),
        color=alt.Color("path:N", title=None, scale=alt.Scale(range=["#0b7a75", "#d1495b"])),
    )
    scale = alt.Scale(type="log")
    band = base.mark_area(opacity=0.2).encode(alt.Y("min:Q", scale=scale, title="loss (nats per token)"), y2="max:Q")
    line = base.mark_line(size=2).encode(alt.Y("mean:Q", scale=scale))
    count = curves.seed.nunique()
    title = f"caprev, {STEPS} steps: mean over {count} seeds, band from smallest to largest seed"
    return (band + line).properties(width=560, height=280, title=title)


def run(settings: Settings) -> Section:
    """The table and the picture docs/agreement.svg."""
    curves, results = measure(range(2) if settings.quick else SEEDS, 40 if settings.quick else STEPS)
    if not settings.quick:
        figure(curves).save(FIGURE)
    headers = ["what", *NAMES.values(), "p, paired over seeds"]
    note = f"Mean over {curves.seed.nunique()} seeds (smallest to largest seed)."
    picture = "![Loss of the fused and the eager step over training](docs/agreement.svg)"
    return Section([picture, "", *harness.table(headers, comparison(curves, results)), "", note])
