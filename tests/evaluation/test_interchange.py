"""Interchanges of head outputs, against networks computed by hand and against the ablation map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lgt.core.config import ModelConfig, RunConfig, TaskSpec
from lgt.core.records import InterchangeRow
from lgt.evaluation.ablation import head_score_rows
from lgt.evaluation.exact_match import answer_scores
from lgt.evaluation.interchange import choices, interchange_rows, source_batches
from lgt.evaluation.passes import evaluating
from lgt.evaluation.test_sets import test_set
from lgt.model.batch import Batch
from lgt.model.decoder import Decoder
from lgt.model.hooks import edited
from lgt.model.network import ensure_no_edits
from lgt.tasks import task_named
from lgt.tasks.vocabulary import decode
from tests.conftest import tiny

EXAMPLES = 7
MAIN, REVERSE, CONTROL = "capitalize_reverse", "reverse", "string_copy"


def strings(*others: str) -> RunConfig:
    """Flipping and reversing to 3 with other tasks to 6, interchanged on a few prompts."""
    config = tiny("caprev")
    specs = (TaskSpec(MAIN, "main", 3), *(TaskSpec(task, "auxiliary", 6) for task in others))
    measures = replace(config.evaluation, interchange_examples=EXAMPLES, attribution_examples=EXAMPLES)
    return replace(config, group="custom", tasks=specs, evaluation=measures)


def network() -> Decoder:
    """A decoder without positions: two layers of three heads that all matter."""
    model = Decoder(ModelConfig(layers=2, heads=3, width=24, hidden=32, position="nope", qk_norm=False), seed=3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "layers" in name and "gain" not in name:
                parameter.mul_(2.5)
    return model


def by_place(
    rows: list[InterchangeRow], task: str, source: str, how: str, length: int
) -> dict[tuple[int, int], InterchangeRow]:
    return {
        (r.layer, r.head): r
        for r in rows
        if (r.task, r.source_task, r.source_input, r.length) == (task, source, how, length)
    }


def by_hand(
    model: Decoder, tokens: torch.Tensor, replaced: dict[int, dict[int, torch.Tensor]]
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Logits [B, T, V] and the head outputs [B, H, T, dh] of each layer, with the heads of ``replaced`` (by layer and
    head) set to these outputs. Written out for a network without positions; no hook is used."""
    residual, seen = F.embedding(tokens, model.embedding.weight), []
    causal = torch.full((tokens.shape[1], tokens.shape[1]), float("-inf")).triu(1)
    for number, layer in enumerate(model.layers):
        x = layer.attention_norm(residual)
        q, k, v = (
            (x @ of.weight.T).unflatten(-1, (3, 8)).transpose(1, 2)
            for of in (layer.attention.query, layer.attention.key, layer.attention.value)
        )
        heads = (q @ k.transpose(2, 3) / 8**0.5 + causal).softmax(-1) @ v
        seen.append(heads.clone())
        for head, value in replaced.get(number, {}).items():
            heads[:, head] = value
        residual = residual + heads.transpose(1, 2).flatten(2) @ layer.attention.output.weight.T
        residual = residual + layer.feed_forward(layer.feed_forward_norm(residual))
    return model.logits(residual), seen


@pytest.fixture(scope="module")
def measured() -> Iterator[tuple[RunConfig, Decoder, list[InterchangeRow]]]:
    config, model = strings(REVERSE, CONTROL), network()
    rows = interchange_rows(model, config, [2, 5])
    ensure_no_edits(model)
    yield config, model, rows


