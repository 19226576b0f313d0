"""The encodings that add biases to the scores: against the papers' formulas and against transformers."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from lgt.core.config import ModelConfig
from lgt.core.glossary import definition
from lgt.evaluation.forward import heads_of, mask_of
from lgt.model.decoder import Decoder
from lgt.model.positions import encoding_named, has_fast_code, learned_parameters
from lgt.model.positions.alibi import slopes
from lgt.model.positions.fire import Fire

SHAPE = ModelConfig(layers=2, heads=4, width=16, hidden=20)


def fire(heads: int = 4) -> Fire:
    """A FIRE encoding whose parameters all differ from their start; its threshold lies among the positions."""
    torch.manual_seed(1)
    encoding = Fire(replace(SHAPE, heads=heads, width=8 * heads))
    with torch.no_grad():
        encoding.c.fill_(-0.7)  # only the amount counts
        encoding.threshold.fill_(4.5 / 512)
    return encoding


@pytest.mark.slow  # importing transformers takes seconds
@pytest.mark.parametrize("heads", [1, 2, 3, 4, 6, 7, 8, 12, 16, 64])
def test_alibis_slopes_are_those_of_transformers(heads):
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor

    theirs = build_alibi_tensor(torch.ones(1, 5), heads, torch.float32)  # [H, 1, T]: slope * position of the key
    assert torch.allclose(theirs[:, 0, 1], slopes(heads), rtol=1e-6)
    ours = encoding_named("alibi")(ModelConfig(heads=heads, width=2 * heads)).bias(torch.arange(5))
    seen = torch.full((5, 5), float("-inf")).triu(1)  # a constant for each query changes no softmax
    assert torch.allclose((ours + seen).softmax(-1), (theirs + seen).softmax(-1), atol=1e-6)


def test_alibis_slopes_of_six_heads_are_those_of_four_and_every_second_of_eight():
    assert slopes(6).tolist() == pytest.approx([2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3])


def test_alibis_bias_is_the_papers_formula():
    found = encoding_named("alibi")(replace(SHAPE, heads=8)).bias(torch.arange(6))
    for head, query, key in ((0, 5, 0), (2, 3, 1), (7, 5, 4), (4, 2, 2)):
        assert float(found[head, query, key]) == pytest.approx(-(2.0 ** -(head + 1)) * (query - key))
    assert found.shape == (8, 6, 6)


def test_fires_bias_is_the_papers_formula_on_both_sides_of_the_threshold():
    encoding = fire()
    weight, bias = encoding.hidden.weight[:, 0].tolist(), encoding.hidden.bias.tolist()
    with torch.no_grad():
        found = encoding.bias(torch.arange(9))
    for head, query, key in ((0, 2, 1), (1, 4, 0), (2, 7, 3), (3, 8, 0), (0, 0, 0)):
        share = math.log(0.7 * (query - key) + 1) / math.log(0.7 * max(4.5, query) + 1)
        hidden = [max(0.0, a * share + b) for a, b in zip(weight, bias, strict=True)]
        wanted = sum(a * b for a, b in zip(hidden, encoding.output.weight[head].tolist(), strict=True))
        assert float(found[head, query, key]) == pytest.approx(wanted, abs=1e-5)
    assert found[0, 8, 5] != pytest.approx(found[0, 7, 4]), "above the threshold the distance alone does not decide"
    assert found[0, 4, 2] == pytest.approx(found[0, 3, 1]), "below it does"


@pytest.mark.parametrize("position", ["alibi", "fire"])
def test_each_sequence_may_have_its_own_positions(position):
    encoding = fire() if position == "fire" else encoding_named(position)(SHAPE)
    own = torch.arange(6) * torch.tensor([1, 2, 0])[:, None]  # [B, T]
    together = encoding.bias(own)
    assert together.shape == (3, 4, 6, 6)
    assert all(torch.allclose(row, encoding.bias(where)) for row, where in zip(together, own, strict=True))


@pytest.mark.parametrize("heads", [1, 4, 6])
def test_the_parameters_of_fire_are_counted_and_all_have_a_gradient(heads):
    config = replace(SHAPE, heads=heads, width=8 * heads, position="fire")
    model = Decoder(config, vocabulary=50)
    every = sum(parameter.numel() for parameter in model.parameters())
    assert config.parameters(50) + learned_parameters(config) == every
    assert learned_parameters(config) == 66 + 32 * heads
    assert "66 + 32 heads" in str(ModelConfig.parameters.__doc__)
    encoding = fire(heads)
    torch.autograd.backward((encoding.bias(torch.arange(9)).tril() ** 2).sum())
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 1e-4 for parameter in encoding.parameters())


@pytest.mark.parametrize("position", ["alibi", "fire"])
def test_the_attention_kernel_of_gpus_gives_the_same_predictions(position):
    """Also in the fast passes of evaluation, which use it on a GPU only."""
    model = Decoder(replace(SHAPE, position=position), seed=1)
    tokens = torch.randint(0, 60, (3, 7), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted, residual, mask = model(tokens), model.embedding.weight[tokens], mask_of(model, 7)
        plain = heads_of(model.blocks()[0], residual, mask, None)
        for layer in model.blocks():
            layer.attention.kernel = True
        assert torch.allclose(model(tokens), wanted, atol=1e-5)
        assert torch.allclose(heads_of(model.blocks()[0], residual, mask, None), plain, atol=1e-5)


def test_the_built_in_encodings_have_fast_code_and_a_title_that_the_glossary_says_too():
    for name in ("rope", "nope", "alibi", "fire"):
        assert has_fast_code(name)
    for text in ("rotary", "none", "ALiBi", "FIRE"):
        assert text in definition("positional encoding")
