"""Parts that several pages show: the choice of a setting, a curve, how to repeat the runs of a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd
import streamlit as st

from lgt.charts import length_accuracy, loss_curve, training_curves
from lgt.charts.accuracy import BandChoice
from lgt.core.config import Arm, RunConfig
from lgt.core.glossary import definition
from lgt.core.plain_text import as_code, for_markdown
from lgt.experiments.registry import made_by
from lgt.experiments.seeds import seeds_text
from lgt.metrics.run_curves import run_curves
from lgt.metrics.zones import Zone
from lgt.recipes.commands import experiment_command, measured_as_usual, train_command
from lgt.recipes.groups import DEMO_GROUP
from lgt.recipes.labels import provenance, setting_title
from lgt.recipes.presets import baseline
from lgt.recipes.settings import Setting, has_control, is_imported
from lgt.store.comparisons import Comparison
from lgt.ui import address, data, frame
from lgt.ui.drawing import draw, view_shows

THRESHOLDS = (2, 5, 10, 20, 50)
DEFAULT_THRESHOLD = 10
Favourites = tuple[tuple[str, str], ...]
"""Task groups with their presets, in the order in which a page opens with the first one that has runs."""
MEASURED_OFTEN: Favourites = (("add-carry", "small"), (DEMO_GROUP, "demo"))
"""For pages about one network: its heads were measured during training, and a viewer can type its prompts."""
FAVOURITES: Favourites = ((DEMO_GROUP, "long"), *MEASURED_OFTEN)
"""For pages about the finding: the paper's lengths before shorter ones."""


def first_choice(names: Mapping[str, Setting], favourites: Favourites = FAVOURITES) -> str:
    """The name of the setting that a page opens with: the first favourite that has runs, as its preset has it."""
    unchanged = {(of.group, of.preset): name for name, of in names.items() if not of.changes and of.position == "rope"}
    return next((unchanged[one] for one in favourites if one in unchanged), next(iter(names)))


def choose_comparison(found: Mapping[Setting, Comparison], favourites: Favourites = FAVOURITES) -> Comparison:
    """The comparison that the viewer looks at, ``?pair=`` in the address; without it the first of ``favourites``."""
    names = {setting.key: setting for setting in found}
    key = address.select(
        "Task group", list(names), default=first_choice(names, favourites), key="pair",
        shown=lambda name: setting_title(names[name], found[names[name]].config), help=definition("task group"),
    )  # fmt: skip
    view_shows(key)
    return found[names[key]]


def imported_badge(config: RunConfig) -> str:
    """A small coloured word for a run that another program made, for Markdown; empty for others."""
    return ":orange-badge[imported]" if is_imported(config) else ""


def choose_threshold() -> float:
    """How much accuracy a head must cost a task to count, as a share; lives in the address in percent."""
    percent = st.select_slider(
        "A head matters if the drop is over (%)", THRESHOLDS, value=DEFAULT_THRESHOLD, key="threshold",
        bind="query-params",
        help=f"The drop of exact match when the head is knocked out. {definition('knock-out')}",
    )  # fmt: skip
    return int(percent) / 100


def co_trained_title(config: RunConfig) -> str:
    """Heading of the co-trained arm of ``config``; a control is not called related."""
    kind = "unrelated" if has_control(config) else "related"
    return f"With a longer {kind} task"


def curve(
    accuracy: pd.DataFrame, *, key: str, band: BandChoice = "min-max", single_seeds: bool = False, height: int = 300,
    emphasis: Zone | None = None, longest: int | None = None, name: str = "",
) -> None:  # fmt: skip
    """Length-accuracy curve of one arm, all its seeds in one band; ``name`` is what a viewer downloads it as."""
    draw(
        length_accuracy, accuracy, frame.theme(), band_choice=band, single_seeds=single_seeds, height=height,
        emphasis=emphasis, longest=longest, key=key, name=name,
    )  # fmt: skip


def training(accuracy: pd.DataFrame, run_ids: list[int], *, key: str, name: str = "") -> None:
    """Accuracy per zone over steps, and the loss, of one series; ``name`` is what a viewer downloads it as."""
    named = f" {name}" if name else ""
    draw(training_curves, accuracy, frame.theme(), key=f"training-{key}", name=f"Training{named}")
    draw(loss_curve, data.read_training_log(run_ids), frame.theme(), window=5, key=f"loss-{key}", name=f"Loss{named}")


# --- how to repeat ----------------------------------------------------------------------------------------------


def arm_command(comparison: Comparison, arm: Arm, seed: int) -> str | None:
    """The command that makes the run of an arm of this comparison, measured as usual; ``None`` without a command."""
    co_trained = measured_as_usual(replace(comparison.config, model_seed=seed))
    return train_command(baseline(co_trained, arm), co_trained)


def repeat_sentence(runs: pd.DataFrame, comparison: Comparison) -> str:
    """How to repeat these runs: with an experiment that makes all of them, or all co-trained ones, else one run's
    command as an example."""
    together = runs[runs.id.isin(comparison.ids("co-trained"))]
    for chosen, named in ((runs, "them"), (together, "the co-trained ones")):
        seeds = {int(seed) for seed in chosen.model_seed}
        experiment = made_by(set(chosen.config_hash), seeds)
        if experiment:
            return f"Repeat {named} with {as_code(experiment_command(experiment.name, seeds_text(seeds)))}."
    command = arm_command(comparison, "co-trained", min(comparison.runs["co-trained"]))
    return f"Repeat one of them with {as_code(command)}." if command else ""


def show_provenance(runs: pd.DataFrame, repeat: str) -> None:
    """A closing line: which runs, when, on what, from which code, and ``repeat``, how to make them again.

    Runs with missing counts are named before it.
    """
    incomplete = missing_counts(runs[runs.state == "done"].id.tolist())
    if incomplete:
        named = "; ".join(f"run {data.name(run_id)}: {for_markdown(why)}" for run_id, why in incomplete.items())
        st.warning(f"Incomplete, and left out of numbers that need the missing counts: {named}.")
    st.caption(f"{for_markdown(provenance(runs))} {repeat}".strip())


def missing_counts(run_ids: list[int]) -> dict[int, str]:
    """What is missing of finished runs that are not complete, in words, by id."""
    curves = run_curves(data.read_accuracy(run_ids)) if run_ids else {}
    missing = {run_id: curves[run_id].missing if run_id in curves else "no counts" for run_id in run_ids}
    return {run_id: why for run_id, why in missing.items() if why}
