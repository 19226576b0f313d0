"""Charts on pages. A chart is a pure function of its arguments, so its specification is cached.

Every chart of a page is remembered when it is drawn, so that a viewer can download all of them
(:mod:`lgt.ui.downloads`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from lgt.core.plain_text import in_all_texts

DRAWN = "lgt-drawn"
SUBJECT = "lgt-subject"
LONGEST_NAME = 120
"""Of a file without its ending, in characters."""


@dataclass(frozen=True)
class Drawn:
    """A chart on the page: its ``name``, its Vega-Lite specification and the ``table`` it was made of. The
    specification is empty where there is none, because a script of this program draws the chart.

    ``chart`` is the name of its function in :mod:`lgt.charts`, ``options`` what that was asked for.
    """

    name: str
    specification: dict[str, Any]
    table: pd.DataFrame
    chart: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@st.cache_data(show_spinner=False, max_entries=512)
def _specification(name: str, _chart: Callable[..., Any], arguments: Any, options: Any) -> dict[str, Any]:
    drawn: dict[str, Any] = in_all_texts(_chart(*arguments, **options).to_dict())
    return drawn


def specification(chart: Callable[..., Any], *arguments: Any, **options: Any) -> dict[str, Any]:
    """The Vega-Lite specification of ``chart(*arguments, **options)``, a function of :mod:`lgt.charts`, or a partial.

    It is cached, because building and checking a chart is the slowest part of a page: 20 to 100 ms each.
    """
    if isinstance(chart, partial):
        return specification(chart.func, *chart.args, *arguments, **(chart.keywords | options))
    return _specification(f"{chart.__module__}.{chart.__qualname__}", chart, arguments, options)


def begin() -> None:
    """Forget what the page drew before. Called once, before a page draws anything."""
    st.session_state[DRAWN] = {}
    st.session_state[SUBJECT] = ()


def view_shows(*parts: str) -> None:
    """Say what the page shows, such as a task group with its preset, or a run: names of files begin with it."""
    st.session_state[SUBJECT] = parts


def stem(page: str) -> str:
    """The beginning of the names of this page's files, such as ``lgt-overview-caprev-demo``."""
    return safe_name("lgt", page, *st.session_state.get(SUBJECT, ()))


def safe_name(*parts: str) -> str:
    """The name of a file, without its ending, that every system allows: small letters, digits and hyphens.

    >>> safe_name("lgt", "Curve · alone", "caprev.demo")
    'lgt-curve-alone-caprev-demo'
    """
    return re.sub("[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")[:LONGEST_NAME].strip("-")


def drawn() -> dict[str, Drawn]:
    """The charts of this page so far, by key."""
    found: dict[str, Drawn] = st.session_state.setdefault(DRAWN, {})
    return found


def draw(
    chart: Callable[..., Any], *arguments: Any, key: str, name: str = "", on_select: Callable[[], None] | None = None,
    table: pd.DataFrame | None = None, about: Mapping[str, Any] | None = None, **options: Any,
) -> None:  # fmt: skip
    """Draw the chart of :func:`specification` across its container, and :func:`offer` it.

    ``on_select`` is called when the viewer changes one of the chart's selections; they are in the session's state under
    ``key``.
    """
    made = offer(chart, *arguments, key=key, name=name, table=table, about=about, **options)
    if not has_selections(made):
        on_select = None
    with st.container(key=container_key(key)):
        st.vega_lite_chart(made, key=key, theme=None, width="stretch", on_select=on_select or "ignore")


def offer(
    chart: Callable[..., Any], *arguments: Any, key: str, name: str = "", table: pd.DataFrame | None = None,
    about: Mapping[str, Any] | None = None, **options: Any,
) -> dict[str, Any]:  # fmt: skip
    """Let the viewer download a chart, and return its :func:`specification`.

    ``name``: what it is downloaded as (default: its key in words). ``table``: the numbers that a viewer downloads
    (default: the first table of the arguments), with the values of ``about`` in every row, such as a ``run_id``.
    """
    made = specification(chart, *arguments, **options)
    parts = (*chart.args, *arguments) if isinstance(chart, partial) else arguments
    if table is None:
        table = next((part for part in parts if isinstance(part, pd.DataFrame)), pd.DataFrame())
    function, bound = (chart.func, chart.keywords) if isinstance(chart, partial) else (chart, {})
    drawn()[key] = Drawn(
        name or key.replace("-", " ").capitalize(), made, table.assign(**(about or {})), function.__name__,
        bound | options,
    )  # fmt: skip
    return made


def has_selections(made: Any) -> bool:
    """Whether a specification defines a selection; a chart that only says what is missing has none."""
    if isinstance(made, dict):
        if any("select" in parameter for parameter in made.get("params", [])):
            return True
        return any(has_selections(part) for key, part in made.items() if key not in ("data", "datasets", "encoding"))
    return isinstance(made, list) and any(map(has_selections, made))


def container_key(key: str) -> str:
    """Key of the container around the chart with ``key``. The chart itself has no class that a browser could find."""
    return "chart-" + re.sub(r"[^a-zA-Z0-9_-]", "-", key)
