"""The form on Launch: a task group of the paper, or tasks of the viewer's choice, with their training lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlencode

import streamlit as st

from lgt.core import bounds
from lgt.core.checks import ConfigError
from lgt.core.choices import POSITIONS
from lgt.core.config import MAXIMUM_LENGTH, Arm, Position, RunConfig, TaskSpec, check_transfers
from lgt.core.glossary import definition
from lgt.core.plain_text import as_code
from lgt.recipes.commands import co_trained_reference, train_command
from lgt.recipes.groups import GROUPS
from lgt.recipes.labels import task_title
from lgt.recipes.presets import PRESETS, baseline, custom_config, group_config
from lgt.recipes.settings import changes_from
from lgt.tasks import TASKS, check_run
from lgt.ui import address
from lgt.ui.numbers import counted

USUAL_ARMS: tuple[Arm, ...] = ("co-trained", "alone-same-steps")
OWN = "own"
"""Means in the address: tasks of the viewer's choice."""


def choose_position() -> Position:
    """The positional encoding, ``?position=`` in the address."""
    names = POSITIONS.by_title()
    return names[
        address.segments(
            "Positional encoding", list(names), default=next(iter(names)), key="position",
            help=definition("positional encoding"),
        )
    ]  # fmt: skip


def choose_group(default: str) -> str:
    """A task group of the paper, or :data:`OWN`."""
    return address.select(
        "Task group", [*GROUPS, OWN], default=default, key="group",
        shown=lambda key: "Tasks of your own choice" if key == OWN else GROUPS[key].title,
        help=definition("task group"),
    )  # fmt: skip


def choose_specs(group: str, preset: str) -> list[TaskSpec]:
    """The tasks of ``group`` with their training lengths, those of ``preset`` unless the viewer changes them.

    Only the main task when the viewer has chosen no auxiliary task.
    """
    if group == OWN:
        main, auxiliaries, role = *own_tasks(), "auxiliary"
    else:
        main, auxiliaries = GROUPS[group].main, list(GROUPS[group].auxiliaries)
        role = "control" if GROUPS[group].control else "auxiliary"
    usual, scope = usual_lengths(group, main, preset), f"{group}-{main}-{preset}"
    titles = " and ".join(task_title(task) for task in auxiliaries)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        of_main = choose_length(f"{task_title(main)}, trained to length", usual[0], "lm", scope)
        of_auxiliaries = choose_length(f"{titles or 'Auxiliary tasks'}, to length", usual[1], "la", scope)
    return [TaskSpec(main, "main", of_main)] + [TaskSpec(task, role, of_auxiliaries) for task in auxiliaries]  # type: ignore[arg-type]


def own_tasks() -> tuple[str, list[str]]:
    """A main task and its auxiliary tasks, as the viewer chooses them."""
    left, right = st.columns(2)
    with left:
        main = address.select(
            "Main task", list(TASKS), default="string_copy", key="main", shown=task_title, help=definition("main task")
        )
    rest = [name for name in TASKS if name != main]
    related = [name for name in rest if TASKS[name].family == TASKS[main].family]
    with right:
        auxiliaries = address.select_several(
            "Auxiliary tasks", rest, default=related[:1], maximum=bounds.AUXILIARIES.most, key="aux", shown=task_title,
            help=definition("auxiliary task"),
        )  # fmt: skip
    return main, auxiliaries


def usual_lengths(group: str, main: str, preset: str) -> tuple[int, int]:
    """(Lm, La) of ``group`` in ``preset``; for own tasks those of the first group of the main task's family."""
    lengths = PRESETS[preset].lengths
    if group in lengths:
        return lengths[group]
    same_family = (key for key, of in GROUPS.items() if key in lengths and TASKS[of.main].family == TASKS[main].family)
    return lengths[next(same_family, next(iter(lengths)))]


def choose_length(label: str, usual: int, key: str, scope: str) -> int:
    """A training length, ``?key=length`` in the address; the usual length is not written there."""
    asked = st.query_params.get(key, "")
    start = int(asked) if asked.isdecimal() and len(asked) < 4 and 1 <= int(asked) <= MAXIMUM_LENGTH else usual
    chosen = int(st.number_input(label, 1, MAXIMUM_LENGTH, start, key=f"choice-{key}-{scope}"))
    address.remember(key, "" if chosen == usual else str(chosen))
    return chosen


def config_of(group: str, specs: Sequence[TaskSpec], preset: str, position: Position, seed: int) -> RunConfig:
    """The co-trained run of ``specs``; that of the task group when the viewer has changed nothing.

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


def fork_sentence(config: RunConfig, co_trained: RunConfig | None) -> str | None:
    """A link to the form with a run's tasks, lengths, seed and arm, and what the form cannot set; ``None`` without one.

    ``co_trained``: a co-trained run of its comparison, because a baseline does not know its auxiliary tasks.
    """
    together = config if config.auxiliaries else co_trained or co_trained_reference(config)
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
        return f"{text}: the same tasks, lengths and seed."
    count = counted(len(changes), "changed value")
    example = as_code(changes[0]) + " …" * (len(changes) > 1)
    text += f": the same tasks, lengths and seed, but not its {count} ({example})"
    command = train_command(config, co_trained)
    return text + ("; the command above sets them." if command else "; the form cannot set them.")


def address_of(together: RunConfig, arm: Arm) -> str | None:
    """The address of the form with the tasks of the co-trained run ``together``, its lengths and seed, and ``arm``.

    ``None`` for tasks that the form cannot set: an unknown preset or task, or auxiliary tasks of different lengths.
    """
    main, auxiliaries = together.main, together.auxiliaries
    lengths = {spec.training_length for spec in auxiliaries}
    known = together.preset in PRESETS and all(spec.task in TASKS for spec in together.tasks)
    if not known or len(lengths) != 1 or len(auxiliaries) > bounds.AUXILIARIES.most:
        return None
    group = form_group(together)
    tasks = {} if group != OWN else {"main": main.task, "aux": ",".join(spec.task for spec in auxiliaries)}
    arms = USUAL_ARMS if arm in USUAL_ARMS else (*USUAL_ARMS, arm)
    choices = {
        "group": group, **tasks, "lm": main.training_length, "la": lengths.pop(), "preset": together.preset,
        "position": POSITIONS.title(together.model.position), "seeds": together.model_seed, "sides": ",".join(arms),
    }  # fmt: skip
    return f"launch?{urlencode(choices, safe=',')}"


def form_group(together: RunConfig) -> str:
    """The task group that has the tasks of ``together``, at whatever lengths, else :data:`OWN`."""
    tasks = [(spec.task, spec.role) for spec in together.tasks]
    for key, group in GROUPS.items():
        role = "control" if group.control else "auxiliary"
        if tasks == [(group.main, "main"), *((task, role) for task in group.auxiliaries)]:
            return key
    return OWN


def made_by_form(together: RunConfig, arm: Arm) -> RunConfig | None:
    """The run that the form makes at :func:`address_of`; ``None`` when it refuses the tasks."""
    specs = list(together.tasks)
    try:
        found = config_of(
            form_group(together), specs, together.preset, together.model.position, together.model_seed
        )  # fmt: skip
        return baseline(found, arm)
    except ConfigError:
        return None
