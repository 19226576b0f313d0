"""The network against an independent implementation and against what its positions and taps promise."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lgt.core.config import ModelConfig
from lgt.model.decoder import Decoder
from lgt.model.hooks import edited, recorded
from lgt.model.network import ensure_no_edits
from lgt.model.positions.rope import rotary_angles
from lgt.training.steps import faster_products
from tests.evaluation.reference import replace_head

SMALL = ModelConfig(layers=3, heads=4, width=32, hidden=48, rope_theta=1000.0)


def tokens(rows: int = 5, length: int = 17, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 60, (rows, length), generator=torch.Generator().manual_seed(seed))


def randomise(model: nn.Module) -> None:
    """Every parameter random, gains included: a parity test on gains of one would not see a missing gain."""
    source = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=source) * 0.3 + (parameter.ndim == 1))


def as_transformers(model: Decoder):
    from transformers import LlamaConfig, LlamaForCausalLM

    config = model.config
    reference = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=model.embedding.num_embeddings, hidden_size=config.width, intermediate_size=config.hidden,
            num_hidden_layers=config.layers, num_attention_heads=config.heads, rms_norm_eps=1e-5,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
            num_key_value_heads=config.key_value_heads, tie_word_embeddings=config.tied,
        )
    )  # fmt: skip
    reference.load_state_dict({their_name(name): value for name, value in model.state_dict().items()}, strict=False)
    assert (reference.lm_head.weight is reference.model.embed_tokens.weight) is config.tied
    return reference


def their_name(ours: str) -> str:
    """The name of a parameter in transformers."""
    whole = {"embedding.weight": "model.embed_tokens.weight", "unembedding.weight": "lm_head.weight",
             "norm.gain": "model.norm.weight"}  # fmt: skip
    names = {
        "layers.": "model.layers.", "attention_norm.gain": "input_layernorm.weight",
        "feed_forward_norm.gain": "post_attention_layernorm.weight", "attention.query": "self_attn.q_proj",
        "attention.key": "self_attn.k_proj", "attention.value": "self_attn.v_proj",
        "attention.output": "self_attn.o_proj",
        "feed_forward.gate": "mlp.gate_proj", "feed_forward.up": "mlp.up_proj", "feed_forward.down": "mlp.down_proj",
    }  # fmt: skip
    name = ours
    for part, theirs in names.items():
        name = name.replace(part, theirs)
    return whole.get(ours, name)


SHAPES = {
    "Llama": SMALL, "shared keys": replace(SMALL, kv_heads=2), "one key head": replace(SMALL, kv_heads=1),
    "tied": replace(SMALL, tied=True),
    "SmolLM2, narrow": replace(SMALL, heads=9, kv_heads=3, width=72, tied=True, rope_theta=100_000.0),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_logits_loss_and_gradients_equal_transformers_llama_on_random_weights(shape):
    model = Decoder(shape)
    randomise(model)
    reference = as_transformers(model)
    scored = torch.rand(tokens().shape, generator=torch.Generator().manual_seed(2)) < 0.5
    expected, found = reference(tokens()).logits, model(tokens())
    assert (found - expected).abs().max() < 1e-5 * max(1.0, expected.abs().max().item())
    loss = model.loss(tokens(), scored)
    wanted = F.cross_entropy(expected[:, :-1][scored[:, 1:]], tokens()[:, 1:][scored[:, 1:]])
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
    loss.backward()
    wanted.backward()
    theirs = {name: parameter.grad for name, parameter in reference.named_parameters()}
    assert set(theirs) == {their_name(name) for name, _ in model.named_parameters()}
    for name, parameter in model.named_parameters():
        gradient = theirs[their_name(name)]
        assert (parameter.grad - gradient).norm() < 1e-4 * gradient.norm(), name


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_number_of_parameters_is_counted_without_making_them(shape):
    for config in (shape, replace(shape, qk_norm=True)):
        model = Decoder(config, vocabulary=50)
        assert config.parameters(50) == sum(parameter.numel() for parameter in model.parameters())
        assert ("unembedding.weight" in model.state_dict()) is not config.tied
        assert all(layer.attention.key.weight.shape[0] == config.key_value_width for layer in model.blocks())


def test_a_head_uses_the_keys_and_values_of_its_group():
    """A network with shared keys and values is one without, in which they are written once for each head."""
    grouped, plain = Decoder(replace(SMALL, kv_heads=2, qk_norm=True)), Decoder(replace(SMALL, qk_norm=True))
    randomise(grouped)
    state = grouped.state_dict()
    for layer in range(SMALL.layers):
        for name in ("key.weight", "value.weight", "key_gain"):
            first, second = state[f"layers.{layer}.attention.{name}"].chunk(2)
            state[f"layers.{layer}.attention.{name}"] = torch.cat((first, first, second, second))
    plain.load_state_dict(state)
    with torch.no_grad():
        assert torch.allclose(grouped(tokens()), plain(tokens()), atol=1e-4)
        for layer in grouped.blocks():
            layer.attention.kernel = True
        assert torch.allclose(grouped(tokens()), plain(tokens()), atol=1e-4)


@pytest.mark.parametrize("qk_norm", [False, True])
def test_rope_depends_on_relative_positions_only_and_nope_on_none(qk_norm):
    rope = Decoder(replace(SMALL, qk_norm=qk_norm))
    nope = Decoder(replace(SMALL, qk_norm=qk_norm, position="nope"))
    for model in (rope, nope):
        randomise(model)
    positions = torch.arange(17)
    scattered = torch.randperm(17, generator=torch.Generator().manual_seed(3)) * 5
    with torch.no_grad():
        base = rope(tokens(), positions)
        assert torch.allclose(base, rope(tokens(), positions + 23), atol=1e-4)
        assert not torch.allclose(base, rope(tokens(), scattered), atol=1e-2)
        assert torch.equal(nope(tokens(), positions), nope(tokens(), scattered))


def test_logits_do_not_depend_on_later_tokens():
    model = Decoder(SMALL)
    randomise(model)
    changed = tokens()
    changed[:, 9:] = 1
    with torch.no_grad():
        assert torch.equal(model(tokens())[:, :9], model(changed)[:, :9])


def test_identity_edit_changes_nothing_and_an_edit_is_gone_after_an_exception():
    model = Decoder(SMALL)
    before = model(tokens())
    attention = model.layers[1].attention
    with edited(attention.head_outputs, lambda value: value), edited(attention.pattern, lambda value: value):
        assert torch.equal(model(tokens()), before)
    with pytest.raises(RuntimeError, match="in the middle"), edited(attention.head_outputs, torch.zeros_like):
        assert not torch.equal(model(tokens()), before)
        raise RuntimeError("in the middle")
    ensure_no_edits(model)
    assert torch.equal(model(tokens()), before)


def test_an_edit_left_behind_is_found_and_a_wrong_shape_is_refused():
    model = Decoder(SMALL)
    with (
        edited(model.layers[0].attention.pattern, lambda value: value),
        pytest.raises(RuntimeError, match="pattern of layer 0"),
    ):
        ensure_no_edits(model)
    with edited(model.layers[0].attention.pattern, lambda value: value[:1]), pytest.raises(ValueError, match="shape"):
        model(tokens())


def test_replacing_one_head_leaves_the_others_and_patterns_sum_to_one():
    model = Decoder(SMALL)
    attention = model.layers[0].attention
    with recorded(attention.head_outputs) as clean, recorded(attention.pattern) as patterns:
        model(tokens())
    filling = torch.full((17, 8), 3.0)
    with edited(attention.head_outputs, replace_head(2, filling)), recorded(attention.head_outputs) as changed:
        model(tokens())
    assert torch.equal(changed[0][:, 2], filling.expand(5, 17, 8))
    assert torch.equal(changed[0][:, [0, 1, 3]], clean[0][:, [0, 1, 3]])
    assert torch.allclose(patterns[0].sum(-1), torch.ones(5, 4, 17), atol=1e-6)


def test_seed_decides_the_weights():
    first, same, other = Decoder(SMALL, seed=1), Decoder(SMALL, seed=1), Decoder(SMALL, seed=2)
    assert torch.equal(first.unembedding.weight, same.unembedding.weight)
    assert not torch.equal(first.unembedding.weight, other.unembedding.weight)


def test_angles_differ_for_positions_that_bfloat16_rounds_to_one_number():
    cosines, _ = rotary_angles(torch.arange(300), 16, 1000.0)
    exact = torch.cos(torch.arange(300, dtype=torch.float64))
    assert cosines.dtype == torch.float32
    assert (cosines[:, 0].double() - exact).abs().max() < 1e-4


def test_bfloat16_activations_stay_near_float32():
    model = Decoder(replace(SMALL, qk_norm=True))
    with torch.no_grad():
        exact = model(tokens(20, 40))
        model.compute = torch.bfloat16
        rounded = model(tokens(20, 40))
    assert (exact - rounded).norm() / exact.norm() < 0.05


def test_loss_counts_scored_tokens_only():
    model = Decoder(SMALL)
    batch = tokens()
    scored = torch.zeros_like(batch, dtype=torch.bool)
    scored[:, 12:15] = True
    loss = model.loss(batch, scored)
    logits = model(batch)[:, 11:14]
    by_hand = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), batch[:, 12:15].reshape(-1))
    assert torch.allclose(loss, by_hand, atol=1e-6)


def with_kernel(model: Decoder) -> Decoder:
    for layer in model.blocks():
        layer.attention.kernel = True
    return model


@pytest.mark.parametrize("changes", [{}, {"qk_norm": True}, {"position": "nope"}], ids=str)
def test_the_attention_kernel_gives_the_logits_and_gradients_of_the_pattern(changes):
    models = [Decoder(replace(SMALL, **changes)) for _ in range(2)]
    scored = torch.ones(5, 17, dtype=torch.bool)
    for model in models:
        randomise(model)
    with_kernel(models[1])
    for model in models:
        model.loss(tokens(), scored).backward()
    with torch.no_grad():
        assert torch.allclose(models[0](tokens()), models[1](tokens()), atol=1e-4)
    for (name, a), b in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        assert (a.grad - b.grad).norm() <= 1e-4 * a.grad.norm(), name


def test_the_attention_kernel_keeps_bfloat16_near_float32():
    model = with_kernel(Decoder(replace(SMALL, qk_norm=True)))
    with torch.no_grad():
        exact = model(tokens(20, 40))
        model.compute = torch.bfloat16
        rounded = model(tokens(20, 40))
    assert (exact - rounded).norm() / exact.norm() < 0.05


def test_a_pattern_with_edits_or_records_is_computed(monkeypatch):
    model, plain = with_kernel(Decoder(SMALL)), Decoder(SMALL)
    used = []
    kernel = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        "lgt.model.decoder.F.scaled_dot_product_attention", lambda *a, **k: used.append(1) or kernel(*a, **k)
    )
    middle, same = model.layers[1].attention, plain.layers[1].attention
    with recorded(middle.pattern) as seen, recorded(same.pattern) as wanted:
        model(tokens())
        plain(tokens())
    assert len(used) == 2, "the two layers that nobody looks at"
    assert torch.allclose(seen[0], wanted[0], atol=1e-6)
    with edited(middle.pattern, torch.zeros_like), recorded(middle.head_outputs) as heads:
        model(tokens())
    assert not heads[0].any()
    with recorded(middle.head_outputs) as heads, recorded(same.head_outputs) as wanted:
        model(tokens())
        plain(tokens())
    assert len(used) == 2 + 2 + 3 and torch.allclose(heads[0], wanted[0], atol=1e-5)


def test_float32_products_are_rounded_in_training_steps_on_a_gpu_only():
    assert torch.get_float32_matmul_precision() == "highest"
    with faster_products(torch.device("cpu")):
        assert torch.get_float32_matmul_precision() == "highest"
    with pytest.raises(RuntimeError), faster_products(torch.device("cuda")):
        assert torch.get_float32_matmul_precision() == "high"
        raise RuntimeError
    assert torch.get_float32_matmul_precision() == "highest"
