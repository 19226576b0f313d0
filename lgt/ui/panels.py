"""Pieces that pages put together: choosing a comparison, a curve, a head-sharing graph with its sentence."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pandas as pd
import streamlit as st

from lgt.charts import ablation_maps, length_accuracy, loss_curve, sharing_graph, sharing_summary, training_curves
from lgt.charts.accuracy import BandChoice
from lgt.core.choices import POSITIONS
from lgt.core.config import Arm
from lgt.experiments.entries import made_by
from lgt.experiments.seeds import seeds_text
from lgt.metrics.by_seed import SeedSummary, transfer_by_seed
from lgt.metrics.maps import mean_map
from lgt.metrics.zones import IN_DISTRIBUTION, TRANSFER_REGION, Zone
from lgt.recipes.groups import GROUPS
from lgt.recipes.labels import ARM_TITLES
from lgt.recipes.settings import Setting
from lgt.store.comparisons import Comparison
from lgt.tasks import TASKS, unit
from lgt.ui import data, frame
from lgt.ui.drawing import draw
from lgt.ui.head_similarity import likeness_table, overlap_sentence

THRESHOLDS = (2, 5, 10, 20, 50)
DEFAULT_THRESHOLD = 10
SOMETHING_TO_LOSE = 0.1
"""Transfer accuracy above which a run's heads are mapped in the transfer region."""
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
    auxiliaries = [TASKS[spec.task].title for spec in comparison.config.auxiliaries]
    name = group.title if group else f"{TASKS[comparison.config.main.task].title} beside {' and '.join(auxiliaries)}"
    lengths = f"{comparison.config.main.training_length} ← {comparison.config.transfer_length}"
    note = POSITIONS.note(setting.position)
    position = ", no positional encoding" if setting.position == "nope" else f", {note}" * bool(note)
    changes = "".join(f", {change}" for change in setting.changes)
    return f"{name} ({lengths}, preset {setting.preset}{position}{changes})"


def series_title(setting: Setting, comparison: Comparison, arm: Arm) -> str:
    """One side of a setting in few words, such as ``Addition + Digit sums + Carries · small · with auxiliary``."""
    tasks = " + ".join(TASKS[spec.task].title for spec in comparison.config.tasks)
    main = comparison.config.main
    free = [] if setting.group in GROUPS else [f"{main.training_length} ← {comparison.config.transfer_length}"]
    position = [note] if (note := POSITIONS.note(setting.position)) else []
    return " · ".join([tasks, *free, setting.preset, *position, *setting.changes, ARM_TITLES[arm]])


def first_choice(names: Mapping[str, Setting]) -> str:
    """Where the page opens: the setting of the best known group that has runs."""
    unchanged = {name: of for name, of in names.items() if not of.changes and of.position == "rope"}
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
    kind = "unrelated" if any(spec.role == "control" for spec in comparison.config.auxiliaries) else "related"
    return f"With a longer {kind} task"


def region(comparison: Comparison) -> str:
    """The transfer region in words, such as ``9–16 characters``."""
    main = comparison.config.main
    return f"{main.training_length + 1}–{comparison.config.transfer_length} {unit(main.task)}"


def beside(comparison: Comparison) -> str:
    """Titles of the tasks beside the main task."""
    return " and ".join(TASKS[spec.task].title for spec in comparison.config.auxiliaries)


def spread(summary: SeedSummary, style: str = ".0%") -> str:
    """Range and n of a summary in words."""
    if summary.n == 1:
        return "1 seed"
    low, high = min(summary.values.values()), max(summary.values.values())
    return f"mean of {summary.n} seeds, from {low:{style}} to {high:{style}}"


def curve(
    accuracy: pd.DataFrame, *, key: str, band: BandChoice = "min-max", single_seeds: bool = False, height: int = 300,
    emphasis: Zone | None = None, longest: int | None = None, name: str = "",
) -> None:  # fmt: skip
    """Length-accuracy curve of one arm, all its seeds in one band; ``name`` is what a viewer downloads it as."""
    draw(
        length_accuracy, accuracy, frame.theme(), band_choice=band, single_seeds=single_seeds, height=height,
        emphasis=emphasis, longest=longest, key=key, name=name,
    )  # fmt: skip


