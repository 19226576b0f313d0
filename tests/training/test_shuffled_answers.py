"""Auxiliary tasks with answers of other inputs: what stays, what moves, and where it is used."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from lgt.core.checks import ConfigError
from lgt.core.config import TaskOptions, with_setting
from lgt.core.seeding import generator
from lgt.recipes.presets import group_config
from lgt.tasks import task_named
from lgt.tasks.base import Examples
from lgt.tasks.sampling import training_examples
from lgt.tasks.vocabulary import TAG
from lgt.training.batches import make_batch
from lgt.training.shuffled_answers import with_shuffled_answers

TASKS = ("reverse", "reverse_add", "no_carry", "carry_only", "shortest_path", "mqar")


def drawn(name: str, count: int = 300) -> Examples:
    task = task_named(name)
    rng = generator(900, "test of shuffled answers", name)
    lengths = rng.integers(task.minimum_length, task.minimum_length + 6, size=count)
    return training_examples(task, rng, lengths, TaskOptions(grid=4))


def parts(examples: Examples) -> list[tuple[int, tuple[int, ...], tuple[int, ...], tuple[bool, ...]]]:
    """(length, prompt, answer with its end token, scored places) of each example."""
    rows = zip(examples.tokens.tolist(), examples.prompt_length, examples.total_length, examples.scored, strict=True)
    return [
        (int(length), tuple(tokens[:start]), tuple(tokens[start:end]), tuple(scored[start:end].tolist()))
        for length, (tokens, start, end, scored) in zip(examples.length, rows, strict=True)
    ]


@pytest.mark.parametrize("name", TASKS)
def test_prompts_stay_and_answers_go_to_other_inputs_of_the_same_length(name):
    before = drawn(name)
    after = with_shuffled_answers(before, np.random.default_rng(1))
    old, new = parts(before), parts(after)
    assert [(row[0], row[1]) for row in new] == [(row[0], row[1]) for row in old]
    assert [len(row[2]) for row in new] == [len(row[2]) for row in old] and [r[3] for r in new] == [r[3] for r in old]
    assert Counter((row[0], row[2]) for row in new) == Counter((row[0], row[2]) for row in old)
    groups = Counter((row[0], row[3]) for row in old)
    answers = Counter((row[0], row[3], row[2]) for row in old)
    for mine, other in zip(old, new, strict=True):
        alone = groups[mine[0], mine[3]] == 1
        assert alone or mine[2] != other[2] or answers[mine[0], mine[3], mine[2]] > 1
    moved = sum(mine[2] != other[2] for mine, other in zip(old, new, strict=True))
    assert moved > 0.7 * len(old)


def test_an_example_that_is_alone_in_its_length_keeps_its_answer():
    before = drawn("reverse", 1)
    assert parts(with_shuffled_answers(before, np.random.default_rng(1))) == parts(before)


def test_only_auxiliary_and_control_tasks_of_a_run_with_this_setting_are_shuffled():
    usual = group_config("caprev", "demo", seed=900)
    mixed = with_setting(usual, "options.auxiliary_answers", "shuffled")
    wrong: Counter[str] = Counter()
    total: Counter[str] = Counter()
    names = {TAG[spec.task]: spec.task for spec in usual.tasks}
    for config, counted in ((usual, Counter()), (mixed, wrong)):
        for step in range(3):
            for row in np.asarray(make_batch(config, step).tokens).tolist():
                name, task = names[row[1]], task_named(names[row[1]])
                row = row[: row.index(0) if 0 in row else len(row)]
                size = (len(row) - 3) // 2
                body, answer = row[2 : 2 + len(row) - 3 - size], row[-1 - size : -1]
                _, right = task.typed(task.texts(body), 512, 0, config.options)
                counted[name] += answer != right.answer[0].tolist()
                total[name] += config is mixed
        assert config is mixed or not any(counted.values())
    assert wrong["capitalize_reverse"] == 0
    for name in ("capitalize", "reverse"):
        assert wrong[name] > 0.9 * total[name] > 50
    assert make_batch(mixed, 1).tokens.tolist() == make_batch(mixed, 1).tokens.tolist()


def test_the_setting_is_left_out_of_the_hash_as_long_as_it_is_usual():
    usual = group_config("caprev", "demo")
    assert "auxiliary_answers" not in usual.canonical_json()
    assert with_setting(usual, "options.auxiliary_answers", "own").hash() == usual.hash()
    assert with_setting(usual, "options.auxiliary_answers", "shuffled").hash() != usual.hash()
    with pytest.raises(
        ConfigError, match=r"options.auxiliary_answers: 'mixed' is not accepted; accepted: one of own, shuffled"
    ):
        with_setting(usual, "options.auxiliary_answers", "mixed")
