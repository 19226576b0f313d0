"""Measurements of networks with a partition: each task is measured with the heads and channels it may use."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lgt.core.config import RunConfig
from lgt.core.parts import parts_by_task
from lgt.evaluation import reference
from lgt.evaluation.ablation import clean_pass, fast_map, head_score_rows
from lgt.evaluation.again import Asked, accuracy_again
from lgt.evaluation.attention import fast_patterns
from lgt.evaluation.exact_match import accuracy_rows, answer_scores
from lgt.evaluation.forward import supports
from lgt.evaluation.generation import answer, head_means
from lgt.evaluation.knock_outs import correct_without, logits_without
from lgt.evaluation.passes import evaluating, passes_in_order, tokens_per_pass
from lgt.evaluation.test_sets import test_set
from lgt.model.batch import as_batch
from lgt.model.checkpoint import from_bytes
from lgt.model.decoder import Decoder
from lgt.tasks import task_named
from lgt.tasks.base import Examples
from lgt.tasks.prompts import drawn
from lgt.tasks.sampling import test_examples
from lgt.training.loop import train
from lgt.training.recorder import MemoryRecorder
from tests.conftest import tiny

TEXTS = ("main:0-1+auxiliary:2-3", "main:0:0-87+auxiliary:1-3:40-175", "random-2", "reverse:2")


def run_of(parts: str) -> RunConfig:
    config = tiny(steps=60)
    return replace(config, model=replace(config.model, parts=parts))


@pytest.fixture(scope="module")
def partitioned() -> tuple[RunConfig, Decoder, MemoryRecorder]:
    """A run whose main task may use heads 0 and 1 and half of the channels, its auxiliary tasks the others."""
    config, recorder = run_of("main:0-1:0-87+auxiliary:2-3:88-175"), MemoryRecorder()
    return config, train(config, recorder), recorder


def network_of(config: RunConfig) -> Decoder:
    """Random weights that are large enough for every head to matter."""
    model = Decoder(config.model, 5, by_task=parts_by_task(config))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    return model


@pytest.mark.parametrize("parts", TEXTS)
def test_the_fast_passes_measure_what_the_definition_measures(parts):
    config = run_of(parts)
    model = network_of(config)
    assert supports(model)
    for task, length in (("capitalize_reverse", 4), ("reverse", 3)):
        batch = test_set(config, task, length, 24)
        (matches, losses), (wanted, nats) = answer_scores(model, batch), reference.answer_scores(model, batch)
        assert torch.equal(matches, wanted) and torch.allclose(losses, nats, atol=1e-5)
        found, slow = fast_map(model, batch), reference.ablation_map(model, batch)
        assert torch.allclose(found.loss_rise, slow.loss_rise, atol=1e-5) and slow.loss_rise.abs().max() > 1e-3
        assert torch.allclose(found.accuracy_drop, slow.accuracy_drop, atol=1e-6)
        assert torch.allclose(fast_patterns(model, batch), reference.mean_patterns(model, batch), atol=1e-6)
        choices = [(), ((0, 1),), ((0, 0), (1, 2)), ((1, 3),)]
        assert correct_without(model, batch, choices) == reference.correct_without(model, batch, choices)


def test_a_batch_of_several_tasks_is_measured_row_by_row():
    config = run_of("main:0-1:0-87+auxiliary:2-3:88-175")
    model = network_of(config)
    parts = [test_examples(task_named(spec.task), n, 9, 1, config.options) for spec in config.tasks for n in (2, 5)]
    mixed = as_batch(Examples.concatenate(parts))
    losses = torch.cat([reference.answer_scores(model, as_batch(part))[1] for part in parts])
    assert torch.allclose(answer_scores(model, mixed)[1], losses, atol=1e-5)


def test_switching_off_a_head_that_a_task_cannot_use_changes_nothing(partitioned):
    config, _, recorder = partitioned
    rows = recorder.maps[config.training.steps]
    unused = [row for row in rows if (row.head < 2) != (row.task == config.main.task)]
    used = [row for row in rows if (row.head < 2) == (row.task == config.main.task)]
    assert len(unused) == len(used) == len(rows) / 2
    assert {row.accuracy_drop for row in unused} == {0.0} and max(abs(row.loss_rise) for row in unused) < 1e-6
    assert min(abs(row.loss_rise) for row in used) > 1e-5


def test_what_a_run_stores_is_measured_again_from_its_weights(partitioned):
    config, _, recorder = partitioned
    last = config.training.steps
    weights = from_bytes(recorder.checkpoints[last], config.model, parts_by_task(config))
    assert accuracy_again(weights, config, Asked()) == recorder.accuracies[last]
    assert sum(row.correct for row in recorder.accuracies[last]) > 5
    lengths = sorted({row.length for row in recorder.maps[last]})
    assert head_score_rows(weights, config, lengths) == recorder.maps[last]
    whole = Decoder(replace(config.model, parts=""))
    whole.load_state_dict(weights.state_dict())
    assert accuracy_rows(whole, config, 40) != recorder.accuracies[last], "without the partition: another network"


def test_the_playground_writes_with_the_heads_of_the_prompts_task(partitioned):
    config, model, _ = partitioned
    for task, unused in (("capitalize_reverse", (1, 3)), ("reverse", (1, 0))):
        batch, prompt = test_set(config, task, 3, 24), drawn(task, 3, 0, config.options)
        found = answer(model, prompt)
        tokens = torch.tensor([[*prompt.tokens[: prompt.prompt_length], *found.tokens]])
        logits = model(tokens)[0, prompt.prompt_length - 1 : -1]
        assert logits.argmax(-1).tolist() == list(found.tokens)
        means = head_means(model, batch, [unused], len(prompt.tokens))
        assert means[unused].eq(0).all() and answer(model, prompt, means).steps == found.steps


@pytest.mark.parametrize("parts", TEXTS)
def test_knocking_out_heads_gives_the_losses_of_the_definition(parts):
    config = run_of(parts)
    model, batch = network_of(config), test_set(config, "capitalize_reverse", 4, 24)
    means = reference.mean_outputs(model, batch)
    (part,) = passes_in_order(batch, tokens_per_pass(batch.tokens.device))
    with evaluating(model):
        clean = list(clean_pass(model, [part], batch.present))
    for choice in ((), ((0, 1),), ((0, 0), (1, 0)), ((1, 1),)):
        with evaluating(model):
            losses = part.losses(logits_without(model, 0, part, clean, choice))
        _, wanted = reference.answer_scores(model, batch, {head: means[head] for head in choice})
        assert torch.allclose(losses, wanted, atol=1e-5), choice
