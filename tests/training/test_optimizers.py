"""Muon for many matrices at once, and clipping member by member, against their definitions and PyTorch's own."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lgt.core.config import TrainingConfig
from lgt.fused.step import FusedStep
from lgt.model.decoder import Decoder
from lgt.training.batches import make_batch
from lgt.training.optimizers import Muon, clip_each_member, make_optimizers, orthogonalised
from lgt.training.steps import TorchStep
from tests.conftest import tiny
from tests.fused.test_step import polynomial_of_singular_values

SHAPES = [(64, 64), (176, 64), (64, 176), (24, 40), (64, 64), (24, 40), (5, 3)]


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def stepped(optimizer_of, parameters: list[torch.Tensor], steps: int = 3) -> list[torch.Tensor]:
    """Copies of ``parameters`` after ``steps`` updates with gradients that depend on step and place only."""
    parameters = [parameter.clone().requires_grad_() for parameter in parameters]
    optimizer = optimizer_of(parameters)
    for step in range(steps):
        for place, parameter in enumerate(parameters):
            parameter.grad = drawn(*parameter.shape, seed=100 * step + place)
        optimizer.step()
    return [parameter.detach() for parameter in parameters]


@pytest.mark.parametrize("shape", [(64, 64), (176, 64), (64, 176), (3, 40, 24), (2, 3, 24, 40)])
def test_newton_schulz_is_the_polynomial_of_the_singular_values(shape):
    matrices = drawn(*shape)
    if len(shape) > 2:  # matrices of very different size, each divided by its own norm
        matrices *= torch.logspace(-3, 3, shape[0]).view(-1, *[1] * (len(shape) - 1))
    found = orthogonalised(matrices).reshape(-1, *shape[-2:])
    for one, matrix in zip(found, matrices.reshape(-1, *shape[-2:]), strict=True):
        assert torch.allclose(one.double(), polynomial_of_singular_values(matrix), atol=2e-5)


def test_a_matrix_of_zeros_stays_zero():
    assert torch.equal(orthogonalised(torch.zeros(2, 4, 3)), torch.zeros(2, 4, 3))


def test_grouped_muon_is_near_pytorchs_one_by_one():
    start = [drawn(*shape, seed=7) for shape in SHAPES]
    options = {"lr": 0.05, "weight_decay": 0.3, "momentum": 0.95}
    ours = stepped(lambda p: Muon(p, **options), start)
    theirs = stepped(lambda p: torch.optim.Muon(p, **options), start)
    for a, b, before in zip(ours, theirs, start, strict=True):
        assert (a - b).norm() < 0.02 * (a - before).norm(), "PyTorch's is in bfloat16"


def test_updates_of_a_matrix_do_not_depend_on_other_matrices_or_members():
    start = [drawn(*shape, seed=7) for shape in SHAPES]
    grouped = stepped(lambda p: Muon(p, lr=0.05), start)

    def one_optimizer_each(parameters):
        optimizers = [Muon([parameter], lr=0.05) for parameter in parameters]
        return type("All", (), {"step": lambda self: [optimizer.step() for optimizer in optimizers]})()

    for a, b in zip(grouped, stepped(one_optimizer_each, start), strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    stacked = torch.stack([start[0], start[4] * 3]).requires_grad_()
    alone = [start[0].clone().requires_grad_(), (start[4] * 3).requires_grad_()]
    optimizers = [Muon([stacked], lr=0.05), Muon(alone, lr=0.05)]
    for step in range(3):
        stacked.grad = drawn(2, 64, 64, seed=step)
        for one, gradient in zip(alone, stacked.grad, strict=True):
            one.grad = gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    assert torch.allclose(stacked, torch.stack(alone), atol=1e-6)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_plain_pytorch_takes_the_steps_of_the_fused_routine(optimizer):
    config = tiny(steps=8)
    training = replace(config.training, optimizer=optimizer, gradient_clip=0.5)
    models = [Decoder(config.model, seed=1) for _ in range(2)]
    plain, fused = TorchStep(models[0], training, "cpu"), FusedStep(models[1], training)
    for step in range(8):
        for stepper in (plain, fused):
            stepper.step(make_batch(config, step), 0.5)
    start = Decoder(config.model, seed=1)
    for (name, a), b in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        moved = (a - start.get_parameter(name)).norm()
        assert (a - b).norm() < 1e-3 * moved, (name, float((a - b).norm() / moved))


def test_each_member_is_clipped_as_if_it_were_alone():
    shapes = [(4, 3), (5,), (2, 1, 1)]
    scale = torch.tensor([0.001, 1.0, 50.0, float("nan")])
    members = [torch.zeros(4, *shape, requires_grad=True) for shape in shapes]
    for place, parameter in enumerate(members):
        parameter.grad = drawn(*parameter.shape, seed=place) * scale.view(-1, *[1] * (parameter.ndim - 1))
    alone = []
    for member in range(4):
        own = [torch.zeros(shape, requires_grad=True) for shape in shapes]
        for parameter, stacked in zip(own, members, strict=True):
            parameter.grad = stacked.grad[member].clone()
        torch.nn.utils.clip_grad_norm_(own, 0.7)
        alone.append(own)
    clip_each_member(members, 0.7)
    for place, parameter in enumerate(members):
        wanted = torch.stack([own[place].grad for own in alone])
        assert torch.allclose(parameter.grad, wanted, rtol=1e-5, equal_nan=True)


def test_stacked_parameters_are_grouped_by_the_names_of_one_model():
    model = Decoder(tiny().model)
    stacked = {name: torch.stack([p.detach(), p.detach()]) for name, p in model.named_parameters()}
    muon, adamw = make_optimizers(model, TrainingConfig(), stacked)
    matrices = {n for n, p in model.named_parameters() if n.startswith("layers.") and p.ndim == 2}
    assert {id(p) for g in muon.param_groups for p in g["params"]} == {id(stacked[name]) for name in matrices}
    assert len(adamw.param_groups[0]["params"]) == len(stacked) - len(matrices)
