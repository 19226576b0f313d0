"""Partitions by their definition, against networks that were cut by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lgt.core.checks import ConfigError
from lgt.core.config import ModelConfig, RunConfig
from lgt.core.parts import parts_by_task
from lgt.evaluation.passes import evaluating
from lgt.model.batch import Batch
from lgt.model.checkpoint import from_bytes, measured_copy, stored_weights, to_bytes
from lgt.model.decoder import Decoder
from lgt.model.hooks import recorded
from lgt.model.hugging_face import check_counterpart
from lgt.tasks.vocabulary import TAG
from lgt.training.batches import make_batch
from tests.conftest import tiny

MAIN, OTHERS = "capitalize_reverse", ("capitalize", "reverse")
SHAPE = ModelConfig(layers=2, heads=4, width=32, hidden=24, qk_norm=True)


def run_of(parts: str, **model: object) -> RunConfig:
    config = tiny()
    training = replace(config.training, batch_size=24)
    return replace(config, model=replace(SHAPE, parts=parts, **model), training=training)  # type: ignore[arg-type]


def decoder_of(config: RunConfig) -> Decoder:
    return Decoder(config.model, 3, by_task=parts_by_task(config))


def cut(config: RunConfig, heads: range, channels: range = range(24)) -> Decoder:
    """The network without a partition, with the columns of the projections of all other heads and channels zero."""
    model, width = Decoder(replace(config.model, parts=""), 3), config.model.head_width
    with torch.no_grad():
        for layer in model.blocks():
            for head in set(range(config.model.heads)) - set(heads):
                layer.attention.output.weight[:, head * width : (head + 1) * width] = 0
            for channel in set(range(config.model.hidden)) - set(channels):
                layer.feed_forward.down.weight[:, channel] = 0
    return model


def rows_of(batch: Batch, *tasks: str) -> torch.Tensor:
    return torch.isin(batch.tokens[:, 1], torch.tensor([TAG[task] for task in tasks]))


PARTITIONS = {
    "main:0-1+auxiliary:2-3": {MAIN: (range(2), range(24)), **dict.fromkeys(OTHERS, (range(2, 4), range(24)))},
    "main:all:0-9+auxiliary:all:10-23": {MAIN: (range(4), range(10)),
                                         **dict.fromkeys(OTHERS, (range(4), range(10, 24)))},
    "main:0-2:5+reverse:1": {MAIN: (range(3), range(5, 6)), "reverse": (range(1, 2), range(24)),
                             "capitalize": (range(4), range(24))},
}  # fmt: skip


@pytest.mark.parametrize("position", ["rope", "nope"])
@pytest.mark.parametrize("parts", PARTITIONS)
def test_each_task_has_the_logits_of_the_network_cut_to_its_part(parts, position):
    config = run_of(parts, position=position)
    batch = make_batch(config, 0)
    found = decoder_of(config)(batch.tokens)
    for task, part in PARTITIONS[parts].items():
        rows = rows_of(batch, task)
        assert rows.any()
        assert torch.allclose(found[rows], cut(config, *part)(batch.tokens[rows]), atol=1e-6)
        assert not torch.allclose(found[~rows], cut(config, *part)(batch.tokens[~rows]), atol=1e-2)


def test_the_loss_of_one_task_has_no_gradient_outside_its_part():
    config = run_of("main:0-1:0-9+auxiliary:2-3:10-23")
    model, batch = decoder_of(config), make_batch(config, 0)
    rows = rows_of(batch, MAIN)
    model.loss(batch.tokens[rows], batch.scored[rows]).backward()
    for layer in model.blocks():
        attention, feed_forward = layer.attention, layer.feed_forward
        for matrix in (attention.query, attention.key, attention.value):
            assert matrix.weight.grad[16:].eq(0).all() and matrix.weight.grad[:16].ne(0).any()
        assert attention.output.weight.grad[:, 16:].eq(0).all() and attention.output.weight.grad[:, :16].ne(0).any()
        for gain in (attention.query_gain, attention.key_gain):
            assert gain.grad[2:].eq(0).all() and gain.grad[:2].ne(0).all()
        for matrix in (feed_forward.gate, feed_forward.up):
            assert matrix.weight.grad[10:].eq(0).all() and matrix.weight.grad[:10].ne(0).any()
        assert feed_forward.down.weight.grad[:, 10:].eq(0).all()


def test_the_hook_points_show_that_an_unused_head_puts_out_zero():
    config = run_of("main:0-1+auxiliary:2-3")
    model, batch = decoder_of(config), make_batch(config, 0)
    main = rows_of(batch, MAIN)
    for layer in range(2):
        with evaluating(model), recorded(model.head_hook(layer)) as found, recorded(model.pattern_hook(layer)) as seen:
            model(batch.tokens)
        assert found[0][main, 2:].eq(0).all() and found[0][~main, :2].eq(0).all()
        assert found[0][main, :2].ne(0).any() and found[0][~main, 2:].ne(0).any()
        assert torch.allclose(seen[0].sum(-1), torch.ones(()))


def test_drawn_heads_are_used_alone_and_without_draws_all_are_scaled():
    config = run_of("random-3")
    model, batch = decoder_of(config), make_batch(config, 0)
    assert batch.drawn is not None and batch.drawn.shape == (24, 4) and (batch.drawn.sum(1) == 3).all()
    with torch.no_grad():
        drawn = model.residual(batch.tokens, drawn=batch.drawn)
        for row, heads in enumerate(batch.drawn):
            left_out = int((~heads).nonzero())
            kept = cut(config, range(4))
            for layer in kept.blocks():
                layer.attention.output.weight[:, left_out * 8 : (left_out + 1) * 8] = 0
            assert torch.allclose(drawn[row], kept.residual(batch.tokens[row, None])[0], atol=1e-6)
        scaled = cut(config, range(4))
        for layer in scaled.blocks():
            layer.attention.output.weight.mul_(3 / 4)
        assert torch.allclose(model.residual(batch.tokens), scaled.residual(batch.tokens), atol=1e-6)


def test_draws_are_a_function_of_config_and_step_and_hit_every_head_alike():
    config = run_of("random-3")
    draws = [make_batch(config, step).drawn for step in range(40)]
    assert torch.equal(draws[7], make_batch(run_of("random-3"), 7).drawn) and not torch.equal(draws[7], draws[8])
    assert not torch.equal(draws[7], make_batch(replace(config, data_seed=1), 7).drawn)
    share = torch.cat(draws).float().mean(0)
    assert (share - 3 / 4).abs().max() < 0.06  # four standard deviations of 960 draws
    plain = make_batch(run_of(""), 7)
    assert plain.drawn is None and torch.equal(plain.tokens, make_batch(config, 7).tokens)


def test_the_partition_is_no_part_of_the_weights_and_stays_with_copies():
    config = run_of("main:0-1+auxiliary:2-3")
    model, tokens = decoder_of(config), make_batch(config, 0).tokens
    plain = Decoder(replace(config.model, parts=""), 3)
    assert model.state_dict().keys() == plain.state_dict().keys() == stored_weights(model).keys()
    assert to_bytes(model) == to_bytes(plain)
    copies = [measured_copy(model), from_bytes(to_bytes(model), config.model, parts_by_task(config))]
    with torch.no_grad():
        found = [copy(tokens) for copy in copies]
        assert torch.equal(*found) and not torch.allclose(found[0], measured_copy(plain)(tokens), atol=1e-2)


def test_a_network_with_a_partition_needs_the_tasks_of_its_run():
    with pytest.raises(ValueError, match=r"model\.parts=main:0: the decoder needs .*parts_by_task"):
        Decoder(replace(SHAPE, parts="main:0"))
    Decoder(replace(SHAPE, parts="random-2"))


@pytest.mark.parametrize("parts", ["main:0", "random-2"])
def test_transformers_has_no_network_with_a_partition(parts):
    with pytest.raises(
        ConfigError, match=rf"model\.parts: '{parts}' is not accepted; accepted: an empty text"
    ) as error:
        check_counterpart(replace(SHAPE, parts=parts))
    assert "\n" not in str(error.value)
