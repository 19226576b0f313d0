"""A network measured again: the stored counts without options; test prompts only; what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lgt.core.checks import ConfigError
from lgt.core.config import TaskSpec
from lgt.evaluation.again import Asked, accuracy_again, cells, evaluation_of, prompts
from lgt.model.checkpoint import from_bytes
from lgt.tasks import task_named
from lgt.tasks.sampling import body_hash, is_test_prompt
from lgt.tasks.vocabulary import decode
from tests.conftest import tiny

SUMS = tiny("add-carry")


def operands_of(config, asked, task, length):
    found = prompts(config, asked, task_named(task), length)
    texts = [decode(row[2:end]) for row, end in zip(found.tokens, found.prompt_length, strict=True)]
    return [tuple(map(len, text.rstrip("=").replace("*", "+").replace("-", "+").split("+"))) for text in texts]


def test_with_nothing_asked_the_counts_are_those_that_the_run_stored_at_each_step(trained):
    config, model, recorder = trained
    last = max(recorder.accuracies)
    assert accuracy_again(model, config, Asked()) == recorder.accuracies[last]
    assert any(0 < row.correct < row.total for row in recorder.accuracies[last]), "the check needs right and wrong"
    weights = from_bytes(recorder.checkpoints[last], config.model)
    assert accuracy_again(weights, config, Asked()) == recorder.accuracies[last]


def test_other_lengths_and_tasks_are_measured_in_the_order_of_the_run(trained):
    config, model, recorder = trained
    stored = {(row.task, row.length): row for row in recorder.accuracies[max(recorder.accuracies)]}
    asked = Asked(tasks=("reverse", "capitalize_reverse"), lengths=(2, 5, 9))
    rows = accuracy_again(model, config, asked)
    assert [(row.task, row.length) for row in rows] == [
        (task, length) for task in ("capitalize_reverse", "reverse") for length in (2, 5, 9)
    ]
    assert all(row == stored[row.task, row.length] for row in rows if row.length < 9), "as stored where both measure"
    assert all(row.total == config.evaluation.examples for row in rows)


def test_more_examples_begin_with_those_of_the_run_and_another_seed_draws_others(trained):
    config, model, _ = trained
    task = task_named("reverse")
    usual, more, other = (
        body_hash(prompts(config, asked, task, 5)) for asked in (Asked(), Asked(examples=90), Asked(seed=3))
    )
    assert len(usual) == 40 and len(more) == 90 and (more[:40] == usual).all()
    assert len(other) == 40 and not set(other) & set(usual)
    assert {row.total for row in accuracy_again(model, config, Asked(lengths=(5,), examples=90))} == {90}


def test_a_length_with_few_different_prompts_has_a_smaller_total(trained):
    config, model, _ = trained
    rows = accuracy_again(model, config, Asked(lengths=(1, 2), examples=100))
    assert [row.total for row in rows] == [13, 100] * 3, "13 of 52 letters are test prompts"


def test_a_length_without_test_prompts_has_total_zero(trained, monkeypatch):
    config, model, _ = trained
    monkeypatch.setattr("lgt.tasks.sampling.is_test_prompt", lambda examples: np.zeros(len(examples), dtype=bool))
    monkeypatch.setattr("lgt.tasks.sampling.TEST_SHARE", 2**63)  # then no hash that is drawn makes a test prompt
    assert [(row.correct, row.total) for row in accuracy_again(model, config, Asked(lengths=(3,)))] == [(0, 0)] * 3


@pytest.mark.parametrize("operands", ["equal", "ragged"])
@pytest.mark.parametrize("task", ["reverse_add", "no_carry", "carry_only", "reverse_subtract", "cot_multiply"])
def test_prompts_of_any_seed_are_distinct_test_prompts(task, operands):
    for seed in (0, 1, 2**40):
        found = prompts(SUMS, Asked(operands=operands, examples=200, seed=seed), task_named(task), 6)
        assert len(found) == 200 == len(set(body_hash(found).tolist())) and is_test_prompt(found).all()
        assert set(found.length.tolist()) == {6}


@pytest.mark.parametrize(("group", "task"), [("caprev", "reverse"), ("copy-mqar", "mqar"), ("path-dfs", "dfs_trace")])
def test_prompts_of_tasks_without_operands_are_test_prompts_for_any_seed_too(group, task):
    found = prompts(tiny(group), Asked(examples=200, seed=77), task_named(task), 5)
    assert len(found) == 200 and is_test_prompt(found).all()


def test_equal_operands_are_those_of_the_run_and_ragged_ones_have_one_operand_of_the_length():
    assert set(operands_of(SUMS, Asked(operands="equal"), "reverse_add", 5)) == {(5, 5)}
    usual, equal = (prompts(SUMS, asked, task_named("reverse_add"), 5) for asked in (Asked(), Asked(operands="equal")))
    assert (usual.tokens == equal.tokens).all()
    sizes = operands_of(SUMS, Asked(operands="ragged", examples=400), "reverse_add", 5)
    assert {max(pair) for pair in sizes} == {5} and {min(pair) for pair in sizes} == {1, 2, 3, 4, 5}
    shorter_first = np.mean([first < second for first, second in sizes])
    assert 0.3 < shorter_first < 0.5, "either operand may be the shorter one"


@pytest.mark.parametrize(
    ("config", "asked", "words"),
    [
        (tiny(), Asked(tasks=("reverse_add",)), ["task", "reverse_add", "capitalize_reverse, capitalize, reverse"]),
        (tiny(), Asked(operands="equal"), ["operands", "'equal'", "only for tasks on two numbers", "capitalize"]),
        (SUMS, Asked(operands="mixed"), ["operands", "'mixed'", "equal, ragged"]),
        (tiny("copy-mqar"), Asked(lengths=(1,)), ["mqar length", ": 1 ", "2 to 52"]),
        (tiny("path-dfs"), Asked(lengths=(2, 300)), ["shortest_path length", "300", "from 2 to"]),
        (SUMS, Asked(lengths=(0,)), ["length", ": 0 ", "1 to 512"]),
        (SUMS, Asked(lengths=(513,)), ["length", "513", "1 to 512"]),
    ],
)
def test_what_a_run_does_not_allow_is_refused(config, asked, words):
    with pytest.raises(ConfigError) as refused:
        cells(config, asked)
    assert all(word in str(refused.value) for word in words), str(refused.value)


@pytest.mark.parametrize(("asked", "field"), [(Asked(examples=0), "examples"), (Asked(seed=-1), "seed")])
def test_examples_and_seeds_out_of_range_are_refused(asked, field):
    with pytest.raises(ConfigError, match=field):
        evaluation_of(SUMS, asked)


def test_operands_are_asked_of_some_tasks_of_a_mixed_run():
    mixed = replace(SUMS, tasks=(*SUMS.tasks, TaskSpec("reverse", "control", 6)))
    with pytest.raises(ConfigError, match="which reverse is not"):
        cells(mixed, Asked(operands="ragged", lengths=(3,)))
    found = cells(mixed, Asked(tasks=("reverse_add",), operands="ragged", lengths=(3,)))
    assert [(task.name, length) for task, length in found] == [("reverse_add", 3)]


def test_lengths_end_at_the_limit_that_the_environment_sets(monkeypatch):
    monkeypatch.setenv("LGT_MAX_LENGTH", "30")
    assert {length for _, length in cells(SUMS, Asked(lengths=(30,)))} == {30}
    with pytest.raises(ConfigError, match="1 to 30"):
        cells(SUMS, Asked(lengths=(31,)))
