"""Charts as vector graphics, drawn without a browser."""

from __future__ import annotations

from typing import Any


def vector(specification: dict[str, Any], width: int) -> str | None:
    """A Vega-Lite ``specification`` as SVG, ``width`` px wide; None where vl-convert-python is not installed."""
    try:
        import vl_convert
    except ModuleNotFoundError:
        return None
    drawn: str = vl_convert.vegalite_to_svg({**specification, "width": width})
    return drawn
