"""Controls whose choice is kept in the page's address under a short name that never changes.

Streamlit's own binding writes the text that the viewer reads (``format_func``), which makes long links that break when
a word changes. The controls here write the option itself. An option that does not exist falls back to the default.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from lgt.core import bounds
from lgt.core.plain_text import for_markdown, visible


def refusal() -> str:
    """Why the address of this page asks for too much; empty if it does not.

    It is asked before a page reads its address: what one visit can ask of the server is bounded here.
    """
    pairs = [(name, value) for name in st.query_params for value in st.query_params.get_all(name)]
    characters = sum(len(name) + len(value) for name, value in pairs)
    values = sum(1 + value.count(",") for _, value in pairs)
    for number, most in ((characters, bounds.ADDRESS), (values, bounds.ADDRESS_VALUES)):
        if number > most.most:
            return f"The address of this page has {number:,} {most.unit}; accepted: {most.accepted}."
    return ""


def select(
    label: str, options: Sequence[str], *, default: str, key: str, shown: Callable[[str], str], scope: str = "",
    help: str | None = None,
) -> str:  # fmt: skip
    """A select box whose choice is ``?key=option`` in the address; the default option is not written there.

    ``scope`` names what options and default belong to, such as a run: in another scope the box starts at the default of
    that scope again.
    """
    asked = st.query_params.get(key, default)
    start = options.index(asked if asked in options else default)
    chosen = st.selectbox(
        label, options, index=start, format_func=_visible(shown), key=f"choice-{key}{scope}", help=help
    )
    remember(key, "" if chosen == default else str(chosen))
    return str(chosen)


def select_several(
    label: str, options: Sequence[str], *, default: Sequence[str], maximum: int, key: str, shown: Callable[[str], str],
    scope: str = "", help: str | None = None,
) -> list[str]:  # fmt: skip
    """A multi-select whose choice is ``?key=a,b`` in the address; more than ``maximum`` are left out there.

    ``scope``: see :func:`select`."""
    named = dict.fromkeys(st.query_params.get(key, "").split(","))
    asked = [name for name in named if name in options][:maximum]
    chosen = st.multiselect(
        label, options, default=asked or list(default), max_selections=maximum, format_func=_visible(shown),
        key=f"choice-{key}{scope}", help=help,
    )  # fmt: skip
    remember(key, "" if chosen == list(default) else ",".join(chosen))
    return chosen


def segments(label: str, options: Sequence[str], *, default: str, key: str, help: str | None = None) -> str:
    """A segmented control bound to ``?key=option``; an unknown or empty value in the address falls back to the
    default."""
    chosen = st.segmented_control(
        label, options, default=default, required=True, key=key, bind="query-params", help=help,
        format_func=for_markdown,
    )  # fmt: skip
    return str(chosen) if chosen in options else default


def _visible(shown: Callable[[str], str]) -> Callable[[str], str]:
    return lambda option: visible(shown(option))


def remember(key: str, value: str) -> None:
    """Put ``value`` under ``key`` in the address, or take the key out when it is empty."""
    if st.query_params.get(key, "") == value:
        return
    if value:
        st.query_params[key] = value
    else:
        del st.query_params[key]
