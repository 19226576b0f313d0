"""The fields in which a prompt is typed or drawn at random. The address names it, so that a link shows the same one."""

from __future__ import annotations

import random

import streamlit as st

from lgt.core import bounds
from lgt.core.checks import ConfigError
from lgt.core.config import RunConfig
from lgt.core.plain_text import for_markdown
from lgt.tasks.base import Task
from lgt.tasks.prompts import Prompt, drawn, longest, of_test_set, texts_of, typed
from lgt.tasks.sampling import test_examples
from lgt.ui import address

OF_PROMPT = ("a", "b", "text", "step", "test")
"""What the address says about one prompt; it is removed when another prompt is drawn."""
FIELDS = {1: ("text",), 2: ("a", "b")}
"""The address names of a task's fields, by how many fields the task has."""
DRAWS = 10_000


def address_names(task: Task) -> tuple[str, ...]:
    """The address names of the task's fields."""
    return FIELDS.get(len(task.fields), ())


def remove_from_address(*names: str) -> None:
    """Remove these names from the address."""
    for name in names:
        address.remember(name, "")


def number_in_address(name: str, low: int, high: int, default: int) -> int:
    """The whole number under ``name`` in the address; ``default`` when there is none from ``low`` to ``high``."""
    text = st.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 and low <= int(text) <= high else default


def choose_length(config: RunConfig, task: Task) -> int:
    """The length at which prompts are drawn; by default the end of the transfer region."""
    low, high = task.minimum_length, longest(task, config.options)
    default = min(config.transfer_length or config.main.training_length, high)
    key = f"length-{task.name}-{default}-{high}"
    st.session_state.setdefault(key, number_in_address("length", low, high, default))
    length = int(st.slider(
        f"Length to draw ({task.unit})", low, high, key=key, on_change=remove_from_address, args=OF_PROMPT
    ))  # fmt: skip
    address.remember("length", "" if length == default else str(length))
    return length


def draw_another() -> None:
    """Draw another random prompt and put it into the address. For a button."""
    remove_from_address(*OF_PROMPT)
    st.query_params["draw"] = str(random.randrange(1, DRAWS))


def field(label: str, name: str, drawn_text: str, key: str) -> str:
    """A text field that begins with the drawn prompt. What somebody types is kept in the address."""
    st.session_state.setdefault(key, st.query_params.get(name, drawn_text)[: bounds.PROMPT_TEXT.most])
    text = st.text_input(
        label, key=key, max_chars=bounds.PROMPT_TEXT.most, on_change=remove_from_address, args=("step",)
    )
    address.remember(name, "" if text == drawn_text else text)
    return str(text)


def show_refusal(error: ConfigError) -> None:
    """Say below a field what is wrong with it."""
    st.error(f"Enter {for_markdown(error.accepted)}.")


def choose_prompt(config: RunConfig, task: Task) -> Prompt | None:
    """The prompt, typed or drawn; ``None`` when what was typed is not a prompt of the task."""
    fields, slider, button = st.columns([6, 4, 2], vertical_alignment="bottom", gap="medium")
    with slider:
        length = choose_length(config, task)
    button.button("Draw one", icon=":material/casino:", key="another", on_click=draw_another, width="stretch")
    remove_from_address(*(name for names in FIELDS.values() for name in names if name not in address_names(task)))
    draw = number_in_address("draw", 0, DRAWS, 0)
    test = test_number(config, task, length)
    if test:
        prompt = of_test_set(task.name, length, test, config.evaluation.seed, config.options)
    else:
        prompt = drawn(task.name, length, draw, config.options)
    place = f"{task.name}-{length}-" + (f"test-{test}" if test else f"{draw}")
    with fields:
        if task.fields:
            return choose_typed(config, task, prompt, place, draw)
        st.markdown(task.drawn_text.format(length=length, unit=task.unit))
        return prompt


def test_number(config: RunConfig, task: Task, length: int) -> int:
    """Which prompt of the run's test set ``?test=`` in the address names, from 1; 0 if it names none."""
    number = number_in_address("test", 1, config.evaluation.examples, 0)
    if number and number > len(test_examples(task, length, number, config.evaluation.seed, config.options)):
        number = 0
    address.remember("test", str(number) if number else "")
    return number


def choose_typed(config: RunConfig, task: Task, prompt: Prompt, place: str, draw: int) -> Prompt | None:
    """What is typed into the task's fields. As long as nobody types, the drawn ``prompt`` stays as it was drawn."""
    known, columns = texts_of(prompt), st.columns(len(task.fields))
    texts = []
    for label, name, text, column in zip(task.fields, address_names(task), known, columns, strict=True):
        with column:
            texts.append(field(label, name, text, f"{name}-{place}"))
    if tuple(texts) == known:
        return prompt
    try:
        return typed(task.name, texts, draw, config.options)
    except ConfigError as error:
        labels = [label.lower() for label in task.fields]
        with columns[labels.index(error.field_name) if error.field_name in labels else -1]:
            show_refusal(error)
        return None


def open_prompt(length: int, seed: int) -> None:
    """Open the prompt that is drawn at this length with this seed. For a button."""
    remove_from_address(*OF_PROMPT)
    st.query_params["length"], st.query_params["draw"] = str(length), str(seed)
    for key in [key for key in st.session_state if str(key).startswith("length-")]:
        del st.session_state[key]
