"""Ablation maps and attention differences on models whose heads are known."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import torch
import torch.nn.functional as F

import lgt.evaluation.passes
from lgt.core.config import ModelConfig
from lgt.evaluation.ablation import AblationMap, ablation_map, head_score_rows
from lgt.evaluation.attention import attention_difference_rows, comparable, mean_patterns, pattern_difference
from lgt.evaluation.exact_match import answer_scores
from lgt.evaluation.head_replacement import position_means
from lgt.evaluation.parallel import parallel_map
from lgt.evaluation.passes import evaluating
from lgt.evaluation.test_sets import test_set
from lgt.model.batch import Batch
from lgt.model.decoder import Decoder
from lgt.model.hooks import edited, recorded
from lgt.model.network import ensure_no_edits
from lgt.recipes.presets import group_config
from lgt.tasks.vocabulary import EOS, VOCABULARY_SIZE, encode
from tests.conftest import tiny
from tests.evaluation.reference import replace_head

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


def plain_scores(model: Decoder, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """What ``answer_scores`` says, from all logits of the model as it is defined, row by row."""
    with evaluating(model):
        logits = model(batch.tokens[:, :-1])
    matches, losses = [], []
    for row, targets, scored in zip(logits, batch.tokens[:, 1:], batch.scored[:, 1:], strict=True):
        matches.append(bool((row.argmax(-1) == targets)[scored].all()))
        losses.append(F.cross_entropy(row[scored], targets[scored]))
    return torch.tensor(matches), torch.stack(losses)


def plain_mean_outputs(model: Decoder, batch: Batch) -> list[torch.Tensor]:
    """Per layer the mean [H, T, dh] of each head's output over the examples that have a token at the position."""
    with evaluating(model), ExitStack() as stack:
        records = [stack.enter_context(recorded(layer.attention.head_outputs)) for layer in model.blocks()]
        model(batch.tokens[:, :-1])
    positions = range(batch.tokens.shape[1] - 1)
    return [
        torch.stack([record[0][batch.present[:, position]][:, :, position].mean(0) for position in positions], dim=1)
        for record in records
    ]


def plain_map(model: Decoder, batch: Batch) -> AblationMap:
    """The definition, one head at a time through its tap: what the fast way is held against."""
    means = plain_mean_outputs(model, batch)
    drop, rise = torch.zeros(2, model.config.layers, model.config.heads)
    match, loss = plain_scores(model, batch)
    for layer, block in enumerate(model.blocks()):
        for head in range(model.config.heads):
            with edited(block.attention.head_outputs, replace_head(head, means[layer][head])):
                ablated_match, ablated_loss = plain_scores(model, batch)
            drop[layer, head] = match.float().mean() - ablated_match.float().mean()
            rise[layer, head] = (ablated_loss - loss).mean()
    return AblationMap(drop, rise, len(batch))


def some_model(**changes: object) -> Decoder:
    """Random weights, larger than training starts from, and gains that differ, so that every head and gain matters."""
    shape = {"layers": 2, "heads": 4, "width": 32, "hidden": 48, **changes}
    model, source = Decoder(ModelConfig(**shape), seed=3), torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "gain" in name:
                parameter.mul_(0.5 + torch.rand(parameter.shape, generator=source))
            elif "layers" in name:
                parameter.mul_(2)
    return model


SHAPES = [
    {"qk_norm": True},
    {"qk_norm": False},
    {"qk_norm": True, "position": "nope"},
    {"qk_norm": False, "position": "nope"},
    {"layers": 1, "qk_norm": True},
    {"layers": 4, "heads": 2, "width": 20},
]
SETS = [
    ("caprev", "reverse", 5),
    ("add-multiply", "cot_multiply", 3),
    ("copy-mqar", "mqar", 6),
    ("path-dfs", "shortest_path", 6),
    ("path-dfs", "dfs_trace", 6),
]


@pytest.fixture(params=[4096, 150], ids=["one pass", "many passes"])
def tokens_at_once(request, monkeypatch):
    monkeypatch.setattr(lgt.evaluation.passes, "CPU_TOKENS_PER_PASS", request.param)


