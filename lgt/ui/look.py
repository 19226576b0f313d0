"""The CSS of the pages, beyond Streamlit's theme: spacing, headlines, presenter mode, the tour's spotlight."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from lgt.core.plain_text import for_html

BASE = """
[data-testid="stMainBlockContainer"] { padding-top: 4.25rem; padding-bottom: 4rem; max-width: 90rem; }
[data-testid="stMainBlockContainer"] h1 { font-size: clamp(1.5rem, 2.4vw, 2.1rem); line-height: 1.15;
  padding: 0.1rem 0 0.35rem; }
.lgt-arm { display: flex; flex-wrap: wrap; align-items: baseline; column-gap: 0.75rem; line-height: 1.25; }
.lgt-arm h2 { flex: 1 0 100%; font-size: 1.2rem; font-weight: 650; margin: 0; padding: 0; }
.lgt-arm b { font-size: 2.3rem; font-weight: 700; line-height: 1.1; font-variant-numeric: tabular-nums; }
.lgt-arm span { font-size: 1rem; } .lgt-arm small { font-size: 0.85rem; color: var(--lgt-muted); }
.lgt-examples p { font-size: 0.95rem; line-height: 1.4; margin: 0 0 0.15rem; overflow-wrap: anywhere; }
.lgt-examples code { font-size: 1.1em; white-space: pre-wrap; } .lgt-examples small { color: var(--lgt-muted); }
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] :is(p, li, strong, em) {
  color: var(--lgt-muted); opacity: 1; }
