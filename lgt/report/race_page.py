"""The race as one HTML file that needs nothing else: it opens by a double click, without a network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lgt.core.plain_text import for_html
from lgt.report.scripts import script, style

SCRIPT = script("race")
"""A module of JavaScript that draws the race; its default export is a component of Streamlit."""
STYLE = style("race")
SKELETON = '<div class="race" role="group" aria-label="The race"></div>'
"""The element that the script draws into."""
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'"
"""The page's own content policy: it loads nothing, even if a text in it were not escaped."""
OWN_STYLE = """
html { font: clamp(15px, 1.35vw, 26px)/1.4 "Source Sans 3", "Segoe UI", Helvetica, Arial, sans-serif; }
body { margin: 0; padding: 0.8rem 1.6rem; background: #ffffff; color: #1d2733; color-scheme: light; }
h1 { font-size: 1.4rem; line-height: 1.2; margin: 0 0 0.2rem; }
footer { font-size: 0.8rem; margin-top: 0.6rem; overflow-wrap: anywhere; }
@media (prefers-color-scheme: dark) { body { background: #0e1117; color: #edf1f5; color-scheme: dark; } }
"""


def race_data(pictures: Mapping[str, Any], shown: str = "", **options: Any) -> dict[str, Any]:
    """What the script takes: ``pictures`` (:func:`lgt.charts.race.race_picture`) by the name of their view, with the
    one that is ``shown`` first, and the options ``theme``, ``live`` and ``brief`` (see ``race.js``)."""
    names = list(pictures)
    views = [{"name": name, "picture": picture} for name, picture in pictures.items()]
    return {"views": views, "view": names.index(shown) if shown in names else 0, "theme": "", **options}


def race_page(title: str, data: Mapping[str, Any], sources: Sequence[str]) -> str:
    """The HTML of the race. ``title``: of the comparison, ``data``: of :func:`race_data`, ``sources``: sentences that
    say which runs it shows."""
    # "<" would end the element where a text contains "</script>"
    written = json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    footer = "".join(f"<p>{for_html(sentence)}</p>" for sentence in sources)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{for_html(title)}</title><style>{OWN_STYLE}{STYLE}</style></head>"
        f"<body><h1>{for_html(title)}</h1>{SKELETON}<footer>{footer}</footer>"
        f'<script type="application/json" id="data">{written}</script>'
        f'<script type="module">{SCRIPT}\n'
        "new Race(document.querySelector('.race'), JSON.parse(document.getElementById('data').textContent));"
        "</script></body></html>\n"
    )
