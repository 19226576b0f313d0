"""A fixture of the tests about experiments."""

from __future__ import annotations

import pytest

from lgt.store.engine import open_store


@pytest.fixture()
def store(tmp_path):
    """An empty store."""
    return open_store(str(tmp_path / "a.db"))
