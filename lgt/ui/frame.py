"""What every page shares: heading, share and download buttons, error boundary, empty state, theme."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from lgt.charts.theme import DARK, LIGHT, Theme
from lgt.core.plain_text import for_markdown
from lgt.experiments.verdicts import Sense, sense_of
from lgt.recipes.commands import PROGRAM
from lgt.store.errors import StoreError
from lgt.ui import address, data, downloads, drawing, look, navigation, open_stores, stores

FIRST_COMMAND = f"{PROGRAM} train --group caprev --preset demo"
FIRST_GROUP = {"group": "caprev", "preset": "demo"}
BADGES: dict[Sense, str] = {"holds": "green", "does not hold": "red", "no premise": "orange", "open": "gray"}

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
    """Let ``app.py`` draw this page when the server has not run ``app.py`` yet.

    Until ``st.navigation`` was called once, Streamlit takes every script in the folder ``pages`` for a page of its own
    kind. The first visitor of a fresh server who follows a link to one would see it without navigation and layout.
    """
    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        st.rerun()


@contextmanager
def page(title: str, lead: str, name: str = "", *, evidence: bool = False) -> Iterator[None]:
    """A page with its heading, its lead (if any), its buttons, and an :func:`error_boundary`.

    The buttons are the choice of stores (:mod:`lgt.ui.stores`), Share and Download. ``name`` begins the names of
    downloaded files (default: the title). ``evidence``: the page shows what the shipped results say. An address that
    asks for too much is one message and nothing else.
    """
    leave_pages_folder()
    refused = address.refusal()
    if refused:
        st.error(refused)
        st.stop()
    drawing.begin()
    look.apply(dark=theme().dark, surface=theme().surface, muted=theme().muted, presenting=presenting())
    with st.container(horizontal=True, vertical_alignment="center", key="page-head"):
        st.title(title, anchor=False)
        buttons = st.container(horizontal=True, key="quiet-take", width="content")
    with error_boundary(title), buttons:
        stores.choose(evidence)
    if lead:
        st.markdown(lead)
    with error_boundary(title):
        name_closed_stores()
        yield
        name_unknown_tasks()
        said = stores.sentence(evidence)
        if said:
            st.caption(said)
        with buttons:
            downloads.share(key="share")
            downloads.downloads(page=name or title, background=theme().surface, key="download")


def name_closed_stores() -> None:
    """One line for each store that cannot be opened."""
    found = open_stores.opened()
    if not found.library.members:
        return  # the page says what is wrong
    for problem in found.problems:
        st.warning(f"A store is left out. {for_markdown(problem)}", icon=":material/database_off:")


def name_unknown_tasks() -> None:
    """One line where the store has pairs that no page can show, because the extension of their tasks is not loaded."""
    unknown = data.unknown_tasks()
    if unknown:
        names = for_markdown(", ".join(unknown))
        st.caption(f"Task groups with these tasks are not shown: {names}. The extension that adds them is not loaded. "
                   "Name it in `LGT_EXTENSIONS` and start the dashboard again.")  # fmt: skip


@contextmanager
def error_boundary(title: str) -> Iterator[None]:
    """Turn errors into one message on the page.

    A store that cannot be read is a message that says what to do. Anything unexpected is logged with an id, which the
    viewer sees in place of the traceback. A fragment needs its own boundary.
    """
    try:
        with open_stores.stores_looked_for_once():
            yield
    except StoreError as error:
        st.error(f"The store cannot be read. {for_markdown(error)}", icon=":material/database_off:")
    except Exception as error:
        if type(error).__module__.startswith("streamlit.runtime.scriptrunner"):
            raise  # how Streamlit stops and reruns a script
        error_id = uuid.uuid4().hex[:8]
        logging.getLogger("lgt.ui").exception("page %r failed, error id %s", title, error_id)
        st.error(
            f"This page could not be drawn. The server's log names the cause under error id {error_id}. "
            "`python -m lgt doctor` checks the store."
        )


def badge(outcome: str) -> str:
    """A verdict as a coloured word, for Markdown."""
    return f":{BADGES[sense_of(outcome)]}-badge[{outcome}]"


def empty_store() -> None:
    """What a page shows while the store has no finished comparison: how to get the first one."""
    st.info(
        "No finished runs of a task group yet. Train the first one: it takes about a minute.",
        icon=":material/science:",
    )
    if st.button("Train the first task group", type="primary", icon=":material/play_circle:", key="first-pair"):
        st.switch_page(navigation.link_target("launch"), query_params=FIRST_GROUP)
    st.caption("Or in a terminal:")
    st.code(FIRST_COMMAND, language="bash", wrap_lines=True)
    st.caption("Then run the same command with `--main-only` for its baseline, and reload this page.")
