"""The command export-model: a folder that transformers loads, whole or not at all, and what is refused."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lgt.core.notices import warn_once
from lgt.evaluation.generation import answer
from lgt.evaluation.test_sets import test_set
from lgt.model import positions
from lgt.model.checkpoint import from_bytes
from lgt.store import checkpoints, queries
from lgt.store.engine import open_store
from lgt.tasks.prompts import drawn
from lgt.tasks.vocabulary import EOS, decode
from tests.cli.stored import store_run
from tests.cli.test_cli import lgt
from tests.networks import Slopes

pytestmark = pytest.mark.slow

WITH_WEIGHTS, WITHOUT, OTHER_ENCODING = "1", "2", "3"
FILES = ["README.md", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
         "tokenizer_config.json"]  # fmt: skip


@pytest.fixture(scope="module")
def store(trained, tmp_path_factory) -> Path:
    """A store with the run of ``trained``, its counts and weights; run 2 has no weights, run 3 an encoding that was
    registered when it was made."""
    config, _, recorder = trained
    path = tmp_path_factory.mktemp("exported") / "mine.db"
    engine = open_store(str(path))
    with positions.registered(Slopes):
        slopes = replace(config, model=replace(config.model, position="slopes"))
    for one, label in ((config, "a run"), (config, "without weights"), (slopes, "slopes")):
        store_run(engine, one, recorder, label, weights=label == "a run")
    engine.dispose()
    return path


def exported(capsys, folder: Path, *arguments: object) -> str:
    capsys.readouterr()  # transformers writes a line when it reads weights
    code, out, err = lgt(capsys, "export-model", *arguments, str(folder))
    assert code == 0 and not err, err
    return out


def read(folder: Path):
    """The network and the tokenizer of ``folder``, as transformers reads them."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


def test_transformers_reads_the_folder_and_gives_the_logits_of_the_run(capsys, store, trained, tmp_path):
    config, model, _ = trained
    out = exported(capsys, tmp_path / "net", WITH_WEIGHTS, "--database", store)
    assert out.startswith(f"{tmp_path / 'net'}: run 1 after 150 steps as Qwen3ForCausalLM, ")
    assert sorted(path.name for path in (tmp_path / "net").iterdir()) == FILES
    network, _ = read(tmp_path / "net")
    batch = test_set(config, "capitalize_reverse", 6, 40)
    with torch.no_grad():
        wanted, found = model(batch.tokens), network(batch.tokens).logits
    assert (wanted - found).abs().max() < 1e-4 and torch.equal(wanted.argmax(-1), found.argmax(-1))


def test_generate_writes_the_answers_of_the_run(capsys, store, trained, tmp_path):
    config, model, _ = trained
    exported(capsys, tmp_path / "net", WITH_WEIGHTS, "--database", store)
    network, tokenizer = read(tmp_path / "net")
    prompts = [drawn(spec.task, length, 4, config.options) for spec in config.tasks for length in (2, 5, 7)]
    texts = [decode(prompt.tokens[1 : prompt.prompt_length]) for prompt in prompts]
    given = tokenizer(texts, return_tensors="pt", padding=True)
    written = network.generate(**given, max_new_tokens=9)[:, given["input_ids"].shape[1] :].tolist()
    for prompt, tokens in zip(prompts, written, strict=True):
        ours = answer(model, prompt).tokens
        assert ours == tuple(tokens[: len(ours)]) and len(ours) >= 2


def test_a_run_with_shared_keys_and_a_tied_unembedding_goes_through_every_command(capsys, caplog, tmp_path):
    warn_once.cache_clear()
    store, network = tmp_path / "a.db", ["model.kv_heads=2", "model.tied=true", "model.qk_norm=false"]
    settings = [*network, "training.steps=30", "training.batch_size=16", "evaluation.examples=16",
                "evaluation.attribution_examples=4"]  # fmt: skip
    options = [text for setting in settings for text in ("--set", setting)]
    code, _, err = lgt(capsys, "train", "--group", "caprev", *options, "--database", store)
    assert code == 0 and "several times slower" not in caplog.text and "no fast" not in caplog.text, err
    engine = open_store(str(store))
    record, weights = queries.run(engine, 1), checkpoints.read_checkpoint(engine, 1).weights
    assert "fused" in str(record.device) and (record.config.model.kv_heads, record.config.model.tied) == (2, True)
    rows = json.loads(lgt(capsys, "evaluate", "1", "--json", "--database", store)[1])["accuracy"]
    counts = queries.accuracy(engine, [1])
    last = counts[counts.step == 30]
    assert {(row["task"], row["length"]): row["correct"] for row in rows} == {
        (row.task, row.length): row.correct for row in last.itertuples()
    }
    assert lgt(capsys, "attribute", "1", "--database", store)[0] == 0
    exported(capsys, tmp_path / "net", "1", "--database", store)
    model, (network, _) = from_bytes(weights, record.config.model), read(tmp_path / "net")
    batch = test_set(record.config, "capitalize_reverse", 6, 40)
    with torch.no_grad():
        assert (model(batch.tokens) - network(batch.tokens).logits).abs().max() < 1e-4
    assert type(network).__name__ == "LlamaForCausalLM" and network.config.num_key_value_heads == 2
    card = (tmp_path / "net/README.md").read_text()
    assert "4 heads with 2 key and value heads, width 64, embedding and unembedding are one matrix" in card
    code, _, err = lgt(capsys, "train", "--group", "caprev", "--set", "model.kv_heads=3", "--database", store)
    assert code == 2 and err.strip().endswith(
        "model.kv_heads: 3 is not accepted; accepted: one of 0, 1, 2: a smaller divisor of model.heads, or 0 for as "
        "many as model.heads"
    )


