"""The network of transformers that is made from a decoder: equal logits for every choice, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lgt.core.checks import ConfigError
from lgt.core.config import ModelConfig
from lgt.model import positions, schedules
from lgt.model.checkpoint import from_bytes, to_bytes
from lgt.model.decoder import Decoder
from lgt.model.hugging_face import counterpart, weights_file
from lgt.recipes.presets import isolated
from lgt.tasks import vocabulary
from lgt.tasks.vocabulary import VERSION_1
from tests.model.test_model import SMALL, randomise, tokens
from tests.networks import BACK, Slopes

CHOICES = {
    "rope": {}, "nope": {"position": "nope"}, "qk norm": {"qk_norm": True},
    "qk norm, nope": {"qk_norm": True, "position": "nope"}, "one head": {"qk_norm": True, "heads": 1},
    "two channels a head": {"qk_norm": True, "heads": 16}, "large theta": {"qk_norm": True, "rope_theta": 1e8},
    "looped": {"schedule": "back"}, "looped, qk norm": {"qk_norm": True, "schedule": "twice"},
    "shared keys": {"kv_heads": 2}, "one key head, tied": {"kv_heads": 1, "tied": True},
    "shared keys, qk norm": {"kv_heads": 2, "qk_norm": True}, "tied, looped": {"tied": True, "schedule": "back"},
    "shared keys, qk norm, tied, nope": {"kv_heads": 2, "qk_norm": True, "tied": True, "position": "nope"},
}  # fmt: skip


@pytest.fixture(autouse=True)
def loops():
    with schedules.registered(BACK):
        yield


def decoder(**choices: object) -> Decoder:
    """A decoder with random weights. Its gains of queries and keys differ by head; some are negative, one is zero."""
    model = Decoder(replace(SMALL, **choices))  # type: ignore[arg-type]
    randomise(model)
    source = torch.Generator().manual_seed(3)
    for layer in model.blocks() if model.config.qk_norm else ():
        for gain in (layer.attention.query_gain, layer.attention.key_gain):
            gain.data = 2 * torch.randn(gain.shape, generator=source)
            gain.data[-1] *= model.config.heads == 1
    return model


def loaded(model: Decoder, folder: Path):
    """The counterpart of ``model`` as transformers reads it from ``folder``."""
    from transformers import AutoModelForCausalLM

    found = counterpart(model)
    (folder / "config.json").write_text(json.dumps(found.config))
    (folder / "model.safetensors").write_bytes(weights_file(found))
    network, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), report
    return network.eval()


@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES)
def test_logits_are_equal(choices, tmp_path):
    model, rows = decoder(**choices), tokens(4, 60)
    network = loaded(model, tmp_path)
    with torch.no_grad():
        wanted, found = model(rows), network(rows).logits
    assert network.dtype == torch.float32 and wanted.abs().max() > 3
    assert (wanted - found).abs().max() < 1e-4 and torch.equal(wanted.argmax(-1), found.argmax(-1))


def test_the_norm_counts_its_epsilon_once(tmp_path):
    """These queries are as small as the square root of epsilon: a factor on the wrong side of the norm would show."""
    model, rows = decoder(qk_norm=True), tokens(2, 20)
    with torch.no_grad():
        for layer in model.blocks():
            layer.attention.query.weight.mul_(1e-3)
            layer.attention.key.weight.mul_(1e-3)
        wanted, found = model(rows), loaded(model, tmp_path)(rows).logits
    assert (wanted - found).abs().max() < 1e-4


def test_a_layer_without_any_gain_attends_evenly(tmp_path):
    model, rows = decoder(qk_norm=True), tokens(2, 20)
    model.blocks()[1].attention.query_gain.data.zero_()
    with torch.no_grad():
        assert (model(rows) - loaded(model, tmp_path)(rows).logits).abs().max() < 1e-4


def test_the_config_says_what_kind_of_network_it_is():
    plain, normed = counterpart(decoder()).config, counterpart(decoder(qk_norm=True, schedule="twice")).config
    assert plain["architectures"] == ["LlamaForCausalLM"] and plain["head_dim"] == 8 and plain["rope_scaling"] is None
    assert normed["architectures"] == ["Qwen3ForCausalLM"] and normed["head_dim"] == 16
    assert plain["num_hidden_layers"] == 3 and normed["num_hidden_layers"] == 6
    assert (plain["bos_token_id"], plain["eos_token_id"], plain["pad_token_id"]) == (1, 2, 0)


def test_shared_keys_and_a_tied_unembedding_are_named_in_the_config_and_need_no_note():
    shared = counterpart(decoder(kv_heads=2, tied=True))
    assert shared.config["num_key_value_heads"] == 2 and shared.config["tie_word_embeddings"] is True
    assert shared.notes == () and "lm_head.weight" not in shared.weights
    plain = counterpart(decoder())
    assert plain.config["num_key_value_heads"] == 4 and plain.config["tie_word_embeddings"] is False


def test_each_difference_in_form_has_one_sentence():
    found = counterpart(decoder(qk_norm=True, position="nope", schedule="back"))
    assert counterpart(decoder()).notes == () and len(found.notes) == 3
    for words, note in zip((["model.qk_norm", "16 channels"], ["model.position", "nope"],
                            ["model.schedule", "1, 2, 3, 3, 2, 1"]), found.notes, strict=True):  # fmt: skip
        assert all(word in note for word in words)


@pytest.mark.parametrize("position", ["alibi", "fire", "slopes"])
def test_another_encoding_is_refused_by_its_field(position):
    with positions.registered(Slopes), pytest.raises(ConfigError) as refused:
        counterpart(Decoder(ModelConfig(layers=1, heads=2, width=8, hidden=8, position=position)))
    assert str(refused.value) == (
        f"model.position: '{position}' is not accepted; accepted: rope or nope, because the network of transformers "
        "has no other encoding"
    )


@pytest.mark.parametrize("tied", [False, True])
def test_tokens_of_another_process_are_left_out(tied, tmp_path):
    shape = replace(SMALL, tied=tied)
    with isolated():
        vocabulary.append(["[odd]"])
        model = Decoder(shape, vocabulary=len(VERSION_1) + 1)
        randomise(model)
        stored = to_bytes(model)
    with isolated():
        vocabulary.append(["~", "[odd]"])
        model = from_bytes(stored, shape)
        assert model.unknown == (len(VERSION_1),)
        found = counterpart(model)
        assert found.tokens == (*VERSION_1, "[odd]") and found.config["vocab_size"] == len(VERSION_1) + 1
        with torch.no_grad():
            wanted, logits = model(tokens()), loaded(model, tmp_path)(tokens()).logits
        known = torch.tensor([*range(len(VERSION_1)), len(VERSION_1) + 1])
        assert (wanted[..., known] - logits).abs().max() < 1e-4
