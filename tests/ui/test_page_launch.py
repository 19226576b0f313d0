"""Launch: the positional encodings, and a machine without a compiler."""

from __future__ import annotations

import pytest

from lgt.core.glossary import definition
from tests.ui.test_pages import opened


@pytest.mark.slow
def test_every_encoding_is_offered_in_words_and_read_from_the_address(shipped, monkeypatch):
    control = opened("pages/launch.py", shipped, monkeypatch, position="FIRE").segmented_control[0]
    assert control.options == ["rotary", "none", "ALiBi", "FIRE"]
    assert control.value == "FIRE" and control.help == definition("positional encoding")


@pytest.mark.slow
def test_a_machine_without_a_compiler_is_told_that_runs_take_longer(shipped, monkeypatch):
    assert not any("C++" in one.value for one in opened("pages/launch.py", shipped, monkeypatch).warning)
    monkeypatch.setenv("CXX", "no-such-compiler")
    (said,) = (one.value for one in opened("pages/launch.py", shipped, monkeypatch).warning)
    assert "no C++ compiler" in said and "Install g++" in said
