"""Scripts and styles of the pictures that the browser draws itself: plain JavaScript and SVG, nothing to build."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def script(name: str) -> str:
    """The module of JavaScript ``NAME.js`` with the functions of ``svg.js`` before it. Its default export is a
    component of Streamlit."""
    return _text("svg.js") + _text(f"{name}.js")


def style(name: str) -> str:
    """The text of ``NAME.css``."""
    return _text(f"{name}.css")


def _text(file: str) -> str:
    return (FOLDER / file).read_text(encoding="utf-8")