[data-testid="stCode"] .token { color: inherit !important; }
"""
ON_ACCENT = """
[data-testid^="stBaseButton-primary"], [data-testid^="stBaseButton-primary"]:is(:hover, :focus, :active),
[data-testid="stLinkButton"] a[kind="primary"], [data-tag] :is(span, button) { color: #1D0B26; }
"""
"""Text on the light accent colour of the dark theme: white text would have a contrast of 2.1, this has 9."""
PRESENTING = """
:root { --lgt-magnify: 1; --lgt-magnify-graphs: 1; }
html { font-size: clamp(17px, 1.6vw, 30px) !important; }
[data-testid="stHeader"], [data-testid="stToolbar"], [data-testid="stSidebar"], [data-testid="stExpander"],
[data-testid="stElementToolbar"], [class*="st-key-quiet"] { display: none !important; }
[data-testid="stMainBlockContainer"] { padding: 0.5rem 2.2rem 2rem 1.6rem; max-width: none; }
[data-testid="stMainBlockContainer"] > [data-testid="stVerticalBlock"] { gap: 0.5rem; }
[data-testid="stMainBlockContainer"] h1 { font-size: 1.8rem; padding: 0; }
.lgt-arm small { flex: 1 0 100%; }
.lgt-arm b { line-height: 1; }
[class*="st-key-chart-"] { --z: var(--lgt-magnify); }
[class*="st-key-chart-graph-"] { --z: var(--lgt-magnify-graphs); }
[class*="st-key-chart-"] [data-testid="stVegaLiteChart"] { width: calc(100% / var(--z)) !important; }
[class*="st-key-chart-"] svg.marks { width: calc(100% * var(--z)); height: auto; }
.st-key-leave { position: fixed; bottom: 0.5rem; right: 0.1rem; width: auto; z-index: 1000; opacity: 0.7; }
.st-key-leave:is(:hover, :focus-within) { opacity: 1; }
.st-key-leave button { writing-mode: vertical-rl; padding: 0.4rem 0; min-height: 0; }
"""
"""Charts are laid out for a small window and magnified, so that no labels overlap. The button that leaves presenter
mode stands in the margin, where it covers no text."""
TOUR = """
[data-testid="stLayoutWrapper"]:has(> .st-key-head) { position: sticky; top: %(top)s; z-index: 90; }
[data-testid="stLayoutWrapper"]:has(> .st-key-head)::before { content: ""; position: absolute; inset: -0.4rem 0 0 0;
  background: linear-gradient(var(--lgt-surface) calc(100%% - 0.5rem), transparent); bottom: -0.5rem; z-index: -1; }
.st-key-head { gap: 0; }
.st-key-tour { background: var(--lgt-surface); border: 1px solid %(line)s; border-left: 0.35rem solid %(accent)s;
  border-radius: 0.5rem; padding: 0.7rem 1rem 0.6rem; box-shadow: 0 0.3rem 1rem rgb(0 0 0 / 12%%); }
.st-key-tour h3 { padding: 0; font-size: 1.15rem; }
.st-key-tour p:not(button p, a p) { line-height: 1.4; }
.st-key-tour-head { row-gap: 0.35rem; }
.st-key-tour-head > :first-child { flex: 1 1 14rem; }
.st-key-tour-head [data-testid="stMarkdownContainer"] { margin-bottom: 0; }
%(smaller)s
%(title)s
[class*="st-key-part-"] [data-testid="stVegaLiteChart"] { transition: opacity 0.25s; }
@media (prefers-reduced-motion: reduce) {
  [class*="st-key-part-"] [data-testid="stVegaLiteChart"] { transition: none; } }
"""


SMALLER = """
[class*="st-key-chart-"] { --z: max(1, 0.92 * var(--lgt-magnify)); }
[class*="st-key-chart-graph-"] { --z: calc(0.95 * var(--lgt-magnify-graphs)); }
.st-key-tour button { min-height: 2rem; padding-block: 0; }
.lgt-examples:has(p + p) { display: flex; flex-wrap: wrap; column-gap: 2.5rem; }
.lgt-examples:has(p + p) small { display: none; }
"""
"""On a projector, card and chart share a window of 1280 x 720. The notes of several examples are left out: the lecturer
explains them."""
DIMMED = """
%(dim)s [data-testid="stVegaLiteChart"] { opacity: 0.22; }
%(dim)s :is(h2, h3, b, p, span, strong, small, label) { color: var(--lgt-muted) !important; font-weight: 400; }
"""


def magnified() -> str:
    """CSS that lets charts grow with the window of a projector: text of about 20 px in 1280 x 720, 30 in 1920 x
    1080."""
    steps = ((width, width * 9 // 16 - 60, width / 1280) for width in range(1280, 3841, 128))
    return "".join(
        f"@media (min-width: {width}px) and (min-height: {height}px) {{ :root {{ --lgt-magnify: {1.2 * grown:.2f}; "
        f"--lgt-magnify-graphs: {grown:.2f}; }} }}\n"
        for width, height, grown in steps
    )


def apply(*, dark: bool, surface: str, muted: str, presenting: bool) -> None:
    """Style this page. ``surface`` is the colour of its background, ``muted`` that of small text.

    Called once, before anything is drawn.
    """
    colours = f":root {{ --lgt-surface: {surface}; --lgt-muted: {muted}; }}{ON_ACCENT if dark else ''}"
    st.html(f"<style>{BASE}{colours}{PRESENTING + magnified() if presenting else ''}</style>")


def tour_style(*, line: str, accent: str, presenting: bool) -> None:
    """Style the tour's card, in a container with key ``head``: it stays at the top while the page scrolls below it."""
    top = "0.4rem" if presenting else "3.9rem"
    title = '[data-testid="stHeading"]:has(h1) { display: none; }' if presenting else ""  # the card has a title
    values = {"line": line, "accent": accent, "top": top, "title": title, "smaller": SMALLER if presenting else ""}
    st.html(f"<style>{TOUR % values}</style>")


def spotlight(parts: Iterable[str], lit: Iterable[str]) -> None:
    """Dim every container ``part-NAME`` of ``parts`` that is not in ``lit``: charts fade, text stays readable."""
    dim = ", ".join(f".st-key-part-{part}" for part in parts if part not in set(lit))
    if dim:
        st.html(f"<style>{DIMMED % {'dim': f':is({dim})'}}</style>")


def headline(title: str, number: str, what: str, spread: str) -> None:
    """The title of an arm over its number: ``number`` large, ``what`` it counts, and its ``spread`` with n."""
    texts = [for_html(text) for text in (title, number, what, spread)]
    st.html('<div class="lgt-arm"><h2>{}</h2><b>{}</b><span>{}</span><small>{}</small></div>'.format(*texts))


def examples(shown: Iterable[tuple[str, str, str, str]]) -> None:
    """Worked examples (title, prompt, answer, note): what the model reads and what it should write."""
    rows = [
        "<p>{}: <code>{}</code> → <code><b>{}</b></code> <small>{}</small></p>".format(*map(for_html, texts))
        for texts in shown
    ]
    if rows:
        st.html(f'<div class="lgt-examples">{"".join(rows)}</div>')
