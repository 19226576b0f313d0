"""What pages read: the open stores, and reads that are cached until one of them changes.

A library (:mod:`lgt.store.library`) holds the shipped results, the workspace and the stores that the viewer has opened.
What lists runs reads the stores that count on this page (:func:`counted`); what is asked for by a run's id reads any.
The key of a cached read contains :func:`lgt.store.revisions.revision`, so a page never shows an old number, and drawing
the same page again costs one short query for each store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import pandas as pd
import streamlit as st

from lgt.core.config import Arm
from lgt.experiments.judgements import Judgement
from lgt.experiments.judging import judge, judge_all
from lgt.experiments.registry import experiment_named
from lgt.recipes.groups import GROUPS
from lgt.recipes.presets import PRESETS
from lgt.recipes.settings import Setting, is_imported
from lgt.store import checkpoints, live, queries, remarks, revisions
from lgt.store.comparisons import Comparison, comparisons
from lgt.store.errors import StoreError
from lgt.store.library import Library, with_stores
from lgt.store.locations import WORKSPACE
from lgt.tasks import TASKS
from lgt.ui import open_stores, run_table

T = TypeVar("T")


NO_WEIGHTS = ["run_id", "step", "size", "sha256"]
COUNTED, JUDGED = "stores-counted", "stores-judged"
"""Where the session keeps the names of the stores that count on this page, and those that verdicts stand on."""


def library() -> Library:
    """The stores that this viewer can read. Raises StoreError when there is none and one cannot be opened."""
    found = open_stores.opened()
    if found.problems and not found.library.members:
        raise StoreError(found.problems[0])
    return found.library


def counted() -> Library:
    """The stores that count on this page (:mod:`lgt.ui.stores`)."""
    found, names = library(), st.session_state.get(COUNTED)
    return found if names is None else found.chosen(names)


def judged() -> Library:
    """The stores that verdicts stand on: the shipped one, or those that the viewer has chosen."""
    found, names = library(), st.session_state.get(JUDGED)
    return found if names is None else found.chosen(names)


def exists() -> bool:
    """Whether there is a store that counts. A missing workspace is no error and is not created."""
    return bool(counted().members)


def name(run_id: int) -> str:
    """The name of a run, such as ``12`` or ``workspace.3``."""
    return library().name(run_id)


def run_named(text: str) -> int | None:
    """The id of the run with this name; ``None`` if there is no such run in a store that counts."""
    run_id, runs = library().parse(text), read_runs()
    return run_id if not runs.empty and run_id in set(runs.id) else None


def several() -> bool:
    """Whether runs of several stores count, so that a run's store must be named."""
    return len(counted().members) > 1


@st.cache_resource(show_spinner=False, max_entries=64)
def _comparisons(_source: Library, key: str) -> dict[Setting, Comparison]:
    return dict(sorted(comparisons(_source).items(), key=lambda pair: _order(pair[0])))


def _order(setting: Setting) -> tuple[object, ...]:
    """The place of a setting in a list: the paper's groups first, in the paper's order; settings with changes last."""
    groups, presets = list(GROUPS), list(PRESETS)
    place = groups.index(setting.group) if setting.group in groups else len(groups)
    size = presets.index(setting.preset) if setting.preset in presets else len(presets)
    return bool(setting.changes), place, setting.position != "rope", size, setting


@st.cache_resource(show_spinner=False, max_entries=64)
def _accuracy(_source: Library, key: str, run_ids: tuple[int, ...], step: queries.Steps) -> pd.DataFrame:
    return queries.accuracy(_source, run_ids, step)


@st.cache_resource(show_spinner=False, max_entries=64)
def _head_scores(_source: Library, key: str, run_ids: tuple[int, ...], step: queries.Steps) -> pd.DataFrame:
    return queries.head_scores(_source, run_ids, step)


@st.cache_resource(show_spinner=False, max_entries=64)
def _attention_differences(_source: Library, key: str, run_ids: tuple[int, ...], step: queries.Steps) -> pd.DataFrame:
    return queries.attention_differences(_source, run_ids, step)


