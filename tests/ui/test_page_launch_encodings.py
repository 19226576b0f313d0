"""Launch: the positional encodings."""

from __future__ import annotations

import pytest

from lgt.core.glossary import definition
from tests.ui.test_pages import opened


@pytest.mark.slow
def test_every_encoding_is_offered_in_words_and_read_from_the_address(shipped, monkeypatch):
    control = opened("pages/launch.py", shipped, monkeypatch, position="learned biases (FIRE)").segmented_control[0]
    assert control.options == ["rotary", "none", "linear biases (ALiBi)", "learned biases (FIRE)"]
    assert control.value == "learned biases (FIRE)" and control.help == definition("positional encoding")
