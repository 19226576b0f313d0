"""Kinds of wrong answers: hand-made cases of each, an oracle for carries, and rules that hold for every answer."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from lgt.core.config import TaskOptions
from lgt.core.glossary import TERMS
from lgt.metrics.failures import (
    ERRORS,
    KINDS,
    Expected,
    carries_into,
    drops_carries,
    expected,
    first_wrong,
    is_shifted,
    kind_of,
    kinds_of,
    longest_chain,
    other_task,
)
from lgt.tasks.prompts import drawn, typed
from lgt.tasks.vocabulary import EOS, FIRST_DIGIT, encode

OPTIONS = TaskOptions(grid=4)
SUM_TASKS = ("reverse_add", "no_carry", "carry_only")


def tokens(text: str) -> tuple[int, ...]:
    return tuple(encode(text).tolist())


def wanted_of(first: str, second: str, tasks=SUM_TASKS) -> Expected:
    """What an answer to an addition in normal notation is compared with."""
    return expected(typed("reverse_add", [first, second], 0, OPTIONS), tasks, OPTIONS)


# 1274 + 938 = 2212: columns 12, 10, 11, 1 (least significant first); digits 2 1 2 2 0, carries in 0 1 1 1 0
@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("21220<eos>", "right"),
        ("2122<eos>", "stopped early"),
        ("<eos>", "stopped early"),
        ("212200", "did not stop"),
        ("20110<eos>", "answered another task"),  # the digit sums
        ("01110<eos>", "answered another task"),  # the carries
        ("20220<eos>", "dropped carry"),  # into the second column, which still carries by itself
        ("20120<eos>", "dropped carry"),  # into the second and the third
        ("21120<eos>", "dropped carry"),
        ("21210<eos>", "dropped carry"),
        ("2220<eos>", "shifted"),  # the second digit is left out; 2, 0 and the end have moved
        ("99999<eos>", "other error"),
        ("21229<eos>", "other error"),
        ("21221<eos>", "other error"),
    ],
)
def test_hand_made_answers_to_one_addition(written, kind):
    wanted = wanted_of("1274", "938")
    assert wanted.truth == tokens("21220<eos>") and wanted.sums == (12, 10, 11, 1)
    assert kind_of(tokens(written), wanted) == kind


@pytest.mark.parametrize(
    ("written", "shifted"),
    [
        ("acdef<eos>", True),  # b left out
        ("adef<eos>", True),  # two left out
        ("cdef<eos>", True),  # the first two
        ("abcef<eos>", True),  # d left out: e, f and the end have moved
        ("abcdf<eos>", False),  # only f and the end
        ("abcxdef", True),  # one came between; the answer is cut at its length
        ("xabcdef", True),
        ("xyabcde", True),
        ("abxyzcd", False),  # only two moved
        ("abcfed<eos>", False),
        ("abxdef<eos>", False),  # a wrong letter, nothing moved
        ("abcdef<eos>", False),
    ],
)
def test_shifted_answers_of_a_copy(written, shifted):
    assert is_shifted(tokens(written), tokens("abcdef<eos>")) is shifted


def test_an_end_token_in_place_of_the_last_letter_is_not_an_early_end():
    """The end token of mqar is not scored, so its answers have a fixed number of tokens."""
    assert kind_of(tokens("aBc<eos>"), Expected(tokens("aBcD"))) == "other error"
    assert kind_of(tokens("aBcE"), Expected(tokens("aBcD"))) == "other error", "and nothing can fail to stop"


def test_few_different_tokens_that_moved_are_a_coincidence():
    assert not is_shifted(tokens("0110011"), tokens("1100111")), "a string of two letters often fits by chance"
    assert is_shifted(tokens("bcd<eos>"), tokens("abcd<eos>"))


def test_an_answer_that_fits_two_kinds_is_of_the_first_and_names_both():
    wanted = wanted_of("15", "27")  # 5+7 = 12, 1+2 = 3: one carry; without it the digit sums
    assert wanted.truth == tokens("240<eos>")
    assert kinds_of(tokens("230<eos>"), wanted) == ("answered another task", "dropped carry")
    assert kinds_of(tokens("230<eos>"), replace(wanted, others={})) == ("dropped carry",)


def test_the_answer_of_the_other_task_counts_as_far_as_it_was_written():
    walk = next(one for one in (drawn("shortest_path", 8, seed, OPTIONS) for seed in range(99))
                if len(expected(one, ["dfs_trace"], OPTIONS).others["dfs_trace"]) > len(one.answer) + 2)  # fmt: skip
    wanted = expected(walk, ["shortest_path", "dfs_trace"], OPTIONS)
    longer = wanted.others["dfs_trace"]
    assert kind_of(longer[: len(wanted.truth)], wanted) == "answered another task"
    assert other_task(longer[: len(wanted.truth)], wanted) == "dfs_trace"
    assert other_task(wanted.truth, wanted) is None
    assert kind_of((*longer[: len(wanted.truth) - 1], longer[0] + 1), wanted) != "answered another task"


def test_the_same_two_numbers_with_another_sign_are_the_same_input():
    wanted = wanted_of("1274", "938", ("reverse_add", "reverse_subtract"))
    assert wanted.others == {"reverse_subtract": tokens("63300<eos>")}
    assert kind_of(tokens("63300<eos>"), wanted) == "answered another task"


def test_tasks_without_carries_drop_none():
    prompt = typed("no_carry", ["1274", "938"], 0, OPTIONS)
    assert expected(prompt, ("no_carry",), OPTIONS).sums == ()
    assert kind_of(tokens("21120<eos>"), expected(prompt, ("no_carry",), OPTIONS)) == "other error"


# --- an oracle for carries


def sums_without(sums, dropped) -> tuple[int, ...]:
    """Digits of a sum in which the carries out of the columns ``dropped`` are forgotten, written out by hand."""
    digits, carry = [], 0
    for column, total in enumerate(sums):
        digits.append((total + carry) % 10)
        carry = 0 if column in dropped else (total + carry) // 10
    return (*digits, carry)


def as_answer(digits) -> tuple[int, ...]:
    return (*(FIRST_DIGIT + digit for digit in digits), EOS)


def test_dropped_carries_are_exactly_the_sums_with_some_carries_forgotten():
    rng = np.random.default_rng(0)
    for _ in range(60):
        sums = tuple(rng.integers(0, 19, size=rng.integers(1, 6)).tolist())
        explained = {
            sums_without(sums, dropped)
            for size in range(len(sums) + 1) for dropped in itertools.combinations(range(len(sums)), size)
        }  # fmt: skip
        assert all(drops_carries(as_answer(digits), sums) for digits in explained)
        for digits in explained:  # every answer that differs from these in one digit
            for place, digit in itertools.product(range(len(digits)), range(10)):
                changed = (*digits[:place], digit, *digits[place + 1 :])
                assert drops_carries(as_answer(changed), sums) == (changed in explained), (sums, changed)


def test_an_answer_of_another_length_or_without_end_drops_no_carry():
    assert drops_carries(as_answer((2, 1, 0)), (12, 0)) and drops_carries(as_answer((2, 0, 0)), (12, 0))
    assert not drops_carries(as_answer((2, 1)), (12, 0))
    assert not drops_carries(as_answer((2, 1, 0))[:-1], (12, 0))
    assert not drops_carries((*as_answer((2, 1, 0))[:-1], FIRST_DIGIT), (12, 0))
    assert not drops_carries(tokens("a10<eos>"), (12, 0))


def test_carries_and_chains():
    assert carries_into((12, 10, 11, 1)) == (0, 1, 1, 1, 0) and carries_into(()) == ()
    assert carries_into((9, 9, 10)) == (0, 0, 0, 1)
    assert [longest_chain(row) for row in ((), (0, 0), (1,), (0, 1, 1, 0, 1), (1, 0, 1, 1, 1))] == [0, 0, 1, 2, 3]
    rng = np.random.default_rng(1)
    for _ in range(50):
        a, b = (int(number) for number in rng.integers(1, 10**9, size=2))
        prompt = typed("reverse_add", [str(a), str(b)], 0, OPTIONS)
        carries = carries_into(expected(prompt, (), OPTIONS).sums)
        for place, carry in enumerate(carries):
            assert carry == int(a % 10**place + b % 10**place >= 10**place)


# --- every answer


def damaged(rng, truth, others):
    """A random answer as a model could write it: near the truth, near another answer, or anything."""
    source = [truth, *others][rng.integers(1 + len(others))]
    answer = list(source)
    for _ in range(rng.integers(3)):
        place = int(rng.integers(len(answer) + 1))
        change = rng.integers(4)
        if change == 0 and place < len(answer):
            answer[place] = int(rng.choice(truth))
        elif change == 1 and place < len(answer):
            del answer[place]
        elif change == 2:
            answer.insert(place, int(rng.choice(truth)))
        else:
            answer[place:] = [EOS]
    if EOS in answer:
        answer = answer[: answer.index(EOS) + 1]
    if EOS not in answer:
        answer += rng.choice(truth[:-1], size=len(truth)).tolist()
    return tuple(answer[: len(truth)])


def test_every_answer_has_one_kind_and_only_the_truth_is_right():
    rng, met = np.random.default_rng(2), set()
    for _ in range(600):
        a, b = (str(value) for value in rng.integers(10**5, 10**6, size=2))
        wanted = wanted_of(a, b)
        answer = damaged(rng, wanted.truth, list(wanted.others.values()))
        kinds = kinds_of(answer, wanted)
        assert kinds and list(kinds) == sorted(kinds, key=KINDS.index), "in the order that decides"
        assert kind_of(answer, wanted) == kinds[0] and set(kinds) <= set(KINDS)
        assert (kinds == ("right",)) == (answer == wanted.truth) == (first_wrong(answer, wanted.truth) is None)
        assert "right" not in kinds[1:] and ("other error" not in kinds or len(kinds) == 1)
        assert ("dropped carry" in kinds) == (answer != wanted.truth and drops_carries(answer, wanted.sums))
        assert ("shifted" in kinds) == is_shifted(answer, wanted.truth)
        if "stopped early" in kinds:
            assert answer[:-1] == wanted.truth[: len(answer) - 1] and len(answer) < len(wanted.truth)
        if "did not stop" in kinds:
            assert first_wrong(answer, wanted.truth) == len(wanted.truth)
        met.update(kinds)
    assert met == set(KINDS), "the random answers cover every kind"


def test_the_first_wrong_place_also_is_a_missing_one():
    assert first_wrong(tokens("abc"), tokens("abc")) is None
    assert first_wrong(tokens("abx"), tokens("abc")) == 3
    assert first_wrong(tokens("a"), tokens("abc")) == 2
    assert first_wrong((), tokens("abc")) == 1


def test_every_kind_of_error_is_defined_for_readers():
    assert ("right", *ERRORS) == KINDS and set(ERRORS) <= set(TERMS)
    said = TERMS["kind of error"]
    assert [said.index(kind) for kind in ERRORS] == sorted(said.index(kind) for kind in ERRORS), "in their order"