def test_every_pair_with_the_main_task_has_rows_in_both_directions(measured) -> None:
    _, _, rows = measured
    pairs = {(row.task, row.source_task) for row in rows if row.source_input != "mean"}
    assert pairs == {(MAIN, REVERSE), (MAIN, CONTROL), (REVERSE, MAIN), (CONTROL, MAIN)}
    assert {row.source_task for row in rows if row.source_input == "mean"} == {MAIN, REVERSE, CONTROL}
    assert {row.length for row in rows} == {2, 5} and {row.examples for row in rows} == {EXAMPLES}
    keys = [(r.task, r.source_task, r.source_input, r.length, r.layer, r.head) for r in rows]
    assert len(set(keys)) == len(keys) == 2 * (3 + 4 * 3) * 3 * 4


def test_with_mean_outputs_a_single_head_loses_what_the_ablation_map_says(measured) -> None:
    config, model, rows = measured
    for entry in head_score_rows(model, config, [2, 5]):
        row = by_place(rows, entry.task, entry.task, "mean", entry.length)[entry.layer, entry.head]
        assert row.accuracy_drop == pytest.approx(entry.accuracy_drop, abs=1e-6)
        assert row.loss_rise == pytest.approx(entry.loss_rise, abs=1e-4)


@pytest.mark.parametrize("how", ["same", "other", "same answer"])
def test_a_layer_with_the_outputs_of_another_task_is_what_the_weights_give(measured, how: str) -> None:
    config, model, rows = measured
    length = 5
    batch, source = (test_set(config, task, length, EXAMPLES) for task in (MAIN, REVERSE))
    given = source_batches(batch, source, REVERSE)[how].tokens[:, :-1]
    with evaluating(model):
        intact = answer_scores(model, batch)[1].double().mean()
        _, seen = by_hand(model, given, {})
        for place, heads in choices(2, 3).items():
            put: dict[int, dict[int, torch.Tensor]] = {}
            for layer, head in heads:
                put.setdefault(layer, {})[head] = seen[layer][:, head]
            logits, _ = by_hand(model, batch.tokens[:, :-1], put)
            losses = F.cross_entropy(logits.transpose(1, 2), batch.tokens[:, 1:], reduction="none")
            scored = batch.scored[:, 1:]
            mean = (losses * scored).sum(1) / scored.sum(1)
            row = by_place(rows, MAIN, REVERSE, how, length)[place]
            assert row.loss_rise == pytest.approx(float(mean.double().mean() - intact), abs=2e-4), place


def answers(batch: Batch) -> list[str]:
    start = int(batch.prompt_length[0])
    return [decode(row[start:-1]) for row in batch.tokens.numpy()]


def bodies(batch: Batch) -> list[str]:
    start = int(batch.prompt_length[0])
    return [decode(row[2 : start - 1]) for row in batch.tokens.numpy()]


@pytest.mark.parametrize("task", ["reverse", "capitalize", "string_copy", "capitalize_reverse"])
def test_the_inputs_of_the_sources_are_what_their_names_say(task: str) -> None:
    config = strings(task if task != MAIN else REVERSE)
    batch, source = test_set(config, MAIN, 6, EXAMPLES), test_set(config, task, 6, EXAMPLES)
    found = source_batches(batch, source, task)
    right = {"reverse": lambda s: s[::-1], "capitalize": str.swapcase, "string_copy": str,
             "capitalize_reverse": lambda s: s[::-1].swapcase()}[task]  # fmt: skip
    assert bodies(found["same"]) == bodies(batch)
    assert bodies(found["other"]) == [bodies(batch)[-1], *bodies(batch)[:-1]]
    assert answers(found["same answer"]) == answers(batch)
    for of in found.values():
        assert answers(of) == [right(body) for body in bodies(of)]
        assert torch.equal(of.scored, batch.scored) and torch.equal(of.tokens[:, 1], source.tokens[:, 1])


def test_tasks_whose_prompts_do_not_line_up_give_no_rows() -> None:
    config = tiny("copy-mqar")
    config = replace(config, evaluation=replace(config.evaluation, interchange_examples=EXAMPLES))
    assert interchange_rows(network(), config, [4]) == []
    batch, other = (test_set(strings(REVERSE), task, 4, EXAMPLES) for task in (MAIN, REVERSE))
    moved = replace(other, tokens=other.tokens.roll(1, dims=0))
    assert source_batches(batch, moved, REVERSE) == {}


