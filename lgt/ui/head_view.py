"""What the page Heads shows: one run, a zone of lengths, a threshold and a head. All of it lives in the address."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from lgt.core.config import Arm, RunConfig
from lgt.core.glossary import definition
from lgt.core.records import Head
from lgt.metrics.by_seed import transfer_by_seed
from lgt.metrics.maps import mapped_zone, mean_map
from lgt.metrics.zones import ZONE_TITLES, Zone
from lgt.recipes.labels import ARM_TITLES, head_name
from lgt.store.comparisons import Comparison
from lgt.ui import address, data, panels
from lgt.ui.drawing import view_shows
from lgt.ui.run_table import ARM_ADDRESSES

ZONES: dict[str, Zone] = {title: zone for zone, title in ZONE_TITLES.items()}
AUTOMATIC = "automatic"
HEAD = "head"
"""The name of the choice in the address and in the session."""


@dataclass(frozen=True)
class View:
    """One run's ablation maps in one zone, which was ``asked`` for or chosen automatically.

    ``maps``: see :func:`lgt.metrics.maps.mean_map`. ``transfer``: the transfer accuracy of the run.
    """

    comparison: Comparison
    arm: Arm
    seed: int
    config: RunConfig
    zone: Zone
    asked: bool
    maps: pd.DataFrame
    transfer: float | None
    threshold: float

    @property
    def run_id(self) -> int:
        return self.comparison.runs[self.arm][self.seed]

    @property
    def main(self) -> str:
        return self.config.main.task

    @property
    def auxiliaries(self) -> list[str]:
        """The auxiliary tasks of this run; none when the main task was trained alone."""
        return [spec.task for spec in self.config.auxiliaries]

    def without_maps(self) -> list[str]:
        """The tasks of this run that have no map at these lengths."""
        mapped = set(self.maps.task)
        return [task for task in (self.main, *self.auxiliaries) if task not in mapped]

    @property
    def lengths(self) -> list[int]:
        """The lengths that the maps are averaged over."""
        return list(self.maps.attrs["lengths"])


def choose_view() -> View:
    """The run, the zone of lengths and the threshold."""
    task_group, arm_column, run, zone, limit = st.columns([5, 4, 2, 4, 4], vertical_alignment="top", gap="medium")
    with task_group:
        comparison = panels.choose_comparison(data.read_comparisons(), panels.MEASURED_OFTEN)
    with arm_column:
        arm = choose_arm(comparison)
    with run:
        seed = choose_seed(comparison, arm)
    with zone:
        asked = address.select(
            "Prompts of lengths", [AUTOMATIC, *ZONES], default=AUTOMATIC, key="zone",
            shown=lambda name: {AUTOMATIC: "chosen for this run"}.get(name, name), help=definition("zone"),
        )  # fmt: skip
    with limit:
        threshold = panels.choose_threshold()
    return view_of(comparison, arm, seed, asked, threshold)


def choose_arm(comparison: Comparison) -> Arm:
    """The arm, ``?side=`` in the address."""
    names = [name for name, arm in ARM_ADDRESSES.items() if comparison.runs[arm]]
    chosen = address.select(
        "Main task trained", names, default="together", key="side",
        shown=lambda name: ARM_TITLES[ARM_ADDRESSES[name]], help=definition("arm"),
    )  # fmt: skip
    return ARM_ADDRESSES[chosen]


def choose_seed(comparison: Comparison, arm: Arm) -> int:
    """The run of this arm; the one with the median transfer accuracy by default."""
    seeds = [str(seed) for seed in sorted(comparison.runs[arm])]
    transfer = transfer_by_seed(data.read_accuracy(comparison.ids("co-trained")))
    median = str(transfer.middle_seed()) if transfer else ""
    return int(address.select(
        "Seed", seeds, default=median if median in seeds else seeds[0], key="seed", shown=str, help=definition("seed")
    ))  # fmt: skip


def view_of(comparison: Comparison, arm: Arm, seed: int, asked: str, threshold: float) -> View:
    """The maps of one run at the lengths that were asked for, else in the zone of
    :func:`lgt.metrics.maps.mapped_zone`."""
    run_id = comparison.runs[arm][seed]
    view_shows(comparison.setting.key, "run", data.name(run_id))
    config = data.read_run(run_id).config
    summary = transfer_by_seed(data.read_accuracy([run_id]))
    transfer = summary.mean if summary else None
    zone = ZONES.get(asked) or mapped_zone(transfer)
    maps = mean_map(data.read_head_scores([run_id]), config, zone)
    return View(comparison, arm, seed, config, zone, asked in ZONES, maps, transfer, threshold)


# --- the chosen head --------------------------------------------------------------------------------------------


def choose_head(view: View) -> Head | None:
    """The head chosen in the picture, in the box or by the address (``?head=2.3``: layer 2, head 3)."""
    model = view.config.model
    options = ["", *(f"{layer + 1}.{head + 1}" for layer in range(model.layers) for head in range(model.heads))]
    if st.session_state.setdefault(HEAD, st.query_params.get(HEAD, "")) not in options:
        st.session_state[HEAD] = ""
    chosen = st.selectbox(
        "Head", options, key=HEAD, width=260,
        format_func=lambda name: head_name(*head_in_address(name)) if name else "none: click one, or choose it here",
        help=definition("attention head"),
    )  # fmt: skip
    address.remember(HEAD, chosen)
    return head_in_address(chosen) if chosen else None


def head_in_address(name: str) -> Head:
    """``2.3`` as (1, 2)."""
    layer, head = name.split(".")
    return int(layer) - 1, int(head) - 1


def take_head(name: str) -> None:
    """Choose the head with this name, such as ``L2·H3``; none for an empty name."""
    layer, _, head = name.partition("·")
    st.session_state[HEAD] = f"{layer[1:]}.{head[1:]}" if name else ""