@st.cache_resource(show_spinner=False, max_entries=64)
def _interchanges(_source: Library, key: str, run_ids: tuple[int, ...]) -> pd.DataFrame:
    return queries.interchanges(_source, run_ids)


@st.cache_resource(show_spinner=False, max_entries=64)
def _training_log(_source: Library, key: str, run_ids: tuple[int, ...]) -> pd.DataFrame:
    return queries.training_log(_source, run_ids)


@st.cache_resource(show_spinner=False, max_entries=16)
def _runs(_source: Library, key: str) -> pd.DataFrame:
    return with_stores(_source, queries.runs(_source))


@st.cache_resource(show_spinner=False, max_entries=4)
def _final_accuracy(_source: Library, key: str) -> pd.DataFrame:
    return queries.final_accuracy(_source)


@st.cache_resource(show_spinner=False, max_entries=4)
def _checkpoints(_source: Library, key: str) -> pd.DataFrame:
    return checkpoints.list_checkpoints(_source)


@st.cache_resource(show_spinner=False, max_entries=16)
def _shown_runs(_source: Library, key: str, viewer: str) -> pd.DataFrame:
    return remarks.shown(library(), _runs(_source, key))


@st.cache_resource(show_spinner=False, max_entries=16)
def _run_table(_source: Library, key: str, viewer: str) -> pd.DataFrame:
    return run_table.table(_shown_runs(_source, key, viewer), _final_accuracy(_source, key))


@st.cache_resource(show_spinner=False, max_entries=16)
def _hashes(_source: Library, key: str, viewer: str) -> frozenset[str]:
    runs = _shown_runs(_source, key, viewer)
    return frozenset(runs[runs.state.isin(queries.NOT_MISSING)].config_hash)


def key() -> str:
    """A text that names the stores behind run ids; for caches of what is computed from a run."""
    return library().key


def counted_key() -> str:
    """A text that changes with every write to a store; for caches of what is computed from the stores that count."""
    return f"{_keyed(counted())}\n{_viewer()}"


def _viewer() -> str:
    """A text that changes with what the workspace says about runs of other stores, and with the ids of stores. A store
    that does not count is not asked: it may be a server that is down."""
    return f"{library().key}\n{revisions.revision(library().chosen([WORKSPACE]))}"


def _keyed(source: Library) -> str:
    return f"{source.key}\n{revisions.revision(source)}"


def _current(read: Callable[..., T], source: Library, *arguments: object) -> T:
    """What ``read`` gives for the present revision of the stores.

    The kept value itself is not copied, which took most of the time of a page on 10,000 runs. A frame shares its values
    with the kept one until it is changed (pandas copies on write). Nothing else that is read here may be changed.
    """
    found = read(source, _keyed(source), *arguments)
    return cast("T", found.copy(deep=False)) if isinstance(found, pd.DataFrame) else found


def _of_runs(read: Callable[..., T], run_ids: Sequence[int], *arguments: object) -> T:
    return _current(read, library(), tuple(run_ids), *arguments)


def read_comparisons() -> dict[Setting, Comparison]:
    """Every comparison of known tasks (:mod:`lgt.store.comparisons`), in the order of lists; none without a store."""
    found = _current(_comparisons, counted()) if exists() else {}
    return {setting: one for setting, one in found.items() if is_shown(one)}


def is_shown(comparison: Comparison) -> bool:
    """Whether pages can show a comparison: it was imported, or this process knows all of its tasks."""
    return is_imported(comparison.config) or all(spec.task in TASKS for spec in comparison.config.tasks)


def runs_by_store(setting: Setting, arm: Arm) -> dict[str, list[int]]:
    """The runs of one arm of a setting by the title of their store, where several stores count; equal configs of two
    stores both. Without several stores, or without such runs, it is empty."""
    found = {}
    for member in counted().members if several() else ():
        own = _current(_comparisons, counted().chosen([member.name])).get(setting)
        if own and own.runs[arm]:
            found[member.title] = own.ids(arm)
    return found


