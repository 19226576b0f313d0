"""The time of a warm page with 10,000 runs and about six million accuracy rows, compared with 300 runs.

Measured through Streamlit's AppTest: the page's script with its queries and charts, without a browser and without
a network. Warm: the page was opened once before, so its caches are full.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from benchmarks import big_store, harness
from benchmarks.harness import ROOT, Disagreement, Section, Settings, say

SMALL, LARGE, QUICK_LARGE = 300, 10_000, 600
SHOWN = "caprev.demo.co-trained,caprev.demo.alone-same-steps"
PAGES = {
    "overview": {"pair": "caprev.demo", "band": "min–max"},
    "explore": {"series": SHOWN, "band": "min–max"},
    "heads": {"pair": "caprev.demo"},
    "matrix": {"preset": "demo"},
    "claims": {},
    "launch": {"group": "caprev"},
    "runs": {},
    "playground": {},
}
COUNTING = ("runs", "launch")
"""Pages that say how many runs there are: their words differ by right."""


@contextmanager
def store(path: Path) -> Iterator[None]:
    """Within the block pages read the store ``path`` and start no workers."""
    with mock.patch.dict(os.environ, LGT_DATABASE_URL=str(path), LGT_READ_ONLY="1"):
        yield


def opened(page: str, path: Path) -> Any:
    """The page after its first run, which fills the caches; both stores show the same runs."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(ROOT / "pages" / f"{page}.py"), default_timeout=600)
    app.query_params |= PAGES[page]
    with store(path):
        return app.run()


def rerun(app: Any, path: Path) -> float:
    """Seconds of running the page again."""
    with store(path):
        return harness.seconds(app.run)


def words(app: Any) -> list[str]:
    """What the page says, without the run numbers, which the stores share."""
    return [str(element.value) for element in (*app.title, *app.markdown, *app.caption, *app.metric)]


def check(first: Any, second: Any, page: str) -> None:
    """Both stores give the same page. Raises Disagreement."""
    for app in (first, second):
        if app.exception or app.error:
            raise Disagreement(f"{page} failed: {[str(found.value) for found in (*app.exception, *app.error)]}")
    if page not in COUNTING and words(first) != words(second):
        raise Disagreement(f"{page} says something else with the large store")


def row(page: str, small: Path, large: Path, settings: Settings) -> list[str]:
    """A line: milliseconds with both stores and how much more the large one takes."""
    first = harness.seconds(lambda: opened(page, large))
    apps = {path: opened(page, path) for path in (large, small)}
    pair = harness.alternate(
        lambda _: rerun(apps[large], large), lambda _: rerun(apps[small], small),
        lambda: check(apps[large], apps[small], page), settings.repetitions,
    )  # fmt: skip
    low, high = pair.ratio_range
    growth = f"**{1 / pair.ratio:.2f}x** ({1 / high:.2f}–{1 / low:.2f})"
    times = [harness.spread([1000 * value for value in side], "ms") for side in (pair.peer, pair.ours)]
    return [page, *times, growth, f"{first:.1f} s"]


def run(settings: Settings) -> Section:
    """A line per page; the stores are built in a temporary folder."""
    with TemporaryDirectory() as folder:
        small = big_store.build(Path(folder) / "small.db", SMALL)
        wanted = QUICK_LARGE if settings.quick else LARGE
        say(f"  building a store of {wanted:,} runs")
        large = big_store.build(Path(folder) / "large.db", wanted)
        names = [f"{runs:,} runs, {rows:,} rows" for runs, rows in (big_store.sizes(small), big_store.sizes(large))]
        rows = [row(page, small, large, settings) for page in PAGES]
    headers = ["page", f"warm, {names[0]}", f"warm, {names[1]}", "growth", "first visit, large store"]
    return Section(harness.table(headers, rows))
