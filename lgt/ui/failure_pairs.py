"""Which runs have pictures of failure (:mod:`lgt.ui.failures`), which two belong together, and links to them."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlencode

import streamlit as st

from lgt.core.plain_text import for_markdown
from lgt.metrics.by_seed import transfer_by_seed
from lgt.store.comparisons import BASELINES
from lgt.store.queries import RunRecord
from lgt.ui import data

ANCHOR = "where-it-goes-wrong"
"""Where on the page of a run the pictures are."""


class Pair(NamedTuple):
    """A run with main task alone and the co-trained run with the same seed; ``None``: there is none with weights."""

    alone: int | None
    together: int | None

    @property
    def runs(self) -> list[int]:
        """Those that are there, the run alone first."""
        return [run_id for run_id in self if run_id is not None]


def pairs() -> list[Pair]:
    """Every co-trained run beside its baseline of the same seed, where both have stored weights."""
    kept, found = data.runs_with_weights(), []
    for comparison in data.read_comparisons().values():
        for seed, together in sorted(comparison.runs["co-trained"].items()):
            alone = [comparison.runs[arm].get(seed) for arm in BASELINES]
            there = [run_id for run_id in alone if run_id in kept]
            if together in kept and there:
                found.append(Pair(there[0], together))
    return found


def pair_of(record: RunRecord) -> Pair:
    """A run beside the other run of its pair, or by itself."""
    for pair in pairs():
        if record.id in pair:
            return pair
    return Pair(None, record.id) if record.config.arm == "co-trained" else Pair(record.id, None)


def default_pair() -> Pair | None:
    """Of the pairs whose runs both have weights, the one with the largest transfer gain; ``None`` without a pair."""
    return _default_pair(data.counted_key())


@st.cache_resource(show_spinner=False, max_entries=16)
def _default_pair(key: str) -> Pair | None:
    found = {pair: gain for pair in pairs() if (gain := transfer_gain_of(pair)) is not None}
    return max(found, key=lambda pair: found[pair], default=None)


def transfer_gain_of(pair: Pair) -> float | None:
    """The transfer accuracy of the co-trained run minus that of the other; ``None`` where one has none."""
    shares = [transfer_by_seed(data.read_accuracy([run_id])) for run_id in pair.runs]
    return None if None in shares else shares[1].mean - shares[0].mean  # type: ignore[union-attr]


def link(run_id: int, task: str = "") -> str:
    """A link to the pictures of a run, for Markdown. ``task``: the task that it opens with."""
    choice = {"run": data.name(run_id)} | ({"task": task} if task else {})
    return f"[See its answers at three lengths, right and wrong](runs?{urlencode(choice)}#{ANCHOR})."


def example_link() -> str:
    """A sentence with a link to the pictures of the default pair; empty without a pair."""
    pair = default_pair()
    if pair is None or pair.together is None or pair.alone is None:
        return ""
    address_of = urlencode({"run": data.name(pair.together)})
    names = f"run {data.name(pair.together)} beside run {data.name(pair.alone)}, the same task alone"
    why = "Of the pairs with stored weights it has the largest transfer gain."
    return f"[Where answers go wrong](runs?{address_of}#{ANCHOR}): the answers of {for_markdown(names)}. {why}"