def sharing(
    comparison: Comparison, arm: Arm, seed: int | None, *, key: str, threshold: float, table: bool = False,
    accuracy: pd.DataFrame | None = None, name: str = "",
) -> None:  # fmt: skip
    """Head-sharing graph of one run of ``arm``, and sentences that say which run it is and what is shared.

    Heads of different seeds are different heads, so a graph is always one run's; the closing sentence counts over the
    seeds that are mapped in the same zone. A run that has next to nothing to lose in the transfer region is mapped at
    the trained lengths instead. ``table`` adds the measures of likeness of this run's maps and attention. ``accuracy``
    holds the counts at another point of training than its end, one step a run: heads are then those of that step.
    """
    runs = comparison.runs[arm]
    seed = seed if seed in runs else min(runs)
    main, auxiliaries = tasks_of(comparison, arm)
    zones, maps, reached = mapped(comparison, arm, accuracy)
    shown = maps[seed]
    if shown.empty:
        late = accuracy is not None and not data.read_head_scores([runs[seed]]).empty
        when = " at this point of training, only at its end" if late else " at these lengths"
        st.info(f"Run {runs[seed]} has no ablation maps{when}.")
        return
    st.caption(zone_sentence(zones[seed], shown, reached.get(seed)))
    draw(
        sharing_graph, shown, frame.theme(), main=main, auxiliaries=auxiliaries, threshold=threshold, key=key, name=name
    )
    st.markdown(sharing_sentence(shown, main, auxiliaries, threshold))
    same_zone = [maps[s] for s in maps if zones[s] == zones[seed] and not maps[s].empty]
    st.caption(
        f"Graph: run {runs[seed]}, seed {seed}{typical(seed, reached)}, {int(shown.examples.iloc[0])} prompts a task. "
        f"Heads of another run are other heads. {len(same_zone)} of {len(runs)} seeds are mapped in this zone. "
        + over_seeds(same_zone, main, auxiliaries, threshold)
    )
    if table and auxiliaries:
        _, attention = heads_at(comparison.ids(arm), accuracy)
        same_lengths = attention[(attention.run_id == runs[seed]) & attention.length.isin(shown.attrs["lengths"])]
        st.table(likeness_table(shown, same_lengths, main, auxiliaries))
    if table:
        draw(ablation_maps, shown, frame.theme(), key=f"maps-{key}", tasks=[main, *auxiliaries], maximum=1.0)


def typical(seed: int, reached: Mapping[int, float]) -> str:
    """Says of the seed with the median transfer accuracy (of an even number the lower one) that it is that."""
    return " (the median in transfer accuracy)" if reached and SeedSummary(dict(reached)).middle_seed() == seed else ""


def tasks_of(comparison: Comparison, arm: Arm) -> tuple[str, list[str]]:
    """The main task and the tasks beside it in runs of ``arm``."""
    auxiliaries = [spec.task for spec in comparison.config.auxiliaries] if arm == "co-trained" else []
    return comparison.config.main.task, auxiliaries


