"""Knock-outs against the ablation map and against the model as it is defined, one tap at a time."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
import torch

from lgt.evaluation.ablation import ablation_map
from lgt.evaluation.knock_outs import KnockOut, correct_without, knock_outs, matched_choices
from lgt.evaluation.test_sets import test_set
from lgt.model.hooks import edited
from tests.evaluation.reference import replace_head
from tests.evaluation.test_ablation_and_attention import plain_mean_outputs, plain_scores

EVERY = [(layer, head) for layer in range(2) for head in range(4)]


@pytest.mark.parametrize(("task", "length"), [("capitalize_reverse", 2), ("capitalize", 5), ("reverse", 2)])
def test_knocking_out_one_head_gives_the_drop_of_the_ablation_map(trained, task, length):
    config, model, _ = trained
    batch = test_set(config, task, length, 40)
    found = ablation_map(model, batch)
    intact, *without = correct_without(model, batch, [(), *[(head,) for head in EVERY]])
    drops = (intact - torch.tensor(without, dtype=torch.float32)) / len(batch)
    assert torch.allclose(drops, found.accuracy_drop.flatten(), atol=1e-6)
    assert intact > 0 and drops.max() > 0.1, "the model loses something here"


@pytest.mark.parametrize("choice", [(), ((0, 1), (0, 3)), ((1, 0), (1, 1)), ((0, 0), (0, 2), (1, 3)), tuple(EVERY)])
def test_several_heads_are_replaced_by_their_means_in_the_unablated_model(trained, choice):
    config, model, _ = trained
    for task, length in [("capitalize_reverse", 2), ("reverse", 2), ("capitalize", 5)]:
        batch = test_set(config, task, length, 40)
        means = plain_mean_outputs(model, batch)
        with ExitStack() as stack:
            for layer, head in choice:
                tap = model.blocks()[layer].attention.head_outputs
                stack.enter_context(edited(tap, replace_head(head, means[layer][head])))
            expected = int(plain_scores(model, batch)[0].sum())
        assert correct_without(model, batch, [choice]) == [expected]


def test_the_counts_of_a_choice_do_not_depend_on_other_choices(trained):
    config, model, _ = trained
    batch = test_set(config, "reverse", 2, 40)
    choices = [((0, 1),), (), ((1, 2), (0, 1)), ((0, 1),)]
    together = correct_without(model, batch, choices)
    assert together == [correct_without(model, batch, [choice])[0] for choice in choices]


def test_counts_come_with_their_cell_and_only_existing_prompts(trained):
    config, model, _ = trained
    rows = knock_outs(model, config, [("reverse", 1), ("reverse", 4)], [(), ((0, 0),)], 40)
    few = len(test_set(config, "reverse", 1, 40))
    assert 0 < few < 40, "a letter alone has few test prompts"
    assert [(row.length, row.heads, row.total) for row in rows] == [
        (1, (), few), (1, ((0, 0),), few), (4, (), 40), (4, ((0, 0),), 40),
    ]  # fmt: skip
    assert all(isinstance(row, KnockOut) and 0 <= row.correct <= row.total for row in rows)


@pytest.mark.parametrize("head", [(2, 0), (0, 4), (-1, 0), (0, -1)])
def test_a_missing_head_is_refused(trained, head):
    config, model, _ = trained
    with pytest.raises(ValueError, match="layers 0 to 1, heads 0 to 3"):
        correct_without(model, test_set(config, "reverse", 3, 10), [(head,)])


def test_an_edited_model_is_refused(trained):
    config, model, _ = trained
    with (
        edited(model.blocks()[0].attention.head_outputs, lambda value: value),
        pytest.raises(RuntimeError, match="hook points still edited"),
    ):
        correct_without(model, test_set(config, "reverse", 3, 10), [()])


def test_all_matched_choices_are_given_if_they_are_few():
    found = matched_choices([(0, 1), (1, 0), (1, 2)], 4, 50, np.random.default_rng(0))
    assert len(found) == 4 * 6 - 1 == len(set(found)) and ((0, 1), (1, 0), (1, 2)) not in found
    assert all([sum(layer == at for layer, _ in choice) for at in (0, 1)] == [1, 2] for choice in found)
    assert matched_choices([(0, 0)], 1, 50, np.random.default_rng(0)) == [], "one head a layer has no other choice"


def test_many_matched_choices_are_drawn_without_repetition_and_evenly():
    rng = np.random.default_rng(0)
    chosen = [(0, 0), (1, 1), (2, 2)]
    found = matched_choices(chosen, 6, 20, rng)
    assert len(set(found)) == 20 and tuple(chosen) not in found
    assert all([layer for layer, _ in choice] == [0, 1, 2] for choice in found)
    firsts = [choice[0][1] for _ in range(300) for choice in matched_choices(chosen, 6, 20, rng)]
    counts = np.bincount(firsts, minlength=6)
    assert counts.min() > 0.9 * counts.mean()


def test_a_matched_choice_has_different_heads_in_every_layer():
    rng = np.random.default_rng(0)
    chosen = [(0, 1), (0, 2), (0, 3), (2, 4), (2, 5)]  # no head of layer 1
    for choice in matched_choices(chosen, 6, 100, rng):
        assert len(set(choice)) == 5 and list(choice) == sorted(choice)
        assert [layer for layer, _ in choice] == [0, 0, 0, 2, 2] and {head for _, head in choice} <= set(range(6))


@pytest.mark.parametrize("most", [14, 15, 13])
def test_as_many_matched_choices_are_given_as_are_wanted(most):
    found = matched_choices([(1, 2), (3, 1)], 4, most, np.random.default_rng(0))
    every = [((1, a), (3, b)) for a in range(4) for b in range(4) if (a, b) != (2, 1)]  # 15 others
    assert len(found) == len(set(found)) == most and set(found) <= set(every)
    assert found == every or most < 15, "all that there are, in order"
