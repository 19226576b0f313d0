"""The buttons Share and Download of every page: its address, its charts and their numbers."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

import pandas as pd
import streamlit as st

from lgt.charts.svg import vector
from lgt.core.plain_text import for_markdown, visible
from lgt.store.archive_readme import readme, titles
from lgt.store.csv_files import as_csv
from lgt.store.library import Source
from lgt.store.readable import readable, runs_table
from lgt.ui import data, drawing
from lgt.ui.chart_tables import chart_table, runs_and_commands
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
function drawn(key) {
  // Pictures that a script of this program draws stand in shadow trees.
  const trees = [document, ...[...document.querySelectorAll('*')].map((one) => one.shadowRoot).filter(Boolean)];
  return trees.map((tree) => tree.querySelector('.st-key-' + CSS.escape(key) + ' svg.marks')).find(Boolean);
}

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
  list.replaceChildren(...data.charts.map(({ key, name, file }) => {
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


def downloads(*, page: str, background: str, key: str) -> None:
    """A button with every chart of the page as SVG, PNG and CSV, and all of them in one zip.

    The browser saves a chart as it shows it, on ``background``. Names of files begin with ``page`` and what it shows.
    Draws nothing on a page without charts.
    """
    charts = drawing.drawn()
    if not charts:
        return
    stem, source = drawing.stem(page), data.library()
    files = file_names(stem, charts)
    with st.popover("Download", icon=":material/download:", key=key):
        names = [{"key": drawing.container_key(name), "name": visible(chart.name), "file": files[name]}
                 for name, chart in charts.items()]  # fmt: skip
        _drawings(key=f"{key}-charts", data={"charts": names, "background": background})
        with st.container(horizontal=True, gap="small"):
            for name, chart in charts.items():
                if not chart.table.empty:
                    label, file = f"{for_markdown(chart.name)} (CSV)", f"{files[name]}.csv"
                    st.download_button(
                        label, partial(numbers, chart, source), file, "text/csv",
                        key=f"{key}-csv-{name}", on_click="ignore", type="tertiary", icon=":material/table:", help=HELP,
                    )  # fmt: skip
        # The file is made later, outside the session: of ``charts``, because other charts may be drawn by then.
        st.download_button(
            "All charts and their numbers (zip)",
            lambda: bundle({files[name]: chart for name, chart in charts.items()}, source, page, datetime.now(UTC)),
            f"{stem}.zip", "application/zip", key=f"{key}-zip", on_click="ignore",
        )  # fmt: skip
        st.caption(
            "For each chart the zip holds its numbers (CSV) and its Vega-Lite specification. It also holds an SVG if "
            "vl-convert-python is installed on the server. README.txt explains each column and says how to make the "
            "runs again."
        )


HELP = "The columns are explained in README.txt of the zip and in docs/DOWNLOADS.md."


def file_names(stem: str, charts: Mapping[str, Drawn]) -> dict[str, str]:
    """By key, the name of a chart's files without their ending, such as ``lgt-overview-caprev-demo-curve-alone``; no
    two are the same."""
    found: dict[str, str] = {}
    for key, chart in charts.items():
        name = drawing.safe_name(stem, chart.name)
        taken = set(found.values())
        numbered = (f"{name}-{number}" for number in range(2, len(charts) + 2))
        found[key] = name if name not in taken else next(one for one in numbered if one not in taken)
    return found


def numbers(chart: Drawn, source: Source) -> bytes:
    """The table of a chart as CSV. Raises StoreError when the store that it comes from cannot be read."""
    return as_csv(chart_table(chart, source))


def readable_csv(rows: pd.DataFrame, source: Source) -> bytes:
    """``rows`` with run ids of ``source`` as CSV (:func:`lgt.store.readable.readable`). Raises StoreError."""
    return as_csv(readable(rows, source))


def runs_csv(rows: pd.DataFrame, source: Source) -> bytes:
    """The runs of a table of the page Runs as CSV (:func:`lgt.store.readable.runs_table`). Raises StoreError."""
    return as_csv(runs_table(source, rows.run_id, rows.set_index("run_id")))


def bundle(charts: Mapping[str, Drawn], source: Source, page: str, made: datetime) -> bytes:
    """A zip with the files of ``charts``, given by the name of their files, a table of their runs and a README.

    A chart has its table as CSV, its Vega-Lite JSON and, if vl-convert is installed, its SVG. ``made``: the date in
    UTC that the README says.
    """
    files: dict[str, str | bytes] = {}
    tables: dict[str, pd.DataFrame] = {}
    for file, chart in charts.items():
        tables[f"{file}.csv"] = chart_table(chart, source)
        if not chart.specification:
            continue  # a script of this program draws it, so only the browser can save it
        files[f"{file}.vl.json"] = json.dumps(chart.specification, indent=1)
        picture = vector(chart.specification, SVG_WIDTH)
        if picture is not None:  # the package is optional; the specification draws the same chart anywhere
            files[f"{file}.svg"] = picture
    tables["runs.csv"], commands = runs_and_commands(charts.values(), source)
    tables = {name: table for name, table in tables.items() if len(table)}
    columns = {name: list(table.columns) for name, table in tables.items()}
    about = f"charts of the page {page} and their numbers."
    text = readme(about, titles(source), made, columns, NOTES, commands)
    return zipped({"README.txt": text} | {name: as_csv(table) for name, table in tables.items()} | files)


NOTES = (
    "A chart has a table (.csv), a specification that any Vega-Lite program draws (.vl.json) and a picture (.svg).",
    "runs.csv has one row for each run that the charts show.",
)


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    """A zip with these files by name."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path, ZIP_TIME), text, zipfile.ZIP_DEFLATED)
    return packed.getvalue()
