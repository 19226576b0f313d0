"""Every task against an oracle that reads the prompt's text and knows only Python integers and strings."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from lgt.core.checks import ConfigError
from lgt.core.config import EvaluationConfig, RunConfig, TaskOptions, TaskSpec
from lgt.recipes.groups import GROUPS
from lgt.tasks import TASKS, check_run, evaluation_lengths, task_named
from lgt.tasks.base import BODY_START, Examples, draw_examples
from lgt.tasks.strings import reverse
from lgt.tasks.vocabulary import BOS, EOS, PAD, TAG, decode, encode

PLUS_TASKS = ["reverse_add", "no_carry", "carry_only", "copy_first_operand"]
ARITHMETIC = [*PLUS_TASKS, "reverse_subtract", "cot_multiply"]
IID_STRINGS = ["string_copy", "reverse", "capitalize", "capitalize_reverse"]


def reversed_text(value, digits=0):
    return str(value)[::-1].ljust(digits, "0")


def numbers(prompt, symbol):
    left, right = prompt.removesuffix("=").split(symbol)
    return int(left[::-1]), int(right[::-1]), max(len(left), len(right))


def oracle_reverse_add(prompt):
    a, b, n = numbers(prompt, "+")
    return reversed_text(a + b, n + 1)


def oracle_no_carry(prompt):
    a, b, n = numbers(prompt, "+")
    return "".join(str((a // 10**i + b // 10**i) % 10) for i in range(n)) + "0"


def oracle_carry_only(prompt):
    a, b, n = numbers(prompt, "+")
    return "".join(str(int(a % 10**i + b % 10**i >= 10**i)) for i in range(n + 1))


def oracle_copy_first_operand(prompt):
    a, _, n = numbers(prompt, "+")
    return reversed_text(a, n + 1)


def oracle_reverse_subtract(prompt):
    a, b, n = numbers(prompt, "-")
    return reversed_text(a - b, n + 1) if a >= b else reversed_text(b - a, n) + "-"


def oracle_cot_multiply(prompt):
    a, b, _ = numbers(prompt, "*")
    partials = ["0" * i + reversed_text(a * int(digit)) for i, digit in enumerate(str(b)[::-1])]
    return "+".join(partials) + "=" + reversed_text(a * b)


def oracle_mqar_is_right(prompt, answer):
    text = prompt.removesuffix("=")
    queries, answers = answer[::2], answer[1::2]
    assert len(set(text)) == len(text) and sorted(queries) == sorted(text[:-1])
    assert all(text[text.index(query) + 1] == reply for query, reply in zip(queries, answers, strict=True))


ORACLES = {
    "reverse_add": oracle_reverse_add,
    "no_carry": oracle_no_carry,
    "carry_only": oracle_carry_only,
    "reverse_subtract": oracle_reverse_subtract,
    "cot_multiply": oracle_cot_multiply,
    "copy_first_operand": oracle_copy_first_operand,
    "string_copy": lambda prompt: prompt[:-1],
    "reverse": lambda prompt: prompt[-2::-1],
    "capitalize": lambda prompt: prompt[:-1].swapcase(),
    "capitalize_reverse": lambda prompt: prompt[-2::-1].swapcase(),
}

WORKED_EXAMPLES = [
    ("reverse_add", "4721+839=", "21220"), ("no_carry", "4721+839=", "20110"), ("carry_only", "4721+839=", "01110"),
    ("reverse_subtract", "4721-839=", "63300"), ("reverse_subtract", "839-4721=", "6330-"),
    ("cot_multiply", "4721*839=", "29101+02283+0066411=2105911"), ("copy_first_operand", "4721+839=", "47210"),
    ("string_copy", "aBcD=", "aBcD"), ("reverse", "aBcD=", "DcBa"), ("capitalize", "aBcD=", "AbCd"),
    ("capitalize_reverse", "aBcD=", "dCbA"),
]  # fmt: skip


def draw(name, lengths, operands="equal", options=None, seed=0):
    rng = np.random.default_rng(seed)
    return draw_examples(task_named(name), rng, np.asarray(lengths), options or TaskOptions(), operands)


def texts(examples):
    """(prompt, answer) of every example, without tag and end token."""
    spans = zip(examples.tokens, examples.prompt_length, examples.total_length, strict=True)
    return [(decode(row[BODY_START:start]), decode(row[start : end - 1])) for row, start, end in spans]


def run_config(*tasks, **changes):
    specs = [TaskSpec(name, "main" if i == 0 else "auxiliary", length) for i, (name, length) in enumerate(tasks)]
    return RunConfig(tasks=tuple(specs), **changes)


MIXED = np.random.default_rng(1).permutation(np.tile(np.arange(1, 41), 12))


@pytest.mark.parametrize(("name", "prompt", "answer"), WORKED_EXAMPLES)
def test_the_oracles_give_the_worked_examples(name, prompt, answer):
    assert ORACLES[name](prompt) == answer


@pytest.mark.parametrize("operands", ["equal", "ragged", "mixed"])
@pytest.mark.parametrize("name", list(ORACLES))
def test_answers_agree_with_the_oracle_at_lengths_1_to_40(name, operands):
    for prompt, answer in texts(draw(name, MIXED, operands)):
        assert answer == ORACLES[name](prompt), prompt


@pytest.mark.parametrize("name", list(ORACLES))
def test_a_length_drawn_alone_agrees_with_the_oracle(name):
    for length in (1, 2, 40):
        for prompt, answer in texts(draw(name, np.full(50, length), "ragged")):
            assert answer == ORACLES[name](prompt), prompt


@pytest.mark.parametrize("digits", [1, 2, 9])
def test_multiplication_has_as_many_partial_products_as_the_second_operand_has_digits(digits):
    options = TaskOptions(multiplier_digits=digits)
    pairs = texts(draw("cot_multiply", MIXED, "equal", options))
    for length, (prompt, answer) in zip(MIXED, pairs, strict=True):
        left, right = prompt[:-1].split("*")
        assert (len(left), len(right)) == (length, min(digits, length))
        assert answer == oracle_cot_multiply(prompt) and answer.count("+") == len(right) - 1
    assert any("0" in prompt.split("*")[1] for prompt, _ in pairs) or digits == 1  # zero digits were among them


def test_reversing_strings_of_mixed_length_keeps_them_left_aligned():
    rows = np.array([[*encode("abc"), *encode("d")], [*encode("xY"), PAD, PAD]])
    assert [decode(row[row != PAD]) for row in reverse(rows)] == ["dcba", "Yx"]
    assert (reverse(rows)[1, 2:] == PAD).all()


def test_mqar_asks_every_letter_but_the_last_and_answers_with_its_successor():
    lengths = np.concatenate((MIXED, [52, 52]))
    examples = draw("mqar", lengths)
    for length, (prompt, answer) in zip(lengths, texts(examples), strict=True):
        assert len(prompt) == length + 1
        oracle_mqar_is_right(prompt, answer)


def test_mqar_queries_come_in_random_order():
    orders = Counter(
        tuple(prompt.index(query) for query in answer[::2]) for prompt, answer in texts(draw("mqar", np.full(6000, 4)))
    )
    assert len(orders) == 6 and stats.chisquare(list(orders.values())).pvalue > 1e-3


@pytest.mark.parametrize("name", list(TASKS))
def test_a_row_is_begin_tag_body_answer_end_padding(name):
    low = task_named(name).minimum_length
    lengths = np.tile(np.arange(low, 17), 4)
    examples = draw(name, lengths, "ragged")
    assert len(examples) == len(lengths) and (examples.length == lengths).all()
    assert examples.tokens.dtype == np.int64 and examples.tokens.shape[1] == examples.total_length.max()
    for row, start, end in zip(examples.tokens, examples.prompt_length, examples.total_length, strict=True):
        assert row[:2].tolist() == [BOS, TAG[name]] and decode([row[start - 1]]) == "="
        assert row[end - 1] == EOS and (row[end:] == PAD).all() and (row[:end] != PAD).all()


@pytest.mark.parametrize("name", list(TASKS))
def test_scored_are_all_answer_tokens_and_the_end_or_for_mqar_the_successors(name):
    examples = draw(name, np.tile(np.arange(2, 13), 4))
    for scored, start, end in zip(examples.scored, examples.prompt_length, examples.total_length, strict=True):
        wanted = range(start + 1, end - 1, 2) if name == "mqar" else range(start, end)
        assert np.flatnonzero(scored).tolist() == list(wanted)


@pytest.mark.parametrize("name", [name for name in ARITHMETIC if name != "cot_multiply"])
@pytest.mark.parametrize("operands", ["equal", "ragged", "mixed"])
def test_answers_have_one_character_more_than_the_longer_operand(name, operands):
    for length, (prompt, answer) in zip(MIXED, texts(draw(name, MIXED, operands)), strict=True):
        left, right = prompt[:-1].replace("-", "+").split("+")
        assert max(len(left), len(right)) == length and len(answer) == length + 1
        assert left[-1] != "0" and right[-1] != "0"
        assert operands != "equal" or len(left) == len(right)


def test_a_sum_is_its_digit_sums_plus_its_carries():
    add, digit_sums, carries = (texts(draw(name, MIXED)) for name in ("reverse_add", "no_carry", "carry_only"))
    for (prompt, total), (prompt_b, low), (prompt_c, carry) in zip(add, digit_sums, carries, strict=True):
        assert prompt == prompt_b == prompt_c
        assert total == "".join(str((int(x) + int(y)) % 10) for x, y in zip(low, carry, strict=True))


def test_ragged_operands_are_one_of_n_digits_and_one_of_uniformly_fewer_or_as_many():
    pairs = [prompt[:-1].split("+") for prompt, _ in texts(draw("reverse_add", np.full(6000, 5), "ragged"))]
    widths = Counter((len(left), len(right)) for left, right in pairs)
    expected = {(5, 5): 1200} | {(5, m): 600 for m in range(1, 5)} | {(m, 5): 600 for m in range(1, 5)}
    assert set(widths) == set(expected)
    assert stats.chisquare([widths[key] for key in expected], list(expected.values())).pvalue > 1e-3


def test_ragged_multiplication_keeps_the_first_operand_and_shortens_the_second():
    pairs = [prompt[:-1].split("*") for prompt, _ in texts(draw("cot_multiply", np.full(3000, 5), "ragged"))]
    assert {len(left) for left, _ in pairs} == {5}
    counts = Counter(len(right) for _, right in pairs)
    assert set(counts) == {1, 2, 3} and stats.chisquare(list(counts.values())).pvalue > 1e-3


def test_digits_and_letters_are_uniform():
    operands = "".join(prompt[:-1] for prompt, _ in texts(draw("reverse_add", np.full(2000, 6))))
    first = Counter(number[-1] for number in operands.replace("+", " ").split())
    rest = Counter(char for prompt, _ in texts(draw("reverse_add", np.full(2000, 6))) for char in prompt[:5])
    letters = Counter(char for prompt, _ in texts(draw("reverse", np.full(2000, 6))) for char in prompt[:-1])
    assert "0" not in first and (len(rest), len(letters)) == (10, 52)
    assert min(stats.chisquare(list(c.values())).pvalue for c in (rest, letters)) > 1e-3


@pytest.mark.parametrize("name", list(TASKS))
def test_the_same_generator_gives_the_same_examples(name):
    lengths = np.tile(np.arange(2, 13), 3)
    first, again, other = (draw(name, lengths, "ragged", seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.tokens, again.tokens) and np.array_equal(first.scored, again.scored)
    assert texts(first) != texts(other)


@pytest.mark.parametrize("names", [PLUS_TASKS, IID_STRINGS, ["shortest_path", "dfs_trace"]])
def test_tasks_of_one_body_format_draw_the_same_bodies(names):
    prompts = {tuple(prompt for prompt, _ in texts(draw(name, np.arange(2, 30), "ragged"))) for name in names}
    assert len(prompts) == 1
    assert len({task_named(name).body_format for name in names}) == 1


@pytest.mark.parametrize(("name", "length"), [("mqar", 53), ("reverse_add", 513), ("dfs_trace", 65), ("reverse", 0)])
def test_a_length_that_cannot_be_drawn_is_refused(name, length):
    with pytest.raises(ConfigError, match=f"{name} length: {length}"):
        draw(name, [3, length, 4])


def test_take_keeps_the_asked_order_and_trims():
    examples = draw("reverse_add", [2, 9, 3, 5])
    taken = examples.take(np.array([3, 0]))
    assert texts(taken) == [texts(examples)[3], texts(examples)[0]]
    assert taken.tokens.shape == taken.scored.shape == (2, taken.total_length.max())
    assert taken.length.tolist() == [5, 2]
    assert len(examples.take(np.array([], dtype=np.int64))) == 0


def test_concatenate_pads_to_the_longest_and_keeps_every_row():
    short, long = draw("reverse", [2, 3]), draw("mqar", [9])
    both = Examples.concatenate([short, long])
    assert texts(both) == texts(short) + texts(long)
    assert both.tokens.shape == both.scored.shape == (3, long.tokens.shape[1])
    assert both.scored.sum() == short.scored.sum() + long.scored.sum() and both.length.tolist() == [2, 3, 9]


def test_every_group_names_known_tasks_of_its_family():
    for group in GROUPS.values():
        assert {task_named(name).family for name in (group.main, *group.auxiliaries)} == {group.family}


def test_an_unknown_task_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="task: 'reverse_ad' is not accepted; accepted: one of reverse_add, no_"):
        task_named("reverse_ad")
    with pytest.raises(ConfigError, match="task: 'sorting'"):
        check_run(run_config(("sorting", 4)))


@pytest.mark.parametrize(
    ("name", "length", "grid", "accepted"),
    [("mqar", 53, 8, "from 2 to 52"), ("mqar", 1, 8, "from 2 to 52"), ("dfs_trace", 17, 4, "from 2 to 16"),
     ("shortest_path", 1, 8, "from 2 to 64")],
)  # fmt: skip
def test_a_training_length_the_task_cannot_have_is_refused(name, length, grid, accepted):
    config = run_config((name, length), options=TaskOptions(grid=grid))
    with pytest.raises(ConfigError, match=f"{name}.training_length: {length} is not accepted.*{accepted}"):
        check_run(config)
    check_run(run_config((name, 16), options=TaskOptions(grid=grid)))


def test_evaluation_lengths_end_where_the_task_or_the_run_ends():
    config = run_config(("reverse_add", 4), evaluation=EvaluationConfig(maximum_length=60))
    assert evaluation_lengths(task_named("reverse_add"), config) == range(1, 61)
    assert evaluation_lengths(task_named("mqar"), config) == range(2, 53)
    small = replace(config, options=TaskOptions(grid=4))
    assert evaluation_lengths(task_named("dfs_trace"), small) == range(2, 17)


def test_further_lengths_are_evaluated_where_the_task_has_them():
    config = run_config(("mqar", 4), evaluation=EvaluationConfig(maximum_length=6, further_lengths="9,52,53"))
    assert list(evaluation_lengths(task_named("mqar"), config)) == [2, 3, 4, 5, 6, 9, 52]
    assert list(evaluation_lengths(task_named("reverse_add"), config)) == [1, 2, 3, 4, 5, 6, 9, 52, 53]


def test_every_task_has_texts_for_readers():
    for task in TASKS.values():
        assert task.title and task.summary.endswith(".") and task.family in ("arithmetic", "strings", "mazes")
    assert len({task.title for task in TASKS.values()}) == len(TASKS)
