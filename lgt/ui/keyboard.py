"""Keys that press buttons of the page, and scrolling to the part of the page that is being talked about."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

KEYS = """
const typing = 'input, textarea, select, [contenteditable="true"], [role="slider"], [role="combobox"], ' +
  '[role="listbox"], [role="menu"], [role="radiogroup"], [role="tablist"], [role="grid"], [role="dialog"]';
const pressed_by_space = 'button, a, summary, [role="button"]';

const hands = ['wheel', 'touchmove', 'pointerdown', 'keydown'];

function above(part) {
  // What stays at the top of the window and covers what scrolls below it: px from there to its lower edge.
  const cover = part.closest('[data-testid="stMain"]').querySelector('.st-key-head');
  const sticky = cover?.parentElement && getComputedStyle(cover.parentElement);
  return sticky?.position === 'sticky' ? parseFloat(sticky.top) + cover.offsetHeight + 12 : 0;
}

function wanted(main, name) {
  const part = name && document.querySelector('.st-key-' + name);
  if (!part) return name ? null : 0;
  const place = part.getBoundingClientRect().top - main.getBoundingClientRect().top + main.scrollTop - above(part);
  return place < 150 ? 0 : place;  // what begins right below the card is seen without scrolling
}

function follow(name) {
  // Charts above the part may still be growing, or the part not be there yet: look again until nothing moves or the
  // viewer takes over.
  const main = document.querySelector('[data-testid="stMain"]');
  const behavior = matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth';
  let left = 50, before = -1;
  const stop = () => { left = 0; hands.forEach((hand) => removeEventListener(hand, stop)); };
  const look = () => {
    if (left-- <= 0 || !main?.isConnected) return stop();
    const place = wanted(main, name);
    const still = main.scrollTop === before;  // else it is on its way, and would begin anew
    if (place !== null && still && Math.abs(place - before) > 2) main.scrollTo({ top: place, behavior });
    before = main.scrollTop;
    setTimeout(look, 120);
  };
  setTimeout(() => { hands.forEach((hand) => addEventListener(hand, stop, { passive: true })); look(); }, 50);
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

    Not while something is typed or a control that uses the keys itself has the focus, nor together with Ctrl and the
    like; Space presses whatever button has the focus first. When ``place`` changes to another name, the page scrolls to
    the container with key ``part``, below what stays at its top, or without one to its top.
    """
    _keys(key=key, data={"keys": dict(keys), "part": part, "place": place})
