"""The fast passes against the definition, and the definition on networks that the fast passes do not compute."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lgt.core.config import ModelConfig
from lgt.core.notices import warn_once
from lgt.evaluation import reference
from lgt.evaluation.ablation import ablation_map, fast_map, head_score_rows
from lgt.evaluation.attention import attention_difference_rows, fast_patterns, mean_patterns
from lgt.evaluation.exact_match import accuracy_rows, answer_scores
from lgt.evaluation.forward import rotated_qk, supports
from lgt.evaluation.generation import answer, head_means
from lgt.evaluation.knock_outs import correct_without, fast_counts
from lgt.evaluation.passes import evaluating
from lgt.evaluation.test_sets import test_set
from lgt.model import positions, schedules
from lgt.model.batch import Batch
from lgt.model.decoder import Decoder
from lgt.model.hooks import edited, recorded
from lgt.model.network import Network, has_edits
from lgt.tasks.prompts import drawn
from lgt.tasks.vocabulary import VOCABULARY_SIZE
from tests.conftest import tiny
from tests.networks import BACK, Averager, Learned, Slopes, spread

CELLS = [("caprev", "reverse", 4), ("path-dfs", "shortest_path", 5), ("copy-mqar", "mqar", 5)]
BIASED = [("alibi", True), ("fire", False), ("slopes", True)]
CHOICES = [(), ((0, 1),), ((1, 0), (0, 2)), ((0, 0), (0, 1), (1, 2))]


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    monkeypatch.setattr("lgt.evaluation.passes.CPU_TOKENS_PER_PASS", 100)  # several passes for each batch
    warn_once.cache_clear()
    with (
        positions.registered(Slopes), positions.registered(Learned), schedules.registered(BACK),
    ):  # fmt: skip
        yield


def network(**changes: object) -> Decoder:
    """A decoder whose heads all matter: weights larger than training starts from, gains that differ."""
    config = ModelConfig(**{"layers": 2, "heads": 3, "width": 24, "hidden": 32, **changes})  # type: ignore[arg-type]
    model, source = Decoder(config, seed=3), torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "gain" in name:
                parameter.mul_(0.5 + torch.rand(parameter.shape, generator=source))
            elif "layers" in name:
                parameter.mul_(2)
    spread(model.encoding)
    return model


def same_map(found: reference.AblationMap, wanted: reference.AblationMap) -> bool:
    assert wanted.loss_rise.abs().min() > 1e-4, "every head matters"
    return (
        torch.allclose(found.loss_rise, wanted.loss_rise, atol=1e-5, rtol=0)
        and torch.allclose(found.accuracy_drop, wanted.accuracy_drop, atol=1e-6, rtol=0)
        and found.examples == wanted.examples
    )


SHARED = [{"kv_heads": 1}, {"kv_heads": 1, "tied": True, "qk_norm": True}, {"tied": True, "position": "nope"},
          {"heads": 6, "kv_heads": 2, "qk_norm": True, "position": "alibi"},
          {"heads": 4, "kv_heads": 2, "width": 32, "qk_norm": True, "position": "nope"}]  # fmt: skip
PLAIN = [{"position": position, "qk_norm": norm} for position, norm in product(("rope", "nope"), (True, False))]


@pytest.mark.parametrize(("group", "task", "length"), CELLS)
@pytest.mark.parametrize(
    "choices", [*PLAIN, *({"position": position, "qk_norm": norm} for position, norm in BIASED), *SHARED], ids=str
)
def test_the_fast_passes_give_what_the_definition_gives(choices, group, task, length):
    model, batch = network(**choices), test_set(tiny(group), task, length, 12)
    assert supports(model)
    assert same_map(fast_map(model, batch), reference.ablation_map(model, batch))
    (matches, losses), (wanted, nats) = answer_scores(model, batch), reference.answer_scores(model, batch)
    assert torch.equal(matches, wanted) and torch.allclose(losses, nats, atol=1e-5)
    assert torch.allclose(fast_patterns(model, batch), reference.mean_patterns(model, batch), atol=1e-6)
    assert fast_counts(model, batch, CHOICES) == reference.correct_without(model, batch, CHOICES)


def test_counts_of_a_trained_model_are_those_of_the_definition(trained):
    config, model, _ = trained
    batch = test_set(config, "capitalize_reverse", 2, 40)
    choices = [(), ((0, 1),), ((1, 0), (0, 2))]
    counts = reference.correct_without(model, batch, choices)
    assert fast_counts(model, batch, choices) == counts and len(set(counts)) > 1
    assert same_numbers(fast_map(model, batch), reference.ablation_map(model, batch))


def same_numbers(found: reference.AblationMap, wanted: reference.AblationMap) -> bool:
    assert wanted.accuracy_drop.abs().max() > 0.1, "some head matters"
    return torch.allclose(found.accuracy_drop, wanted.accuracy_drop, atol=1e-6) and torch.allclose(
        found.loss_rise, wanted.loss_rise, atol=1e-5
    )


def test_supported_are_decoders_with_known_encodings_and_each_layer_once_without_edits():
    for name in ("rope", "nope", "alibi", "fire", "slopes"):
        assert supports(network(position=name)) and supports(network(position=name, qk_norm=True))
    assert supports(network(kv_heads=1, tied=True))
    for changes in ({"position": "learned"}, {"schedule": "twice"}, {"schedule": "back"}):
        assert not supports(network(**changes))
    assert not supports(Averager(VOCABULARY_SIZE))
    model = network()
    with edited(model.head_hook(1), lambda value: value):
        assert has_edits(model) and not supports(model)
    assert supports(model)


def test_a_fast_pass_with_an_unsupported_encoding_raises():
    model = network(position="learned")
    with pytest.raises(ValueError, match=r"model\.position=learned is not computed here"):
        rotated_qk(model.blocks()[0].attention, torch.zeros(1, 4, 24), 0)


KINDS = {
    "slopes": {"position": "slopes"}, "learned, norm": {"position": "learned", "qk_norm": True},
    "shared keys, tied": {"kv_heads": 1, "tied": True},
    "learned, shared keys": {"position": "learned", "kv_heads": 1, "qk_norm": True},
    "twice": {"schedule": "twice"}, "slopes, back": {"position": "slopes", "schedule": "back"},
}  # fmt: skip


NAMES = [*KINDS, "averager"]


def named(name: str) -> Network:
    return network(**KINDS[name]) if name in KINDS else Averager(VOCABULARY_SIZE)


def plain_scores(model: Network, batch: Batch) -> tuple[Tensor, Tensor]:
    """Exact match and loss of each row, one row at a time, cut behind its last token."""
    matches, losses = [], []
    for tokens, scored, present in zip(batch.tokens, batch.scored, batch.present, strict=True):
        end = int(present.sum())
        with evaluating(model):
            logits = model.logits(model.residual(tokens[None, : end - 1]))[0]
        where = scored[1:end]
        matches.append(bool((logits.argmax(-1) == tokens[1:end])[where].all()))
        losses.append(F.cross_entropy(logits[where], tokens[1:end][where]))
    return torch.tensor(matches), torch.stack(losses)


def plain_means(model: Network, batch: Batch, layer: int, head: int) -> list[Tensor]:
    """For each use of the layer the mean output [T, dh] of a head, by position over rows with a token there."""
    with evaluating(model), recorded(model.head_hook(layer)) as uses:
        model.residual(batch.tokens[:, :-1])
    width = batch.tokens.shape[1] - 1
    return [torch.stack([use[batch.present[:, t], head, t].mean(0) for t in range(width)]) for use in uses]


@pytest.mark.parametrize("name", NAMES)
def test_the_definition_replaces_a_head_at_each_use_by_its_mean_at_that_use(name):
    model, batch = named(name), test_set(tiny("path-dfs"), "shortest_path", 5, 12)
    assert len(set(batch.present.sum(1).tolist())) > 1, "the check needs answers of different lengths"
    match, loss = plain_scores(model, batch)
    found = ablation_map(model, batch)
    assert found.loss_rise.shape == (2, 3)
    for layer, head in product(range(2), range(3)):
        means = plain_means(model, batch, layer, head)
        assert len(means) == (2 if "schedule" in KINDS.get(name, {}) else 1)
        use = iter(())

        def replace_it(value: Tensor, head: int = head, means: list[Tensor] = means) -> Tensor:
            nonlocal use
            number = next(use, None)
            if number is None:
                use = iter(range(1, len(means)))
                number = 0
            value = value.clone()
            value[:, head] = means[number][: value.shape[2]]
            return value

        with edited(model.head_hook(layer), replace_it):
            ablated_match, ablated_loss = plain_scores(model, batch)
        drop = match.float().mean() - ablated_match.float().mean()
        assert found.accuracy_drop[layer, head].item() == pytest.approx(drop.item(), abs=1e-6)
        assert found.loss_rise[layer, head].item() == pytest.approx((ablated_loss - loss).mean().item(), abs=2e-5)
    assert found.loss_rise.abs().min() > 1e-5, "every head matters"


@pytest.mark.parametrize("name", NAMES)
def test_scores_patterns_and_knock_outs_of_any_network(name):
    model, batch = named(name), test_set(tiny(), "reverse", 3, 20)
    for found, wanted in zip(answer_scores(model, batch), plain_scores(model, batch), strict=True):
        assert torch.allclose(found.float(), wanted.float(), atol=1e-5)
    found = mean_patterns(model, batch)
    for layer in range(2):
        with evaluating(model), recorded(model.pattern_hook(layer)) as uses:
            model.residual(batch.tokens[:, :-1])
        assert torch.allclose(found[layer], torch.stack([use.mean(0) for use in uses]).mean(0), atol=1e-6)
    drops = ablation_map(model, batch).accuracy_drop.flatten()
    intact, *without = correct_without(model, batch, [(), *[((i, j),) for i, j in product(range(2), range(3))]])
    assert torch.allclose((intact - torch.tensor(without)) / len(batch), drops, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_playground_writes_for_any_network_with_and_without_heads(name):
    model, config = named(name), tiny()
    prompt, batch = drawn("reverse", 4, 0, config.options), test_set(config, "reverse", 4, 10)
    found = answer(model, prompt)
    tokens = torch.tensor([[*prompt.tokens[: prompt.prompt_length], *found.tokens]])
    with evaluating(model):
        logits = model.logits(model.residual(tokens))[0, prompt.prompt_length - 1 : -1]
    assert logits.argmax(-1).tolist() == list(found.tokens)
    assert found.patterns.shape == (2, 3, len(found.tokens), tokens.shape[1] - 1)
    means = head_means(model, batch, [(1, 2)], len(prompt.tokens))
    wanted = plain_means(model, batch, 1, 2)
    assert len(means[1, 2]) == len(wanted)
    assert all(torch.allclose(a[: len(b)], b, atol=1e-6) for a, b in zip(means[1, 2], wanted, strict=True))
    changed = answer(model, prompt, means)
    assert changed.steps[0].probability != found.steps[0].probability and not has_edits(model)


def test_a_slow_kind_of_network_is_logged_once_and_edits_are_not_logged(caplog):
    config, batch = tiny(), test_set(tiny(), "reverse", 3, 8)
    with caplog.at_level(logging.WARNING):
        for model in (network(position="learned"), network(position="learned"), Averager(VOCABULARY_SIZE)):
            ablation_map(model, batch)
            accuracy_rows(model, config, 4)
        plain = network()
        with edited(plain.head_hook(0), lambda value: value):
            answer_scores(plain, batch)
    assert [record.message for record in caplog.records] == [
        f"networks {kind}: no fast evaluation of heads; the reference takes many times as long"
        for kind in ("with model.position=learned, model.schedule=once", "of type Averager")
    ]


def test_the_rows_that_a_run_stores_have_one_entry_for_each_layer_and_head_of_a_looped_network():
    config = replace(tiny(), model=replace(tiny().model, schedule="twice"))
    model = Decoder(config.model)
    before = torch.get_num_threads()
    torch.set_num_threads(4)  # which share hook points: cells have to be measured one after another
    try:
        rows = head_score_rows(model, config, [2, 3])
    finally:
        torch.set_num_threads(before)
    batch = test_set(config, "reverse", 3, config.evaluation.attribution_examples)
    wanted = reference.ablation_map(model, batch).loss_rise
    assert [row.loss_rise for row in rows if (row.task, row.length) == ("reverse", 3)] == wanted.flatten().tolist()
    assert len({(row.task, row.layer, row.head) for row in rows}) == len(rows) / 2 == 3 * 2 * config.model.heads
    differences = attention_difference_rows(model, config, [3])
    assert len(differences) == 2 * 2 * config.model.heads and all(row.difference > 0 for row in differences)
