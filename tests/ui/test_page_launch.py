"""Launch: the positional encodings, a machine without a compiler, and pairs of runs."""

from __future__ import annotations

import re

import pytest

from lgt.core.glossary import definition
from lgt.recipes.presets import baseline, group_config
from lgt.store import leases, writes
from lgt.store.engine import open_store
from tests.experiments.stores import two_levels
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


def pair_of_seed(store, seed: int, together: float | None, alone: float | None) -> list[int]:
    """The ids of the finished runs of a seed; ``None`` instead of a transfer accuracy: cancelled."""
    config = group_config("caprev", "demo", seed=seed)
    ids = []
    for one, beyond in ((config, together), (baseline(config, "alone-same-steps"), alone)):
        if beyond is None:
            ids.append(writes.create_run(store, one))
            leases.finish_run(store, ids[-1], leases.start_run(store, ids[-1], "w", "cpu"), "cancelled")
        else:
            ids.append(two_levels(store, one, 1.0, beyond))
    return ids


@pytest.mark.slow
def test_curves_stand_in_pairs_of_one_seed_and_end_with_a_conclusion(tmp_path, monkeypatch):
    store = open_store(str(tmp_path / "mine.db"))
    (together, alone), (survivor, _) = pair_of_seed(store, 3, 0.71, 0.02), pair_of_seed(store, 4, 0.5, None)
    app = opened("pages/launch.py", tmp_path / "mine.db", monkeypatch)
    assert not app.exception
    names = [re.match(r"\*\*run (\d+)", one.value) for one in app.caption if "steps" in one.value]
    assert [int(name[1]) for name in names if name] == [survivor, alone, together], "never beside another seed's run"
    (said,) = (one.value for one in app.markdown if "transfer gain is" in one.value)
    assert said.startswith(
        "Seed 3, lengths 9 to 16: **71% together, 2% alone, same steps**. The transfer gain is +0.69."
    )
    assert "explore?series=caprev.demo.alone-same-steps,caprev.demo.co-trained" in said
