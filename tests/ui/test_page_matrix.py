"""The page Matrix."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from lgt.ui.pages.explore import all_series
from tests.conftest import ROOT


@pytest.mark.slow
def test_the_matrix_page_draws_the_shipped_store(shipped, tmp_path, monkeypatch):
    monkeypatch.setenv("LGT_DATABASE_URL", str(shipped))
    page = str(ROOT / "pages/matrix.py")
    app = AppTest.from_file(page, default_timeout=60).run()
    assert not app.exception and not app.error and len(app.get("vega_lite_chart")) == 4, "the matrix and the grid"
    (links,) = (one.value for one in app.markdown if "behind a cell" in one.value)
    asked = [parse_qs(found)["series"][0] for found in re.findall(r"\]\(explore\?([^)]*)\)", links)]
    assert len(asked) >= 6 and "caprev.demo.alone-same-steps,caprev.demo.co-trained" in asked
    offered = all_series()
    assert all(set(series.split(",")) <= set(offered) for series in asked), "each link names series that Explore has"
    for series in (asked[0], asked[-1]):
        explore = AppTest.from_file(str(ROOT / "pages/explore.py"), default_timeout=60)
        explore.query_params["series"] = series
        chosen = explore.run().multiselect[0].value
        assert not explore.exception and set(chosen) == set(series.split(",")), "the link opens both arms of the cell"
    monkeypatch.setenv("LGT_DATABASE_URL", str(tmp_path / "none.db"))
    app = AppTest.from_file(page, default_timeout=60).run()
    assert not app.exception and "No finished runs" in app.info[0].value
