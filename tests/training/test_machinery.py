"""Every way to train a network against its definition, over all combinations of what a network may be."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cache
from itertools import cycle, product
from typing import get_args

import pytest
import torch
from torch import Tensor

from lgt.core.choices import POSITIONS, SCHEDULES
from lgt.core.config import Optimizer, Precision, RunConfig
from lgt.core.frozen import group_of
from lgt.core.notices import warn_once
from lgt.core.parts import parts_by_task
from lgt.evaluation import reference
from lgt.evaluation.ablation import ablation_map
from lgt.evaluation.exact_match import answer_scores
from lgt.evaluation.test_sets import test_set
from lgt.fused import answers
from lgt.fused.step import FusedStep
from lgt.model import positions, schedules
from lgt.model.batch import Batch
from lgt.model.decoder import Decoder
from lgt.training.batches import drawn_heads, make_batch
from lgt.training.ensemble import EnsembleStep, Member, StepsInTurn, make_ensemble_stepper, train_together
from lgt.training.loop import train
from lgt.training.optimizers import make_optimizers, take_step
from lgt.training.recorder import MemoryRecorder
from lgt.training.steps import TorchStep, make_stepper
from tests.conftest import tiny
from tests.networks import BACK, Learned, Slopes, spread
from tests.training.compiling import compile_with


@pytest.fixture(autouse=True)
def toys():
    warn_once.cache_clear()
    with (
        positions.registered(Slopes), positions.registered(Learned), schedules.registered(BACK),
    ):  # fmt: skip
        yield


def config_of(
    position: str, schedule: str, qk_norm: bool, optimizer: str, precision: str, parts: str = "", frozen: str = "",
    **model: object,
) -> RunConfig:  # fmt: skip
    config = tiny()
    shape = replace(
        config.model, layers=2, heads=2, width=16, hidden=24, position=position, schedule=schedule, qk_norm=qk_norm,
        parts=parts, **model,  # type: ignore[arg-type]
    )  # fmt: skip
    training = replace(config.training, batch_size=8, optimizer=optimizer, precision=precision, learning_rate=0.01,
                       frozen=frozen)  # fmt: skip
    return replace(config, model=shape, training=training)


STACKED = ("rope", "nope", "alibi", "fire")
"""The encodings that ensembles support."""
EVERY = [
    config_of(*values)
    for values in [
        *product(("rope", "nope"), ("once",), (True, False), get_args(Optimizer), get_args(Precision)),
        *[
            (position, "once", *some)
            for position in ("alibi", "fire")
            for some in ((True, "muon", "float32"), (False, "adamw", "float32"), (True, "adamw", "bfloat16"))
        ],
        ("rope", "three-times", True, "muon", "float32"),
        ("fire", "six-times", False, "adamw", "float32"),
    ]
]
TOYS = [("slopes", "once"), ("learned", "once"), ("rope", "twice"), ("nope", "back"), ("slopes", "twice"),
        ("learned", "back")]  # fmt: skip


PARTITIONS = ("main:0+auxiliary:1", "main:all:0-11+auxiliary:1:12-23", "random-1", "reverse:0")
PARTED = [
    config_of(*values, parts)
    for number, parts in enumerate(PARTITIONS)
    for values in list(product(("rope", "nope"), ("once",), (True, False), get_args(Optimizer), ("float32",)))[
        number % 2 :: 2
    ]
] + [config_of("rope", "once", True, "muon", "bfloat16", parts) for parts in PARTITIONS[1:3]]
"""Each partition with every second combination of a float32 run, so that all combinations meet two partitions."""
FROZEN = [
    replace(config, training=replace(config.training, frozen=frozen))
    for config, frozen in zip(
        [*EVERY[::4], *PARTED[::5]],
        cycle(("embedding,norms", "attention", "feed_forward,unembedding", "attention,feed_forward")),
        strict=False,
    )
]


SHARING = ((1, False), (0, True), (1, True))
"""``kv_heads`` and ``tied`` in every combination that differs from the default."""
TIED_FROZEN = [
    config_of("rope", "once", True, optimizer, precision, frozen=frozen, kv_heads=1, tied=True)
    for optimizer, precision in product(get_args(Optimizer), get_args(Precision))
    for frozen in ("embedding,unembedding", "attention", "embedding,feed_forward,norms,unembedding")
]


def sharing(configs: list[RunConfig], number: int) -> list[RunConfig]:
    """``configs`` with shared keys, a tied unembedding or both, by turns; the first gets entry ``number``."""
    order = [*SHARING[number:], *SHARING[:number]]
    return [
        replace(config, model=replace(config.model, kv_heads=heads, tied=tied))
        for config, (heads, tied) in zip(configs, cycle(order), strict=False)
    ]


def shared_configs() -> list[RunConfig]:
    """Every network of :data:`EVERY` with each entry of :data:`SHARING`, and all others with one of them."""
    every = [config for number in range(len(SHARING)) for config in sharing(EVERY, number)]
    return [*every, *sharing(PARTED, 0), *sharing(toy_configs(), 1), *TIED_FROZEN]


def toy_configs() -> list[RunConfig]:
    return [
        config_of(*values, qk_norm, optimizer, precision)
        for values in TOYS
        for qk_norm, optimizer, precision in product((True, False), get_args(Optimizer), get_args(Precision))
    ] + [config_of("slopes", "twice", True, "muon", "float32", parts) for parts in PARTITIONS[:3]]


def networks_of(configs: list[RunConfig]) -> list[RunConfig]:
    """One config for each different network."""
    return list({config.model: config for config in configs}.values())


@cache
def examples_of_first_batch() -> Batch:
    """The examples of step 0, which are the same for all of these configs: a network does not decide its data."""
    return make_batch(config_of("rope", "once", True, "muon", "float32"), 0)


def first_batch(config: RunConfig) -> Batch:
    """The batch of step 0. Of a network, only random parts change it."""
    drawn = drawn_heads(config, 0) if config.model.parts.startswith("random") else None
    return replace(examples_of_first_batch(), drawn=drawn)


def model_of(config: RunConfig, seed: int = 3) -> Decoder:
    """A decoder with gains that differ."""
    model, source = Decoder(config.model, seed, by_task=parts_by_task(config)), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "gain" in name:
                parameter.mul_(1 + 0.3 * torch.randn(parameter.shape, generator=source))
    spread(model.encoding)
    return model


def by_definition(config: RunConfig, model: Decoder) -> tuple[float, dict[str, Tensor]]:
    """Loss before one step, and the weights after it: the decoder's own loss, autograd and the optimizers."""
    batch = first_batch(config)
    model.compute = getattr(torch, config.training.precision)
    for name, parameter in model.named_parameters():
        if group_of(name) in config.training.frozen.split(","):
            parameter.requires_grad_(False)
    optimizers = make_optimizers(model, config.training)
    loss = model.loss(batch.tokens, batch.scored, batch.drawn)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), config.training.gradient_clip)
    take_step(optimizers, 0.5)
    return float(loss.detach()), {name: value.detach().clone() for name, value in model.named_parameters()}


