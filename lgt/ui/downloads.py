"""The buttons Share and Download of every page: its address, its charts and their numbers."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from functools import partial

import pandas as pd
import streamlit as st

from lgt.charts.svg import vector
from lgt.ui import drawing
from lgt.ui.drawing import Drawn

ZIP_TIME = (2025, 1, 1, 0, 0, 0)  # one date for all, so that the same view gives the same file
SVG_WIDTH = 640

COLOURS = """
.row { display: flex; gap: 0.5rem; align-items: center; flex-wrap: wrap; margin: 0.25rem 0; font-size: 0.9rem;
  font-family: var(--st-font); color: var(--st-text-color); }
.row span { flex: 1 1 8rem; }
input { flex: 1 1 14rem; min-width: 0; font: inherit; padding: 0.4rem 0.6rem; color: inherit;
  background: var(--st-secondary-background-color); border: 1px solid var(--st-border-color); border-radius: 0.4rem; }
button { font: inherit; padding: 0.35rem 0.8rem; color: inherit; background: transparent; cursor: pointer;
  border: 1px solid var(--st-border-color); border-radius: 0.4rem; }
button:hover, button:focus-visible { border-color: var(--st-primary-color); color: var(--st-primary-color); }
"""

ADDRESS = """
export default function ({ parentElement }) {
  const input = parentElement.querySelector('input');
  const button = parentElement.querySelector('button');
  const refresh = () => { input.value = location.href; };
  refresh();
  const timer = setInterval(refresh, 500);
  input.onfocus = () => input.select();
  button.onclick = async () => {
    refresh();
    try {
      await navigator.clipboard.writeText(input.value);
    } catch {
      input.select();
      document.execCommand('copy');  // pages that are not served over https have no clipboard
    }
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  };
  return () => clearInterval(timer);
}
"""

DRAWINGS = """
const drawn = (key) => document.querySelector('.st-key-' + CSS.escape(key) + ' svg.marks');

function drawing(svg, background) {
  const copy = svg.cloneNode(true);
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  copy.style.backgroundColor = background;
  const sheet = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
  for (const [name, value] of [['width', '100%'], ['height', '100%'], ['fill', background]]) {
    sheet.setAttribute(name, value);
  }
  copy.insertBefore(sheet, copy.firstChild);
  return new XMLSerializer().serializeToString(copy);
}

function save(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function picture(svg, text, name) {
  const image = new Image();
  image.onload = () => {
    const canvas = document.createElement('canvas');
    canvas.width = 2 * svg.width.baseVal.value;
    canvas.height = 2 * svg.height.baseVal.value;
    canvas.getContext('2d').drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => save(blob, name), 'image/png');
  };
  image.src = 'data:image/svg+xml;charset=utf-8,' + encodeURIComponent(text);
}

export default function ({ data, parentElement }) {
  const list = parentElement.querySelector('.charts');
  list.replaceChildren(...data.charts.map(({ key, name }) => {
    const row = document.createElement('div');
    row.className = 'row';
    const title = document.createElement('span');
    title.textContent = name;
    row.append(title, ...['SVG', 'PNG'].map((kind) => {
      const button = document.createElement('button');
      button.textContent = kind;
      button.setAttribute('aria-label', name + ' as ' + kind);
      button.onclick = () => {
        const svg = drawn(key);
        if (!svg) return;
        const text = drawing(svg, data.background);
        const file = data.stem + '-' + name.toLowerCase().replace(/[^a-z0-9]+/g, '-');
        if (kind === 'SVG') save(new Blob([text], { type: 'image/svg+xml' }), file + '.svg');
        else picture(svg, text, file + '.png');
      };
      return button;
    }));
    return row;
  }));
}
"""

_address = st.components.v2.component(
    "lgt.address", css=COLOURS, js=ADDRESS,
    html='<div class="row"><input readonly aria-label="Address of this view"><button>Copy</button></div>',
)  # fmt: skip
_drawings = st.components.v2.component("lgt.drawings", css=COLOURS, js=DRAWINGS, html='<div class="charts"></div>')


def share(*, key: str) -> None:
    """A button that shows the address of the present view in the browser, with a button to copy it."""
    with st.popover("Share", icon=":material/link:", key=key):
        st.markdown("This address opens the page as you see it now.")
        _address(key=f"{key}-address")


def downloads(*, stem: str, background: str, key: str) -> None:
    """A button with every chart of the page as SVG, PNG and CSV, and all of them in one zip.

    The browser saves a chart as it shows it, on ``background``; ``stem`` begins every file name. Draws nothing on a
    page without charts.
    """
    charts = drawing.drawn()
    if not charts:
        return
    with st.popover("Download", icon=":material/download:", key=key):
        names = [{"key": drawing.container_key(name), "name": chart.name} for name, chart in charts.items()]
        _drawings(key=f"{key}-charts", data={"charts": names, "stem": stem, "background": background})
        with st.container(horizontal=True, gap="small"):
            for name, chart in charts.items():
                if not chart.table.empty:
                    st.download_button(
                        f"{chart.name} (CSV)", partial(numbers, charts, name), f"{stem}-{file_name(chart)}.csv",
                        "text/csv", key=f"{key}-csv-{name}", on_click="ignore", type="tertiary",
                        icon=":material/table:",
                    )  # fmt: skip
        # The file is made later, outside the session: of ``charts``, because other charts may be drawn by then.
        st.download_button(
            "All charts and their numbers (zip)", lambda: bundle(charts.values(), stem), f"{stem}.zip",
            "application/zip", key=f"{key}-zip", on_click="ignore",
        )  # fmt: skip
        st.caption(
            "For each chart the zip holds its numbers (CSV) and its Vega-Lite specification. It also holds an SVG if "
            "vl-convert-python is installed on the server."
        )


def file_name(chart: Drawn) -> str:
    """The chart's part of a file's name, such as ``curve-alone``."""
    return re.sub("[^a-z0-9]+", "-", chart.name.lower()).strip("-")


def numbers(charts: Mapping[str, Drawn], key: str) -> bytes:
    """The table of one of ``charts`` as CSV."""
    return as_csv(charts[key].table)


def as_csv(table: pd.DataFrame) -> bytes:
    """``table`` as CSV. It begins with a byte-order mark, without which spreadsheets misread the signs ä, · and ←."""
    return table.to_csv(index=False).encode("utf-8-sig")


def bundle(charts: Iterable[Drawn], stem: str) -> bytes:
    """A zip with each chart's table as CSV, its Vega-Lite JSON and, if vl-convert is installed, its SVG."""
    files: dict[str, str | bytes] = {}
    for chart in charts:
        file = f"{stem}-{file_name(chart)}"
        if not chart.table.empty:
            files[f"{file}.csv"] = as_csv(chart.table)
        files[f"{file}.vl.json"] = json.dumps(chart.specification, indent=1)
        picture = vector(chart.specification, SVG_WIDTH)
        if picture is not None:  # the package is optional; the specification draws the same chart anywhere
            files[f"{file}.svg"] = picture
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path, ZIP_TIME), text, zipfile.ZIP_DEFLATED)
    return packed.getvalue()
