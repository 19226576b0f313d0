"""Greedy answers of many prompts against greedy decoding token by token, and their kinds against exact match."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lgt.core.config import ModelConfig, TaskOptions
from lgt.evaluation import failures
from lgt.evaluation.again import Asked, accuracy_again
from lgt.evaluation.failures import judged_answers
from lgt.evaluation.generation import answer
from lgt.evaluation.greedy import greedy_answers
from lgt.model.batch import as_batch
from lgt.model.checkpoint import from_bytes
from lgt.model.decoder import Decoder
from lgt.model.hooks import edited
from lgt.store import checkpoints, queries
from lgt.store.engine import open_store
from lgt.tasks import task_named
from lgt.tasks.prompts import first_of
from lgt.tasks.sampling import test_examples
from lgt.tasks.vocabulary import EOS
from tests.evaluation import reference
from tests.evaluation.reference import replace_head

OPTIONS = TaskOptions(grid=4)


def untrained(seed: int = 0, **choices) -> Decoder:
    """A network that writes many end tokens, so that answers end at different places."""
    model = Decoder(ModelConfig(layers=2, heads=4, width=32, hidden=32, **choices), seed=seed)
    with torch.no_grad():
        model.unembedding.weight[EOS] *= 2.5
    return model


def by_tokens(model: Decoder, batch) -> list[tuple[int, ...]]:
    """Greedy answers from the slow reference, cut as an answer ends."""
    rows = []
    for row, start, scored in zip(
        reference.greedy_answers(model, batch), batch.prompt_length, batch.scored, strict=True
    ):
        last = int(scored.nonzero().max())
        answered = row[start : last + 1].tolist()
        questions = not bool(scored[start : last + 1].all())
        end = answered.index(EOS) + 1 if EOS in answered and not questions else len(answered)
        rows.append(tuple(answered[:end]))
    return rows


@pytest.mark.parametrize("task", ["reverse_add", "string_copy", "mqar", "dfs_trace", "cot_multiply"])
@pytest.mark.parametrize("choices", [{}, {"position": "alibi"}, {"schedule": "twice"}], ids=str)
def test_many_answers_at_once_are_those_of_greedy_decoding(task, choices):
    model = untrained(**choices)
    batch = as_batch(test_examples(task_named(task), 5, 40, 0, OPTIONS))
    found, before = greedy_answers(model, batch), batch.tokens.clone()
    assert found == by_tokens(model, batch)
    assert torch.equal(before, batch.tokens), "the batch is not changed"
    assert len({len(one) for one in found}) > 1 or task == "mqar", "answers end at different places"


def test_answers_of_a_trained_run_are_those_that_the_playground_writes(trained):
    config, model, _ = trained
    task = task_named(config.main.task)
    examples = test_examples(task, 6, 24, config.evaluation.seed, config.options)
    found = greedy_answers(model, as_batch(examples))
    for row, one in enumerate(found):
        assert answer(model, first_of(task, examples.take(np.array([row])))).tokens == one


def test_an_edit_stays_active():
    model = untrained()
    batch = as_batch(test_examples(task_named("reverse_add"), 6, 30, 0, OPTIONS))
    clean = greedy_answers(model, batch)
    with edited(model.head_hook(0), replace_head(1, torch.full((1, 8), 3.0))):
        assert greedy_answers(model, batch) == by_tokens(model, batch) != clean


def test_no_prompt_has_no_answer():
    empty = as_batch(test_examples(task_named("reverse_add"), 6, 1, 0, OPTIONS).take(slice(0, 0)))
    assert greedy_answers(untrained(), empty) == []


# --- kinds


def test_right_answers_are_counted_as_exact_match_counts_them(trained):
    config, model, _ = trained
    for row in accuracy_again(model, config, Asked()):
        found = judged_answers(model, config, row.task, row.length)
        assert sum(one.kinds == ("right",) for one in found.answers) == row.correct
        assert len(found.answers) == found.total == row.total


def test_a_person_does_not_wait_for_more_answers_than_are_said(trained, monkeypatch):
    config, model, _ = trained
    whole = judged_answers(model, config, config.main.task, 6)
    assert whole.total == 40
    monkeypatch.setattr(failures, "MOST_PROMPTS", 30)
    some = judged_answers(model, config, config.main.task, 6)
    assert (len(some.answers), some.total) == (30, 40)
    assert [one.prompt for one in some.answers] == [one.prompt for one in whole.answers[:30]], "the first ones"
    monkeypatch.setattr(failures, "MOST_TOKENS", 12 * 7)  # an answer of 6 letters and the end
    monkeypatch.setattr(failures, "LEAST_PROMPTS", 9)
    assert len(judged_answers(model, config, config.main.task, 6).answers) == 12
    monkeypatch.setattr(failures, "LEAST_PROMPTS", 20)
    assert len(judged_answers(model, config, config.main.task, 6).answers) == 20


@pytest.mark.slow
def test_a_shipped_pair_without_positions_drops_carries_together_and_moves_digits_alone(shipped):
    """What the picture that the page offers first says, counted again from the weights of the store."""
    engine = open_store(str(shipped), read_only=True)
    counts = {}
    for run_id in (111, 259):
        config = queries.run(engine, run_id).config
        model = from_bytes(checkpoints.read_checkpoint(engine, run_id).weights, config.model)
        stored = queries.accuracy(engine, [run_id]).set_index(["task", "length"]).correct
        kinds = [one.kinds[0] for one in judged_answers(model, config, "reverse_add", 9).answers]
        assert kinds.count("right") == stored["reverse_add", 9]
        counts[run_id] = {kind: kinds.count(kind) for kind in ("right", "dropped carry", "shifted")}
    assert counts[111]["right"] > 100 and counts[111]["dropped carry"] > 80 and not counts[111]["shifted"]
    assert not counts[259]["right"] and counts[259]["shifted"] > 15 and not counts[259]["dropped carry"]