def test_a_shipped_run_has_its_stored_counts_in_transformers(capsys, shipped, tmp_path):
    """Run 97 at a length where it answers 215 of 256 prompts right, and run 111, an addition run."""
    engine = open_store(str(shipped), read_only=True)
    for number, length in ((97, 12), (111, 8)):
        exported(capsys, tmp_path / str(number), number, "--database", shipped)
        network, _ = read(tmp_path / str(number))
        config, rows = queries.run(engine, number).config, queries.accuracy(engine, [number])
        stored = rows[(rows.task == config.main.task) & (rows.length == length)].iloc[0]
        batch = test_set(config, config.main.task, length, config.evaluation.examples)
        tokens, start = batch.tokens, int(batch.scored[0].int().argmax())
        written = network.generate(tokens[:, :start], attention_mask=torch.ones_like(tokens[:, :start]),
                                   max_new_tokens=tokens.shape[1] - start)  # fmt: skip
        right = int((written == tokens[:, : written.shape[1]]).all(1).sum())
        assert (written[:, start:] == EOS).any() and 0 < right < len(tokens)
        assert (right, len(tokens)) == (stored.correct, stored.total)


def test_every_shipped_run_with_weights_has_its_stored_counts_in_transformers(capsys, shipped, tmp_path, monkeypatch):
    """Trained logits reach 40. Rounding in float32 moves those of the run itself by up to 0.001, and theirs too."""
    # As the shipped store it is not checked from end to end by each command, as another person's is.
    monkeypatch.setenv("LGT_SHIPPED", str(shipped))
    monkeypatch.setenv("LGT_DATABASE_URL", str(tmp_path / "none.db"))
    engine = open_store(str(shipped), read_only=True)
    for number in map(int, checkpoints.list_checkpoints(engine).run_id.unique()):
        exported(capsys, tmp_path / str(number), number)
        config = queries.run(engine, number).config
        model = from_bytes(checkpoints.read_checkpoint(engine, number).weights, config.model)
        network, rows = read(tmp_path / str(number))[0], queries.accuracy(engine, [number])
        for length in (config.main.training_length, config.transfer_length):
            batch = test_set(config, config.main.task, length, config.evaluation.examples)
            with torch.no_grad():
                wanted, found = model(batch.tokens), network(batch.tokens).logits
            assert (wanted - found)[batch.present].abs().max() < 2e-3
            right = (found[:, :-1].argmax(-1) == batch.tokens[:, 1:]) | ~batch.scored[:, 1:]
            stored = rows[(rows.task == config.main.task) & (rows.length == length)].iloc[0]
            assert (int(right.all(1).sum()), len(batch)) == (stored.correct, stored.total)


def test_the_card_names_the_run_and_its_code_runs(capsys, store, tmp_path, monkeypatch):
    exported(capsys, tmp_path / "net", WITH_WEIGHTS, "--database", store)
    card = (tmp_path / "net/README.md").read_text()
    assert "\n# Flip case and reverse, helped by each alone (3 ← 6), co-trained, seed 0\n" in card
    rows = queries.accuracy(open_store(str(store), read_only=True), [1])
    row = rows[(rows.task == "capitalize_reverse") & (rows.length == 4)].iloc[0]
    assert f"| 4 | transfer region | {row.correct / row.total:.3f} ({row.correct} of {row.total}) | " in card
    for words in ("arxiv.org/abs/2506.09251", "license: mit", "after 150 of 150 steps", "0 (model), 0 (data)",
                  "lengths 4 to 6", "`python -m lgt export-model 1 net --step 150`", "one learned gain per head",
                  "Reverse (auxiliary, trained to length 6)"):  # fmt: skip
        assert words in card
    assert str(tmp_path) not in card and str(store) not in card
    monkeypatch.chdir(tmp_path)
    code = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    exec(code[0], {})
    prompt = re.search(r'tokenizer\("(.*)", return', code[0])[1]
    assert prompt in capsys.readouterr().out and "The right answer is `" in card


