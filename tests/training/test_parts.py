"""Training with a partition: the fused step against autograd, and what one task's examples can change."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lgt.core.config import RunConfig
from lgt.core.parts import parts_by_task
from lgt.fused import step as fused_step
from lgt.fused.step import FusedStep
from lgt.model.batch import Batch
from lgt.model.decoder import Decoder
from lgt.recipes.presets import group_config
from lgt.tasks.vocabulary import TAG
from lgt.training.batches import make_batch
from lgt.training.ensemble import Member, train_together
from lgt.training.loop import Stopped, train
from lgt.training.recorder import MemoryRecorder
from tests.conftest import tiny

TEXTS = ("main:0-1+auxiliary:2-3", "main:all:0-87+auxiliary:all:88-175", "main:0:3+capitalize:1-2:9-170", "random-3")


def run_of(parts: str, **model: object) -> RunConfig:
    config = group_config("caprev", "demo")
    training = replace(config.training, batch_size=12)
    return replace(config, model=replace(config.model, parts=parts, **model), training=training)  # type: ignore[arg-type]


def decoder_of(config: RunConfig) -> Decoder:
    return Decoder(config.model, 3, by_task=parts_by_task(config))


def by_name(model: Decoder, flat: torch.Tensor) -> dict[str, torch.Tensor]:
    pieces = flat.split([parameter.numel() for parameter in model.parameters()])
    return {
        name: piece.view(parameter.shape)
        for (name, parameter), piece in zip(model.named_parameters(), pieces, strict=True)
    }


@pytest.mark.parametrize(("position", "qk_norm"), [("rope", True), ("rope", False), ("nope", True), ("nope", False)])
@pytest.mark.parametrize("parts", TEXTS)
def test_loss_and_gradient_of_the_fused_step_are_those_of_autograd(parts, position, qk_norm):
    config = run_of(parts, position=position, qk_norm=qk_norm)
    model, batch = decoder_of(config), make_batch(config, 0)
    loss = model.loss(batch.tokens, batch.scored, batch.drawn)
    loss.backward()
    wanted = {name: parameter.grad for name, parameter in model.named_parameters()}
    fused = FusedStep(model, config.training)
    assert fused.gradients(batch) == pytest.approx(loss.item(), rel=1e-5)
    for name, piece in by_name(model, fused.gradient).items():
        assert (piece - wanted[name]).norm() < 1e-4 * wanted[name].norm().clamp(min=1e-12), name


def only(batch: Batch, task: str) -> Batch:
    rows = batch.tokens[:, 1] == TAG[task]
    return Batch(*(value[rows] for value in vars(batch).values() if value is not None))


def test_the_main_task_moves_nothing_of_the_other_tasks_heads_and_channels():
    config = run_of("main:0-1:0-87+auxiliary:2-3:88-175")
    model = decoder_of(config)
    fused = FusedStep(model, config.training)
    fused.gradients(only(make_batch(config, 0), "capitalize_reverse"))
    seen = 0
    for name, gradient in by_name(model, fused.gradient).items():
        if ".attention." not in name and ".feed_forward." not in name:
            continue
        rows = gradient.T if "output" in name or "down" in name else gradient  # one for each channel, or gain
        own = 2 if "gain" in name else 32 if ".attention." in name else 88
        assert rows[own:].eq(0).all() and rows[:own].ne(0).any(), name
        seen += 1
    assert seen == 9 * config.model.layers


def test_parts_that_leave_out_nothing_give_the_bits_of_a_run_without_parts(monkeypatch):
    config, plain = run_of("reverse:0"), run_of("")
    batch = only(make_batch(plain, 0), "capitalize")  # which the partition does not name
    steps = [FusedStep(decoder_of(one), plain.training) for one in (plain, config)]
    assert steps[0].step(batch, 1.0) == steps[1].step(batch, 1.0)
    assert torch.equal(steps[0].parameters, steps[1].parameters)

    def ones(used: object) -> tuple:
        assert used is not None
        return tuple(factors.to(torch.uint8).numpy() for factors in used)

    monkeypatch.setattr(fused_step, "allowed", ones)
    last = FusedStep(decoder_of(config), plain.training)
    last.step(batch, 1.0)
    assert torch.equal(steps[0].parameters, last.parameters)


def test_a_batch_without_its_drawn_heads_is_refused():
    config = run_of("random-2")
    batch = replace(make_batch(config, 0), drawn=None)
    with pytest.raises(ValueError, match="needs the drawn heads"):
        FusedStep(decoder_of(config), config.training).gradients(batch)


@pytest.mark.parametrize("parts", ["main:0-1+auxiliary:2-3", "random-2"])
def test_members_of_an_ensemble_are_the_runs_trained_alone(parts):
    config = replace(tiny(steps=3), model=replace(tiny().model, parts=parts))
    config = replace(config, evaluation=replace(config.evaluation, attribution_snapshots=0, snapshots=1, examples=4))
    configs = [replace(config, model_seed=seed) for seed in (900, 901)]
    models = train_together([Member(one, MemoryRecorder()) for one in configs])
    for one, model in zip(configs, models, strict=True):
        alone = train(one, MemoryRecorder())
        start = Decoder(one.model, one.model_seed, by_task=parts_by_task(one))
        for (name, a), b, c in zip(model.named_parameters(), alone.parameters(), start.parameters(), strict=True):
            assert (a - b).norm() < 1e-2 * (b - c).norm() + 1e-6, name


def test_a_resumed_run_draws_the_same_heads():
    config = replace(tiny(steps=6), model=replace(tiny().model, parts="random-2"))
    config = replace(config, evaluation=replace(config.evaluation, attribution_snapshots=0, snapshots=1, examples=4))
    whole, recorder = train(config, MemoryRecorder()), MemoryRecorder()
    asked = iter([False] * 3 + [True])
    with pytest.raises(Stopped):
        train(config, recorder, should_stop=lambda: next(asked))
    resumed = train(config, MemoryRecorder(), state=recorder.states[3])
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
