"""The section "A page" of docs/EXTENDING.md: its code is a page in the navigation, drawn from the store."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from lgt.core import extensions
from lgt.ui import navigation
from tests.conftest import ROOT
from tests.test_extending import blocks


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch):
    monkeypatch.setattr(extensions, "_loaded", {})
    monkeypatch.setattr(navigation, "PAGES", dict(navigation.PAGES))


def opened(store, monkeypatch, extension, page: str = "") -> AppTest:
    """The dashboard with an extension, at the page with this address."""
    monkeypatch.setenv("LGT_DATABASE_URL", str(store))
    monkeypatch.setenv("LGT_EXTENSIONS", str(extension))
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    if page:
        app._page_hash = next(key for key, one in app._registered_pages.items() if one["url_pathname"] == page)
        app.run()
    return app


@pytest.mark.slow
def test_the_page_of_the_section_stands_last_and_draws_every_pair(few_runs, tmp_path, monkeypatch):
    path = tmp_path / "my_page.py"
    (source,) = blocks("A page")
    path.write_text(source)
    app = opened(few_runs, monkeypatch, path, "wall")
    assert not app.exception and not app.error and app.title[0].value == "Wall"
    assert list(navigation.PAGES)[-1] == "wall" and len(app.get("vega_lite_chart")) == len(app.subheader) >= 2


def test_a_page_on_an_empty_store_leads_to_the_launch_page(tmp_path, monkeypatch):
    path = tmp_path / "my_page.py"
    (source,) = blocks("A page")
    path.write_text(source)
    app = opened(tmp_path / "empty.db", monkeypatch, path, "wall")
    assert not app.exception and app.button(key="first-pair").label


def test_an_extension_that_cannot_be_loaded_is_one_message_in_place_of_the_pages(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = opened(tmp_path / "empty.db", monkeypatch, "missing.py")
    assert not app.exception and len(app.error) == 1 and not app.title
    assert "LGT_EXTENSIONS" in app.error[0].value and "missing.py" in app.error[0].value
