"""Launch: the positional encodings."""

from __future__ import annotations

import pytest

from lgt.core.glossary import definition
from tests.ui.test_pages import opened


@pytest.mark.slow
def test_every_encoding_is_offered_in_words_and_read_from_the_address(shipped, monkeypatch):
    control = opened("pages/launch.py", shipped, monkeypatch, position="FIRE").segmented_control[0]
    assert control.options == ["rotary", "none", "ALiBi", "FIRE"]
    assert control.value == "FIRE" and control.help == definition("positional encoding")