def unknown_tasks() -> list[str]:
    """Tasks of the store's comparisons that this process does not know, by name: their extension is not loaded."""
    found = _current(_comparisons, counted()) if exists() else {}
    hidden = [one.config for one in found.values() if not is_shown(one)]
    return sorted({spec.task for config in hidden for spec in config.tasks} - set(TASKS))


def read_accuracy(run_ids: list[int], step: queries.Steps = "final") -> pd.DataFrame:
    """Exact-match counts of these runs (see :func:`lgt.store.queries.accuracy`)."""
    return _of_runs(_accuracy, run_ids, step)


def read_head_scores(run_ids: list[int], step: queries.Steps = "final") -> pd.DataFrame:
    """Ablation-map entries of these runs (see :func:`lgt.store.queries.head_scores`)."""
    return _of_runs(_head_scores, run_ids, step)


def read_attention_differences(run_ids: list[int], step: queries.Steps = "final") -> pd.DataFrame:
    """Attention-matrix differences of these runs (see :func:`lgt.store.queries.attention_differences`)."""
    return _of_runs(_attention_differences, run_ids, step)


def read_interchanges(run_ids: list[int]) -> pd.DataFrame:
    """Interchanges of head outputs of these runs (see :func:`lgt.store.queries.interchanges`)."""
    return _of_runs(_interchanges, run_ids)


def read_training_log(run_ids: list[int]) -> pd.DataFrame:
    """Losses of these runs (see :func:`lgt.store.queries.training_log`)."""
    return _of_runs(_training_log, run_ids)


def read_checkpoints() -> pd.DataFrame:
    """Which runs have stored weights (see :func:`lgt.store.checkpoints.list_checkpoints`); none without a store."""
    found = library()
    return _current(_checkpoints, found) if found.members else pd.DataFrame(columns=NO_WEIGHTS)


def last_weights(run_id: int) -> str:
    """The digest of the last stored weights of a run; empty when it has none."""
    kept = read_checkpoints()
    last = kept[kept.run_id == run_id].sort_values("step")
    return str(last.sha256.iloc[-1]) if len(last) else ""


def runs_with_weights() -> set[int]:
    """The ids of the runs that have stored weights."""
    return set(read_checkpoints().run_id)


def read_runs() -> pd.DataFrame:
    """All runs (see :func:`lgt.store.library.with_stores`); an empty frame while there is no store."""
    return _current(_shown_runs, counted(), _viewer()) if exists() else pd.DataFrame()


def read_run_table() -> pd.DataFrame:
    """All runs as rows of a table (see :func:`lgt.ui.run_table.table`). A store must exist."""
    return _current(_run_table, counted(), _viewer())


def known_hashes() -> frozenset[str]:
    """The config hashes of all runs that wait, run or are done."""
    return _current(_hashes, counted(), _viewer()) if exists() else frozenset()


@st.cache_resource(show_spinner=False, max_entries=4)  # a judgement holds functions, which are not copied
def _judgements(_source: Library, key: str) -> list[Judgement]:
    return judge_all(_source)


@st.cache_resource(show_spinner=False, max_entries=16)
def _judgement(_source: Library, key: str, name: str) -> Judgement:
    return judge(_source, experiment_named(name))


def read_judgement(name: str) -> Judgement:
    """The verdict on one figure; ``name`` is that of its experiment. The other figures are not judged."""
    return _current(_judgement, judged(), name)


def read_judgements() -> list[Judgement]:
    """The verdict on every experiment (see :mod:`lgt.experiments.judging`); none while there is no store."""
    return _current(_judgements, judged()) if judged().members else []


def read_live_runs() -> list[live.LiveRun]:
    """The waiting and running runs at this moment (see :func:`lgt.store.live.live_runs`); never cached."""
    return live.live_runs(library())


def read_run(run_id: int) -> queries.RunRecord:
    """One run at this moment (see :func:`lgt.store.queries.run`); never cached."""
    return remarks.shown_of_run(library(), queries.run(library(), run_id))
