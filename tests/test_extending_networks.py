"""The code of docs/EXTENDING.md about networks, run: trained for a few steps, measured, compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from lgt.core.choices import POSITIONS, SCHEDULES
from lgt.core.config import RunConfig, with_setting
from lgt.evaluation.generation import answer
from lgt.model import positions, schedules
from lgt.model.checkpoint import from_bytes
from lgt.recipes.commands import train_command
from lgt.recipes.labels import run_label
from lgt.recipes.presets import group_config
from lgt.tasks.prompts import drawn
from lgt.training.loop import train
from lgt.training.recorder import MemoryRecorder
from tests.conftest import tiny
from tests.networks import Slopes
from tests.test_extending import blocks

CODE = [*blocks("A positional encoding"), *blocks("A layer schedule")]


@pytest.fixture()
def extended() -> Iterator[None]:
    """The package after the document's code has run, as it is in a process with such an extension."""
    assert len(CODE) == 2
    try:
        for code in CODE:
            exec(compile(code, "docs/EXTENDING.md", "exec"), {"__name__": "extension"})
        yield
    finally:
        for choices, objects in ((POSITIONS, positions._ENCODINGS), (SCHEDULES, schedules._SCHEDULES)):
            for name in ("slopes", "pairs"):
                if name in choices.names:
                    choices.remove(name)
                    del objects[name]


def trained(config: RunConfig) -> MemoryRecorder:
    recorder = MemoryRecorder()
    train(config, recorder)
    return recorder


@pytest.mark.slow
@pytest.mark.usefixtures("extended")
@pytest.mark.parametrize("setting", ["model.position=slopes", "model.schedule=pairs"])
def test_the_documents_code_trains_measures_stores_and_answers(setting):
    usual = tiny(steps=20)
    config = with_setting(usual, *setting.split("="))
    recorder, again = trained(config), trained(config)
    assert recorder.logs[-1].loss < recorder.logs[0].loss
    assert recorder.checkpoints == again.checkpoints != trained(usual).checkpoints
    assert recorder.accuracies == again.accuracies and recorder.maps == again.maps
    assert {(row.layer, row.head) for row in recorder.maps[20]} == {(i, j) for i in range(2) for j in range(4)}
    model = from_bytes(recorder.checkpoints[20], config.model)
    assert answer(model, drawn("reverse", 3, 0, config.options)).patterns.shape[:2] == (2, 4)
    assert RunConfig.from_json(config.canonical_json()) == config and config.hash() != usual.hash()


@pytest.mark.usefixtures("extended")
def test_names_titles_and_commands_know_what_was_added():
    config = group_config("caprev", "demo", position="slopes")
    assert run_label(config) == "caprev 8<-16 co-trained, falling with distance, seed 0"
    assert "--position slopes" in str(train_command(config))
    looped = replace(config, model=replace(config.model, schedule="pairs"))
    assert "--set model.schedule=pairs" in str(train_command(looped))
    assert (
        POSITIONS.title("slopes") == "falling with distance"
        and SCHEDULES.title("pairs") == "every layer two times in a row"
    )


@pytest.mark.usefixtures("extended")
def test_the_documents_encoding_is_the_one_that_the_tests_compute_by_hand():
    config = replace(tiny().model, position="slopes")
    ours, theirs = Slopes(config), positions.encoding_named("slopes")(config)
    assert torch.equal(ours.bias(torch.arange(7)), theirs.bias(torch.arange(7)))
