"""Batches made ahead are the batches of their steps, and their thread always ends."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch

from lgt.training import prefetch
from lgt.training.batches import make_batch
from lgt.training.loop import train
from lgt.training.prefetch import batch_source, batches_ahead
from lgt.training.recorder import MemoryRecorder
from tests.conftest import tiny


def makers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("batches")]


def test_batches_made_ahead_are_those_of_their_steps_in_any_order():
    config = tiny(steps=12)
    with batches_ahead(config) as batch_of:
        for step in (*range(12), 3, 11, 40):
            found, wanted = batch_of(step), make_batch(config, step)
            assert torch.equal(found.tokens, wanted.tokens) and torch.equal(found.scored, wanted.scored), step
    assert not makers()


def test_the_next_batches_are_made_before_they_are_asked_for_and_none_beyond_the_last(monkeypatch):
    made, config = [], replace(tiny(steps=5), training=replace(tiny(steps=5).training, batch_size=2048))
    ready = threading.Event()

    def make(config, step):
        made.append((step, threading.current_thread().name))
        if step == 4:
            ready.set()
        return make_batch(config, step)

    monkeypatch.setattr(prefetch, "make_batch", make)
    with batches_ahead(config) as batch_of:
        batch_of(0)
        assert ready.wait(60), "steps 1 to 4 come without being asked for"
        batch_of(4)
        batch_of(4)  # made again, after all that was waiting
    assert [step for step, _ in made] == [0, 1, 2, 3, 4, 4] and all(name.startswith("batches") for _, name in made)


def test_the_thread_ends_when_training_fails_and_waiting_batches_are_dropped(monkeypatch):
    started, go_on = [], threading.Event()

    def make(config, step):
        started.append(step)
        if step:
            go_on.wait(60)
        return make_batch(config, step)

    monkeypatch.setattr(prefetch, "make_batch", make)
    with pytest.raises(KeyboardInterrupt), batches_ahead(tiny(steps=50)) as batch_of:
        batch_of(0)
        threading.Timer(0.05, go_on.set).start()
        raise KeyboardInterrupt
    assert not makers() and len(started) <= 3


def test_an_error_in_making_a_batch_is_raised_when_that_batch_is_requested(monkeypatch):
    def make(config, step):
        if step == 2:
            raise ValueError("no luck")
        return make_batch(config, step)

    monkeypatch.setattr(prefetch, "make_batch", make)
    with pytest.raises(ValueError, match="no luck"), batches_ahead(tiny(steps=9)) as batch_of:
        assert len(batch_of(0)) == len(batch_of(1)) == 64
        batch_of(2)
    assert not makers()


@pytest.mark.slow
def test_a_run_is_the_same_with_batches_made_ahead(monkeypatch):
    config = tiny(steps=6)
    plain = train(config, MemoryRecorder())
    monkeypatch.setattr("lgt.training.loop.batch_source", lambda config, device: batches_ahead(config))
    ahead = train(config, MemoryRecorder())
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), ahead.parameters(), strict=True))


def test_only_a_gpu_gets_a_thread_that_makes_batches():
    for device, count in (("cpu", 0), ("cuda", 1), ("cuda:1", 1)):
        with batch_source(tiny(steps=3), device) as batch_of:
            batch_of(0)
            assert len(makers()) == count
