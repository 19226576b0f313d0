"""The time of a warm page that reads three stores (shipped, 10,000 other runs, 3 own ones), compared with the shipped
one alone.

Measured as in :mod:`benchmarks.pages`. The other runs are copies of the shipped ones with other data seeds, so each
copy is a setting of its own.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from benchmarks import big_store, harness
from benchmarks.harness import ROOT, Disagreement, Section, Settings, say
from benchmarks.pages import LARGE, PAGES, QUICK_LARGE

OWN = 3


@contextmanager
def reading(stores: Mapping[str, str]) -> Iterator[None]:
    """Within the block pages read these stores, named by environment variables, and start no workers."""
    with mock.patch.dict(os.environ, {"LGT_READ_ONLY": "1", "LGT_ALSO": "", **stores}):
        yield


def opened(page: str, stores: Mapping[str, str]) -> Any:
    """The page after its first run. Raises Disagreement when it fails."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(ROOT / "pages" / f"{page}.py"), default_timeout=600)
    app.query_params |= PAGES[page]
    with reading(stores):
        app.run()
    if app.exception or app.error:
        raise Disagreement(f"{page} failed: {[str(found.value) for found in (*app.exception, *app.error)]}")
    return app


def rerun(app: Any, stores: Mapping[str, str]) -> float:
    """Seconds of running the page again."""
    with reading(stores):
        return harness.seconds(app.run)


def row(page: str, one: Mapping[str, str], three: Mapping[str, str], settings: Settings) -> list[str]:
    """A line: milliseconds with three stores and with one, and the ratio."""
    first = harness.seconds(lambda: opened(page, three))
    several, single = opened(page, three), opened(page, one)
    pair = harness.alternate(
        lambda _: rerun(several, three), lambda _: rerun(single, one), lambda: None, settings.repetitions
    )
    low, high = pair.ratio_range
    growth = f"**{1 / pair.ratio:.2f}x** ({1 / high:.2f}–{1 / low:.2f})"
    times = [harness.spread([1000 * value for value in side], "ms") for side in (pair.peer, pair.ours)]
    return [page, *times, growth, f"{first:.1f} s"]


def own_store(path: Path) -> Path:
    """A store of the first OWN shipped runs."""
    shutil.copy(ROOT / "results.db", path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM runs WHERE id NOT IN (SELECT id FROM runs ORDER BY id LIMIT ?)", (OWN,))
        connection.commit()
    return path


def run(settings: Settings) -> Section:
    """A line per page; the stores are made in a temporary folder."""
    with TemporaryDirectory() as folder:
        shipped = shutil.copy(ROOT / "results.db", Path(folder) / "shipped.db")
        wanted = QUICK_LARGE if settings.quick else LARGE
        say(f"  building a store of {wanted:,} runs")
        large = big_store.build(Path(folder) / "large.db", wanted)
        one = {"LGT_SHIPPED": str(shipped), "LGT_DATABASE_URL": str(Path(folder) / "none.db")}
        own = own_store(Path(folder) / "own.db")
        three = one | {"LGT_ALSO": str(large), "LGT_DATABASE_URL": str(own)}
        names = [f"{runs:,}" for runs, _ in map(big_store.sizes, (Path(shipped), large, own))]
        rows = [row(page, one, three, settings) for page in PAGES]
    headers = [
        "page",
        f"warm, {names[0]} runs",
        f"warm, {' + '.join(names)} runs",
        "growth",
        "first visit, three stores",
    ]
    return Section(harness.table(headers, rows))
