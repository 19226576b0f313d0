"""A form for the pair that is to be trained: one of the paper's, or any tasks, at lengths of the viewer's choice."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from lgt.config import MAXIMUM_LENGTH, Position, RunConfig, TaskSpec, check_transfers
from lgt.groups import GROUPS
from lgt.presets import PRESETS, custom_config, group_config
from lgt.tasks import TASKS, check_run
from lgt.ui import address

OWN = "own"
"""Stands for a pair of the viewer's own in the address."""
MOST_OTHERS = 3


def choose_group(default: str) -> str:
    """A task group of the paper, or :data:`OWN`."""
    return address.select(
        "Task pair", [*GROUPS, OWN], default=default, key="group",
        shown=lambda key: "A pair of your own" if key == OWN else GROUPS[key].title,
    )  # fmt: skip


def choose_specs(group: str, preset: str) -> list[TaskSpec]:
    """The tasks of ``group`` with their training lengths, those of ``preset`` unless the viewer changes them.

    Fewer than two where the viewer has chosen no task beside the main task.
    """
    if group == OWN:
        main, others, role = *own_tasks(), "auxiliary"
    else:
        main, others = GROUPS[group].main, list(GROUPS[group].auxiliaries)
        role = "control" if GROUPS[group].control else "auxiliary"
    usual, place = usual_lengths(group, main, preset), f"{group}-{main}-{preset}"
    beside = " and ".join(TASKS[task].title for task in others)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        of_main = choose_length(f"{TASKS[main].title}, trained to length", usual[0], "lm", place)
        of_others = choose_length(f"{beside or 'The others'}, to length", usual[1], "la", place)
    return [TaskSpec(main, "main", of_main)] + [TaskSpec(task, role, of_others) for task in others]  # type: ignore[arg-type]


def own_tasks() -> tuple[str, list[str]]:
    """A main task and the tasks beside it."""
    left, right = st.columns(2)
    with left:
        main = address.select(
            "Main task", list(TASKS), default="string_copy", key="main", shown=lambda name: TASKS[name].title
        )
    rest = [name for name in TASKS if name != main]
    related = [name for name in rest if TASKS[name].family == TASKS[main].family]
    with right:
        others = address.select_several(
            "Trained beside", rest, default=related[:1], maximum=MOST_OTHERS, key="aux",
            shown=lambda name: TASKS[name].title,
        )  # fmt: skip
    return main, others


def usual_lengths(group: str, main: str, preset: str) -> tuple[int, int]:
    """(Lm, La) of ``group`` in ``preset``; for a pair of one's own those of the family's first group."""
    lengths = PRESETS[preset].lengths
    if group in lengths:
        return lengths[group]
    alike = (key for key, of in GROUPS.items() if key in lengths and TASKS[of.main].family == TASKS[main].family)
    return lengths[next(alike, next(iter(lengths)))]


def choose_length(label: str, usual: int, key: str, place: str) -> int:
    """A training length, ``?key=length`` in the address; the usual one leaves the address clean."""
    asked = st.query_params.get(key, "")
    start = int(asked) if asked.isdecimal() and len(asked) < 4 and 1 <= int(asked) <= MAXIMUM_LENGTH else usual
    chosen = int(st.number_input(label, 1, MAXIMUM_LENGTH, start, key=f"choice-{key}-{place}"))
    address.remember(key, "" if chosen == usual else str(chosen))
    return chosen


def config_of(group: str, specs: Sequence[TaskSpec], preset: str, position: Position, seed: int) -> RunConfig:
    """The co-trained run of ``specs``: the paper group's own where nothing was changed.

    Raises ConfigError for tasks or lengths that cannot be trained together.
    """
    if group != OWN:
        config = group_config(group, preset, position=position, seed=seed)
        if config.tasks == tuple(specs):
            return config
    config = custom_config(specs, preset, TASKS[specs[0].task].family, position=position, seed=seed)
    check_transfers(config)
    check_run(config)
    return config
