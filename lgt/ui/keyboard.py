"""Keys that press buttons of the page, and scrolling to the part of the page that the tour explains."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

KEYS = """
const typing = 'input, textarea, select, [contenteditable="true"], [role="slider"], [role="combobox"], ' +
  '[role="listbox"], [role="menu"], [role="radiogroup"], [role="tablist"], [role="grid"], [role="dialog"]';
const pressed_by_space = 'button, a, summary, [role="button"]';

const viewerEvents = ['wheel', 'touchmove', 'pointerdown', 'keydown'];

function coveredHeight(part) {
  // The card that stays at the top of the window covers what scrolls below it: px from there to its lower edge.
  const cover = part.closest('[data-testid="stMain"]').querySelector('.st-key-head');
  const sticky = cover?.parentElement && getComputedStyle(cover.parentElement);
  return sticky?.position === 'sticky' ? parseFloat(sticky.top) + cover.offsetHeight + 12 : 0;
}

function scrollTarget(main, name) {
  const part = name && document.querySelector('.st-key-' + name);
  if (!part) return name ? null : 0;
  const below = part.getBoundingClientRect().top - main.getBoundingClientRect().top;
  const place = below + main.scrollTop - coveredHeight(part);
  return place < 150 ? 0 : place;  // a part right below the card is seen without scrolling
}

function follow(name) {
  // Charts above the part may still be growing, or the part may not be there yet: repeat until nothing moves, or until
  // the viewer scrolls.
  const main = document.querySelector('[data-testid="stMain"]');
  const behavior = matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth';
  let left = 50, before = -1;
  const stop = () => { left = 0; viewerEvents.forEach((name) => removeEventListener(name, stop)); };
  const look = () => {
    if (left-- <= 0 || !main?.isConnected) return stop();
    const place = scrollTarget(main, name);
    const still = main.scrollTop === before;  // otherwise it is already scrolling
    if (place !== null && still && Math.abs(place - before) > 2) main.scrollTo({ top: place, behavior });
    before = main.scrollTop;
    setTimeout(look, 120);
  };
  setTimeout(() => { viewerEvents.forEach((name) => addEventListener(name, stop, { passive: true })); look(); }, 50);
  return stop;
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
  if (data.place && data.place !== parentElement.lgtPlace) {
    parentElement.lgtPlace = data.place;
    parentElement.lgtStop?.();
    parentElement.lgtStop = follow(data.part);
  }
  return () => document.removeEventListener('keydown', press);
}
"""

_keys = st.components.v2.component("lgt.keyboard", js=KEYS)


def listen(keys: Mapping[str, str], *, key: str, part: str = "", place: str = "") -> None:
    """Press the button with key ``keys[k]`` whenever the viewer presses ``k`` (a name of KeyboardEvent.key).

    Keys do nothing while the viewer types, while a control that uses the keys itself has the focus, or together with
    Ctrl and the like. Space presses the button that has the focus, if one has. When ``place`` changes, the page scrolls
    to the container with key ``part``, or to the top of the page without one.
    """
    _keys(key=key, data={"keys": dict(keys), "part": part, "place": place})