def test_a_step_and_a_store_are_named_as_elsewhere_and_no_store_is_changed(capsys, store, shipped, trained, tmp_path):
    before = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (store, shipped)]
    beside, step = sorted(store.parent.iterdir()), sorted(trained[2].checkpoints)[0]
    (tmp_path / "net").mkdir()  # an empty folder is accepted
    out = exported(capsys, tmp_path / "net", "mine.1", "--database", shipped, "--also", store, "--step", step)
    assert f"run mine.1 after {step} steps" in out
    card = (tmp_path / "net/README.md").read_text()
    assert f"after {step} of 150 steps" in card and re.search(
        r"\| 4 \| transfer region \| [01]\.\d+ \(\d+ of 40\)", card
    )
    weights = checkpoints.read_checkpoint(open_store(str(store), read_only=True), 1, step).weights
    model, tokens = from_bytes(weights, trained[0].model), torch.arange(60)[None]
    with torch.no_grad():
        assert (model(tokens) - read(tmp_path / "net")[0](tokens).logits).abs().max() < 1e-4
    assert before == [hashlib.sha256(path.read_bytes()).hexdigest() for path in (store, shipped)]
    assert sorted(store.parent.iterdir()) == beside


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([WITHOUT, "new"], ["run 2: its weights are not stored", "cannot be exported", "lgt show 2"]),
        ([OTHER_ENCODING, "new"], ["model.position", "'slopes'", "rope or nope"]),
        ([WITH_WEIGHTS, "new", "--step", "7"], ["--step", "7", "150"]),
        ([WITH_WEIGHTS, "full"], ["full is not empty", "name a new folder"]),
        ([WITH_WEIGHTS, "full/file"], ["full/file is a file", "name a new folder"]),
        ([WITH_WEIGHTS, "missing/new"], ["missing/new cannot be made", "missing does not exist"]),
        ([WITH_WEIGHTS, "."], ["the folder in which this command runs"]),
        ([WITH_WEIGHTS, "x" * 300], ["File name too long"]),
        (["99", "new"], ["run 99", "not in the store"]),
        (["other.1", "new"], ["other.1", "mine.1"]),
        (["one", "new"], ["one", "whole number"]),
    ],
)
def test_a_refusal_is_one_line_and_leaves_nothing(capsys, store, tmp_path, monkeypatch, arguments, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("mine")
    monkeypatch.chdir(tmp_path / "empty" if arguments[1] == "." else tmp_path)
    known = positions.registered(Slopes) if arguments[0] == OTHER_ENCODING else None
    if known:
        known.__enter__()
    try:
        code, out, err = lgt(capsys, "export-model", *arguments, "--database", store)
    finally:
        if known:
            known.__exit__(None, None, None)
    assert code == 2 and not out and len(err.strip().splitlines()) == 1 and "Traceback" not in err
    assert all(word in err for word in words), err
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["empty", "full", "full/file"]


def test_a_shipped_run_without_weights_names_the_command_that_makes_them(capsys, shipped, tmp_path):
    code, _, err = lgt(capsys, "export-model", "1", str(tmp_path / "net"), "--database", shipped)
    assert code == 2 and err == (
        "lgt: run 1: its weights are not stored, so it cannot be exported; this command trains it again and stores "
        "them: `.venv/bin/python -m lgt train --group caprev --preset demo --seed 0`\n"
    )


@pytest.mark.parametrize("at", [0, 3, 5])
def test_a_full_disk_in_the_middle_leaves_nothing(capsys, store, tmp_path, monkeypatch, at):
    written, write = [], Path.write_bytes

    def failing(path: Path, content: bytes) -> int:
        if len(written) == at:
            raise OSError(28, "No space left on device")
        written.append(path)
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", failing)
    code, out, err = lgt(capsys, "export-model", WITH_WEIGHTS, str(tmp_path / "net"), "--database", store)
    assert code == 2 and not out and len(written) == at
    assert err == f"lgt: {tmp_path / 'net'} cannot be written: disk full; free some space, then try again\n"
    assert not list(tmp_path.iterdir())


def test_while_the_folder_is_written_its_name_is_free(store, tmp_path, monkeypatch, capsys):
    """Whoever looks at any moment sees no folder or the whole one, and an interrupt leaves none."""
    seen, write = [], Path.write_bytes

    def watching(path: Path, content: bytes) -> int:
        seen.append((tmp_path / "net").exists())
        if path.name == "README.md":
            raise KeyboardInterrupt
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", watching)
    assert lgt(capsys, "export-model", WITH_WEIGHTS, str(tmp_path / "net"), "--database", store)[0] == 130
    assert seen == [False] * len(FILES) and not list(tmp_path.iterdir())


def test_a_folder_that_somebody_fills_meanwhile_is_kept(store, tmp_path, monkeypatch, capsys):
    write = Path.write_bytes

    def filling(path: Path, content: bytes) -> int:
        (tmp_path / "net").mkdir(exist_ok=True)
        (tmp_path / "net/mine").touch()
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", filling)
    code, _, err = lgt(capsys, "export-model", WITH_WEIGHTS, str(tmp_path / "net"), "--database", store)
    assert code == 2 and "not empty" in err and [path.name for path in (tmp_path / "net").iterdir()] == ["mine"]
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


def test_the_written_json_is_for_people_too(capsys, store, tmp_path):
    exported(capsys, tmp_path / "net", WITH_WEIGHTS, "--database", store)
    settings = json.loads((tmp_path / "net/generation_config.json").read_text())
    assert settings == {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "do_sample": False}
    assert (tmp_path / "net/config.json").read_text().count("\n") > 20
