"""Training and test prompts never meet; test sets are fixed, distinct, comparable between tasks and share prefixes."""

import re
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from lgt.core.checks import ConfigError
from lgt.core.config import TaskOptions
from lgt.tasks import TASKS, sampling, task_named
from lgt.tasks.base import BODY_START, Examples, draw_examples
from lgt.tasks.sampling import body_hash, is_test_prompt, sample_rows, test_examples, training_examples
from lgt.tasks.vocabulary import TAG, decode

GRID4 = TaskOptions(grid=4)


def bodies(examples):
    rows = zip(examples.tokens, examples.prompt_length, strict=True)
    return [decode(row[BODY_START:end]) for row, end in rows]


def train(name, lengths, seed=0, options=GRID4):
    return training_examples(task_named(name), np.random.default_rng(seed), np.asarray(lengths), options)


def held_out(name, length, count, seed=0, options=GRID4):
    return test_examples(task_named(name), length, count, seed, options)


def assert_same(a, b):
    for field in ("tokens", "scored", "prompt_length", "total_length", "length"):
        assert np.array_equal(getattr(a, field), getattr(b, field)), field


@pytest.mark.parametrize("name", list(TASKS))
def test_training_and_test_prompts_are_disjoint_at_every_length(name):
    for length in range(task_named(name).minimum_length, 9):
        trained = set(bodies(train(name, np.full(400, length), seed=length)))
        tested = set(bodies(held_out(name, length, 400)))
        assert trained and tested and not trained & tested


def test_every_short_prompt_is_either_a_training_or_a_test_prompt():
    trained, tested = set(bodies(train("reverse", np.ones(4000, int)))), set(bodies(held_out("reverse", 1, 1000)))
    assert len(trained) + len(tested) == 52 == len(trained | tested)
    equal = TaskOptions(operands="equal")
    trained = set(bodies(train("carry_only", np.ones(4000, int), options=equal)))
    tested = set(bodies(held_out("reverse_add", 1, 1000)))
    assert trained | tested == {f"{a}+{b}=" for a in range(1, 10) for b in range(1, 10)} and not trained & tested


def test_a_prompt_held_out_for_one_task_is_held_out_for_all_with_its_body_format():
    held = set(bodies(held_out("reverse_add", 2, 5000)))
    for name in ("no_carry", "carry_only", "copy_first_operand"):
        assert not held & set(bodies(train(name, np.full(2000, 2))))
    held = set(bodies(held_out("string_copy", 2, 5000)))
    assert not held & set(bodies(train("mqar", np.full(2000, 2))))


@pytest.mark.parametrize("name", list(TASKS))
def test_training_examples_answer_each_length_in_order(name):
    lengths = np.random.default_rng(9).integers(2, 13, size=300)
    examples = train(name, lengths)
    assert examples.length.tolist() == lengths.tolist()
    assert not is_test_prompt(examples).any()
    digits = [max(map(len, body[:-1].replace("-", "+").replace("*", "+").split("+"))) for body in bodies(examples)]
    if task_named(name).family != "mazes":
        assert digits == lengths.tolist()
    assert (examples.tokens[:, 1] == TAG[name]).all()
    assert_same(examples, train(name, lengths))


@pytest.mark.parametrize("name", ["reverse_add", "reverse_subtract"])
def test_training_draws_operands_as_the_options_say(name):
    shares = {}
    for operands in ("ragged", "equal", "mixed"):
        found = bodies(train(name, np.full(4000, 6), options=TaskOptions(operands=operands)))
        digits = [sorted(map(len, re.split("[+-]", body[:-1]))) for body in found]
        assert all(longer == 6 for _, longer in digits)
        shares[operands] = np.bincount([shorter for shorter, _ in digits], minlength=7)[1:] / len(digits)
    assert shares["ragged"] == pytest.approx([1 / 6] * 6, abs=0.03)
    assert shares["equal"].tolist() == [0, 0, 0, 0, 0, 1]
    assert shares["mixed"] == pytest.approx([1 / 12] * 5 + [1 / 2 + 1 / 12], abs=0.03)


@pytest.mark.parametrize(("operands", "share"), [("ragged", 1 / 3), ("equal", 1), ("mixed", 2 / 3)])
def test_training_draws_multipliers_as_the_options_say(operands, share):
    found = bodies(train("cot_multiply", np.full(4000, 6), options=TaskOptions(operands=operands)))
    widths = [len(body[:-1].split("*")[1]) for body in found]
    assert np.mean([width == 3 for width in widths]) == pytest.approx(share, abs=0.03) and max(widths) == 3


def test_redrawing_does_not_prefer_any_training_prompt():
    counts = Counter(bodies(train("string_copy", np.ones(8000, int))))
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3


def test_training_gives_up_with_a_clear_message(monkeypatch):
    monkeypatch.setattr(sampling, "TRAINING_ROUNDS", 5)
    monkeypatch.setattr(sampling, "is_test_prompt", lambda examples: examples.length == 3)
    with pytest.raises(RuntimeError, match="reverse: no training prompt of length 3 in 5 rounds"):
        train("reverse", [2, 3, 4])


