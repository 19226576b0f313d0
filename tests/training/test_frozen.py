"""Frozen parts of a network (``training.frozen``): no step changes them, and everything else moves as without them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lgt.core.checks import ConfigError
from lgt.core.config import RunConfig, TrainingConfig, with_setting
from lgt.core.frozen import GROUPS, group_of
from lgt.fused.step import FusedStep
from lgt.model.decoder import Decoder
from lgt.recipes.presets import group_config
from lgt.training.batches import make_batch
from lgt.training.ensemble import EnsembleStep
from lgt.training.loop import train
from lgt.training.recorder import MemoryRecorder
from lgt.training.steps import TorchStep, make_stepper
from tests.conftest import tiny

LAYER = {
    "attention": ("attention.query_gain", "attention.key_gain", "attention.query.weight", "attention.key.weight",
                  "attention.value.weight", "attention.output.weight"),
    "feed_forward": ("feed_forward.gate.weight", "feed_forward.up.weight", "feed_forward.down.weight"),
    "norms": ("attention_norm.gain", "feed_forward_norm.gain"),
}  # fmt: skip
WHOLE = {"embedding": "embedding.weight", "norms": "norm.gain", "unembedding": "unembedding.weight"}
SOME = ["embedding", "attention", "feed_forward,norms", "attention,feed_forward", "embedding,norms,unembedding",
        "embedding,attention,feed_forward,unembedding"]  # fmt: skip


def run_of(frozen: str, **training: object) -> RunConfig:
    config = group_config("caprev", "demo")
    training = {"batch_size": 12, "weight_decay": 0.3, "frozen": frozen, **training}
    return replace(config, training=replace(config.training, **training))  # type: ignore[arg-type]


def frozen_names(model: Decoder, frozen: str) -> set[str]:
    """The frozen parameters, from the lists above."""
    groups = frozen.split(",")
    names = {name for group, name in WHOLE.items() if group in groups}
    for layer in range(model.layer_count):
        names |= {f"layers.{layer}.{name}" for group, of in LAYER.items() if group in groups for name in of}
    return names


def test_every_parameter_is_in_the_listed_group():
    model = Decoder(run_of("").model)
    assert {name for name, _ in model.named_parameters()} == frozen_names(model, ",".join(GROUPS))
    for group in GROUPS:
        assert frozen_names(model, group) == {n for n, _ in model.named_parameters() if group_of(n) == group}
    assert group_of("encoding.rates.weight") == "attention"


@pytest.mark.parametrize(
    "text",
    ["heads", "attention,embedding", "norms,norms", "norms,", " norms", "norms, unembedding", None, 1, ["norms"]],
)
def test_a_text_that_is_no_list_of_groups_in_order_is_refused(text):
    with pytest.raises(
        ConfigError, match=r"training\.frozen: .* in this order: embedding,attention,feed_forward,norms"
    ):
        TrainingConfig(frozen=text)


def test_not_everything_can_be_frozen_and_the_hash_knows_what_is():
    with pytest.raises(ConfigError, match=r"training\.frozen: .* accepted: fewer groups"):
        TrainingConfig(frozen=",".join(GROUPS))
    usual, frozen = run_of(""), with_setting(run_of(""), "training.frozen", "attention,norms")
    assert "frozen" not in usual.canonical_json() and frozen.hash() != usual.hash()
    assert RunConfig.from_json(frozen.canonical_json()) == frozen


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
@pytest.mark.parametrize("frozen", SOME)
@pytest.mark.parametrize("fused", [True, False], ids=["fused", "torch"])
def test_frozen_parameters_keep_their_bits_and_all_others_move(frozen, optimizer, fused):
    config = run_of(frozen, optimizer=optimizer)
    model, start = Decoder(config.model, 3), dict(Decoder(config.model, 3).named_parameters())
    stepper = make_stepper(model, config, fused=fused)
    assert isinstance(stepper, FusedStep if fused else TorchStep)
    for step in range(2):
        stepper.step(make_batch(config, step), 1.0)
    kept = frozen_names(model, frozen)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, start[name]) == (name in kept), name


@pytest.mark.parametrize("clip", [1e-6, 1.0])
@pytest.mark.parametrize("fused", [True, False], ids=["fused", "torch"])
def test_the_others_move_as_if_the_frozen_ones_were_constants(clip, fused):
    """With a clip of 1e-6, Adam's epsilon makes the size of the clipped gradient count."""
    config = run_of("embedding,attention", optimizer="adamw", gradient_clip=clip)
    model, theirs, batch = Decoder(config.model, 3), Decoder(config.model, 3), make_batch(config, 0)
    make_stepper(model, config, fused=fused).step(batch, 0.5)
    moving = {n: p for n, p in theirs.named_parameters() if n not in frozen_names(theirs, "embedding,attention")}
    gradients = torch.autograd.grad(theirs.loss(batch.tokens, batch.scored), list(moving.values()))
    for parameter, gradient in zip(moving.values(), gradients, strict=True):
        parameter.grad = gradient
    torch.nn.utils.clip_grad_norm_(moving.values(), clip)
    training = config.training
    matrices = [p for n, p in moving.items() if n.startswith("layers.") and p.ndim == 2]
    others = [p for n, p in moving.items() if not (n.startswith("layers.") and p.ndim == 2)]
    groups = [{"params": matrices, "lr": training.learning_rate / 2, "weight_decay": 0.3},
              {"params": others, "lr": training.embedding_learning_rate / 2, "weight_decay": 0.0}]  # fmt: skip
    torch.optim.AdamW(groups, betas=(0.9, 0.95)).step()
    start = dict(Decoder(config.model, 3).named_parameters())
    for name, parameter in model.named_parameters():
        wanted = dict(theirs.named_parameters())[name]
        assert (parameter - wanted).norm() <= 0.02 * (wanted - start[name]).norm(), name


