"""The registry of pages, and that a checkout and an installed copy show the same ones."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from lgt.core.checks import ConfigError
from lgt.ui import navigation
from lgt.ui.navigation import Page
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    monkeypatch.setattr(navigation, "PAGES", dict(navigation.PAGES))


def shown(script: str, tmp_path, monkeypatch) -> AppTest:
    monkeypatch.setenv("LGT_DATABASE_URL", str(tmp_path / "empty.db"))
    return AppTest.from_file(str(ROOT / script), default_timeout=60).run()


def test_an_installed_copy_has_the_pages_of_a_checkout_at_the_same_addresses(tmp_path, monkeypatch):
    registered = []
    for script in ("app.py", "lgt/ui/entry/app.py"):
        app = shown(script, tmp_path, monkeypatch)
        registered.append(
            [(one["url_pathname"], one["page_name"], one["icon"]) for one in app._registered_pages.values()]
        )
        for key, page in app._registered_pages.items():
            app._page_hash = key
            app.run()
            assert not app.exception and len(app.title) == 1, (script, page["url_pathname"])
    assert registered[0] == registered[1] and [address for address, *_ in registered[0]] == [
        "",
        *list(navigation.PAGES)[1:],
    ]


def test_every_page_of_a_checkout_is_a_script_of_its_name(tmp_path, monkeypatch):
    assert {path.stem for path in (ROOT / "pages").glob("*.py")} == set(navigation.PAGES)
    scripts = [page["script_path"] for page in shown("app.py", tmp_path, monkeypatch)._registered_pages.values()]
    assert scripts == [str(ROOT / "pages" / f"{name}.py") for name in navigation.PAGES]


@pytest.mark.parametrize("name", ["heads", "", "Heads", "two words", "a/b", "9lives", "wände"])
def test_a_name_that_is_taken_or_no_address_is_refused(name):
    with pytest.raises(ConfigError, match="page"):
        navigation.register(Page(name, "Title", ":material/hub:", lambda: None))


def test_a_page_is_appended_and_an_unknown_link_is_an_error():
    navigation.register(Page("zoo-2", "Zoo", ":material/hub:", lambda: None))
    assert list(navigation.PAGES)[-1] == "zoo-2" and next(iter(navigation.PAGES)) == "overview"
    with pytest.raises(KeyError):
        navigation.link_target("nowhere")


def test_both_ways_to_start_have_the_same_settings():
    assert (ROOT / "lgt/ui/entry/.streamlit/config.toml").read_text() == (ROOT / ".streamlit/config.toml").read_text()
    assert not (ROOT / "lgt/ui/entry/pages").exists(), "Streamlit would take its scripts for pages"