def same_weights(found: Decoder, wanted: dict[str, Tensor], start: Decoder, loosely: bool) -> None:
    """Each parameter moved as it should, up to rounding (of which an optimizer that divides by small numbers makes
    more)."""
    begun = dict(start.named_parameters())
    for name, value in found.named_parameters():
        moved = (wanted[name] - begun[name]).norm()
        assert (value - wanted[name]).norm() <= (0.05 if loosely else 1e-3) * moved + 1e-7, name
    assert found.state_dict().keys() == start.state_dict().keys()


def is_fused(config: RunConfig) -> bool:
    """Which combinations the fused step is for, written out."""
    return config.model.position != "learned" and config.training.precision == "float32"


def check_step(config: RunConfig) -> None:
    model, start = model_of(config), model_of(config)
    loss, wanted = by_definition(config, model_of(config))
    stepper = make_stepper(model, config)
    assert isinstance(stepper, FusedStep if is_fused(config) else TorchStep)
    assert float(stepper.step(first_batch(config), 0.5)) == pytest.approx(loss, rel=1e-5)
    same_weights(model, wanted, start, loosely=is_fused(config) and config.training.optimizer == "adamw")


def check_stack(config: RunConfig) -> None:
    models = [model_of(config, seed) for seed in (3, 4)]
    stepper = make_ensemble_stepper(models, config, "cpu")
    assert isinstance(stepper, EnsembleStep if config.model.position in STACKED else StepsInTurn)
    losses = stepper.step(first_batch(config), 0.5)
    loosely = config.training.precision == "bfloat16" or config.training.optimizer == "adamw"
    for number, seed in enumerate((3, 4)):
        loss, wanted = by_definition(config, model_of(config, seed))
        assert float(losses[number]) == pytest.approx(loss, rel=1e-2 if loosely else 1e-5)
        same_weights(stepper.decoder(number), wanted, model_of(config, seed), loosely)


def check_measuring(config: RunConfig) -> None:
    model, batch = model_of(config), test_set(config_of("rope", "once", True, "muon", "float32"), "reverse", 3, 6)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    (matches, losses), (wanted, nats) = answer_scores(model, batch), reference.answer_scores(model, batch)
    assert torch.equal(matches, wanted) and torch.allclose(losses, nats, atol=1e-5)
    if answers.supports(model):
        matches, losses = answers.answer_scores(model, batch)
        assert torch.equal(matches, wanted) and torch.allclose(losses, nats, rtol=1e-4, atol=1e-5)
    found, slow = ablation_map(model, batch), reference.ablation_map(model, batch)
    assert torch.allclose(found.loss_rise, slow.loss_rise, atol=1e-5) and slow.loss_rise.abs().max() > 1e-3
    assert torch.allclose(found.accuracy_drop, slow.accuracy_drop, atol=1e-6)


