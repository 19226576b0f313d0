"""Launch: the positional encodings, a machine without a compiler, and pairs of runs."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import text

from lgt.core.glossary import definition
from lgt.recipes.presets import baseline, group_config
from lgt.store import leases, writes
from lgt.store.engine import open_store
from lgt.store.tags import DELETED, change_tags
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
    assert drawn_runs(app) == [survivor, alone, together], "never beside another seed's run"
    (said,) = (one.value for one in app.markdown if "transfer gain is" in one.value)
    assert said.startswith(
        "Seed 3, lengths 9 to 16: **71% together, 2% alone, same steps**. The transfer gain is +0.69."
    )
    assert "explore?series=caprev.demo.alone-same-steps,caprev.demo.co-trained" in said


@pytest.mark.slow
def test_a_run_is_drawn_once_though_two_baselines_match_it(tmp_path, monkeypatch):
    store = open_store(str(tmp_path / "mine.db"))
    together, alone = pair_of_seed(store, 3, 0.71, 0.02)
    examples = two_levels(store, baseline(group_config("caprev", "demo", seed=3), "alone-same-examples"), 1.0, 0.1)
    app = opened("pages/launch.py", tmp_path / "mine.db", monkeypatch)
    assert not app.exception and not app.error
    assert drawn_runs(app) == [examples, together, alone], "newest first; the co-trained run is in one pair only"
    assert any("10% alone, same main-task examples" in one.value for one in app.markdown)
    (said,) = (one.value for one in app.markdown if "transfer gain is" in one.value)
    assert "caprev.demo.alone-same-examples,caprev.demo.co-trained" in said, "the link opens the arm that it names"


@pytest.mark.slow
def test_a_deleted_run_and_one_that_cannot_be_read_are_no_partners(tmp_path, monkeypatch):
    store = open_store(str(tmp_path / "mine.db"))
    together, alone = pair_of_seed(store, 3, 0.71, 0.02)
    change_tags(store, [alone], add=[DELETED])
    assert drawn_runs(opened("pages/launch.py", tmp_path / "mine.db", monkeypatch)) == [together]
    change_tags(store, [alone], remove=[DELETED])
    with store.begin() as connection:
        connection.execute(
            text(
                "UPDATE configs SET config = replace(config, '\"heads\"', '\"unknown\"') WHERE key IN "
                f"(SELECT config_key FROM runs WHERE id = {together})"
            )
        )
    app = opened("pages/launch.py", tmp_path / "mine.db", monkeypatch)
    assert not app.exception and not app.error and alone in drawn_runs(app), "the other runs stay on the page"


def drawn_runs(app) -> list[int]:
    """The runs whose curves are drawn, in the order of the page."""
    names = [re.match(r"\*\*run (\d+)", one.value) for one in app.caption if "steps" in one.value]
    return [int(name[1]) for name in names if name]
