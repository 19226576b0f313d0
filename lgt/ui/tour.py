"""The guided tour: the step in the address, its card with buttons and keys, and the part of the page it highlights."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from lgt.recipes.groups import GROUPS
from lgt.recipes.settings import Setting
from lgt.ui import address, frame, keyboard, look, navigation
from lgt.ui.overview_sentences import REVEAL, STEPS, Step

PARTS = ("alone", "together", "gain", "heads", "heads-alone", "heads-together")
"""Parts of the page that a step may highlight; each is a container with key ``part-NAME``."""
KEYS = {
    " ": "tour-next", "ArrowRight": "tour-next", "PageDown": "tour-next",
    "ArrowLeft": "tour-back", "PageUp": "tour-back", "Escape": "tour-end",
}  # fmt: skip
"""Page keys are what presenters' remote controls send."""


def current() -> int:
    """The step that ``?tour=`` asks for, from 1; 0 without a tour."""
    asked = st.query_params.get("tour", "")
    return int(asked) if asked in {str(step) for step in range(1, STEPS + 1)} else 0


def go_to(step: int) -> None:
    """Go to a step, or end the tour with 0. For buttons."""
    address.remember("tour", str(step) if step else "")


def start_button(*, key: str = "tour-start") -> None:
    """The button that begins the tour."""
    st.button("Guided tour", icon=":material/tour:", key=key, on_click=go_to, args=(1,))


def result_is_hidden() -> bool:
    """Whether the tour is at a step before the one that shows the result."""
    return 0 < current() < REVEAL


def show_card(steps: Sequence[Step], number: int, setting: Setting) -> None:
    """Draw step ``number``, from 1, with its buttons; highlight its part of the page and listen to the keys."""
    step, theme = steps[number - 1], frame.theme()
    look.tour_style(line=theme.grid, accent=theme.shared, presenting=frame.presenting())
    if not step.closing:
        look.spotlight(PARTS, step.parts)
    with st.container(key="tour", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="tour-head"):
            st.markdown(f"### {step.title}")
            show_buttons(number)  # above the text, so that they stay where they are from step to step
        st.markdown(step.text)
        look.examples(step.examples)
        if step.closing:
            show_links(setting)
    part = f"part-{step.parts[0]}" if step.parts else ""
    keyboard.listen(KEYS, key="tour-keys", part=part, place=str(number))


def show_links(setting: Setting) -> None:
    """Links to pages that show more of this task group."""
    name = setting.key
    series = {"series": ",".join(f"{name}.{arm}" for arm in ("co-trained", "alone-same-steps"))}
    launch = {"group": setting.group, "preset": setting.preset} if setting.group in GROUPS else {}
    with st.container(horizontal=True):
        st.page_link(navigation.link_target("explore"), label="Explore its runs", icon=":material/stacked_line_chart:",
                     query_params=series)  # fmt: skip
        st.page_link(navigation.link_target("launch"), label="Train it yourself", icon=":material/play_circle:",
                     query_params=launch)  # fmt: skip


def show_buttons(number: int) -> None:
    """Back, next, the number of the step, end."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
        st.button("Back", key="tour-back", icon=":material/arrow_back:", disabled=number == 1, on_click=go_to,
                  args=(number - 1,))  # fmt: skip
        st.button("Next", key="tour-next", icon=":material/arrow_forward:", icon_position="right", type="primary",
                  disabled=number == STEPS, on_click=go_to, args=(number + 1,),
                  help="Space or right arrow")  # fmt: skip
        st.caption(f"Step {number} of {STEPS}")
        st.button("End tour", key="tour-end", type="tertiary", on_click=go_to, args=(0,), help="Escape")
