"""Live measurements of a stored model: what knocking out heads does, and where a head looks.

torch is imported when the first one is asked for. Results are cached by store, run, checkpoint and what was asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from lgt.charts import knocked_out_curve
from lgt.core.config import RunConfig
from lgt.core.records import Head
from lgt.metrics.head_sharing import top_k
from lgt.metrics.knock_outs import KnockOutTest, knock_out_test
from lgt.metrics.zones import zone_lengths
from lgt.recipes.labels import head_name
from lgt.tasks import TASKS, evaluation_lengths, task_named
from lgt.ui import data, frame, models
from lgt.ui.drawing import draw
from lgt.ui.head_similarity import grid

PROMPTS = 128
"""Test prompts of each length, or all there are; as everywhere the first of a fixed test set."""
CHOICES = 60
"""At most so many other choices of heads are tried."""

Heads = tuple[Head, ...]


def weights(run_id: int) -> str:
    """The digest of the last stored weights of a run; empty when it has none."""
    kept = data.read_checkpoints()
    last = kept[kept.run_id == run_id].sort_values("step")
    return str(last.sha256.iloc[-1]) if len(last) else ""


def names(heads: Iterable[Head]) -> str:
    """Heads as readers know them, such as ``L1·H2, L2·H1``; empty for none."""
    return ", ".join(head_name(*head) for head in sorted(heads))


def lengths(config: RunConfig, zone: str) -> list[int]:
    """The evaluated lengths of the main task in a zone."""
    found = evaluation_lengths(task_named(config.main.task), config)
    return {
        str(name): values
        for name, values in zone_lengths(found, config.main.training_length, config.transfer_length).items()
    }.get(zone, [])


def curves(run_id: int, config: RunConfig, heads: Heads) -> pd.DataFrame:
    """Counts of all tasks of the run at every length with all heads and without ``heads``.

    Columns: ``task``, ``role``, ``training_length``, ``transfer_length`` (the main task's zones), ``length``,
    ``heads`` (their names), ``correct``, ``total``.
    """
    cells = tuple(
        (spec.task, length) for spec in config.tasks for length in evaluation_lengths(task_named(spec.task), config)
    )
    found = _counts(data.url(), run_id, weights(run_id), cells, ((), heads))
    specs = {spec.task: spec for spec in config.tasks}
    return found.assign(
        role=[specs[task].role for task in found.task],
        training_length=[specs[task].training_length for task in found.task],
        transfer_length=config.transfer_length,
    )


def main_task_counts(run_id: int, config: RunConfig, at: Iterable[int], choices: tuple[Heads, ...]) -> pd.DataFrame:
    """Counts of the main task at the lengths ``at`` for each of ``choices``."""
    cells = tuple((config.main.task, length) for length in at)
    return _counts(data.url(), run_id, weights(run_id), cells, choices)


@st.cache_data(show_spinner=False, max_entries=512)
def _counts(
    url: str, run_id: int, sha256: str, cells: tuple[tuple[str, int], ...], choices: tuple[Heads, ...]
) -> pd.DataFrame:
    from lgt.evaluation.knock_outs import knock_outs

    config, model = models.load(run_id)
    rows = knock_outs(model, config, cells, choices, PROMPTS)
    return pd.DataFrame(
        {"task": row.task, "length": row.length, "heads": names(row.heads), "correct": row.correct, "total": row.total}
        for row in rows
    )


def show_curves(run_id: int, config: RunConfig, heads: Heads, name: str) -> None:
    """Each task's curve with and without ``heads``, side by side."""
    with st.spinner(f"Answering every test prompt with and without {name} …"):
        counts = curves(run_id, config, heads)
    tasks = [spec.task for spec in config.tasks]
    for task, column in zip(tasks, st.columns(max(2, len(tasks)), gap="medium"), strict=False):
        with column:
            draw(knocked_out_curve, counts, frame.theme(), task=task, without=name, key=f"without-{len(heads)}-{task}",
                 name=f"{TASKS[task].title} without {name}")  # fmt: skip


def run_test(run_id: int, config: RunConfig, at: list[int], heads: Heads, choices: list[Heads]) -> KnockOutTest:
    """The main task's exact match without each choice, a few choices at a time, with progress."""
    asked: list[Heads] = [(), heads, *choices]
    step, parts = 8, []
    bar = st.progress(0.0, text=f"{len(asked)} models, {len(at)} lengths, {PROMPTS} prompts each …")
    for start in range(0, len(asked), step):
        parts.append(main_task_counts(run_id, config, at, tuple(asked[start : start + step])))
        bar.progress(min(1.0, (start + step) / len(asked)))
    bar.empty()
    return knock_out_test(pd.concat(parts), names(heads))


def other_choices(heads: Heads, config: RunConfig) -> tuple[list[Heads], bool]:
    """Other choices of as many heads in the same layers, from a fixed seed, and whether these are all there are."""
    from lgt.evaluation.knock_outs import matched_choices

    found = matched_choices(heads, config.model.heads, CHOICES, np.random.default_rng(0))
    return found, len(found) < CHOICES


@dataclass(frozen=True)
class Patterns:
    """Mean patterns [layers, H, T, T] of the ``used`` of ``drawn`` prompts that share one layout; ``tokens`` [T] of the
    first of them, of which ``prompt`` belong to the prompt."""

    values: np.ndarray
    tokens: list[str]
    prompt: int
    used: int
    drawn: int


def patterns(run_id: int, task: str, length: int) -> Patterns | None:
    """The mean attention patterns of a task at a length; ``None`` when it has no test prompt of this length."""
    return _patterns(data.url(), run_id, weights(run_id), task, length)


@st.cache_data(show_spinner=False, max_entries=64)
def _patterns(url: str, run_id: int, sha256: str, task: str, length: int) -> Patterns | None:
    from lgt.evaluation.attention import aligned, mean_patterns
    from lgt.evaluation.test_sets import test_set
    from lgt.tasks.vocabulary import TOKENS

    config, model = models.load(run_id)
    drawn = test_set(config, task, length, PROMPTS)
    if not len(drawn):
        return None
    batch = aligned(drawn)
    tokens = [TOKENS[number] for number in batch.tokens[0, :-1].tolist()]
    values = mean_patterns(model, batch).numpy()
    return Patterns(values, tokens, int(batch.prompt_length[0]), len(batch), len(drawn))


CAUTION = (
    "One run and one way of switching heads off; whoever tries many numbers of heads meets a small p by chance. That "
    "the main task needs these heads now does not show that sharing them during training made the transfer happen; for "
    "that, training itself would have to be changed."
)


@dataclass(frozen=True)
class First:
    """The ``heads`` whose ablation raises the loss of ``task`` most; ``needed`` are those of them that cost it more
    exact match than ``threshold``, a share, and ``others`` tells whether any head beside them does."""

    task: str
    heads: Heads
    needed: Heads
    others: bool
    threshold: float

    @property
    def title(self) -> str:
        """The task's title."""
        return TASKS[self.task].title


def first_heads(maps: pd.DataFrame, task: str, count: int, threshold: float) -> First:
    """The first ``count`` heads of ``task`` by the rise of its loss. ``maps``: see :func:`lgt.metrics.maps.mean_map`."""
    heads = tuple(sorted(top_k(grid(maps, task, "loss_rise"), count)))
    drops = grid(maps, task, "accuracy_drop")
    needed = tuple(head for head in heads if drops[head] > threshold)
    return First(task, heads, needed, bool((drops > threshold).sum() > len(needed)), threshold)


def first_sentence(first: First, at: Iterable[int]) -> str:
    """Which heads are tested, and whether their task needs them, at the lengths ``at``."""
    where, named = f"at lengths {', '.join(map(str, at))}", names(first.heads)
    ranked = f"Ranked by the rise of its loss, {named} come{'s' * (len(first.heads) == 1)} first."
    if first.needed == first.heads:
        which = "one of them" if len(first.heads) > 1 else "it"
        return (
            f"{first.title} needs {named} most: ablating {which} raises its loss more than ablating any other head, "
            f"{where}."
        )
    if first.needed:
        costs = "cost" if len(first.needed) > 1 else "costs"
        return f"{ranked} Of these only {names(first.needed)} {costs} {first.title} more than {limit(first)}, {where}."
    rest = "None of these heads" if first.others else "No head"
    return f"{rest} costs {first.title} more than {limit(first)}, {where}. {ranked}"


def limit(first: First) -> str:
    """The threshold in words."""
    return f"{100 * first.threshold:.0f} points of exact match"


def sentence(found: KnockOutTest, main: str, first: First, at: list[int], every: bool) -> str:
    """The test's result in words that claim no more than it shows. ``every``: the others are all there are."""
    title, count, heads = TASKS[main].title, len(found.others), first.heads
    kind = "head" if len(heads) == 1 else f"{len(heads)} heads"
    comes = "comes" if len(heads) == 1 else "come"
    which = (
        f"that {first.title} needs most"
        if first.needed == heads
        else f"that {comes} first for {first.title} by its loss"
    )
    change = "falls" if found.chosen < found.intact else "goes"
    text = (
        f"Without {names(heads)}, the {kind} {which}, **{title}** {change} from "
        f"{found.intact:.0%} to **{found.chosen:.0%}** exact match at lengths {at[0]}–{at[-1]}. "
    )
    if not count:
        return text + "There is no other choice of as many heads in the same layers to compare with."
    drawn = f"the {count} other choices there are" if every else f"{count} other choices, drawn at random,"
    text += f"Of {drawn} of as many heads in the same layers, **{found.as_bad}** hurt at least as much "
    text += f"(p = {found.p:.2g}). "
    return text + meaning(found, first)


def meaning(found: KnockOutTest, first: First) -> str:
    """What the comparison with other choices says of one run."""
    if found.p > 0.05 and found.as_bad:
        return "In this run other heads are needed as much, so the test does not set these apart."
    if found.p > 0.05:
        return "No other choice hurts as much, but so few cannot give a smaller p: one run cannot decide."
    if not first.needed:
        return (
            "In this run the main task depends on these heads more than on most other choices, but "
            f"{first.title} hardly needs them: that is no sign of sharing."
        )
    return "In this run the main task depends on the other task's heads more than on most other choices."
