"""A run that was stopped and resumed ends with the same bits as an uninterrupted run."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load

from lgt.core.config import RunConfig
from lgt.model.checkpoint import CheckpointError
from lgt.tasks import vocabulary_size
from lgt.training.loop import Stopped, train
from lgt.training.recorder import MemoryRecorder
from lgt.training.state import state_to_bytes
from tests.conftest import tiny

CONFIG = tiny(steps=60)
PYTORCH = replace(CONFIG, training=replace(CONFIG.training, precision="bfloat16"))
ADAMW = replace(CONFIG, training=replace(CONFIG.training, optimizer="adamw"))
FIRE = replace(CONFIG, model=replace(CONFIG.model, position="fire"))


def stopped_at(config: RunConfig, step: int, recorder: MemoryRecorder, state: bytes | None = None) -> bytes:
    """The state of the run after ``step`` steps; its reports go to ``sink``."""
    done = step if state is None else step - json_of(state)["step"]
    left = iter([False] * done + [True])
    with pytest.raises(Stopped):
        train(config, recorder, should_stop=lambda: next(left), state=state)
    return recorder.states[step]


def json_of(state: bytes) -> dict[str, object]:
    length = int.from_bytes(state[:8], "little")
    scalars: dict[str, object] = json.loads(json.loads(state[8 : 8 + length])["__metadata__"]["scalars"])
    return scalars


def reported(recorder: MemoryRecorder) -> tuple[object, ...]:
    """Everything that a run reports, except its speed."""
    log = {row.step: (row.loss, row.learning_rate) for row in recorder.logs}
    return log, recorder.accuracies, recorder.maps, recorder.differences, recorder.checkpoints


@pytest.mark.slow
@pytest.mark.parametrize("config", [CONFIG, PYTORCH, ADAMW, FIRE], ids=["muon", "pytorch", "adamw", "fire"])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(config):
    whole, parts = MemoryRecorder(), MemoryRecorder()
    uninterrupted = train(config, whole)
    state = None
    for step in sorted(random.Random(1).sample(range(1, 60), 3)):
        state = stopped_at(config, step, parts, state)
    resumed = train(config, parts, state=state)
    for name, value in uninterrupted.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert reported(parts) == reported(whole)


@pytest.mark.slow
def test_states_are_stored_at_intervals_and_continue_tokens_and_seconds(monkeypatch):
    monkeypatch.setattr("lgt.training.loop.KEEP_SECONDS", 0.0)
    recorder = MemoryRecorder()
    train(CONFIG, recorder)
    assert list(recorder.states) == list(range(60)), "before every step but none after the last"
    first, last = json_of(recorder.states[1])["report"], json_of(recorder.states[59])["report"]
    assert 0 < first["tokens"] < last["tokens"] and 0 < first["seconds"] < last["seconds"]
    again = MemoryRecorder()
    train(CONFIG, again, state=recorder.states[59])
    assert json_of(again.states[59])["report"]["tokens"] == last["tokens"]
    assert json_of(again.states[59])["report"]["seconds"] >= last["seconds"]


def test_a_state_of_other_machinery_or_shape_is_refused(monkeypatch):
    fused = stopped_at(CONFIG, 5, MemoryRecorder())
    with pytest.raises(CheckpointError, match="not a training state of this run"):
        train(replace(CONFIG, model=replace(CONFIG.model, layers=3)), MemoryRecorder(), state=fused)
    monkeypatch.setattr("lgt.fused.step.library", lambda: None)
    with pytest.raises(CheckpointError, match="of a fused step, not a torch one"):
        train(CONFIG, MemoryRecorder(), state=fused)
    plain = stopped_at(CONFIG, 5, MemoryRecorder())
    with pytest.raises(CheckpointError, match="not a training state of this run"):
        train(replace(CONFIG, model=replace(CONFIG.model, layers=3)), MemoryRecorder(), state=plain)


@pytest.mark.parametrize("damage", [lambda b: b[:100], lambda b: b"\x80\x04.", lambda b: b"", lambda b: b"\xff" * 64])
def test_damaged_bytes_are_refused_as_a_state(damage):
    with pytest.raises(CheckpointError, match="not a training state"):
        train(CONFIG, MemoryRecorder(), state=damage(stopped_at(CONFIG, 5, MemoryRecorder())))


def test_the_state_of_a_large_network_is_stored_less_often(monkeypatch):
    config = tiny(steps=4)
    size = config.model.parameters(vocabulary_size(config))
    monkeypatch.setattr("lgt.training.loop.KEEP_SECONDS", 1e-9)
    for limit, stored in ((2 * size, [0, 1, 2, 3]), (size / 1e13, [])):
        monkeypatch.setattr("lgt.training.loop.KEEP_PARAMETERS", limit)
        recorder = MemoryRecorder()
        train(config, recorder)
        assert list(recorder.states) == stored


def test_tensors_of_a_state_may_be_parts_of_one_memory():
    whole = torch.arange(6.0)
    stepper = SimpleNamespace(machinery="toy", state=lambda: {"first": whole[:2], "rest": whole[2:], "all": whole})
    found = load(state_to_bytes(3, stepper, SimpleNamespace(state=dict)))
    assert (
        found["first"].tolist() == [0, 1]
        and found["rest"].tolist() == [2, 3, 4, 5]
        and torch.equal(found["all"], whole)
    )
