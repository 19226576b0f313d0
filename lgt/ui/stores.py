"""The control of every page that chooses which stores count, and opens further ones.

On a page of evidence (Overview, Claims) the shipped results count alone until the viewer chooses otherwise. On every
other page all open stores count. The choice holds on all pages of a session and is ``?stores=a.b`` in the address.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from lgt.core import bounds
from lgt.core.glossary import definition
from lgt.core.plain_text import for_markdown
from lgt.recipes.limits import read_only
from lgt.store import dropped, locations
from lgt.store.errors import StoreError
from lgt.store.library import Library, Member
from lgt.store.locations import SHIPPED
from lgt.ui import address, data, open_stores

CHOICE = "stores-choice"
"""Where the session keeps the names that the viewer chose, on whatever page; missing while it is every page's own."""
PATH, FILE, REFUSED = "stores-path", "stores-file", "stores-refused"
BADGES = {SHIPPED: "violet"}


def badge(member: Member) -> str:
    """The store of a run as a small coloured word, for Markdown."""
    return f":{BADGES.get(member.name, 'blue')}-badge[{for_markdown(member.title)}]"


def usual(library: Library, evidence: bool) -> list[str]:
    """The stores that count on a page where the viewer has not chosen: the shipped one alone if it shows evidence."""
    names = [member.name for member in library.members]
    return [SHIPPED] if evidence and SHIPPED in names else names


def choose(evidence: bool) -> None:
    """Draw the control and keep its choice for :func:`lgt.ui.data.counted`."""
    found = open_stores.opened()
    names = [member.name for member in found.library.members]
    default = usual(found.library, evidence)
    asked = st.query_params.get("stores", "").split(".")
    wanted = [name for name in names if name in asked] or st.session_state.get(CHOICE, default)
    chosen = [name for name in names if name in wanted] or default
    if len(names) > 1 or not read_only():
        chosen = _draw(found.library, chosen, default, evidence)
    st.session_state[data.COUNTED] = chosen
    of_the_viewer = CHOICE in st.session_state or bool(st.query_params.get("stores"))
    st.session_state[data.JUDGED] = chosen if of_the_viewer else usual(found.library, True)
    address.remember("stores", "" if chosen == default else ".".join(chosen))


def _draw(library: Library, chosen: list[str], default: list[str], evidence: bool) -> list[str]:
    """The button with the choice and the box to open another store; returns what is chosen."""
    with st.popover(_label(library, chosen), icon=":material/database:", key="stores"):
        if len(library.members) > 1:
            chosen = _pills(library, chosen, default, evidence)
        if not read_only():
            _open_another()
    return chosen


def _label(library: Library, chosen: list[str]) -> str:
    """The chosen stores in a word or two, because the title of the page stands beside it."""
    if not chosen or len(chosen) == len(library.members):
        return "Results"
    return chosen[0] + (f" + {len(chosen) - 1}" if len(chosen) > 1 else "")


def _pills(library: Library, chosen: list[str], default: list[str], evidence: bool) -> list[str]:
    titles = {member.name: member.title for member in library.members}
    key = f"{CHOICE}-{evidence}-{len(titles)}"

    def keep() -> None:
        st.session_state[CHOICE] = [name for name in titles if name in st.session_state[key]]
        st.query_params.pop("stores", None)

    if key not in st.session_state:
        st.session_state[key] = chosen
    picked = st.pills(
        "Results that count", list(titles), selection_mode="multi", format_func=titles.__getitem__, key=key,
        on_change=keep, help=definition("store"),
    )  # fmt: skip
    if evidence and SHIPPED in titles:
        st.caption("On this page only the shipped results count until you choose otherwise.")
    return [name for name in titles if name in picked] or default


def _open_another() -> None:
    most = bounds.UPLOAD.most
    st.text_input("Open another store (path on this computer)", key=PATH, on_change=_open_path,
                  max_chars=bounds.PATH.most)  # fmt: skip
    st.file_uploader(
        f"Or drop a store here (SQLite file, up to {most} MB; it is read, never changed)", key=FILE,
        max_upload_size=most, on_change=_open_file,
    )  # fmt: skip
    refused = st.session_state.pop(REFUSED, None)
    if refused:
        st.error(for_markdown(refused))


def _open_path() -> None:
    text = st.session_state[PATH].strip()
    if text:
        _add(Path(text).stem, text)


def _open_file() -> None:
    file = st.session_state[FILE]
    if file is None:
        return
    content = file.getvalue()
    if len(content) > bounds.UPLOAD.most * 1_000_000:
        st.session_state[REFUSED] = f"{file.name} is too large; accepted: {bounds.UPLOAD.accepted}."
        return
    try:
        path = dropped.keep(content)
    except OSError as error:
        st.session_state[REFUSED] = f"{file.name} cannot be kept: {error.strerror or error}."
        return
    _add(Path(file.name).stem, str(path))


def _add(name: str, url: str) -> None:
    """Open one more store for this session, or say why it cannot be opened."""
    if read_only():
        return
    try:
        locations.check_count(len(open_stores.opened().library.members) + 1)
        open_stores.open_to_read(url)
    except StoreError as error:
        st.session_state[REFUSED] = str(error)
        return
    further = list(st.session_state.get(open_stores.FURTHER, ()))
    if url not in [known for _, known in further]:
        st.session_state[open_stores.FURTHER] = [*further, (name, url)]
        st.session_state.pop(CHOICE, None)


def sentence(evidence: bool) -> str:
    """What counts on a page of evidence, where several stores are open; empty elsewhere."""
    library, counted = data.library(), data.counted()
    if len(library.members) < 2 or not evidence:
        return ""
    own = [member.title for member in counted.members if member.name != SHIPPED]
    if not own:
        return "The verdicts and numbers here stand on the shipped results. Other runs do not count."
    titles = ", ".join(member.title for member in counted.members)
    return f"You have added runs that the project does not ship. Counted here: {titles}."