def test_the_combinations_contain_every_choice():
    toys = toy_configs()
    assert {config.model.position for config in [*EVERY, *toys]} == set(POSITIONS)
    assert {config.model.schedule for config in [*EVERY, *toys]} == set(SCHEDULES)
    for heads, tied in SHARING:
        mine = [config for config in shared_configs() if (config.model.kv_heads, config.model.tied) == (heads, tied)]
        assert {replace(one, model=replace(one.model, kv_heads=0, tied=False)) for one in mine} >= set(EVERY)
        assert {config.model.position for config in mine} == set(POSITIONS)
        assert {config.model.schedule for config in mine} == set(SCHEDULES)
        assert {config.model.parts for config in mine} == {"", *PARTITIONS}
    for parts in PARTITIONS:
        mine = [config for config in PARTED if config.model.parts == parts]
        assert {(one.model.position, one.model.qk_norm) for one in mine} == {*product(("rope", "nope"), (True, False))}
        assert {config.training.optimizer for config in PARTED} == set(get_args(Optimizer))


@pytest.mark.slow
@pytest.mark.parametrize("check", [check_step, check_stack], ids=["step", "stack"])
def test_every_network_is_trained_as_the_definition_computes(check):
    for config in [*EVERY, *PARTED, *FROZEN, *toy_configs()]:
        check(config)


@pytest.mark.slow
@pytest.mark.parametrize("check", [check_step, check_stack], ids=["step", "stack"])
def test_every_network_with_shared_keys_or_tied_is_trained_as_the_definition_computes(check):
    for config in shared_configs():
        check(config)


@pytest.mark.slow
def test_every_network_is_measured_as_the_definition_computes():
    for config in networks_of([*EVERY, *PARTED, *toy_configs(), *shared_configs()]):
        check_measuring(config)


@pytest.mark.slow
@pytest.mark.parametrize(("position", "schedule"), [("learned", "once"), ("slopes", "twice")])
def test_compiled_layers_compute_added_networks_too(position, schedule, monkeypatch):
    asked = compile_with("aot_eager", monkeypatch)
    config = config_of(position, schedule, True, "adamw", "float32")
    model, start = model_of(config), model_of(config)
    loss, wanted = by_definition(config, model_of(config))
    stepper = TorchStep(model, replace(config.training, compiled=True), "cpu")
    assert float(stepper.step(first_batch(config), 0.5)) == pytest.approx(loss, rel=1e-5)
    same_weights(model, wanted, start, loosely=True)
    assert len(asked) == config.model.layers


def test_the_fused_step_supports_exactly_the_listed_combinations(monkeypatch):
    for config in [*EVERY, *PARTED, *toy_configs(), *shared_configs()]:
        assert FusedStep.supports(config) is is_fused(config)
        assert not FusedStep.supports(config, "cuda")
    monkeypatch.setattr("lgt.fused.step.library", lambda: None)
    assert not any(FusedStep.supports(config) for config in EVERY)


@pytest.mark.parametrize(("position", "schedule"), [toy for toy in TOYS if toy[0] == "learned"])
def test_the_fused_step_refuses_what_it_does_not_support(position, schedule):
    config = config_of(position, schedule, True, "muon", "float32")
    with pytest.raises(RuntimeError, match=f"model.position={position}"):
        FusedStep(Decoder(config.model), config.training)


def test_an_unsupported_network_is_logged_once_for_each_reason(caplog):
    def one_step(config: RunConfig) -> None:
        make_stepper(Decoder(config.model), config)
        make_ensemble_stepper([Decoder(config.model)], config, "cpu")

    with caplog.at_level(logging.WARNING):
        for position, schedule in [("learned", "once"), ("slopes", "once"), ("slopes", "back"), ("nope", "once")] * 2:
            one_step(config_of(position, schedule, True, "muon", "float32"))
        one_step(config_of("nope", "once", True, "muon", "bfloat16"))
    assert [record.message for record in caplog.records] == [
        "model.position=learned: no fused training step, training in plain PyTorch, several times slower",
        "model.position=learned: cannot be trained as a stack, members take their steps one after another",
        "model.position=slopes: cannot be trained as a stack, members take their steps one after another",
    ]


@pytest.mark.slow
def test_members_that_cannot_be_stacked_are_the_runs_trained_alone():
    config = replace(tiny(steps=4), model=replace(tiny().model, position="learned", schedule="twice"))
    configs, recorders = [replace(config, model_seed=seed) for seed in (0, 1)], [MemoryRecorder(), MemoryRecorder()]
    models = train_together([Member(one, recorder) for one, recorder in zip(configs, recorders, strict=True)])
    for one, model, recorder in zip(configs, models, recorders, strict=True):
        own = MemoryRecorder()
        alone = train(one, own)
        assert all(torch.equal(a, b) for a, b in zip(alone.parameters(), model.parameters(), strict=True))
        assert recorder.checkpoints == own.checkpoints and recorder.maps == own.maps
