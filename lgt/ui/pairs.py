"""Pairs on the Launch page: a co-trained run and the baseline of the same seed that matches it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from lgt.core.checks import ConfigError
from lgt.core.config import Arm, RunConfig
from lgt.experiments.numbers import signed
from lgt.metrics.run_curves import run_curves
from lgt.metrics.transfer import transfer_gain
from lgt.recipes.labels import ARM_TITLES
from lgt.recipes.presets import baseline
from lgt.recipes.settings import setting_of
from lgt.store.errors import StoreError
from lgt.ui import data, panels, race

BASELINES: tuple[Arm, ...] = ("alone-same-steps", "alone-same-examples")
"""The arms that a co-trained run is paired with: the first one that is there."""
MOST_PARTNERS = 20
"""How many co-trained runs of a seed are tried as the partner of a baseline, the newest first."""


class Pair(NamedTuple):
    """The ids of a baseline and of its co-trained run; one of them may be ``None``."""

    alone: int | None
    together: int | None


def pairs_of(ids: Iterable[int], runs: pd.DataFrame, most: int) -> list[Pair]:
    """The first ``most`` pairs that these runs belong to, in the order of ``ids``. No run is in two of them.

    ``runs``: the table of runs, in which the partners are looked for. A partner has the same seed and is matched: its
    config is the baseline of the co-trained run's config. A run without a partner, or whose config this code cannot
    read, is a pair of its own.
    """
    found: list[Pair] = []
    shown: set[int | None] = set()
    for run_id in ids:
        if run_id in shown or len(found) >= most:
            continue
        found.append(_pair(run_id, runs[~runs.id.isin(shown - {None})]))
        shown.update(found[-1])
    return found


def _pair(run_id: int, runs: pd.DataFrame) -> Pair:
    config = _config(run_id)
    if config is None or not len(runs):
        return Pair(None, run_id)
    alike = runs[(runs.model_seed == config.model_seed) & (runs.main_task == config.main.task)]
    alike = alike[alike.state.isin(["running", "done"])].sort_values("id", ascending=False)
    if config.auxiliaries:
        matched = [baseline(config, arm).hash() for arm in BASELINES]
        partners = [run for hash_ in matched for run in alike[alike.config_hash == hash_].id]
        return Pair(int(partners[0]) if partners else None, run_id)
    for partner in alike[alike.auxiliaries.notna()].id.head(MOST_PARTNERS):
        of_partner = _config(int(partner))
        if of_partner is not None and baseline(of_partner, config.arm).hash() == config.hash():
            return Pair(run_id, int(partner))
    return Pair(run_id, None)


def _config(run_id: int) -> RunConfig | None:
    """The config of a run; ``None`` if this code cannot read it."""
    try:
        return data.read_run(run_id).config
    except (StoreError, ConfigError):
        return None


def choose_race(pairs: Sequence[Pair]) -> bool:
    """Whether pairs are shown as a race (``?race=true``); asked only where there is a whole pair."""
    if not any(pair.alone is not None and pair.together is not None for pair in pairs):
        return False
    help_text = "Both runs replayed over what was measured so far. New measurements are added without a reload."
    return bool(st.toggle("Watch as a race", key="race", bind="query-params", help=help_text))


def show_pair(pair: Pair, names: Mapping[int, str], as_race: bool = False) -> None:
    """A pair side by side, alone on the left, and what it shows when both runs have finished: the curves, or the race.

    ``names``: the runs in words, by id, for Markdown.
    """
    if as_race and pair.alone is not None and pair.together is not None:
        race.show_runs(pair.alone, pair.together)
    else:
        show_pair_curves(pair, names)
    said = conclusion(pair)
    if said:
        st.markdown(said)


def show_pair_curves(pair: Pair, names: Mapping[int, str]) -> None:
    """The newest curves of a pair."""
    for run_id, column in zip(pair, st.columns(2, gap="large"), strict=True):
        if run_id is None:
            continue
        with column:
            accuracy = data.read_accuracy([run_id])
            name = f"**run {data.name(run_id)}** · {names.get(run_id, '')}"
            if accuracy.empty:
                st.caption(f"{name}: nothing has been measured yet.")
                continue
            st.caption(f"{name}, after {int(accuracy.step.max()):,} steps")
            panels.curve(accuracy, key=f"live-{run_id}")


def conclusion(pair: Pair) -> str:
    """What a finished pair shows, with a link to all seeds; empty as long as one of its runs is not finished."""
    if pair.alone is None or pair.together is None:
        return ""
    first, second = data.read_run(pair.alone), data.read_run(pair.together)
    curves = run_curves(data.read_accuracy([pair.alone, pair.together]))
    if first.state != "done" or second.state != "done" or len(curves) < 2:
        return ""
    alone, together = curves[pair.alone].transfer, curves[pair.together].transfer
    if alone is None or together is None:
        return ""
    return _sentence(second.config, alone, together, first.config.arm)


def _sentence(config: RunConfig, alone: float, together: float, arm: Arm) -> str:
    gain = signed(transfer_gain(together, alone))
    key = setting_of(config).key
    series = urlencode({"series": f"{key}.{arm},{key}.co-trained"}, safe=",")
    return (
        f"Seed {config.model_seed}, lengths {config.main.training_length + 1} to {config.transfer_length}: "
        f"**{together:.0%} together, {alone:.0%} {ARM_TITLES[arm]}**. The transfer gain is {gain}. "
        f"One seed shows little, because seeds differ widely: [all seeds of these settings](explore?{series})."
    )
