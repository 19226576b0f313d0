"""Pieces that pages put together: choosing a comparison, a curve, a head-sharing graph with its sentence."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lgt.charts import length_accuracy, sharing_graph, sharing_summary
from lgt.config import Arm
from lgt.groups import GROUPS
from lgt.statistics import TRANSFER_REGION
from lgt.store.comparisons import Comparison, Setting
from lgt.tasks import TASKS
from lgt.ui import data, frame
from lgt.ui.summaries import SeedSummary, mean_map

SHARED_THRESHOLD = 0.1
FAVOURITES = ("caprev", "add-carry")


def setting_key(setting: Setting) -> str:
    """A short name of a setting for addresses, such as ``caprev.demo`` or ``caprev.demo.nope``."""
    parts = [setting.group, setting.preset] + ([setting.position] if setting.position != "rope" else [])
    return ".".join(parts)


def setting_title(setting: Setting, comparison: Comparison) -> str:
    """A setting in words, with its training lengths."""
    group = GROUPS.get(setting.group)
    name = group.title if group else f"{TASKS[comparison.config.main.task].title}, custom pair"
    lengths = f"{comparison.config.main.training_length} ← {comparison.config.transfer_length}"
    position = "" if setting.position == "rope" else ", no positional encoding"
    return f"{name} ({lengths}, preset {setting.preset}{position})"


def first_choice(settings: list[Setting]) -> int:
    """Where the page opens: the best known group that has runs."""
    groups = [setting.group for setting in settings]
    return next((groups.index(name) for name in FAVOURITES if name in groups), 0)


def task_list(names: list[str]) -> str:
    """Task titles joined for a sentence."""
    titles = [TASKS[name].title for name in names]
    return titles[0] if len(titles) == 1 else ", ".join(titles[:-1]) + " and " + titles[-1]


def together_title(comparison: Comparison) -> str:
    """Heading of the co-trained side; a control is not called related."""
    kind = "unrelated" if any(spec.role == "control" for spec in comparison.config.others) else "related"
    return f"With a longer {kind} task"


def spread(summary: SeedSummary) -> str:
    """Range and n of a summary in words."""
    if summary.n == 1:
        return "1 seed"
    low, high = min(summary.values.values()), max(summary.values.values())
    return f"mean of {summary.n} seeds, from {low:.0%} to {high:.0%}"


def curve(accuracy: pd.DataFrame, *, key: str, band: str = "min-max", single_seeds: bool = False) -> None:
    """Length-accuracy curve of one arm, all its seeds in one band."""
    chart = length_accuracy(accuracy, frame.theme(), band=band, single_seeds=single_seeds)  # type: ignore[arg-type]
    st.altair_chart(chart, key=key, theme=None, width="stretch", alt=chart.description)


def sharing(
    comparison: Comparison, arm: Arm, seed: int | None, *, key: str, threshold: float = SHARED_THRESHOLD
) -> None:
    """Head-sharing graph of one run of ``arm``, with a sentence that says which run and what is shared.

    Heads of different seeds are different heads, so a graph is always one run's.
    """
    runs = comparison.runs[arm]
    seed = min(runs) if seed is None else seed
    config = comparison.config
    others = [spec.task for spec in config.others] if arm == "co-trained" else []
    heads = mean_map(data.read_head_scores([runs[seed]]), config, TRANSFER_REGION)
    if heads.empty:
        st.info(f"Run {runs[seed]} has no ablation maps in the transfer region.")
        return
    chart = sharing_graph(heads, frame.theme(), main=config.main.task, auxiliaries=others, threshold=threshold)
    st.altair_chart(chart, key=key, theme=None, width="stretch", alt=chart.description)
    st.caption(sharing_sentence(heads, config.main.task, others, threshold, runs[seed], seed))


def sharing_sentence(
    heads: pd.DataFrame, main: str, others: list[str], threshold: float, run_id: int, seed: int
) -> str:
    """What the graph shows, in one or two sentences that are true of its data."""
    counts = sharing_summary(heads, main, others, threshold)
    where = f"Run {run_id}, seed {seed}; lengths {heads.lengths.iloc[0]}, {int(heads.examples.iloc[0])} prompts a task."
    rule = f"A head counts when replacing its output by its mean costs a task more than {threshold:.0%} exact match."
    if not others:
        return f"{counts['main']} heads matter to {TASKS[main].title} at these lengths. {rule} {where}"
    return (
        f"{counts['shared']} of {counts['main']} heads that matter to {TASKS[main].title} also matter to "
        f"{task_list(others)}. {rule} {where}"
    )


def train_command(comparison: Comparison, arm: Arm, seed: int = 0) -> str:
    """The command that makes one run of this comparison."""
    setting = comparison.setting
    flags = {
        "co-trained": "",
        "alone-same-steps": " --main-only",
        "alone-same-examples": " --main-only --same-examples",
    }
    position = "" if setting.position == "rope" else f" --position {setting.position}"
    return f".venv/bin/python -m lgt train --group {setting.group} --preset {setting.preset}{position}{flags[arm]} --seed {seed}"


def repeat_command(runs: pd.DataFrame, comparison: Comparison) -> str:
    """The command that repeats these runs: their experiment's, or that of a single run."""
    experiments = sorted(set(runs.experiment.dropna()))
    if experiments:
        return f".venv/bin/python -m lgt experiment {experiments[0]}"
    return train_command(comparison, "co-trained")


def method() -> None:
    """The definitions behind the figures, with what is the paper's and what is this project's decision."""
    with st.expander("About the method"):
        st.markdown(METHOD)


METHOD = """
- **Exact match**: the share of fixed test prompts of one length whose whole answer is right under greedy decoding. Test
  prompts are never trained on: a quarter of all prompts is held out by a hash (our decision; the paper does not say).
- **Zones** of the main task: *trained* up to Lm, *transfer region* up to La, the auxiliary's training length, *beyond*.
- **Bands** are named in each chart and show all finished seeds, none is selected. Seeds differ in initialisation and
  share the data order, as in the paper.
- **Baselines are matched** (our decision): alone, the main task is trained for the same optimizer steps, or for the same
  number of main-task examples.
- **A head matters to a task** when replacing its output by its mean over the test prompts, position by position, lowers
  exact match by more than the stated threshold. Mean ablation is the paper's measure, the threshold our decision. All
  tasks of a graph are measured at the same lengths.
- **Scale**: lengths, width and training time are those of the named preset, smaller than the paper's except in `paper`.
  The ratio Lm : La is always 1 : 2. Models use RMS-normed queries and keys in the small presets, which the paper does not.
- Source: Cai, Lee, Schwarzschild, Oymak, Papailiopoulos, *Extrapolation by Association: Length Generalization Transfer in
  Transformers*, arXiv 2506.09251.
"""
