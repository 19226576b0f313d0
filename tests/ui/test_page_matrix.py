"""The page Matrix."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT


@pytest.mark.slow
def test_the_matrix_page_draws_the_shipped_store(shipped, tmp_path, monkeypatch):
    monkeypatch.setenv("LGT_DATABASE_URL", str(shipped))
    page = str(ROOT / "pages/matrix.py")
    app = AppTest.from_file(page, default_timeout=60).run()
    assert not app.exception and not app.error and len(app.get("vega_lite_chart")) == 4, "the matrix and the grid"
    monkeypatch.setenv("LGT_DATABASE_URL", str(tmp_path / "none.db"))
    app = AppTest.from_file(page, default_timeout=60).run()
    assert not app.exception and "No finished runs" in app.info[0].value
