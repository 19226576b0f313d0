"""Prompts to try: typed ones are those that are drawn, and what cannot be a prompt is refused in one line."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from lgt.core.checks import ConfigError
from lgt.core.config import TaskOptions
from lgt.core.seeding import generator
from lgt.tasks import TASKS
from lgt.tasks.base import draw_examples
from lgt.tasks.prompts import (
    LONGEST,
    answer_of,
    drawn,
    longest,
    maze_of,
    prompts_of_same_layout,
    texts_of,
    typed,
    working,
)
from lgt.tasks.sampling import is_test_prompt, test_examples
from lgt.tasks.vocabulary import TOKENS, decode

OPTIONS = TaskOptions(grid=4)
ARITHMETIC = [task for task in TASKS.values() if task.family == "arithmetic"]
STRINGS = [task for task in TASKS.values() if task.family == "strings"]


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
@pytest.mark.parametrize("length", [2, 7])
def test_a_drawn_prompt_is_a_test_prompt_and_repeats(task, length):
    prompt = drawn(task.name, length, 3, OPTIONS)
    assert prompt == drawn(task.name, length, 3, OPTIONS) and prompt.held_out and prompt.length == length
    assert prompt.tokens == tuple(test_examples(task, length, 1, 3, OPTIONS).tokens[0].tolist())
    assert len({drawn(task.name, 7, seed, OPTIONS) for seed in range(6)}) > 1


@pytest.mark.parametrize("task", ARITHMETIC, ids=lambda task: task.name)
def test_typed_numbers_are_the_drawn_prompt(task):
    lengths = np.array([1, 2, 3, 5, 9] * 8)
    examples = draw_examples(task, generator(1, "t"), lengths, OPTIONS, "ragged")
    for i, length in enumerate(lengths):
        total = int(examples.total_length[i])
        text = decode(examples.tokens[i, 2 : examples.prompt_length[i] - 1])
        first, second = (number[::-1] for number in text.replace("-", "+").replace("*", "+").split("+"))
        prompt = typed(task.name, (first, f" {second} "), 0, OPTIONS)
        assert prompt.tokens == tuple(examples.tokens[i, :total].tolist())
        assert prompt.scored == tuple(examples.scored[i, :total].tolist()) and prompt.length == length
        assert texts_of(prompt) == (first, second)
        assert prompt.held_out == bool(is_test_prompt(examples)[i])


@pytest.mark.parametrize("task", STRINGS, ids=lambda task: task.name)
def test_typed_letters_are_the_drawn_prompt(task):
    for seed in range(8):
        wanted = drawn(task.name, 3 + seed, seed, OPTIONS)
        text = decode(wanted.body[:-1])
        again = typed(task.name, (text,), seed, OPTIONS)
        assert texts_of(again) == (text,)
        assert again.prompt_length == wanted.prompt_length and len(again.scored) == len(wanted.scored)
        if task.name == "mqar":  # the questions are in an order of their own
            pairs = [decode(p.answer)[i : i + 2] for p in (again, wanted) for i in range(0, len(wanted.answer), 2)]
            assert sorted(pairs[: len(pairs) // 2]) == sorted(pairs[len(pairs) // 2 :])
            assert again.scored == wanted.scored
        else:
            assert again == wanted


REFUSED = [
    ("reverse_add", ("", "1"), "first number: '' is not accepted; accepted: a whole number such as 1274"),
    ("reverse_add", ("12x", "1"), "first number: '12x' is not accepted; accepted: digits 0-9 only"),
    ("reverse_add", ("1", "-5"), "second number: '-5' is not accepted; accepted: digits 0-9 only"),
    ("reverse_add", ("١", "1"), "digits 0-9 only"),
    ("reverse_add", ("1", "05"), "without zeros in front"),
    ("reverse_add", ("1" * 61, "1"), "at most 60 digits; these are 61"),
    ("cot_multiply", ("1234", "1234"), "second number: '1234' is not accepted; accepted: at most 3 digits"),
    ("cot_multiply", ("12", "123"), "at most 2 digits"),
]


@pytest.mark.parametrize(("task", "numbers", "says"), REFUSED)
def test_text_that_is_not_a_number_is_refused_in_one_line(task, numbers, says):
    with pytest.raises(ConfigError) as error:
        typed(task, numbers, 0, OPTIONS)
    assert says in str(error.value) and "\n" not in str(error.value)


LETTERS = [
    ("reverse", "", "1 to 60 letters; these are 0"),
    ("reverse", "ab1!", "letters a-z and A-Z only; found '!' '1'"),
    ("reverse", "a" * 61, "these are 61"),
    ("reverse", "é", "a-z and A-Z only"),
    ("mqar", "a", "2 to 52 letters"),
    ("mqar", "abcA" + "b", "distinct letters"),
]


@pytest.mark.parametrize(("task", "text", "says"), LETTERS)
def test_text_that_is_not_letters_is_refused_in_one_line(task, text, says):
    with pytest.raises(ConfigError) as error:
        typed(task, (text,), 0, OPTIONS)
    assert says in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("length", [0, LONGEST + 1])
def test_a_length_out_of_range_is_refused(length):
    with pytest.raises(ConfigError, match="a whole number from 1 to 60"):
        drawn("reverse_add", length, 0, OPTIONS)


def test_the_longest_length_is_the_number_of_letters_or_nodes():
    assert [longest(TASKS[name], OPTIONS) for name in ("reverse", "mqar", "dfs_trace")] == [60, 52, 16]


def test_prompts_of_the_same_layout_are_the_test_set_or_have_the_same_sizes():
    even = typed("reverse_add", ("1274", "9380"), 0, OPTIONS)
    assert np.array_equal(
        prompts_of_same_layout(even, 20, 2506, OPTIONS).tokens,
        test_examples(TASKS["reverse_add"], 4, 20, 2506, OPTIONS).tokens,
    )
    for first, second in (("1274", "93"), ("7", "12345")):
        ragged = typed("reverse_add", (first, second), 0, OPTIONS)
        found = prompts_of_same_layout(ragged, 20, 2506, OPTIONS)
        assert len(found) == 20 and is_test_prompt(found).all()
        assert (found.prompt_length == ragged.prompt_length).all() and found.tokens.shape[1] == len(ragged.tokens)
        assert all(decode(row)[0:18] == "<bos><reverse_add>" for row in found.tokens)
        signs = {decode(row[2:]).index("+") for row in found.tokens}
        assert signs == {len(first)}
    product = typed("cot_multiply", ("12345", "678"), 0, OPTIONS)
    assert texts_of(product) == ("12345", "678")
    usual = test_examples(TASKS["cot_multiply"], 5, 9, 2506, OPTIONS)
    assert np.array_equal(prompts_of_same_layout(product, 9, 2506, OPTIONS).tokens, usual.tokens)


def test_a_maze_is_read_from_its_prompt():
    prompt = drawn("shortest_path", 12, 4, OPTIONS)
    maze = maze_of(prompt)
    assert maze is not None and maze_of(drawn("reverse", 3, 0, OPTIONS)) is None
    assert len(maze.neighbours) == 12 and len(maze.edges) == 11  # a tree
    path = [int(node) for node in decode(prompt.answer[:-1])[1:-1].split("][")]
    assert (path[0], path[-1]) == (maze.start, maze.target)
    assert all(b in maze.neighbours[a] for a, b in pairwise(path))


def test_the_working_shows_what_each_answer_token_is_made_from():
    rows = dict(working(typed("reverse_add", ("1274", "938"), 0, OPTIONS)))  # 4+8 7+3 2+9 1
    assert rows["1st number"] == ["4", "7", "2", "1", "", ""]
    assert rows["2nd number"] == ["8", "3", "9", "", "", ""]
    assert rows["carry in"] == ["", "1", "1", "1", "", ""]
    assert working(typed("capitalize_reverse", ("aBc",), 0, OPTIONS)) == [("letter read", ["c", "B", "a", ""])]
    assert working(drawn("dfs_trace", 5, 0, OPTIONS)) == []


def test_the_answer_of_another_task_to_the_same_prompt():
    options = TaskOptions(grid=4)
    prompt = typed("reverse_add", ["1274", "938"], 0, options)
    assert text_of(prompt.answer) == "21220" and text_of(answer_of("no_carry", prompt, options)) == "20110"
    assert text_of(answer_of("reverse", typed("capitalize_reverse", ["aBcD"], 0, options), options)) == "DcBa"
    assert text_of(answer_of("reverse_subtract", prompt, options)) == "63300", "the same numbers, another sign"
    assert answer_of("cot_multiply", typed("reverse_add", ["12", "345678"], 0, options), options) is None
    assert answer_of("string_copy", prompt, options) is None
    assert answer_of("string_copy", drawn("mqar", 5, 0, options), options) is None
    walk = next(one for one in (drawn("dfs_trace", 6, seed, options) for seed in range(99)) if len(one.answer) > 8)
    path = answer_of("shortest_path", walk, options)
    assert (
        path
        == drawn(
            "shortest_path",
            6,
            next(seed for seed in range(99) if drawn("shortest_path", 6, seed, options).body == walk.body),
            options,
        ).answer
    )
    assert len(path) < len(walk.answer) and path[0] == walk.answer[0] and path[-1] == walk.answer[-1]


def text_of(answer) -> str:
    return "".join(TOKENS[token] for token in answer[:-1])
