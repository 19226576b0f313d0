"""The pages of the dashboard: one ordered registry, drawn by ``app.py`` of a checkout and by ``lgt app``.

An extension adds a page with :func:`register` (docs/EXTENDING.md).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import streamlit as st

from lgt.core import extensions
from lgt.core.checks import ConfigError
from lgt.core.plain_text import for_markdown
from lgt.core.terminal import log_plainly

TITLE = "Length Transfer Lab"
ICON = Path(__file__).parent / "icon.png"


@dataclass(frozen=True)
class Page:
    """One page: ``name`` is its address, ``title`` and ``icon`` (such as ``:material/hub:``) stand in the navigation.

    ``render`` draws it: a function, or the name of a module with a function ``render``, which is imported when the page
    is opened for the first time.
    """

    name: str
    title: str
    icon: str
    render: str | Callable[[], None]


PAGES: dict[str, Page] = {
    page.name: page
    for page in (
        Page("overview", "Overview", ":material/lightbulb:", "lgt.ui.pages.overview"),
        Page("explore", "Explore", ":material/stacked_line_chart:", "lgt.ui.pages.explore"),
        Page("heads", "Heads", ":material/hub:", "lgt.ui.pages.heads"),
        Page("matrix", "Matrix", ":material/grid_on:", "lgt.ui.pages.matrix"),
        Page("pretraining", "Pretraining", ":material/school:", "lgt.ui.pages.pretraining"),
        Page("claims", "Claims", ":material/fact_check:", "lgt.ui.pages.claims"),
        Page("launch", "Launch", ":material/play_circle:", "lgt.ui.pages.launch"),
        Page("runs", "Runs", ":material/table_rows:", "lgt.ui.pages.runs"),
        Page("playground", "Playground", ":material/toys:", "lgt.ui.pages.playground"),
    )
}
"""Every page by name, in the order of the navigation. The first one is the start page, whose address is empty."""

_scripts: Path | None = None
"""The folder with a script for each page, where this process shows a checkout."""


def register(page: Page) -> None:
    """Add a page behind all others. Raises ConfigError for a name that is taken or cannot stand in an address."""
    if not re.fullmatch("[a-z][a-z0-9-]*", page.name):
        raise ConfigError("page", page.name, "lower-case letters, digits and hyphens, beginning with a letter")
    if page.name in PAGES:
        raise ConfigError("page", page.name, "a name that no other page has")
    PAGES[page.name] = page


def run(checkout: Path | None = None) -> None:
    """Draw the navigation and the page that the address names.

    ``checkout``: the folder of a checkout, whose ``pages/NAME.py`` is run where it exists; every other page is drawn by
    its ``render``. Extensions are loaded first; one that cannot be loaded is an error message in place of the pages.
    """
    global _scripts
    _scripts = checkout / "pages" if checkout else None
    log_plainly("lgt")
    st.set_page_config(page_title=TITLE, page_icon=str(ICON), layout="wide")
    try:
        extensions.load()
    except ConfigError as error:
        st.error(f"An extension cannot be loaded. {for_markdown(error)}")
        return
    st.navigation([link_target(name) for name in PAGES], position="top").run()


def link_target(name: str) -> st.Page:
    """The page with this name, for ``st.switch_page`` and ``st.page_link``. Raises KeyError for an unknown name."""
    page = PAGES[name]
    script = _scripts / f"{name}.py" if _scripts else None
    source = script if script is not None and script.is_file() else partial(_draw, page)
    return st.Page(source, title=page.title, icon=page.icon, url_path=page.name, default=page.name == next(iter(PAGES)))


def _draw(page: Page) -> None:
    render = importlib.import_module(page.render).render if isinstance(page.render, str) else page.render
    render()