TIED_WORDS = "embedding and unembedding both or neither, because model.tied makes them one matrix"


@pytest.mark.parametrize("frozen", ["embedding", "unembedding", "embedding,norms", "attention,unembedding"])
def test_one_use_of_a_tied_matrix_cannot_be_frozen_alone(frozen):
    assert run_of(frozen).training.frozen == frozen
    tied = with_setting(run_of(""), "model.tied", "true")
    for config, path, text in ((tied, "training.frozen", frozen), (run_of(frozen), "model.tied", "true")):
        with pytest.raises(ConfigError) as refused:
            with_setting(config, path, text)
        assert str(refused.value) == f"training.frozen: '{frozen}' is not accepted; accepted: {TIED_WORDS}"


@pytest.mark.parametrize("frozen", ["embedding,unembedding", "attention", "embedding,attention,norms,unembedding"])
@pytest.mark.parametrize("fused", [True, False], ids=["fused", "torch"])
def test_a_tied_matrix_is_frozen_by_both_of_its_names(frozen, fused):
    config = run_of(frozen)
    config = replace(config, model=replace(config.model, tied=True, kv_heads=2))
    model, start = Decoder(config.model, 3), dict(Decoder(config.model, 3).named_parameters())
    stepper = make_stepper(model, config, fused=fused)
    assert isinstance(stepper, FusedStep if fused else TorchStep)
    stepper.step(make_batch(config, 0), 1.0)
    kept = frozen_names(model, frozen) - {"unembedding.weight"}
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, start[name]) == (name in kept), name


def test_stacked_members_freeze_the_same():
    config = run_of("attention,unembedding", optimizer="adamw", gradient_clip=1e-6)
    models = [Decoder(config.model, seed) for seed in (3, 4)]
    stepper, batch = EnsembleStep(models, config.training, "cpu"), make_batch(config, 0)
    stepper.step(batch, 0.5)
    for number, seed in enumerate((3, 4)):
        alone, start = Decoder(config.model, seed), dict(Decoder(config.model, seed).named_parameters())
        TorchStep(alone, config.training, "cpu").step(batch, 0.5)
        for (name, found), wanted in zip(stepper.decoder(number).named_parameters(), alone.parameters(), strict=True):
            if name in frozen_names(alone, "attention,unembedding"):
                assert torch.equal(found, start[name]), name
            else:
                assert (found - wanted).norm() < 1e-2 * (wanted - start[name]).norm(), name


def test_a_run_ends_with_the_frozen_weights_it_began_with():
    config = with_setting(tiny(steps=4), "training.frozen", "embedding,feed_forward")
    model, start = train(config, MemoryRecorder()), Decoder(config.model, config.model_seed)
    same = {n for (n, a), b in zip(model.named_parameters(), start.parameters(), strict=True) if torch.equal(a, b)}
    assert same == frozen_names(model, "embedding,feed_forward")
