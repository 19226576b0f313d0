"""A live answer against the project's own definitions: greedy decoding, the full forward pass, ablation maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lgt.core.config import ModelConfig
from lgt.evaluation.ablation import ablation_map
from lgt.evaluation.generation import answer, head_means
from lgt.evaluation.passes import evaluating
from lgt.evaluation.test_sets import test_set
from lgt.model.batch import as_batch
from lgt.model.decoder import Decoder
from lgt.model.hooks import edited, recorded
from lgt.model.network import ensure_no_edits
from lgt.tasks import task_named
from lgt.tasks.prompts import drawn, first_of, prompts_of_same_layout
from lgt.tasks.sampling import test_examples
from lgt.tasks.vocabulary import EOS
from tests.evaluation.reference import greedy_answers, replace_head

HEADS = [(layer, head) for layer in range(2) for head in range(4)]


def untrained(seed: int = 0) -> Decoder:
    return Decoder(ModelConfig(layers=2, heads=4, width=32, hidden=32), seed=seed)


def prompts(config, task, length, count):
    """The first ``count`` prompts of a fixed test set, one at a time, and the batch they make."""
    examples = test_examples(task_named(task), length, count, config.evaluation.seed, config.options)
    parallel_map = [first_of(task_named(task), examples.take(np.array([i]))) for i in range(len(examples))]
    return parallel_map, as_batch(examples)


@pytest.mark.parametrize("length", [3, 5, 7])
def test_answers_are_those_of_greedy_decoding(trained, length):
    config, model, _ = trained
    parallel_map, batch = prompts(config, config.main.task, length, 12)
    for prompt, row in zip(parallel_map, greedy_answers(model, batch).tolist(), strict=True):
        found = answer(model, prompt)
        wanted = row[prompt.prompt_length : len(prompt.tokens)]
        cut = wanted.index(EOS) + 1 if EOS in wanted else len(wanted)
        assert list(found.tokens) == wanted[:cut]
        assert all(step.likely[0][0] == step.token for step in found.steps)  # greedy


def test_questions_of_a_task_are_given_and_only_answers_are_chosen():
    prompt, model = drawn("mqar", 5, 0, task_options()), untrained()
    found = answer(model, prompt)
    assert [step.given for step in found.steps] == [True, False] * 4
    assert found.tokens[::2] == prompt.answer[::2]
    batch = as_batch(test_examples(task_named("mqar"), 5, 1, 0, task_options()))
    wanted = greedy_answers(model, batch)[0, prompt.prompt_length :].tolist()
    assert list(found.tokens) == wanted[: len(found.tokens)]


def task_options():
    from lgt.core.config import TaskOptions

    return TaskOptions(grid=4)


def test_probabilities_and_attention_are_those_of_the_full_pass(trained):
    config, model, _ = trained
    prompt = drawn(config.main.task, 6, 1, config.options)
    found = answer(model, prompt)
    tokens = torch.tensor([[*prompt.tokens[: prompt.prompt_length], *found.tokens]])
    with evaluating(model), recorded(model.blocks()[1].attention.pattern) as patterns:
        logits = model(tokens)[0]
    start, end = prompt.prompt_length - 1, tokens.shape[1] - 1
    probabilities = logits.softmax(-1)
    for step, row in zip(found.steps, probabilities[start:end], strict=True):
        assert step.probability == pytest.approx(float(row[step.token]), rel=1e-4)
        assert [p for _, p in step.likely] == pytest.approx(row.topk(3).values.tolist(), rel=1e-3)
    assert found.patterns.shape == (2, 4, len(found.steps), end)
    assert np.allclose(found.patterns[1], patterns[0][0, :, start:end, :end], atol=1e-6)
    assert np.allclose(found.patterns.sum(-1), 1, atol=1e-5)
    assert (found.patterns[:, :, 0, prompt.prompt_length :] == 0).all()  # what is not written yet is not read


@pytest.mark.slow
@pytest.mark.parametrize(("task", "length"), [("capitalize_reverse", 2), ("capitalize", 2), ("capitalize", 3)])
def test_an_answer_without_one_head_agrees_with_the_ablation_map(trained, task, length):
    config, model, _ = trained
    parallel_map, batch = prompts(config, task, length, 24)
    wanted = ablation_map(model, batch)
    clean = np.mean([answer(model, prompt).tokens == prompt.answer for prompt in parallel_map])
    drops = []
    for layer, head in HEADS:
        means = head_means(model, batch, [(layer, head)], batch.tokens.shape[1])
        right = np.mean([answer(model, prompt, means).tokens == prompt.answer for prompt in parallel_map])
        drops.append(clean - right)
        assert drops[-1] == pytest.approx(float(wanted.accuracy_drop[layer, head]), abs=1e-6)
    assert max(drops) > 0.05, "no head of the model matters, which would test nothing"
    ensure_no_edits(model)


def test_several_heads_can_be_knocked_out_together(trained):
    config, model, _ = trained
    prompt = drawn(config.main.task, 5, 2, config.options)
    batch = test_set(config, config.main.task, 5, 30)
    means = head_means(model, batch, [(0, 1), (1, 2)], batch.tokens.shape[1])
    found = answer(model, prompt, means)
    tokens = torch.tensor([[*prompt.tokens[: prompt.prompt_length], *found.tokens[:-1]]])
    first, second = (model.blocks()[layer].attention.head_outputs for layer in (0, 1))
    count = tokens.shape[1]
    with (
        evaluating(model),
        edited(first, replace_head(1, means[0, 1][0, :count])),
        edited(second, replace_head(2, means[1, 2][0, :count])),
    ):
        row = model(tokens)[0, -1].softmax(-1)
    assert found.steps[-1].probability == pytest.approx(float(row[found.steps[-1].token]), rel=1e-4)


def test_positions_after_the_longest_prompt_get_the_mean_over_positions():
    model = untrained()
    batch = as_batch(test_examples(task_named("reverse_add"), 3, 16, 0, task_options()))
    reached = batch.tokens.shape[1]
    means = head_means(model, batch, [(0, 0)], reached + 4)[0, 0][0]
    assert means.shape == (reached + 4, 8)
    assert torch.allclose(means[reached:], means[:reached].mean(0).expand(4, -1))


@pytest.mark.parametrize("task", ["reverse_add", "cot_multiply", "dfs_trace", "shortest_path", "mqar", "reverse"])
def test_every_kind_of_prompt_can_be_answered_with_heads_off(task):
    model, options = untrained(), task_options()
    prompt = drawn(task, 9, 0, options)
    means = head_means(model, as_batch(prompts_of_same_layout(prompt, 16, 0, options)), HEADS, len(prompt.tokens))
    found = answer(model, prompt, means)
    assert 1 <= len(found.steps) <= len(prompt.answer)
    ensure_no_edits(model)
