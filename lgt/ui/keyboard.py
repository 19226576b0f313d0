"""Keys that press buttons of the page, and scrolling to the part of the page that is being talked about."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

KEYS = """
const typing = 'input, textarea, select, [contenteditable="true"], [role="slider"], [role="combobox"], ' +
  '[role="listbox"], [role="menu"], [role="radiogroup"], [role="tablist"], [role="grid"], [role="dialog"]';
const pressed_by_space = 'button, a, summary, [role="button"]';

function reveal(part) {
  const main = document.querySelector('[data-testid="stMain"]');
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth';
  if (!part) return main?.scrollTo({ top: 0, behavior: calm });
  document.querySelector('.st-key-' + part)?.scrollIntoView({ block: 'start', behavior: calm });
}

export default function ({ data, parentElement }) {
  const press = (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const target = event.composedPath()[0];
    if (target?.closest?.(typing)) return;
    if (event.key === ' ' && target?.closest?.(pressed_by_space)) return;
    const name = data.keys[event.key];
    const button = name && document.querySelector('.st-key-' + name + ' button');
    if (!button || button.disabled) return;
    event.preventDefault();
    if (!event.repeat) button.click();
  };
  if (parentElement.lgtPress) document.removeEventListener('keydown', parentElement.lgtPress);
  parentElement.lgtPress = press;
  document.addEventListener('keydown', press);
  if (data.place !== parentElement.lgtPlace) {
    parentElement.lgtPlace = data.place;
    // Charts above the part may still be growing when it appears, hence the second look.
    for (const wait of [50, 700]) setTimeout(() => reveal(data.part), wait);
  }
  return () => document.removeEventListener('keydown', press);
}
"""

_keys = st.components.v2.component("lgt.keyboard", js=KEYS)


def listen(keys: Mapping[str, str], *, key: str, part: str = "", place: str = "") -> None:
    """Press the button with key ``keys[k]`` whenever the viewer presses ``k`` (a name of KeyboardEvent.key).

    Not while something is typed or a control that uses the keys itself has the focus, nor together with Ctrl and the
    like; Space presses whatever button has the focus first. When ``place`` changes, the page scrolls to the container
    with key ``part``, or to its top.
    """
    _keys(key=key, data={"keys": dict(keys), "part": part, "place": place})