def test_sums_are_interchanged_with_digit_sums_and_have_no_input_of_the_same_answer() -> None:
    config = tiny("add-carry")
    config = replace(config, evaluation=replace(config.evaluation, interchange_examples=EXAMPLES))
    rows = interchange_rows(network(), config, [3])
    assert {row.source_input for row in rows} == {"mean", "same", "other"}
    assert {(r.task, r.source_task) for r in rows if r.source_input == "same"} == {
        ("reverse_add", "no_carry"), ("reverse_add", "carry_only"), ("no_carry", "reverse_add"),
        ("carry_only", "reverse_add"),
    }  # fmt: skip


def test_a_task_that_does_not_undo_itself_says_no_bodies() -> None:
    shifted = replace(task_named("string_copy"), answer=lambda letters: np.where(letters, letters % 7 + 1, 0))
    assert shifted.bodies_with_answers(np.array([[9, 10, 11]])) is None
    assert task_named("reverse_add").bodies_with_answers(np.array([[1, 2]])) is None


def test_a_network_with_edits_is_refused() -> None:
    model = network()
    with edited(model.head_hook(0), lambda value: value), pytest.raises(RuntimeError, match="head outputs of layer 0"):
        interchange_rows(model, strings(REVERSE), [3])


def test_exact_match_is_lost_and_kept_as_the_answers_say() -> None:
    """A network that answers some prompts: what it loses is counted from its own predictions."""
    config, model = strings(REVERSE), network()
    batch = test_set(config, MAIN, 2, EXAMPLES)
    with evaluating(model):
        residual = model.residual(batch.tokens[:, :-1])
    scored = batch.scored[:, 1:]
    with torch.no_grad():  # the unembedding that fits the first four prompts best
        kept = residual[:4][scored[:4]]
        wanted = F.one_hot(batch.tokens[:4, 1:][scored[:4]], model.unembedding.weight.shape[0]).float()
        model.unembedding.weight.copy_((torch.linalg.pinv(model.norm(kept)) @ wanted).T)
    rows = interchange_rows(model, config, [2])
    with evaluating(model):
        right = by_hand(model, batch.tokens[:, :-1], {})[0].argmax(-1) == batch.tokens[:, 1:]
        intact = float((right | ~scored).all(1).double().mean())
        seen = by_hand(model, test_set(config, REVERSE, 2, EXAMPLES).tokens[:, :-1], {})[1]
        for place, heads in {(0, 1): [(0, 1)], (2, 3): [(y, h) for y in range(2) for h in range(3)]}.items():
            put: dict[int, dict[int, torch.Tensor]] = {}
            for layer, head in heads:
                put.setdefault(layer, {})[head] = seen[layer][:, head]
            right = by_hand(model, batch.tokens[:, :-1], put)[0].argmax(-1) == batch.tokens[:, 1:]
            drop = intact - float((right | ~scored).all(1).double().mean())
            assert by_place(rows, MAIN, REVERSE, "same", 2)[place].accuracy_drop == pytest.approx(drop)
    assert intact >= 4 / EXAMPLES and any(row.accuracy_drop > 0.3 for row in rows)


def test_the_heads_that_are_replaced_together() -> None:
    assert choices(2, 2) == {
        (0, 0): [(0, 0)], (0, 1): [(0, 1)], (0, 2): [(0, 0), (0, 1)],
        (1, 0): [(1, 0)], (1, 1): [(1, 1)], (1, 2): [(1, 0), (1, 1)],
        (2, 0): [(0, 0), (1, 0)], (2, 1): [(0, 1), (1, 1)], (2, 2): [(0, 0), (0, 1), (1, 0), (1, 1)],
    }  # fmt: skip
