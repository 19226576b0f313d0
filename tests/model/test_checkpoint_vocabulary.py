"""Checkpoints and the vocabulary: rows are found by the token's name, and version 1 stays as it was released."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load, save

from lgt.core.config import RunConfig, TaskSpec
from lgt.evaluation.exact_match import accuracy_rows
from lgt.evaluation.generation import answer
from lgt.evaluation.test_sets import test_set
from lgt.model.checkpoint import ROWS, CheckpointError, from_bytes, header_texts, measured_copy, to_bytes
from lgt.model.decoder import Decoder
from lgt.recipes.presets import isolated
from lgt.store import checkpoints, queries
from lgt.store.engine import open_store
from lgt.tasks import register, vocabulary
from lgt.tasks.prompts import Prompt, typed
from lgt.tasks.vocabulary import TOKEN_ID, VERSION_1, VOCABULARY_SIZE, decode
from lgt.training.ensemble import Member, train_together
from lgt.training.loop import train
from lgt.training.recorder import MemoryRecorder
from tests.conftest import tiny
from tests.toys import PARITY, ROTATE

BITS = ("101", "0110", "11101")


def parity_config(steps: int = 20) -> RunConfig:
    config = tiny(steps=steps)
    tasks = (TaskSpec("parity", "main", 4), TaskSpec("reverse", "auxiliary", 6))
    return replace(config, tasks=tasks, training=replace(config.training, batch_size=32))


def prompts() -> list[Prompt]:
    return [typed("parity", (bits,), 0, parity_config().options) for bits in BITS]


def answers(model: Decoder) -> list[tuple[str, list[float]]]:
    """What the model writes for every prompt, by name, with the probabilities of the written tokens."""
    written = [answer(model, prompt) for prompt in prompts()]
    return [(decode(one.tokens), [step.probability for step in one.steps]) for one in written]


@pytest.fixture(scope="module")
def parity_run():
    """(config, checkpoint, accuracy rows, answers) of a short run of a task with tokens of its own."""
    config, recorder = parity_config(), MemoryRecorder()
    with isolated():
        register(PARITY)
        train(config, recorder)
        model = from_bytes(recorder.checkpoints[20], config.model)
        rows = accuracy_rows(model, config, config.evaluation.examples)
        test_set.cache_clear()  # it holds token ids that no longer exist behind this block
        return config, recorder, rows, answers(model)


def test_the_checkpoint_names_its_tokens_and_measures_as_the_run_did(parity_run):
    _, recorder, rows, _ = parity_run
    assert rows == recorder.accuracies[20] and {row.task for row in rows} == {"parity", "reverse"}
    about = header_texts(recorder.checkpoints[20])
    assert about["format"] == "lgt-decoder-1" and about["vocabulary"] == "1"
    assert json.loads(about["tokens"]) == ["<parity>", "[even]", "[odd]"]
    weights = load(recorder.checkpoints[20])
    assert {len(weights[name]) for name in ROWS} == {VOCABULARY_SIZE + 3}


@pytest.mark.parametrize(
    ("before", "unknown"), [((), 0), (("<north>", "~", "[odd]"), 2), (("[odd]", "[even]"), 0)], ids=str
)
def test_with_other_token_ids_the_model_answers_as_before(parity_run, before, unknown):
    config, recorder, _, wanted = parity_run
    with isolated():
        vocabulary.append(before)
        register(PARITY)
        model = from_bytes(recorder.checkpoints[20], config.model)
        assert model.embedding.num_embeddings == VOCABULARY_SIZE + 3 + unknown
        found = answers(model)
        written = to_bytes(model)
        names = json.loads(header_texts(written)["tokens"])
        assert sorted(names) == ["<parity>", "[even]", "[odd]"]
    assert [text for text, _ in found] == [text for text, _ in wanted]
    for (_, new), (_, old) in zip(found, wanted, strict=True):
        assert new == pytest.approx(old, rel=1e-5)


def test_a_token_without_a_row_in_the_checkpoint_has_probability_zero(parity_run):
    config, recorder, _, _ = parity_run
    with isolated():
        register(ROTATE)
        register(PARITY)
        model = from_bytes(recorder.checkpoints[20], config.model)
        with torch.inference_mode():
            logits = model(torch.tensor([prompts()[0].tokens]))[0]
        assert (logits[:, TOKEN_ID["<rotate>"]] == float("-inf")).all()
        assert torch.isfinite(logits[:, TOKEN_ID["<parity>"]]).all()


@pytest.mark.parametrize("before", [(), ("<north>", "~", "[odd]")], ids=str)
def test_a_tied_network_has_one_matrix_of_rows_which_are_found_by_name(before):
    shape = replace(tiny().model, tied=True, kv_heads=2)
    with isolated():
        register(PARITY)
        model = Decoder(shape, seed=3, vocabulary=VOCABULARY_SIZE + 3)
        stored, tokens = to_bytes(model), torch.tensor([prompts()[0].tokens])
        names = [*range(VOCABULARY_SIZE), *(TOKEN_ID[name] for name in ("<parity>", "[even]", "[odd]"))]
        with torch.inference_mode():
            wanted = measured_copy(model)(tokens)[..., names]
    assert set(ROWS) & set(load(stored)) == {"embedding.weight"}
    with isolated():
        vocabulary.append(before)
        register(PARITY)
        model, tokens = from_bytes(stored, shape), torch.tensor([prompts()[0].tokens])
        names = [*range(VOCABULARY_SIZE), *(TOKEN_ID[name] for name in ("<parity>", "[even]", "[odd]"))]
        assert len(model.unknown) == 2 * bool(before)
        assert len(load(to_bytes(model))["embedding.weight"]) == VOCABULARY_SIZE + 3
        with torch.inference_mode():
            found, copied = model(tokens), measured_copy(model)(tokens)
    assert torch.allclose(found[..., names], wanted, atol=1e-5) and torch.equal(found, copied)
    assert (found[..., list(model.unknown)] == float("-inf")).all() and torch.isfinite(found[..., names]).all()


def test_an_ensemble_has_rows_for_the_tokens_of_its_tasks():
    config = parity_config(steps=2)
    with isolated():
        register(PARITY)
        (model,) = train_together([Member(config, MemoryRecorder())])
        test_set.cache_clear()
    assert model.embedding.num_embeddings == VOCABULARY_SIZE + 3


def test_without_the_extension_the_error_names_the_unknown_token(parity_run):
    config, recorder, _, _ = parity_run
    with pytest.raises(CheckpointError, match="unknown token '<parity>': load the extension that") as caught:
        from_bytes(recorder.checkpoints[20], config.model)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ({"tokens": "[1"}, "list of tokens is damaged"),
        ({"tokens": "7"}, "list of tokens is damaged"),
        ({"tokens": '["a"]'}, "names one token twice"),
        ({"tokens": json.dumps(["x\n" * 500])}, "unknown token"),
        ({"vocabulary": "2"}, "version 2 of the vocabulary; this code knows 1"),
        ({"vocabulary": "two"}, "list of tokens is damaged"),
    ],
)
def test_a_damaged_list_of_tokens_is_refused_in_one_line(about, says):
    model = Decoder(tiny().model)
    data = save(load(to_bytes(model)), metadata={"format": "lgt-decoder-1"} | about)
    with pytest.raises(CheckpointError, match=says) as caught:
        from_bytes(data, model.config)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_a_checkpoint_of_version_1_has_no_list_of_tokens_whatever_is_registered():
    config = tiny().model
    before = to_bytes(Decoder(config, 3))
    assert header_texts(before) == {"format": "lgt-decoder-1"} and len(VERSION_1) == VOCABULARY_SIZE
    with isolated():
        register(PARITY)
        assert to_bytes(Decoder(config, 3)) == before == to_bytes(from_bytes(before, config))


def test_every_shipped_checkpoint_loads_and_keeps_its_bytes(shipped):
    with closing(sqlite3.connect(shipped)) as connection:
        run_ids = [run_id for (run_id,) in connection.execute("SELECT run_id FROM checkpoints")]
    engine = open_store(str(shipped))
    assert len(run_ids) > 20
    for run_id in run_ids:
        weights = checkpoints.read_checkpoint(engine, run_id).weights
        model = from_bytes(weights, queries.run(engine, run_id).config.model)
        assert model.embedding.num_embeddings == VOCABULARY_SIZE and to_bytes(model) == weights


@pytest.mark.parametrize("run_id", [97, 259, 408])
def test_shipped_checkpoints_answer_as_when_they_were_stored(run_id, shipped):
    engine = open_store(str(shipped))
    config, kept = queries.run(engine, run_id).config, checkpoints.read_checkpoint(engine, run_id)
    model, main = from_bytes(kept.weights, config.model), config.main
    table = queries.accuracy(engine, [run_id])
    stored = table[(table.step == kept.step) & (table.task == main.task)].set_index("length")
    longest = main.training_length + 2
    short = replace(config, tasks=(main,), transfer_length=None,
                    evaluation=replace(config.evaluation, maximum_length=longest))  # fmt: skip
    found = {row.length: (row.correct, row.total) for row in accuracy_rows(model, short, short.evaluation.examples)}
    for length in (main.training_length, longest):
        assert found[length] == (stored.correct[length], stored.total[length])
