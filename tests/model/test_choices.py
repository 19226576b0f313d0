"""Positional encodings and layer schedules: open sets, and a decoder that computes each of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from lgt.core.checks import ConfigError
from lgt.core.choices import POSITIONS, SCHEDULES
from lgt.core.config import ModelConfig
from lgt.model import positions, schedules
from lgt.model.checkpoint import from_bytes, measured_copy, to_bytes
from lgt.model.decoder import Decoder
from lgt.model.hooks import recorded
from lgt.model.network import has_edits
from lgt.model.schedules import Schedule, order_of
from tests.networks import BACK, Learned, Slopes

SHAPE = ModelConfig(layers=3, heads=2, width=16, hidden=20, qk_norm=True)


@pytest.fixture(autouse=True)
def toys():
    with (
        positions.registered(Slopes), positions.registered(Learned), schedules.registered(BACK),
    ):  # fmt: skip
        yield


def tokens(rows: int = 4, length: int = 9) -> torch.Tensor:
    return torch.randint(0, 60, (rows, length), generator=torch.Generator().manual_seed(1))


def test_a_registered_name_is_a_choice_and_has_an_implementation():
    for name in POSITIONS:
        encoding = positions.encoding_named(name)
        assert (encoding.name, encoding.title) == (name, POSITIONS.title(name))
    for name in SCHEDULES:
        assert order_of(replace(SHAPE, schedule=name))[0] == 0
    assert POSITIONS.names == ("rope", "nope", "alibi", "fire", "slopes", "learned")
    assert [POSITIONS.note(name) for name in (*POSITIONS, "gone")] == [
        "", "no positions", "ALiBi", "FIRE", "falling with distance", "learned from distance", "gone",
    ]  # fmt: skip
    assert POSITIONS.by_title()["rotary"] == "rope" and POSITIONS.title("gone") == "gone"


def test_registrations_in_a_test_are_removed_also_after_an_error():
    class Other(Slopes):
        name, title = "other", "another"

    with pytest.raises(RuntimeError), positions.registered(Other):
        assert ModelConfig(position="other").position == "other"
        raise RuntimeError
    with pytest.raises(ConfigError, match=r"model\.position: 'other' is not accepted; accepted: one of rope, nope"):
        ModelConfig(position="other")
    with pytest.raises(ConfigError, match=r"model\.position: 'other'"):
        positions.encoding_named("other")


@pytest.mark.parametrize(("name", "title"), [("rope", "new"), ("new", "rotary"), ("", "new"), ("new", "")])
def test_a_used_name_or_title_is_refused_and_changes_nothing(name, title):
    taken = type("Taken", (Slopes,), {"name": name, "title": title})
    before = POSITIONS.names, positions.encoding_named("rope")
    with pytest.raises(ConfigError, match=r"model\.position"):
        positions.register(taken)
    assert (POSITIONS.names, positions.encoding_named("rope")) == before


@pytest.mark.parametrize("order", [(), (0, 1), (0, 1, 2, 3), (1, 2, 0, -1)])
def test_a_schedule_that_omits_a_layer_or_has_an_unknown_one_is_refused(order):
    odd = Schedule("odd", "odd", lambda layers: order)
    with schedules.registered(odd), pytest.raises(ConfigError, match=r"applies each of the layers 0 to 2"):
        Decoder(replace(SHAPE, schedule="odd"))(tokens())


def test_initial_matrices_do_not_depend_on_the_encoding_whose_weights_depend_on_the_seed():
    plain = Decoder(SHAPE, seed=4).state_dict()
    torch.manual_seed(1)
    first = Decoder(replace(SHAPE, position="learned"), seed=4).state_dict()
    torch.manual_seed(2)
    again = Decoder(replace(SHAPE, position="learned"), seed=4).state_dict()
    other = Decoder(replace(SHAPE, position="learned"), seed=5).state_dict()
    assert all(torch.equal(first[name], value) for name, value in plain.items())
    learned = set(first) - set(plain)
    assert len(learned) == 4 and all(torch.equal(first[name], again[name]) for name in learned)
    assert not any(torch.equal(first[name], other[name]) for name in learned)


def by_hand(model: Decoder, given: torch.Tensor) -> torch.Tensor:
    """Logits of one sequence [T] under :class:`Slopes`, head by head and query by query, without a mask."""
    config, x = model.config, model.embedding.weight[given]  # [T, W]
    for number in order_of(config):
        layer = model.blocks()[number]
        a, seen = layer.attention, layer.attention_norm(x)
        heads = []
        for head in range(config.heads):
            part = slice(head * config.head_width, (head + 1) * config.head_width)
            q, k, v = (F.linear(seen, m.weight[part]) for m in (a.query, a.key, a.value))
            q, k = (F.rms_norm(y, y.shape[-1:], eps=1e-5) for y in (q, k))
            q, k = q * a.query_gain[head], k * a.key_gain[head]
            rows = []
            for query in range(len(given)):
                far = torch.arange(query, -1, -1).float()
                score = k[: query + 1] @ q[query] / config.head_width**0.5 - 0.5 ** (head + 1) * far
                rows.append(score.softmax(0) @ v[: query + 1])
            heads.append(torch.stack(rows))
        x = x + a.output(torch.cat(heads, -1))
        x = x + layer.feed_forward(layer.feed_forward_norm(x))
    return model.logits(x)


@pytest.mark.parametrize("schedule", ["once", "twice", "back"])
def test_a_bias_and_a_schedule_equal_a_computation_by_hand(schedule):
    model = Decoder(replace(SHAPE, position="slopes", schedule=schedule), seed=2)
    with torch.no_grad():
        wanted = torch.stack([by_hand(model, row) for row in tokens()])
        assert torch.allclose(model(tokens()), wanted, atol=1e-4)
        plain = Decoder(replace(SHAPE, position="nope", schedule=schedule), seed=2)(tokens())
    assert (plain - wanted).abs().max() > 0.05, "the bias matters"


@pytest.mark.parametrize("position", ["rope", "slopes", "learned"])
def test_the_attention_kernel_gives_the_same_logits_with_every_encoding(position):
    model = Decoder(replace(SHAPE, position=position))
    with torch.no_grad():
        wanted = model(tokens())
        for layer in model.blocks():
            layer.attention.kernel = True
        assert torch.allclose(model(tokens()), wanted, atol=1e-5)


@pytest.mark.parametrize("position", ["rope", "slopes", "learned"])
def test_each_sequence_may_have_its_own_positions(position):
    model = Decoder(replace(SHAPE, position=position))
    own = torch.arange(9) * torch.tensor([1, 2, 0, 3])[:, None]
    with torch.no_grad():
        found = model(tokens(), own)
        for row in range(4):
            assert torch.allclose(found[row], model(tokens()[row : row + 1], own[row])[0], atol=1e-5)
        assert not torch.allclose(found, model(tokens()), atol=1e-3)


def test_a_layer_that_is_used_twice_calls_its_hook_points_twice_and_shares_its_weights():
    once, twice = (Decoder(replace(SHAPE, schedule=name)) for name in ("once", "twice"))
    assert [name for name, _ in once.named_parameters()] == [name for name, _ in twice.named_parameters()]
    with recorded(twice.head_hook(1)) as heads, recorded(twice.pattern_hook(1)) as patterns:
        twice(tokens())
    assert len(heads) == len(patterns) == 2 and not torch.allclose(heads[0], heads[1])
    assert not has_edits(twice) and twice.layer_count == 3
    assert (once(tokens()) - twice(tokens())).abs().max() > 0.01


@pytest.mark.parametrize("position", ["learned", "slopes"])
def test_checkpoints_keep_what_an_encoding_has_learned(position):
    model = Decoder(replace(SHAPE, position=position, schedule="back"), seed=3)
    read = from_bytes(to_bytes(model), model.config)
    assert torch.equal(read(tokens()), measured_copy(model)(tokens()))
    assert positions.learned_parameters(model.config) == (28 if position == "learned" else 0)


@pytest.mark.parametrize(("name", "times"), [("once", 1), ("twice", 2), ("three-times", 3), ("six-times", 6)])
def test_a_built_in_schedule_repeats_all_layers_in_order_and_says_its_depth(name, times):
    assert order_of(replace(SHAPE, schedule=name)) == (0, 1, 2) * times
    assert SCHEDULES.depth(name, 3) == 3 * times and schedules._SCHEDULES[name].title == SCHEDULES.title(name)
    assert SCHEDULES.depth("back", 3) == 6, "of an added schedule it is counted"


def test_a_network_that_applies_too_many_layers_is_refused_in_one_line():
    assert ModelConfig(layers=21, schedule="six-times")
    with pytest.raises(ConfigError) as refused:
        ModelConfig(layers=22, schedule="six-times")
    assert str(refused.value) == (
        "model.schedule: 'six-times' is not accepted; accepted: at most 128 layers, each use of a layer counted, and "
        "not 132"
    )
    odd = Schedule("odd", "odd", lambda layers: (*range(layers),) * 65)
    with schedules.registered(odd), pytest.raises(ConfigError, match=r"at most 128 layers, .* and not 130"):
        ModelConfig(layers=2, schedule="odd")