@pytest.mark.usefixtures("tokens_at_once")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("group", "task", "length"), SETS)
def test_all_heads_at_once_give_what_one_head_at_a_time_gives(group, task, length, shape):
    model, batch = some_model(**shape), test_set(group_config(group, "demo"), task, length, 20)
    if task == "shortest_path":
        assert len(set(batch.present.sum(1).tolist())) > 1, "the check needs answers of different lengths"
    wanted, found = plain_map(model, batch), ablation_map(model, batch)
    assert torch.allclose(found.loss_rise, wanted.loss_rise, atol=1e-5, rtol=0)
    assert torch.allclose(found.accuracy_drop, wanted.accuracy_drop, atol=1e-5, rtol=0)
    assert found.examples == wanted.examples and wanted.loss_rise.abs().min() > 1e-4
    matches, losses = answer_scores(model, batch)
    wanted_matches, wanted_losses = plain_scores(model, batch)
    assert torch.equal(matches, wanted_matches) and torch.allclose(losses, wanted_losses, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_attention_kernel_gives_the_same_map(shape):
    model, batch = some_model(**shape), test_set(tiny(), "reverse", 5, 20)
    wanted = ablation_map(model, batch)
    for layer in model.blocks():
        layer.attention.kernel = True
    assert torch.allclose(ablation_map(model, batch).loss_rise, wanted.loss_rise, atol=1e-5, rtol=0)


@pytest.mark.usefixtures("tokens_at_once")
def test_maps_and_scores_of_a_trained_model_are_those_of_the_plain_way(trained):
    config, model, _ = trained
    drops = []
    for task in ("capitalize_reverse", "capitalize", "reverse"):
        for length in (1, 2, 4, 7):
            batch = test_set(config, task, length, 24)
            wanted, found = plain_map(model, batch), ablation_map(model, batch)
            assert torch.allclose(found.loss_rise, wanted.loss_rise, atol=1e-5, rtol=0)
            assert torch.allclose(found.accuracy_drop, wanted.accuracy_drop, atol=1e-6, rtol=0)
            assert torch.equal(answer_scores(model, batch)[0], plain_scores(model, batch)[0])
            drops += wanted.accuracy_drop.flatten().tolist()
    assert min(drops) < 0 < max(drops) or max(drops) > 0.2, "the check needs heads that matter"


def test_scores_honour_edits_and_maps_refuse_them(trained):
    config, model, _ = trained
    batch = test_set(config, "reverse", 3, 16)
    _, losses = answer_scores(model, batch)
    with edited(model.layers[1].attention.head_outputs, replace_head(1, plain_mean_outputs(model, batch)[1][1])):
        _, edited_losses = answer_scores(model, batch)
        _, wanted = plain_scores(model, batch)
        for refuses in (ablation_map, mean_patterns):
            with pytest.raises(RuntimeError, match="hook points still edited"):
                refuses(model, batch)
    assert torch.allclose(edited_losses, wanted, atol=1e-5) and (edited_losses - losses).abs().max() > 0.05


def test_the_mean_is_taken_over_examples_with_a_token_at_the_position():
    values = [torch.tensor([[[1.0], [2.0], [3.0]], [[3.0], [4.0], [9.0]]]), torch.tensor([[[5.0], [9.0]]])]
    present = [torch.tensor([[True, True, True], [True, True, False]]), torch.tensor([[True, False]])]
    assert position_means(values, present).flatten().tolist() == [3.0, 3.0, 3.0]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_numbers_do_not_depend_on_how_many_threads_measure(trained, threads):
    config, model, _ = trained
    before = torch.get_num_threads()
    wanted = head_score_rows(model, config, [2, 5])
    torch.set_num_threads(threads)
    try:
        found = head_score_rows(model, config, [2, 5])
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == torch.get_num_threads() == threads
        inside = parallel_map(
            lambda _: (torch.get_num_threads(), torch.is_inference_mode_enabled()), range(4), torch.device("cpu")
        )
    finally:
        torch.set_num_threads(before)
    assert set(inside) == {(1, False)}
    assert [(r.task, r.length, r.layer, r.head) for r in found] == [(r.task, r.length, r.layer, r.head) for r in wanted]
    assert [r.loss_rise for r in found] == pytest.approx([r.loss_rise for r in wanted], abs=1e-6)


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


def test_attention_difference_of_one_task_with_itself_is_zero_and_is_a_sum_over_entries(trained):
    config, model, _ = trained
    one, other = (test_set(config, task, 4, 16) for task in ("reverse", "capitalize"))
    a, b = mean_patterns(model, one), mean_patterns(model, other)
    assert pattern_difference(a, a).abs().max() == 0
    found, by_hand = pattern_difference(a, b), (a[1, 2] - b[1, 2]).abs().sum()
    assert found[1, 2].item() == pytest.approx(by_hand.item(), rel=1e-5) and by_hand > 0


@pytest.mark.usefixtures("tokens_at_once")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_mean_patterns_are_those_that_pass_the_taps(shape):
    model, batch = some_model(**shape), test_set(tiny(), "reverse", 4, 16)
    with evaluating(model), ExitStack() as stack:
        records = [stack.enter_context(recorded(layer.attention.pattern)) for layer in model.blocks()]
        model(batch.tokens[:, :-1])
    wanted = torch.stack([record[0].mean(0) for record in records])
    assert torch.allclose(mean_patterns(model, batch), wanted, atol=1e-6)


def test_rows_name_main_against_each_other_task(trained):
    config, model, _ = trained
    rows = attention_difference_rows(model, config, [2, 5])
    assert {(row.task_a, row.task_b) for row in rows} == {
        ("capitalize_reverse", "capitalize"), ("capitalize_reverse", "reverse"),
    }  # fmt: skip
    assert len(rows) == 2 * 2 * config.model.layers * config.model.heads
    assert not attention_difference_rows(Decoder(tiny("copy-mqar").model), tiny("copy-mqar"), [4])