def test_the_hash_ignores_tag_padding_and_other_rows_but_not_order():
    alone = draw_examples(task_named("reverse"), np.random.default_rng(0), np.full(5, 4), GRID4, "equal")
    long = draw_examples(task_named("reverse_add"), np.random.default_rng(0), np.array([30]), GRID4, "equal")
    together = Examples.concatenate([long, alone])
    assert body_hash(together)[1:].tolist() == body_hash(alone).tolist()
    retagged = Examples(alone.tokens.copy(), alone.prompt_length, alone.total_length, alone.scored, alone.length)
    retagged.tokens[:, 1] = TAG["mqar"]
    assert body_hash(retagged).tolist() == body_hash(alone).tolist()
    swapped = Examples(alone.tokens.copy(), alone.prompt_length, alone.total_length, alone.scored, alone.length)
    swapped.tokens[:, [2, 3]] = alone.tokens[:, [3, 2]]
    assert (body_hash(swapped) != body_hash(alone)).any()


def test_the_split_into_training_and_test_prompts_never_changes():
    """Stored runs were trained on one side of this split; a change would put old test prompts into new training."""
    assert "".join(sorted(body[0] for body in bodies(held_out("string_copy", 1, 52)))) == "AEGILQSYadmoz"


@pytest.mark.parametrize(("name", "length"), [("reverse_add", 3), ("reverse_add", 20), ("mqar", 5), ("dfs_trace", 8)])
def test_a_quarter_of_all_prompts_is_held_out(name, length):
    lengths = np.full(8000, length)
    examples = draw_examples(task_named(name), np.random.default_rng(1), lengths, GRID4, "equal")
    assert abs(is_test_prompt(examples).mean() - 0.25) < 0.02


@pytest.mark.parametrize("name", list(TASKS))
def test_test_examples_are_fixed_distinct_test_prompts_of_exactly_the_length(name):
    examples = held_out(name, 7, 300)
    assert len(examples) == 300 == len(set(bodies(examples)))
    assert is_test_prompt(examples).all() and set(examples.length.tolist()) == {7}
    assert_same(examples, held_out(name, 7, 300))
    assert bodies(examples) != bodies(held_out(name, 7, 300, seed=1))
    if task_named(name).family == "arithmetic" and name != "cot_multiply":
        assert {len(body) for body in bodies(examples)} == {7 + 1 + 7 + 1}


@pytest.mark.parametrize("name", ["reverse_subtract", "mqar", "dfs_trace"])
def test_a_larger_count_gives_the_same_rows_and_then_more(name):
    most = held_out(name, 6, 700)
    for count in (1, 64, 300):
        assert_same(held_out(name, 6, count), most.take(np.arange(count)))


@pytest.mark.parametrize(
    "names",
    [["reverse_add", "no_carry", "carry_only", "copy_first_operand"],
     ["string_copy", "reverse", "capitalize", "capitalize_reverse"], ["shortest_path", "dfs_trace"]],
)  # fmt: skip
def test_tasks_of_one_body_format_are_tested_on_the_same_bodies(names):
    for length in (2, 12):
        first, *others = (bodies(held_out(name, length, 150)) for name in names)
        assert all(other == first for other in others)


def test_a_task_with_few_prompts_gives_all_its_test_prompts():
    everything = bodies(held_out("no_carry", 1, 100_000))
    assert 10 < len(everything) < 40
    assert bodies(held_out("no_carry", 1, 5)) == everything[:5]


def test_test_prompts_do_not_depend_on_the_training_operands():
    ragged, equal = (held_out("reverse_add", 5, 50, options=TaskOptions(operands=o)) for o in ("ragged", "equal"))
    assert_same(ragged, equal)


def test_sample_rows_are_texts_with_scored_indices():
    rows = sample_rows("mqar", 4, 3, 0)
    assert [set(row) for row in rows] == [{"prompt", "answer", "scored"}] * 3
    assert all(len(row["prompt"]) == 5 and len(row["answer"]) == 6 and row["scored"] == [1, 3, 5] for row in rows)
    (row,) = sample_rows("reverse_add", 4, 1, 0)
    assert row["scored"] == [0, 1, 2, 3, 4] and len(row["prompt"]) == 10
    (row,) = sample_rows("shortest_path", 30, 1, 0)
    assert row["scored"] == list(range(row["answer"].count("[")))


@pytest.mark.parametrize("name", list(TASKS))
def test_sample_rows_exist_from_length_1_and_continue_each_other(name):
    assert sample_rows(name, 1, 2, 5) == sample_rows(name, 1, 300, 5)[:2]
    assert sample_rows(name, 6, 3, 5) != sample_rows(name, 6, 3, 6)


def test_length_1_edge_cases_of_samples():
    (recall,) = sample_rows("mqar", 1, 1, 0)
    assert recall["answer"] == "" and recall["scored"] == []
    (walk,) = sample_rows("dfs_trace", 1, 1, 0)
    node = walk["answer"]
    assert walk["prompt"] == f"{node}#{node}>{node}=" and walk["scored"] == [0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("reverse_add", 0, 1, 0), "length: 0 is not accepted; accepted: a whole number from 1 to 512"),
     (("reverse_add", 513, 1, 0), "length: 513 .* from 1 to 512"), (("mqar", 53, 1, 0), "length: 53 .* from 1 to 52"),
     (("dfs_trace", 65, 1, 0), "length: 65 .* from 1 to 64"), (("reverse", 3, 0, 0), "count: 0 .* from 1 to 100,000"),
     (("reverse", 3, 100_001, 0), "count: 100001 "), (("reverse", 3, 1, -1), "seed: -1 "),
     (("sorting", 3, 1, 0), "task: 'sorting' .* one of reverse_add")],
)  # fmt: skip
def test_sample_rows_refuse_what_they_cannot_do(arguments, message):
    with pytest.raises(ConfigError, match=message):
        sample_rows(*arguments)
