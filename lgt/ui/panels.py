"""Pieces that pages put together: choosing a comparison, a curve, a head-sharing graph with its sentence."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pandas as pd
import streamlit as st

from lgt.charts import length_accuracy, sharing_graph, sharing_summary
from lgt.charts.accuracy import BandChoice
from lgt.config import Arm
from lgt.groups import GROUPS
from lgt.statistics import IN_DISTRIBUTION, TRANSFER_REGION
from lgt.store.comparisons import Comparison, Setting
from lgt.tasks import TASKS
from lgt.ui import data, frame
from lgt.ui.likeness import likeness_table, overlap_sentence
from lgt.ui.summaries import SeedSummary, mean_map, transfer_by_seed

THRESHOLDS = (2, 5, 10, 20, 50)
DEFAULT_THRESHOLD = 10
FAVOURITES = ("add-carry", "caprev")


def setting_key(setting: Setting) -> str:
    """A short name of a setting for addresses, such as ``caprev.demo`` or ``caprev.demo.nope``.

    Changes to the preset appear as six digits of a hash, which is as short as it can be and stay the same.
    """
    parts = [setting.group, setting.preset] + ([setting.position] if setting.position != "rope" else [])
    if setting.changes:
        parts.append(hashlib.sha256("\n".join(setting.changes).encode()).hexdigest()[:6])
    return ".".join(parts)


def setting_title(setting: Setting, comparison: Comparison) -> str:
    """A setting in words, with its training lengths."""
    group = GROUPS.get(setting.group)
    others = [TASKS[spec.task].title for spec in comparison.config.others]
    name = group.title if group else f"{TASKS[comparison.config.main.task].title} beside {' and '.join(others)}"
    lengths = f"{comparison.config.main.training_length} ← {comparison.config.transfer_length}"
    position = "" if setting.position == "rope" else ", no positional encoding"
    changes = "".join(f", {change}" for change in setting.changes)
    return f"{name} ({lengths}, preset {setting.preset}{position}{changes})"


def first_choice(names: Mapping[str, Setting]) -> str:
    """Where the page opens: the setting of the best known group that has runs."""
    unchanged = {name: setting for name, setting in names.items() if not setting.changes}
    favourites = [name for group in FAVOURITES for name, setting in unchanged.items() if setting.group == group]
    return favourites[0] if favourites else next(iter(names))


def task_list(names: list[str], conjunction: str) -> str:
    """Task titles joined for a sentence."""
    titles = [f"**{TASKS[name].title}**" for name in names]
    return titles[0] if len(titles) == 1 else ", ".join(titles[:-1]) + f" {conjunction} " + titles[-1]


def choose_threshold() -> float:
    """How much accuracy a head must cost a task to count, as a share; lives in the address in percent."""
    percent = st.select_slider(
        "A head matters above a drop of (%)", THRESHOLDS, value=DEFAULT_THRESHOLD, key="threshold", bind="query-params",
        help="The drop of exact match when the head's output is replaced by its mean over the test prompts, position "
        "by position.",
    )  # fmt: skip
    return int(percent) / 100


def together_title(comparison: Comparison) -> str:
    """Heading of the co-trained side; a control is not called related."""
    kind = "unrelated" if any(spec.role == "control" for spec in comparison.config.others) else "related"
    return f"With a longer {kind} task"


def spread(summary: SeedSummary, style: str = ".0%") -> str:
    """Range and n of a summary in words."""
    if summary.n == 1:
        return "1 seed"
    low, high = min(summary.values.values()), max(summary.values.values())
    return f"mean of {summary.n} seeds, from {low:{style}} to {high:{style}}"


def curve(accuracy: pd.DataFrame, *, key: str, band: BandChoice = "min-max", single_seeds: bool = False) -> None:
    """Length-accuracy curve of one arm, all its seeds in one band."""
    chart = length_accuracy(accuracy, frame.theme(), band_choice=band, single_seeds=single_seeds)
    st.altair_chart(chart, key=key, theme=None, width="stretch")


def sharing(
    comparison: Comparison, arm: Arm, seed: int | None, *, key: str, threshold: float, table: bool = False
) -> None:
    """Head-sharing graph of one run of ``arm``, and sentences that say which run it is and what is shared.

    Heads of different seeds are different heads, so a graph is always one run's; the closing sentence counts over all
    seeds. Where the run has less to lose in the transfer region than the threshold, the graph is that of the trained
    lengths instead. ``table`` adds the measures of likeness of this run's maps and attention.
    """
    runs = comparison.runs[arm]
    seed = seed if seed in runs else min(runs)
    main = comparison.config.main.task
    others = [spec.task for spec in comparison.config.others] if arm == "co-trained" else []
    scores = data.read_head_scores(comparison.ids(arm))
    transfer = transfer_by_seed(data.read_accuracy([runs[seed]]))
    zone = TRANSFER_REGION if transfer is not None and transfer.mean > threshold else IN_DISTRIBUTION
    maps = {s: mean_map(scores[scores.run_id == i], comparison.config, zone) for s, i in sorted(runs.items())}
    shown = maps[seed]
    if shown.empty:
        st.info(f"Run {runs[seed]} has no ablation maps at these lengths.")
        return
    st.caption(zone_sentence(zone, shown, transfer))
    chart = sharing_graph(shown, frame.theme(), main=main, auxiliaries=others, threshold=threshold)
    st.altair_chart(chart, key=key, theme=None, width="stretch")
    st.markdown(sharing_sentence(shown, main, others, threshold))
    st.caption(f"Graph: run {runs[seed]}, seed {seed}, {int(shown.examples.iloc[0])} prompts a task. "
               + over_seeds(maps, main, others, threshold))  # fmt: skip
    if table and others:
        attention = data.read_attention_differences([runs[seed]])
        same_lengths = attention[attention.length.isin(shown.attrs["lengths"])]
        st.table(likeness_table(shown, same_lengths, main, others))


def zone_sentence(zone: str, heads: pd.DataFrame, transfer: SeedSummary | None) -> str:
    """At which lengths the heads were ablated, and why not in the transfer region."""
    lengths = ", ".join(map(str, heads.attrs["lengths"]))
    if zone == TRANSFER_REGION:
        return f"**Heads in the transfer region**, lengths {lengths}."
    if transfer is None:
        return f"**Heads at the trained lengths** {lengths}."
    return (
        f"**Heads at the trained lengths** {lengths}. In the transfer region this run's exact match is "
        f"{transfer.mean:.0%}, so ablating a head can cost no more than that there."
    )


def sharing_sentence(heads: pd.DataFrame, main: str, others: list[str], threshold: float) -> str:
    """What the graph shows, in one sentence that is true of its data."""
    counts = sharing_summary(heads, main, others, threshold)
    mattering = f"{counts['main']} of {counts['heads']} heads matter to **{TASKS[main].title}**"
    if not others:
        return f"{mattering}."
    names = task_list(others, "or")
    if not counts["main"]:
        return f"No single head costs **{TASKS[main].title}** more than {threshold:.0%} here."
    return f"{mattering}; **{counts['shared']} of them** also to {names}."


def over_seeds(maps: dict[int, pd.DataFrame], main: str, others: list[str], threshold: float) -> str:
    """The same counts for every seed, and how alike the maps are against chance."""
    counts = [sharing_summary(heads, main, others, threshold) for heads in maps.values() if not heads.empty]
    if not others:
        return f"Heads that matter, seed by seed: {', '.join(str(c['main']) for c in counts)}."
    shares = ", ".join(f"{c['shared']} of {c['main']}" for c in counts)
    return f"Shared heads, seed by seed: {shares}. {overlap_sentence(maps.values(), main, others)}"


def train_command(comparison: Comparison, arm: Arm, seed: int = 0) -> str:
    """The command that makes one run of this comparison."""
    setting = comparison.setting
    flags = {
        "co-trained": "",
        "alone-same-steps": " --main-only",
        "alone-same-examples": " --main-only --same-examples",
    }
    position = "" if setting.position == "rope" else f" --position {setting.position}"
    pair = f"--group {setting.group}"
    if setting.group not in GROUPS:
        options = ["--main", *["--aux"] * len(comparison.config.others)]
        specs = (f"{spec.task}:{spec.training_length}" for spec in comparison.config.tasks)
        pair = " ".join(f"{option} {spec}" for option, spec in zip(options, specs, strict=True))
    changes = "".join(f" --set {change}" for change in setting.changes)
    run = f"{pair} --preset {setting.preset}{position}{changes}{flags[arm]} --seed {seed}"
    return f".venv/bin/python -m lgt train {run}"


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
- **Zones** of the main task: *trained* up to its training length Lm, *transfer region* up to the auxiliary's training
  length La, *beyond*.
- **Bands** are named in each chart and span all finished seeds; none is selected. Seeds differ in initialisation and
  share the order of the data, as in the paper.
- **Baselines are matched** (our decision): alone, the main task is trained for the same optimizer steps, or for the
  same number of main-task examples.
- **A head matters to a task** when replacing its output by its mean over the test prompts, position by position, lowers
  exact match by more than the chosen threshold. Mean ablation is the paper's measure, the threshold is ours. All tasks
  of a graph are measured at the same lengths. One head at a time is ablated: heads that can stand in for each other
  show no drop.
- **Chance** for the overlap of heads: the second map with its heads shuffled within each layer.
- **Scale**: lengths, width and training time are the named preset's, smaller than the paper's except in `paper`. The
  ratio Lm : La is always 1 : 2. The small presets norm queries and keys, which the paper does not.
- Source: Cai, Lee, Schwarzschild, Oymak, Papailiopoulos, *Extrapolation by Association: Length Generalization Transfer
  in Transformers*, arXiv 2506.09251.
"""
