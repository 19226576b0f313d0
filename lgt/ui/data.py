"""What pages read: the engine of the store, and reads that are cached until the store changes.

The key of a cached read contains :func:`lgt.store.queries.revision`, so a page never shows an old number, and drawing
the same page again costs one short query.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pandas as pd
import streamlit as st

from lgt.experiments.judgements import Judgement
from lgt.experiments.judging import judge, judge_all
from lgt.experiments.registry import experiment_named
from lgt.recipes.groups import GROUPS
from lgt.recipes.presets import PRESETS
from lgt.recipes.settings import Setting
from lgt.store import checkpoints, live, queries
from lgt.store.comparisons import Comparison, comparisons
from lgt.store.engine import Engine, database_file, database_url, migrate_if_older, open_store
from lgt.tasks import TASKS

T = TypeVar("T")


@st.cache_resource(show_spinner=False)
def _engine(url: str) -> Engine:
    migrate_if_older(url)
    return open_store(url, read_only=True)


def exists() -> bool:
    """Whether there is a store. A missing SQLite file counts as an empty store, is no error, and is not created."""
    url = database_url()
    return not url.startswith("sqlite") or database_file(url).exists()


@st.cache_data(show_spinner=False, max_entries=64)
def _comparisons(url: str, revision: str) -> dict[Setting, Comparison]:
    return dict(sorted(comparisons(_engine(url)).items(), key=lambda pair: _order(pair[0])))


def _order(setting: Setting) -> tuple[object, ...]:
    """The place of a setting in a list: the paper's groups first, in the paper's order; settings with changes last."""
    groups, presets = list(GROUPS), list(PRESETS)
    place = groups.index(setting.group) if setting.group in groups else len(groups)
    size = presets.index(setting.preset) if setting.preset in presets else len(presets)
    return bool(setting.changes), place, setting.position != "rope", size, setting


@st.cache_data(show_spinner=False, max_entries=64)
def _accuracy(url: str, revision: str, run_ids: tuple[int, ...], step: queries.Steps) -> pd.DataFrame:
    return queries.accuracy(_engine(url), run_ids, step)


@st.cache_data(show_spinner=False, max_entries=64)
def _head_scores(url: str, revision: str, run_ids: tuple[int, ...], step: queries.Steps) -> pd.DataFrame:
    return queries.head_scores(_engine(url), run_ids, step)


@st.cache_data(show_spinner=False, max_entries=64)
def _attention_differences(url: str, revision: str, run_ids: tuple[int, ...], step: queries.Steps) -> pd.DataFrame:
    return queries.attention_differences(_engine(url), run_ids, step)


@st.cache_data(show_spinner=False, max_entries=64)
def _training_log(url: str, revision: str, run_ids: tuple[int, ...]) -> pd.DataFrame:
    return queries.training_log(_engine(url), run_ids)


@st.cache_data(show_spinner=False, max_entries=16)
def _runs(url: str, revision: str) -> pd.DataFrame:
    return queries.runs(_engine(url))


@st.cache_data(show_spinner=False, max_entries=4)
def _final_accuracy(url: str, revision: str) -> pd.DataFrame:
    return queries.final_accuracy(_engine(url))


@st.cache_data(show_spinner=False, max_entries=4)
def _checkpoints(url: str, revision: str) -> pd.DataFrame:
    return checkpoints.list_checkpoints(_engine(url))


def url() -> str:
    """Address of the store that pages read."""
    return database_url()


def engine() -> Engine:
    """The engine that pages read through; it cannot write."""
    return _engine(database_url())


def _current(read: Callable[..., T], *arguments: object) -> T:
    url = database_url()
    return read(url, queries.revision(_engine(url)), *arguments)


def read_comparisons() -> dict[Setting, Comparison]:
    """Every comparison of known tasks (:mod:`lgt.store.comparisons`), in the order of lists; none without a store."""
    found = _current(_comparisons) if exists() else {}
    return {setting: one for setting, one in found.items() if all(spec.task in TASKS for spec in one.config.tasks)}


def unknown_tasks() -> list[str]:
    """Tasks of the store's comparisons that this process does not know, by name: their extension is not loaded."""
    found = _current(_comparisons) if exists() else {}
    return sorted({spec.task for one in found.values() for spec in one.config.tasks} - set(TASKS))


def read_accuracy(run_ids: list[int], step: queries.Steps = "final") -> pd.DataFrame:
    """Exact-match counts of these runs (see :func:`lgt.store.queries.accuracy`)."""
    return _current(_accuracy, tuple(run_ids), step)


def read_head_scores(run_ids: list[int], step: queries.Steps = "final") -> pd.DataFrame:
    """Ablation-map entries of these runs (see :func:`lgt.store.queries.head_scores`)."""
    return _current(_head_scores, tuple(run_ids), step)


def read_attention_differences(run_ids: list[int], step: queries.Steps = "final") -> pd.DataFrame:
    """Attention-matrix differences of these runs (see :func:`lgt.store.queries.attention_differences`)."""
    return _current(_attention_differences, tuple(run_ids), step)


def read_training_log(run_ids: list[int]) -> pd.DataFrame:
    """Losses of these runs (see :func:`lgt.store.queries.training_log`)."""
    return _current(_training_log, tuple(run_ids))


def read_checkpoints() -> pd.DataFrame:
    """Which runs have stored weights (see :func:`lgt.store.checkpoints.list_checkpoints`); none without a store."""
    return _current(_checkpoints) if exists() else pd.DataFrame(columns=["run_id", "step", "size", "sha256"])


def last_weights(run_id: int) -> str:
    """The digest of the last stored weights of a run; empty when it has none."""
    kept = read_checkpoints()
    last = kept[kept.run_id == run_id].sort_values("step")
    return str(last.sha256.iloc[-1]) if len(last) else ""


def runs_with_weights() -> set[int]:
    """The ids of the runs that have stored weights."""
    return set(read_checkpoints().run_id)


def read_final_accuracy() -> pd.DataFrame:
    """Every finished run's final accuracy (see :func:`lgt.store.queries.final_accuracy`)."""
    return _current(_final_accuracy)


def read_runs() -> pd.DataFrame:
    """All runs (see :func:`lgt.store.queries.runs`); an empty frame while there is no store."""
    return _current(_runs) if exists() else pd.DataFrame()


@st.cache_resource(show_spinner=False, max_entries=4)  # a judgement holds functions, which are not copied
def _judgements(url: str, revision: str) -> list[Judgement]:
    return judge_all(_engine(url))


@st.cache_resource(show_spinner=False, max_entries=16)
def _judgement(url: str, revision: str, name: str) -> Judgement:
    return judge(_engine(url), experiment_named(name))


def read_judgement(name: str) -> Judgement:
    """The verdict on one figure; ``name`` is that of its experiment. The other figures are not judged."""
    return _current(_judgement, name)


def read_judgements() -> list[Judgement]:
    """The verdict on every experiment (see :mod:`lgt.experiments.judging`); none while there is no store."""
    return _current(_judgements) if exists() else []


def read_live_runs() -> list[live.LiveRun]:
    """The waiting and running runs at this moment (see :func:`lgt.store.live.live_runs`); never cached."""
    return live.live_runs(_engine(database_url())) if exists() else []


def read_run(run_id: int) -> queries.RunRecord:
    """One run at this moment (see :func:`lgt.store.queries.run`); never cached."""
    return queries.run(_engine(database_url()), run_id)
