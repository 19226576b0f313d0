"""Ablation maps and attention differences on models whose heads are known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lgt.attribution.ablation import ablation_map, mean_head_outputs
from lgt.attribution.attention import attention_difference, attention_difference_rows, comparable, mean_patterns
from lgt.batches import test_set
from lgt.config import ModelConfig
from lgt.evaluate import answer_scores, evaluating
from lgt.model import Decoder
from lgt.presets import group_config
from lgt.taps import edited, ensure_no_edits
from lgt.vocabulary import EOS, VOCABULARY_SIZE, encode
from tests.conftest import tiny

CARRIER = (1, 0)


def hand_made_copier() -> Decoder:
    """Copies a one-character string; only head 0 of layer 1 carries the letter, every other weight that writes is zero.

    Channels: one block of the residual stream holds the token itself, a second what the head brings. The head looks
    from ``=`` at letters. A letter seen in the second block is the answer, one in the first block asks for the end.
    """
    block = VOCABULARY_SIZE + -VOCABULARY_SIZE % 4  # so that two heads of even width fit
    model = Decoder(ModelConfig(layers=2, heads=2, width=2 * block, hidden=4, position="nope"))
    letters, equals = encode("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"), int(encode("=")[0])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.endswith("gain"):
                parameter.zero_()
        eye = torch.eye(VOCABULARY_SIZE)
        model.embedding.weight[:, :VOCABULARY_SIZE] = eye
        attention = model.layers[CARRIER[0]].attention
        attention.query.weight[0, equals] = 100.0
        for letter in letters.tolist():
            attention.key.weight[0, letter] = 1.0
            attention.value.weight[letter, letter] = 1.0
            attention.output.weight[block + letter, letter] = 1.0
            model.unembedding.weight[EOS, letter] = 1000.0
            model.unembedding.weight[letter, block + letter] = 5.0
    return model


def test_only_the_head_that_carries_the_answer_has_a_drop():
    model = hand_made_copier()
    config = tiny("copy-mqar")
    batch = test_set(config, "string_copy", 1, 100)
    with evaluating(model):
        matches, _ = answer_scores(model, batch)
    assert len(batch) > 5 and matches.all()
    found = ablation_map(model, batch)
    # the mean output names every letter of the batch equally, so exactly one prompt keeps its answer
    expected = torch.zeros(2, 2)
    expected[CARRIER] = 1 - 1 / len(batch)
    assert torch.allclose(found.accuracy_drop, expected, atol=1e-6)
    others = torch.ones(2, 2, dtype=torch.bool)
    others[CARRIER] = False
    assert found.loss_rise[CARRIER] > 1 and found.loss_rise[others].abs().max() < 1e-6
    assert found.examples == len(batch)
    ensure_no_edits(model)


def test_the_mean_is_taken_over_examples_with_a_token_at_the_position():
    config = replace(tiny("path-dfs"), options=replace(tiny("path-dfs").options, grid=3))
    model = Decoder(config.model)
    batch = test_set(config, "shortest_path", 5, 12)
    ends = batch.present.sum(1)
    assert len(set(ends.tolist())) > 1, "the check needs answers of different lengths"
    means = mean_head_outputs(model, batch)
    position = int(ends.max()) - 2  # only the longest examples have a token here and one to predict
    rows = batch.present[:, position]
    from lgt.taps import recorded

    with evaluating(model), recorded(model.layers[0].attention.head_outputs) as values:
        model.residual(batch.tokens[:, :-1])
    assert torch.allclose(means[0][:, position], values[0][rows][:, :, position].mean(0), atol=1e-6)


def test_a_map_entry_equals_editing_that_head_by_hand(trained):
    config, model, _ = trained
    batch = test_set(config, "reverse", 3, 16)
    found = ablation_map(model, batch)
    means = mean_head_outputs(model, batch)

    def edit(value: torch.Tensor) -> torch.Tensor:
        return torch.cat((value[:, :1], means[1][None, 1:2].expand(len(batch), -1, -1, -1), value[:, 2:]), dim=1)

    with evaluating(model):
        matches, losses = answer_scores(model, batch)
        with edited(model.layers[1].attention.head_outputs, edit):
            edited_matches, edited_losses = answer_scores(model, batch)
    assert found.accuracy_drop[1, 1].item() == pytest.approx(
        (matches.float().mean() - edited_matches.float().mean()).item()
    )
    assert found.loss_rise[1, 1].item() == pytest.approx((edited_losses - losses).mean().item(), abs=1e-6)
    assert found.loss_rise.abs().max() > 0.05


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("reverse_add", "no_carry", True),
        ("reverse_add", "reverse_subtract", True),
        ("reverse_add", "copy_first_operand", True),
        ("capitalize_reverse", "reverse", True),
        ("string_copy", "mqar", False),
        ("reverse_add", "cot_multiply", False),
        ("shortest_path", "dfs_trace", False),
    ],
)
def test_attention_is_compared_only_where_layouts_line_up(a, b, same):
    config = group_config("add-carry", "demo")
    pair = [test_set(config, task, 5, 24) for task in (a, b)]
    assert comparable(*pair) is same
    assert (attention_difference(Decoder(config.model), *pair) is not None) is same


def test_attention_difference_of_one_task_with_itself_is_zero_and_is_a_sum_over_entries(trained):
    config, model, _ = trained
    one, other = (test_set(config, task, 4, 16) for task in ("reverse", "capitalize"))
    assert attention_difference(model, one, one).abs().max() == 0
    found = attention_difference(model, one, other)
    by_hand = (mean_patterns(model, one)[1, 2] - mean_patterns(model, other)[1, 2]).abs().sum()
    assert found[1, 2].item() == pytest.approx(by_hand.item(), rel=1e-5) and by_hand > 0


def test_rows_name_main_against_each_other_task(trained):
    config, model, _ = trained
    rows = attention_difference_rows(model, config, [2, 5])
    assert {(row.task_a, row.task_b) for row in rows} == {
        ("capitalize_reverse", "capitalize"), ("capitalize_reverse", "reverse"),
    }  # fmt: skip
    assert len(rows) == 2 * 2 * config.model.layers * config.model.heads
    assert not attention_difference_rows(Decoder(tiny("copy-mqar").model), tiny("copy-mqar"), [4])
