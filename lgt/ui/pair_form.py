"""A form for the pair that is to be trained: one of the paper's, or any tasks, at lengths of the viewer's choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlencode

import streamlit as st

from lgt.core.checks import ConfigError
from lgt.core.choices import POSITIONS
from lgt.core.config import MAXIMUM_LENGTH, Arm, Position, RunConfig, TaskSpec, check_transfers
from lgt.recipes.commands import command
from lgt.recipes.groups import GROUPS
from lgt.recipes.presets import PRESETS, baseline, custom_config, group_config
from lgt.recipes.settings import changes_from
from lgt.tasks import TASKS, check_run
from lgt.ui import address

USUAL_SIDES: tuple[Arm, ...] = ("co-trained", "alone-same-steps")
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
        main, auxiliaries, role = *own_tasks(), "auxiliary"
    else:
        main, auxiliaries = GROUPS[group].main, list(GROUPS[group].auxiliaries)
        role = "control" if GROUPS[group].control else "auxiliary"
    usual, place = usual_lengths(group, main, preset), f"{group}-{main}-{preset}"
    beside = " and ".join(TASKS[task].title for task in auxiliaries)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        of_main = choose_length(f"{TASKS[main].title}, trained to length", usual[0], "lm", place)
        of_others = choose_length(f"{beside or 'The auxiliaries'}, to length", usual[1], "la", place)
    return [TaskSpec(main, "main", of_main)] + [TaskSpec(task, role, of_others) for task in auxiliaries]  # type: ignore[arg-type]


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
        auxiliaries = address.select_several(
            "Trained beside", rest, default=related[:1], maximum=MOST_OTHERS, key="aux",
            shown=lambda name: TASKS[name].title,
        )  # fmt: skip
    return main, auxiliaries


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


# --- the way back: from a run to the form -----------------------------------------------------------------------


def fork_sentence(config: RunConfig, beside: RunConfig | None) -> str | None:
    """A link to the form with a run's pair, lengths, seed and side, and what it cannot take over; ``None`` without one.

    ``beside``: a co-trained run of its comparison, which a baseline does not tell by itself.
    """
    together = config if config.auxiliaries else beside or group_run(config)
    if together is None:
        return None
    together = replace(together, model_seed=config.model_seed)
    where = address_of(together, config.arm)  # first: there is none for tasks that are not known here
    made = made_by_form(together, config.arm) if where else None
    if made is None:
        return None
    text = f"[Start from these settings on the Launch page]({where})"
    changes = changes_from(made, config)
    if not changes:
        return f"{text}: the same pair, lengths and seed."
    count = f"{len(changes)} changed setting" + "s" * (len(changes) > 1)
    text += f": the same pair, lengths and seed, but not its {count} (`{changes[0]}`{' …' * (len(changes) > 1)})"
    return text + ("; the command above has them." if command(config) else ", which the form does not have.")


def group_run(config: RunConfig) -> RunConfig | None:
    """The co-trained run of a baseline's group as its preset has it; ``None`` for a free pair."""
    if config.group not in GROUPS or config.preset not in PRESETS:
        return None
    return group_config(config.group, config.preset, position=config.model.position)


def address_of(together: RunConfig, arm: Arm) -> str | None:
    """The address of the form with the pair of the co-trained run ``together``, its lengths and seed, and side ``arm``.

    ``None`` for a pair that the form cannot make: an unknown preset or task, or auxiliaries of different lengths.
    """
    main, auxiliaries = together.main, together.auxiliaries
    lengths = {spec.training_length for spec in auxiliaries}
    known = together.preset in PRESETS and all(spec.task in TASKS for spec in together.tasks)
    if not known or len(lengths) != 1 or len(auxiliaries) > MOST_OTHERS:
        return None
    group = form_group(together)
    tasks = {} if group != OWN else {"main": main.task, "aux": ",".join(spec.task for spec in auxiliaries)}
    sides = USUAL_SIDES if arm in USUAL_SIDES else (*USUAL_SIDES, arm)
    choices = {
        "group": group, **tasks, "lm": main.training_length, "la": lengths.pop(), "preset": together.preset,
        "position": POSITIONS.title(together.model.position), "seeds": together.model_seed, "sides": ",".join(sides),
    }  # fmt: skip
    return f"launch?{urlencode(choices, safe=',')}"


def form_group(together: RunConfig) -> str:
    """The paper's group that trains the tasks of ``together``, whatever their lengths, else :data:`OWN`."""
    tasks = [(spec.task, spec.role) for spec in together.tasks]
    for key, group in GROUPS.items():
        role = "control" if group.control else "auxiliary"
        if tasks == [(group.main, "main"), *((task, role) for task in group.auxiliaries)]:
            return key
    return OWN


def made_by_form(together: RunConfig, arm: Arm) -> RunConfig | None:
    """The run that the form makes at :func:`address_of`; ``None`` where it makes none."""
    specs = list(together.tasks)
    try:
        found = config_of(
            form_group(together), specs, together.preset, together.model.position, together.model_seed
        )  # fmt: skip
        return baseline(found, arm)
    except ConfigError:
        return None
