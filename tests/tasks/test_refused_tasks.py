"""The one line that says why a run, a prompt or a new task is refused, and the values that are just accepted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from lgt.core.checks import ConfigError
from lgt.core.config import EvaluationConfig, RunConfig, TaskOptions, TaskSpec
from lgt.tasks import TASKS, check_run, isolated, register, unit
from lgt.tasks.arithmetic import copy_first_operand, no_carry, product, with_top_digit
from lgt.tasks.base import Bodies, draw_examples
from lgt.tasks.examples import example_note, worked_example
from lgt.tasks.prompts import drawn, first_of, typed
from lgt.tasks.registry import minimum_length
from lgt.tasks.requirements import OPTIONS as SMALL
from lgt.tasks.sampling import sample_rows
from lgt.tasks.strings import capitalize
from lgt.tasks.vocabulary import FIRST_DIGIT, PAD, VOCABULARY_SIZE, append, decode, encode
from tests.toys import PARITY, ParityTask

OPTIONS = TaskOptions(grid=4)


def refused(call: Callable[..., object], *arguments: object) -> str:
    with pytest.raises(ConfigError) as caught:
        call(*arguments)
    return str(caught.value)


def pair(main: str, length: int, transfer: int | None, evaluated: int = 60, grid: int = 8) -> RunConfig:
    tasks = (TaskSpec(main, "main", length),)
    return RunConfig(
        tasks=tasks, transfer_length=transfer, options=TaskOptions(grid=grid),
        evaluation=EvaluationConfig(maximum_length=evaluated),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (pair("mqar", 1, None), "mqar.training_length: 1 is not accepted; accepted: a whole number from 2 to 52"),
        (pair("mqar", 53, None), "mqar.training_length: 53 is not accepted; accepted: a whole number from 2 to 52"),
        (pair("mqar", 8, 53), "transfer_length: 53 is not accepted; accepted: at most 52, the longest mqar there is"),
        (
            pair("dfs_trace", 8, 17, grid=4),
            "transfer_length: 17 is not accepted; accepted: at most 16, the longest dfs_trace there is",
        ),
        (
            pair("reverse", 8, 16, evaluated=15),
            "evaluation.maximum_length: 15 is not accepted; accepted: at least 16, the end of the transfer region",
        ),
    ],
)
def test_a_run_that_its_tasks_do_not_allow_is_refused_by_field(config: RunConfig, message: str) -> None:
    assert refused(check_run, config) == message


@pytest.mark.parametrize(
    "config",
    [
        pair("mqar", 2, None), pair("mqar", 52, None), pair("mqar", 8, 52), pair("dfs_trace", 8, 16, grid=4),
        pair("reverse", 8, 16, evaluated=16), pair("reverse", 8, None, evaluated=1),
    ],
)  # fmt: skip
def test_a_run_at_the_ends_of_what_its_tasks_allow_is_accepted(config: RunConfig) -> None:
    check_run(config)


ONE_PROMPT = "a whole number above 0 without zeros in front"


@pytest.mark.parametrize(
    ("task", "texts", "message"),
    [
        ("reverse_add", ("0 5", "1"), f"first number: '05' is not accepted; accepted: {ONE_PROMPT}"),
        ("cot_multiply", ("x", "1"), "first number: 'x' is not accepted; accepted: digits 0-9 only"),
        (
            "cot_multiply",
            ("12", "1234"),
            "second number: '1234' is not accepted; accepted: at most 2 digits; these are 4",
        ),
        (
            "reverse",
            (" a1b2c3d4e5f6 ",),
            "letters: 'a1b2c3d4e5f6' is not accepted; accepted: letters a-z and A-Z only; found '1' '2' '3' '4' '5'",
        ),
        ("mqar", ("a",), "letters: 'a' is not accepted; accepted: 2 to 52 letters; these are 1"),
        (
            "mqar",
            ("abcbd",),
            "letters: 'abcbd' is not accepted; accepted: distinct letters, so that every query has one answer; "
            "'b' is repeated",
        ),
        ("dfs_trace", ("[1]",), "task: 'dfs_trace' is not accepted; accepted: a task whose prompts can be typed"),
    ],
)
def test_a_typed_prompt_is_refused_by_the_name_of_its_field(task: str, texts: tuple[str, ...], message: str) -> None:
    assert refused(typed, task, texts, 0, OPTIONS) == message


def test_a_prompt_of_the_greatest_length_is_accepted() -> None:
    assert typed("reverse", ("a" * 60,), 0, OPTIONS).length == 60 == drawn("reverse", 60, 0, OPTIONS).length
    assert drawn("dfs_trace", 16, 0, OPTIONS).length == 16 and typed("reverse_add", ("1" * 60, "2"), 0, OPTIONS).length
    said = "length: 17 is not accepted; accepted: a whole number from 2 to 16"
    assert refused(drawn, "dfs_trace", 17, 0, OPTIONS) == said


def test_a_length_without_test_prompts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lgt.tasks.prompts.test_examples", lambda task, *_: draw_examples(
        task, np.random.default_rng(0), np.array([3]), OPTIONS, "equal").take(slice(0, 0)))  # fmt: skip
    said = "length: 3 is not accepted; accepted: a length at which Reverse has test prompts"
    assert refused(drawn, "reverse", 3, 0, OPTIONS) == said


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, "1"])
def test_the_seed_of_samples_is_a_whole_number_of_63_bits(seed: Any) -> None:
    said = f"seed: {seed!r} is not accepted; accepted: a whole number from 0 to 9,223,372,036,854,775,807"
    assert refused(sample_rows, "reverse", 3, 1, seed) == said
    assert len(sample_rows("reverse", 3, 1, 9_223_372_036_854_775_807)) == 1


def test_a_wrong_token_and_a_wrong_id_are_refused_with_all_that_is_accepted() -> None:
    accepted = "digits, letters, + - * = # > |, [0]..[63]"
    assert refused(encode, "47?1") == f"character 2: '?' is not accepted; accepted: {accepted}"
    with isolated():
        append(["@"])
        assert refused(encode, "47?1") == f"character 2: '?' is not accepted; accepted: {accepted}, @"
    for number in (-1, 149):
        said = f"token id: {number} is not accepted; accepted: a whole number from 0 to 148"
        assert refused(decode, [5, number]) == said


def test_lengths_of_an_unknown_task_are_counted_in_task_units() -> None:
    assert (unit("reverse"), unit("reverse_add"), unit("gone")) == ("characters", "digits", "task units")
    assert [minimum_length(name) for name in ("reverse", "mqar", "dfs_trace", "gone")] == [1, 2, 2, 1]


# --- new tasks


class Unscored(ParityTask):
    def bodies(self, bits: Any) -> Bodies:
        made = super().bodies(bits)
        return Bodies(made.body, made.answer, np.zeros(made.answer.shape, dtype=bool))


class Unread(ParityTask):
    def typed(self, texts: Any, longest: Any, seed: Any, options: Any) -> Any:
        raise ValueError("no\n  bits")


class TwoTexts(ParityTask):
    def texts(self, body: Any) -> Any:
        return (decode(body[:-1]), "")


class Short(ParityTask):
    def working(self, body: Any, answer: Any) -> Any:
        return [("bit", ["1"])]


class OffBody(ParityTask):
    """Its bodies have a token that is in no vocabulary."""

    outside = VOCABULARY_SIZE + 50

    def bodies(self, bits: Any) -> Bodies:
        made = super().bodies(bits)
        return Bodies(np.where(made.body == PAD, PAD, self.outside), made.answer)


class BelowBody(OffBody):
    outside = -1


class TagBody(OffBody):
    outside = VOCABULARY_SIZE  # its own tag


class NextBody(OffBody):
    outside = VOCABULARY_SIZE + 3  # the first id behind its tag and its two tokens


class Asked(ParityTask):
    """Remembers with which grid, seed and length the registry asks it."""

    asked: ClassVar[list[Any]] = []

    def typed(self, texts: Any, longest: Any, seed: Any, options: Any) -> Any:
        self.asked.append((longest, seed, options))
        return super().typed(texts, longest, seed, options)

    def maximum_length(self, options: Any) -> int:
        return 10 * int(options.grid)


def of(kind: Any, **changes: Any) -> Any:
    return kind(**{field: getattr(PARITY, field) for field in PARITY.__dataclass_fields__} | changes)


WORKS = "a method that works on the prompts of the four shortest lengths"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            Unscored,
            "parity.draw: 'an answer without a scored token' is not accepted; accepted: at least one scored token",
        ),
        (
            Unread,
            f"parity.typed, texts, working or example_note: 'ValueError: no bits' is not accepted; accepted: {WORKS}",
        ),
        (OffBody, "parity.draw: 199 is not accepted; accepted: tokens of version 1 of the vocabulary and of `tokens`"),
        (NextBody, "parity.draw: 152 is not accepted; accepted: tokens of version 1 of the vocabulary and of `tokens`"),
        (
            TagBody,
            "parity.draw: '<parity>' is not accepted; accepted: tokens of version 1 of the vocabulary and of `tokens`",
        ),
        (BelowBody, "parity.draw: -1 is not accepted; accepted: tokens of version 1 of the vocabulary and of `tokens`"),
    ],
)
def test_a_new_task_is_refused_with_the_part_that_is_wrong(kind: Any, message: str) -> None:
    with isolated():
        assert refused(register, of(kind)) == message


@pytest.mark.parametrize(
    ("kind", "start", "accepted"),
    [
        (TwoTexts, "parity.texts: <bound method ", "a method that gives one text for each of `fields`"),
        (Short, "parity.working: <bound method ", "a method that gives one text for each answer token"),
    ],
)
def test_a_method_that_gives_the_wrong_number_of_texts_is_named(kind: Any, start: str, accepted: str) -> None:
    with isolated():
        said = refused(register, of(kind))
    assert said.startswith(start) and said.endswith(f"is not accepted; accepted: {accepted}")


def test_a_new_task_is_tried_with_a_grid_of_4_and_seed_0() -> None:
    with isolated():
        register(of(Asked))
    assert set(Asked.asked) == {(40, 0, SMALL)} and SMALL.grid == 4


# --- numbers and letters


def test_equal_numbers_differ_by_nothing_and_that_is_not_negative() -> None:
    assert decode(typed("reverse_subtract", ("37", "37"), 0, OPTIONS).answer) == "000<eos>"
    assert decode(typed("reverse_subtract", ("37", "38"), 0, OPTIONS).answer) == "10-<eos>"


@pytest.mark.parametrize(("digits", "columns"), [(no_carry, [2, 0, 1, 1, 0]), (copy_first_operand, [4, 7, 2, 1, 0])])
def test_an_answer_has_one_digit_more_than_its_operands(digits: Any, columns: list[int]) -> None:
    a, b = np.array([[4, 7, 2, 1], [1, 0, 0, 0]]), np.array([[8, 3, 9, 0], [2, 0, 0, 0]])
    assert digits(a, b)[0].tolist() == columns and digits(a, b).shape == (2, 5)
    tokens = with_top_digit(digits)(a, b, np.array([4, 1]))
    assert (tokens[0] - FIRST_DIGIT).tolist() == columns
    assert (tokens[1, :2] - FIRST_DIGIT).tolist() == digits(a, b)[1, :2].tolist() and not tokens[1, 2:].any()


def test_a_product_has_a_column_for_each_digit_and_each_partial_product() -> None:
    partials = np.array([[[2, 9, 1, 0, 1], [2, 2, 8, 3, 0]]])  # 10192 + 10 x 3822
    assert product(partials).tolist() == [[2, 1, 4, 8, 4, 0, 0]] and product(partials).dtype == np.int64


def test_flipping_case_gives_token_ids() -> None:
    letters = encode("aZ")[None]
    assert capitalize(letters).dtype == np.int64 and decode(capitalize(letters)[0]) == "Az"


def test_a_worked_example_is_the_whole_prompt_and_the_whole_answer() -> None:
    prompt, answer = worked_example("reverse", 4, OPTIONS)
    assert len(prompt) == 5 and prompt[-1] == "=" and answer == prompt[-2::-1]
    assert worked_example("reverse", 4, OPTIONS) == (prompt, answer)
    addition, total = worked_example("reverse_add", 4, OPTIONS)
    first, second = (int(number[::-1]) for number in addition[:-1].split("+"))
    assert first + second == int(total[::-1]) and min(first, second) >= 1000
    maze, walk = worked_example("dfs_trace", 16, OPTIONS)
    assert max(int(node) for node in walk[1:-1].split("][")) < 16 and maze.endswith("=")
    assert example_note("reverse_add", "4721+8390=") == "Digits are written from last to first, so this is 1274 + 938."
    assert example_note("reverse_subtract", "21-3=") == "Digits are written from last to first, so this is 12 - 3."
    assert example_note("reverse", "ab=") == ""


def test_the_first_example_is_taken_without_its_padding() -> None:
    task = TASKS["reverse"]
    examples = draw_examples(task, np.random.default_rng(0), np.array([2, 9]), OPTIONS, "equal")
    prompt = first_of(task, examples)
    assert len(prompt.tokens) == len(prompt.scored) == 2 + 3 + 2 + 1 and PAD not in prompt.tokens
    assert replace(prompt, held_out=True).length == 2