def heads_at(run_ids: list[int], accuracy: pd.DataFrame | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Map entries and attention differences of these runs at their end, or at the steps that ``accuracy`` has."""
    if accuracy is None:
        return data.read_head_scores(run_ids), data.read_attention_differences(run_ids)
    steps = accuracy.groupby("run_id").step.first()
    found = data.read_head_scores(run_ids, "all"), data.read_attention_differences(run_ids, "all")
    scores, attention = (frame[frame.step == frame.run_id.map(steps)] for frame in found)
    return scores, attention


def mapped(
    comparison: Comparison, arm: Arm, accuracy: pd.DataFrame | None = None
) -> tuple[dict[int, Zone], dict[int, pd.DataFrame], dict[int, float]]:
    """By seed of ``arm``: the zone in which its heads are mapped, its map there, its transfer accuracy.

    At the end of training, or at the steps of ``accuracy``.
    """
    scores, _ = heads_at(comparison.ids(arm), accuracy)
    transfer = transfer_by_seed(data.read_accuracy(comparison.ids(arm)) if accuracy is None else accuracy)
    reached = transfer.values if transfer else {}
    runs = sorted(comparison.runs[arm].items())
    zones: dict[int, Zone] = {
        seed: TRANSFER_REGION if reached.get(seed, 0.0) > SOMETHING_TO_LOSE else IN_DISTRIBUTION for seed, _ in runs
    }
    maps = {seed: mean_map(scores[scores.run_id == run], comparison.config, zones[seed]) for seed, run in runs}
    return zones, maps, reached


def heads_sentence(comparison: Comparison, arm: Arm, seed: int | None, threshold: float) -> str:
    """The sentence under the head-sharing graph of :func:`sharing`; empty without runs or maps."""
    runs = comparison.runs[arm]
    if not runs:
        return ""
    shown = mapped(comparison, arm)[1][seed if seed in runs else min(runs)]
    return "" if shown.empty else sharing_sentence(shown, *tasks_of(comparison, arm), threshold)


def training(accuracy: pd.DataFrame, run_ids: list[int], *, key: str) -> None:
    """Accuracy per zone over steps, and the loss, of one series."""
    draw(training_curves, accuracy, frame.theme(), key=f"training-{key}")
    draw(loss_curve, data.read_training_log(run_ids), frame.theme(), window=5, key=f"loss-{key}")


def zone_sentence(zone: str, heads: pd.DataFrame, transfer: float | None) -> str:
    """At which lengths the heads were ablated, and why not in the transfer region."""
    lengths = ", ".join(map(str, heads.attrs["lengths"]))
    if zone == TRANSFER_REGION:
        return f"**Heads in the transfer region**, lengths {lengths}."
    if transfer is None:
        return f"**Heads at the trained lengths** {lengths}."
    return (
        f"**Heads at the trained lengths** {lengths}. In the transfer region this run's exact match is {transfer:.0%}: "
        "no head has much to cost it there."
    )


def sharing_sentence(heads: pd.DataFrame, main: str, auxiliaries: list[str], threshold: float) -> str:
    """What the graph shows, in one sentence that is true of its data."""
    counts = sharing_summary(heads, main, auxiliaries, threshold)
    mattering = f"{counts['main']} of {counts['heads']} heads matter to **{TASKS[main].title}**"
    if not auxiliaries:
        return f"{mattering}."
    names = task_list(auxiliaries, "or")
    if not counts["main"]:
        return f"No single head costs **{TASKS[main].title}** more than {threshold:.0%} here."
    return f"{mattering}; **{counts['shared']} of them** also to {names}."


@st.cache_data(show_spinner=False, max_entries=256)
def over_seeds(maps: list[pd.DataFrame], main: str, auxiliaries: list[str], threshold: float) -> str:
    """The same counts for every map (one a seed), and how alike the maps are against chance."""
    counts = [sharing_summary(heads, main, auxiliaries, threshold) for heads in maps]
    if not auxiliaries:
        return f"Heads that matter, seed by seed: {', '.join(str(c['main']) for c in counts)}."
    shares = ", ".join(f"{c['shared']} of {c['main']}" for c in counts)
    return f"Shared heads, seed by seed: {shares}. {overlap_sentence(maps, main, auxiliaries)}"


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
        options = ["--main", *["--aux"] * len(comparison.config.auxiliaries)]
        specs = (f"{spec.task}:{spec.training_length}" for spec in comparison.config.tasks)
        pair = " ".join(f"{option} {spec}" for option, spec in zip(options, specs, strict=True))
    changes = "".join(f" --set {change}" for change in setting.changes)
    run = f"{pair} --preset {setting.preset}{position}{changes}{flags[arm]} --seed {seed}"
    return f".venv/bin/python -m lgt train {run}"


def repeat_sentence(runs: pd.DataFrame, comparison: Comparison) -> str:
    """How to repeat these runs: with an experiment that makes all of them, else one run's command as an example."""
    seeds = {int(seed) for seed in runs.model_seed}
    experiment = made_by(set(runs.config_hash), seeds)
    if experiment:
        command = f"experiment {experiment.name} --seeds {seeds_text(seeds)}"
        return f"Repeat them with `.venv/bin/python -m lgt {command} --database mine.db`."
    command = train_command(comparison, "co-trained", min(comparison.runs["co-trained"]))
    return f"Repeat one of them with `{command} --database mine.db`."


def method() -> None:
    """The definitions behind the figures, with what is the paper's and what is this project's decision."""
    with st.expander("About the method"):
        st.markdown(METHOD)


METHOD = """
**What is measured**
- *Exact match*: the share of fixed test prompts of one length whose whole answer is right under greedy decoding.
- *Zones* of the main task: *trained* up to its training length Lm, *transfer region* up to the auxiliary's training
  length La, *beyond*. *Transfer accuracy* is the mean over the lengths of the transfer region, *transfer gain* its
  difference to the main task trained alone, seed by seed.
- *A head matters to a task* when replacing its output by its mean over the test prompts, position by position, lowers
  exact match by more than the chosen threshold. One head at a time is ablated: heads that can stand in for each other
  show no drop. That two tasks need the same head is a correlation; it does not show that sharing causes transfer.
- *Chance* for the overlap of heads: the second map with its heads shuffled within each layer.
- *Bands* are named in each chart and span all finished seeds; none is selected. Seeds differ in initialisation and
  share the order of the data, as in the paper. With five seeds a nominal 95% bootstrap interval covers less than 95%.

**Our decisions, where the paper's tables were not available to us**
- A prompt starts with a tag for its task. A quarter of all prompts is held out by a hash, at every length, and never
  trained on. Training draws ragged operands (one of n digits, the other of 1 to n), tests use two of n digits.
- `mqar` strings have distinct letters; a multiplication joins reversed, shifted partial products; a maze lists its
  nodes and their neighbours in random order.
- Baselines are matched: the main task alone gets the same optimizer steps, or the same number of main-task examples.
  The second can leave it less than fully trained; its accuracy at trained lengths stands beside it.
- The generalization gap is a mean over lengths up to La. The threshold for a head is ours, and so is mapping all tasks
  at the lengths of the main task's zones.
- Preset values are ours: Muon for the weight matrices, normed queries and keys in the small presets, weights rounded to
  bfloat16 before they are measured and stored. Steps, learning rates and depths of `demo` and `small` were chosen in
  trials, so that the longer task is learned to its full length, and in `small` so that addition has time to follow it;
  where nothing was tried, `small` has twice the steps of `demo`. The seeds of these trials, among 0 to 4, are also
  among the shown ones. Not every seed learns the longer task all the same: Claims says where it is not learned.
- Lengths, width and training time are smaller than the paper's except in the preset `paper`; Lm : La is 1 : 2 in all
  task groups.

Source: Cai, Lee, Schwarzschild, Oymak, Papailiopoulos, *Extrapolation by Association: Length Generalization Transfer in
Transformers*, arXiv 2506.09251.
"""
