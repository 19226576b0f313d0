"""Live measurements of a stored model: what knocking out heads does, and where a head looks.

torch is imported for the first measurement. Results are cached by store, run, weights and arguments.
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
from lgt.metrics.knock_outs import KnockOutTest, knock_out_test
from lgt.metrics.zones import Zone, zone_lengths
from lgt.recipes.labels import head_names, task_title
from lgt.tasks import evaluation_lengths, task_named
from lgt.ui import data, frame, models
from lgt.ui.drawing import draw

PROMPTS = 128
"""Test prompts of each length, or all of them where there are fewer; always the first ones of the fixed test set."""
MOST_CHOICES = 60
"""How many other choices of heads are tried at most."""

MEASURED = "lgt-measured"
"""Where the session keeps the counts that it has measured."""

Heads = tuple[Head, ...]


def lengths_in(config: RunConfig, zone: Zone) -> list[int]:
    """The evaluated lengths of the main task in a zone."""
    found = evaluation_lengths(task_named(config.main.task), config)
    return zone_lengths(found, config.main.training_length, config.transfer_length).get(zone, [])


def curves(run_id: int, config: RunConfig, heads: Heads) -> pd.DataFrame:
    """Counts of all tasks of the run at every length with all heads and without ``heads``.

    Columns: ``task``, ``role``, ``training_length``, ``transfer_length`` (the main task's zones), ``length``,
    ``heads`` (their names), ``correct``, ``total``.
    """
    cells = tuple(
        (spec.task, length) for spec in config.tasks for length in evaluation_lengths(task_named(spec.task), config)
    )
    found = _counts(data.key(), run_id, data.last_weights(run_id), cells, ((), heads))
    specs = {spec.task: spec for spec in config.tasks}
    return found.assign(
        role=[specs[task].role for task in found.task],
        training_length=[specs[task].training_length for task in found.task],
        transfer_length=config.transfer_length,
    )


def main_task_counts(run_id: int, config: RunConfig, at: Iterable[int], choices: tuple[Heads, ...]) -> pd.DataFrame:
    """Counts of the main task at the lengths ``at`` for each of ``choices``."""
    cells = tuple((config.main.task, length) for length in at)
    return _counts(data.key(), run_id, data.last_weights(run_id), cells, choices)


@st.cache_data(show_spinner=False, max_entries=512)
def _counts(
    key: str, run_id: int, sha256: str, cells: tuple[tuple[str, int], ...], choices: tuple[Heads, ...]
) -> pd.DataFrame:
    from lgt.evaluation.knock_outs import knock_outs

    config, model = models.load(run_id)
    rows = knock_outs(model, config, cells, choices, PROMPTS)
    return pd.DataFrame(
        {
            "task": row.task,
            "length": row.length,
            "heads": head_names(row.heads),
            "correct": row.correct,
            "total": row.total,
        }
        for row in rows
    )


def show_curves(run_id: int, config: RunConfig, heads: Heads, name: str) -> None:
    """Each task's curve with and without ``heads``, side by side."""
    with st.spinner(f"Answering every test prompt with and without {name} …"):
        counts = curves(run_id, config, heads)
    remember(run_id, counts)
    tasks = [spec.task for spec in config.tasks]
    for task, column in zip(tasks, st.columns(max(2, len(tasks)), gap="medium"), strict=False):
        with column:
            draw(knocked_out_curve, counts, frame.theme(), task=task, without=name, key=f"without-{len(heads)}-{task}",
                 name=f"{task_title(task)} without {name}", table=counts[counts.task == task],
                 about={"run_id": run_id})  # fmt: skip


def remember(run_id: int, counts: pd.DataFrame) -> None:
    """Keep these counts for :func:`measured_before`, with those of the same weights only."""
    weights = (data.key(), run_id, data.last_weights(run_id))
    kept = st.session_state.get(MEASURED, (weights, {}))
    found = kept[1] if kept[0] == weights else {}
    st.session_state[MEASURED] = (weights, found | {tuple(counts["heads"].unique()): counts})


def measured_before(run_id: int) -> pd.DataFrame | None:
    """The counts that this session has measured without heads of this run (:func:`curves`); ``None`` if there are none.
    Nothing is measured here."""
    weights, found = st.session_state.get(MEASURED, (None, {}))
    current = weights == (data.key(), run_id, data.last_weights(run_id))
    return pd.concat(found.values(), ignore_index=True) if current else None


def run_test(
    run_id: int, config: RunConfig, at: list[int], heads: Heads, choices: list[Heads]
) -> tuple[KnockOutTest, pd.DataFrame]:
    """The main task's exact match without each choice, and the counts of all of them; a few choices at a time, with
    progress."""
    asked: list[Heads] = [(), heads, *choices]
    step, parts = 8, []
    bar = st.progress(0.0, text=f"{len(asked)} models, {len(at)} lengths, {PROMPTS} prompts each …")
    for start in range(0, len(asked), step):
        parts.append(main_task_counts(run_id, config, at, tuple(asked[start : start + step])))
        bar.progress(min(1.0, (start + step) / len(asked)))
    bar.empty()
    counts = pd.concat(parts, ignore_index=True)
    return knock_out_test(counts, head_names(heads)), counts


def other_choices(heads: Heads, config: RunConfig) -> tuple[list[Heads], bool]:
    """Other choices of as many heads in the same layers, from a fixed seed, and whether these are all there are."""
    from lgt.evaluation.knock_outs import matched_choices

    found = matched_choices(heads, config.model.heads, MOST_CHOICES, np.random.default_rng(0))
    return found, len(found) < MOST_CHOICES


@dataclass(frozen=True)
class Patterns:
    """Mean patterns [layers, H, T, T] of the ``used`` of ``drawn`` prompts that share one layout; ``tokens`` [T] of the
    first of them, of which ``prompt`` belong to the prompt."""

    values: np.ndarray
    tokens: list[str]
    prompt: int
    used: int
    drawn: int

    def of_head(self, head: Head) -> pd.DataFrame:
        """One row for each pair of a token that is read and one that the head can look at there.

        Columns: ``read_position``, ``read_token``, ``seen_position``, ``seen_token`` and ``attention_share``, mean over
        ``examples`` prompts. Positions count from 1.
        """
        read, seen = np.tril_indices(len(self.tokens))
        return pd.DataFrame({
            "read_position": read + 1, "read_token": [self.tokens[place] for place in read],
            "seen_position": seen + 1, "seen_token": [self.tokens[place] for place in seen],
            "attention_share": self.values[head][read, seen], "examples": self.used,
        })  # fmt: skip


def patterns(run_id: int, task: str, length: int) -> Patterns | None:
    """The mean attention patterns of a task at a length; ``None`` when it has no test prompt of this length."""
    return _patterns(data.key(), run_id, data.last_weights(run_id), task, length)


@st.cache_data(show_spinner=False, max_entries=64)
def _patterns(key: str, run_id: int, sha256: str, task: str, length: int) -> Patterns | None:
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
