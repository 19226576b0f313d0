"""Exact match and loss in compiled code, against PyTorch's definition of the network."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lgt.core.parts import parts_by_task
from lgt.evaluation import exact_match, reference
from lgt.fused import answers
from lgt.model.batch import Batch
from lgt.model.decoder import Decoder
from lgt.model.hooks import edited
from lgt.model.network import Network
from lgt.training.batches import make_batch
from tests.fused.test_step import SHAPES, shaken, threads

__all__ = ["threads"]


@pytest.mark.parametrize("name", SHAPES)
def test_matches_and_losses_are_those_of_the_definition(name: str) -> None:
    """A fresh network answers nothing right, so one token of each answer is scored: some are right by chance."""
    model, batch = shaken(SHAPES[name]), make_batch(SHAPES[name], 0)
    assert answers.supports(model)
    for scored in (batch.scored, one_scored(model, batch), torch.zeros_like(batch.scored)):
        one = replace(batch, scored=scored)
        found, wanted = answers.answer_scores(model, one), reference.answer_scores(model, one)
        assert torch.equal(found[0], wanted[0])
        assert torch.allclose(found[1], wanted[1], rtol=1e-4, atol=1e-5)


def one_scored(model: Decoder, batch: Batch) -> torch.Tensor:
    """In every other row a token that the network predicts right, if it has one; else the first of the answer."""
    with torch.inference_mode():
        right = model(batch.tokens[:, :-1]).argmax(-1) == batch.tokens[:, 1:]
    scored = torch.zeros_like(batch.scored)
    for row in range(len(batch)):
        hits = (right[row] & batch.present[row, 1:]).nonzero().flatten() + 1
        scored[row, hits[-1] if row % 2 and len(hits) else batch.prompt_length[row]] = True
    return scored


def test_heads_and_channels_that_a_task_may_not_use_are_left_out() -> None:
    shape = SHAPES["demo"]
    config = replace(shape, model=replace(shape.model, parts="main:0-1+auxiliary:2-3:0-99"))
    batch = make_batch(config, 0)
    model = Decoder(config.model, 3, by_task=parts_by_task(config))
    assert answers.supports(model)
    batch = replace(batch, scored=one_scored(model, batch))
    found, wanted = answers.answer_scores(model, batch), reference.answer_scores(model, batch)
    assert torch.equal(found[0], wanted[0]) and torch.allclose(found[1], wanted[1], rtol=1e-4, atol=1e-5)
    whole = Decoder(shape.model, 3)
    assert not torch.allclose(found[1], answers.answer_scores(whole, batch)[1], rtol=1e-2)


def test_drawn_heads_are_left_to_pytorch_which_scales_them() -> None:
    shape = SHAPES["demo"]
    assert not answers.supports(Decoder(replace(shape.model, parts="random-2"), 3))


def test_some_answers_are_right_and_some_wrong_and_threads_change_nothing(trained) -> None:
    config, model, _ = trained
    batch = make_batch(config, 0)
    wanted = reference.answer_scores(model, batch)
    assert 0 < int(wanted[0].sum()) < len(batch)
    losses = []
    for count in (1, 3):
        torch.set_num_threads(count)
        found = answers.answer_scores(model, batch)
        assert torch.equal(found[0], wanted[0]) and torch.allclose(found[1], wanted[1], rtol=1e-4, atol=1e-5)
        losses.append(found[1])
    assert torch.equal(*losses)


def test_counts_of_a_run_are_the_same_without_the_compiled_code(trained, monkeypatch: pytest.MonkeyPatch) -> None:
    config, model, _ = trained
    assert answers.supports(model)
    batches = []
    scores = answers.answer_scores
    monkeypatch.setattr(answers, "answer_scores", lambda *given: (batches.append(given), scores(*given))[1])
    found = exact_match.accuracy_rows(model, config, 30)
    assert len(batches) == len(found)
    monkeypatch.setattr(answers, "library", lambda: None)
    assert not answers.supports(model)
    assert found == exact_match.accuracy_rows(model, config, 30)
    assert len(batches) == len(found)
    assert len({row.correct for row in found}) > 2


def test_other_networks_are_left_to_pytorch(trained) -> None:
    shape = trained[0].model
    network = Decoder(shape, 0)
    with edited(network.head_hook(0), lambda heads: heads):
        assert not answers.supports(network)
    assert answers.supports(network)
    assert not answers.supports(Decoder(shape, 0).double())
    network.unknown = (7,)
    assert not answers.supports(network), "a token without a row is never chosen there"
    other: Network = object()  # type: ignore[assignment]
    assert not answers.supports(other)
