"""What every page shares: the error boundary, the empty state, the theme, the provenance line."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from lgt.charts.palette import DARK, LIGHT, Theme
from lgt.recipes.labels import id_ranges
from lgt.store.errors import StoreError
from lgt.ui import data, drawing, look
from lgt.ui import downloads as handout

FIRST_COMMAND = ".venv/bin/python -m lgt train --group caprev --preset demo"
FIRST_PAIR = {"group": "caprev", "preset": "demo"}
BADGES = {"reproduced": "green", "not reproduced": "red", "premise not met": "orange"}

PRESENTER_TEXT = 17
"""Text size of charts in presenter mode, px."""


def presenting() -> bool:
    """Whether this view is for a projector: ``?present=1``."""
    return st.query_params.get("present") == "1"


def theme() -> Theme:
    """Chart colours for the theme that the viewer's browser shows, with large text in presenter mode."""
    shown = DARK if st.context.theme.type == "dark" else LIGHT
    return replace(shown, size=PRESENTER_TEXT) if presenting() else shown


def leave_pages_folder() -> None:
    """Let ``app.py`` draw this page when Streamlit has not run it yet.

    Until ``st.navigation`` was called once, a server takes every script of a folder ``pages`` for a page of its own
    kind: the first visitor of a fresh server who follows a link to one would see it without navigation and layout.
    """
    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        st.rerun()


@contextmanager
def page(title: str, lead: str, name: str = "") -> Iterator[None]:
    """Heading and lead (if any) of a page, whose errors are :func:`error_boundary`, with what a viewer can take along.

    ``name`` begins the names of downloaded files (default: the title).
    """
    leave_pages_folder()
    drawing.begin()
    look.apply(dark=theme().dark, surface=theme().surface, muted=theme().muted, presenting=presenting())
    with st.container(horizontal=True, vertical_alignment="center", key="page-head"):
        st.title(title, anchor=False)
        take = st.container(horizontal=True, key="quiet-take", width="content")
    if lead:
        st.markdown(lead)
    with error_boundary(title):
        yield
        name_unknown_tasks()
        with take:
            handout.share(key="share")
            stem = f"lgt-{(name or title).lower().replace(' ', '-')}"
            handout.downloads(stem=stem, background=theme().surface, key="download")


def name_unknown_tasks() -> None:
    """One line where the store has pairs that no page can show, because the extension of their tasks is not loaded."""
    unknown = data.unknown_tasks()
    if unknown:
        st.caption(f"Pairs with these tasks are left out: {', '.join(unknown)}. The extension that adds them is not "
                   "loaded; name it in `LGT_EXTENSIONS` and start the dashboard again.")  # fmt: skip


@contextmanager
def error_boundary(title: str) -> Iterator[None]:
    """A store that cannot be read becomes one message with what to do.

    Anything unexpected is logged with an id that the viewer sees instead of a traceback. A fragment needs a boundary of
    its own.
    """
    try:
        yield
    except StoreError as error:
        st.error(f"The store cannot be read. {error}", icon=":material/database_off:")
    except Exception as error:
        if type(error).__module__.startswith("streamlit.runtime.scriptrunner"):
            raise  # how Streamlit stops and reruns a script
        error_id = uuid.uuid4().hex[:8]
        logging.getLogger("lgt.ui").exception("page %r failed, error id %s", title, error_id)
        st.error(
            f"This page could not be drawn. The log names the cause under error id {error_id}; "
            "`python -m lgt doctor` says whether the store is whole."
        )


def plain(text: object) -> str:
    """``text`` for a place that reads Markdown: names and notes from a store stay letters, whatever is in them."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~$:])", r"\\\1", " ".join(str(text).split()))


def badge(outcome: str) -> str:
    """A verdict as a coloured word, for Markdown."""
    return f":{BADGES.get(outcome, 'gray')}-badge[{outcome}]"


def empty_store() -> None:
    """What a page shows while the store has no finished comparison: the way to its first one."""
    st.info(
        "No finished runs of a task pair yet. Train the first one, it takes about a minute.",
        icon=":material/science:",
    )
    if st.button("Train the first pair", type="primary", icon=":material/play_circle:", key="first-pair"):
        st.switch_page("pages/launch.py", query_params=FIRST_PAIR)
    st.caption("Or in a terminal:")
    st.code(FIRST_COMMAND, language="bash", wrap_lines=True)
    st.caption("Then the same with `--main-only` for the comparison, and reload this page.")


def provenance(runs: pd.DataFrame, repeat: str) -> None:
    """A closing line: which runs, when, on what, from which code, and ``repeat``, how to make them again."""
    ids = id_ranges(runs.id)
    newest = datetime.fromtimestamp(float(runs.finished_at.max()), UTC).strftime("%d %B %Y")
    devices = "; ".join(sorted(set(runs.device.dropna())))
    versions = ", ".join(sorted(set(runs.code_version)))
    st.caption(f"Runs {ids}, the newest finished {newest}, on {devices}; code {versions}. {repeat}")
