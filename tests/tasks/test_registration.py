"""Registering a task: what is added, what is refused, and that nothing is left behind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lgt.core.checks import ConfigError
from lgt.core.config import RunConfig, TaskOptions, TaskSpec
from lgt.recipes.groups import GROUPS, TaskGroup
from lgt.recipes.limits import check_limits
from lgt.recipes.presets import PRESETS, Overrides, group_config, isolated, register_group
from lgt.tasks import TASKS, register, unit, vocabulary_size
from lgt.tasks.base import Bodies, pack
from lgt.tasks.examples import example_note, worked_example
from lgt.tasks.prompts import drawn, prompts_of_same_layout, texts_of, typed, working
from lgt.tasks.requirements import check_description, check_draws
from lgt.tasks.strings import StringTask
from lgt.tasks.vocabulary import TAG, TOKEN_ID, TOKENS, VERSION_1, VOCABULARY_SIZE, decode
from tests.toys import COLOUR, PARITY, ROTATE, ParityTask

OPTIONS = TaskOptions(grid=4)
GROUP = TaskGroup("rotate-copy", "Rotating, helped by copying", "strings", "rotate", 16, ("string_copy",), 32)
LENGTHS = {"demo": (5, 9), "small": (6, 11)}


@pytest.fixture(autouse=True)
def nothing_stays():
    before = (dict(TASKS), dict(GROUPS), {name: (dict(p.lengths), dict(p.overrides)) for name, p in PRESETS.items()})
    with isolated():
        yield
    assert tuple(TOKENS) == VERSION_1 and set(TAG) == set(TASKS) == set(before[0])
    assert before == (TASKS, GROUPS, {name: (p.lengths, p.overrides) for name, p in PRESETS.items()})


def alone(name: str) -> RunConfig:
    return RunConfig(tasks=(TaskSpec(name, "main", 5),))


@pytest.mark.parametrize("name", list(TASKS))
def test_every_built_in_task_meets_the_requirements(name):
    others = {other: task for other, task in TASKS.items() if other != name}
    check_description(TASKS[name], others)
    check_draws(TASKS[name], others)


def test_a_registered_task_has_a_tag_after_all_tokens_and_is_known_everywhere():
    assert register(ROTATE) is ROTATE
    assert list(TASKS)[-1] == "rotate" and TAG["rotate"] == VOCABULARY_SIZE and unit("rotate") == "characters"
    prompt = typed("rotate", ("aBcd",), 0, OPTIONS)
    assert decode(prompt.tokens) == "<bos><rotate>aBcd=Bcda<eos>" and texts_of(prompt) == ("aBcd",)
    assert working(prompt) == [("letter read", ["B", "c", "d", "a", ""])]
    assert drawn("rotate", 6, 1, OPTIONS).body == drawn("reverse", 6, 1, OPTIONS).body, "the same format"
    assert example_note("rotate", worked_example("rotate", 4, OPTIONS)[0]) == ""


def test_a_task_with_tokens_of_its_own_is_drawn_typed_and_shown():
    register(PARITY)
    assert TOKENS[VOCABULARY_SIZE:] == ["<parity>", "[even]", "[odd]"]
    assert decode(typed("parity", (" 10110 ",), 0, OPTIONS).answer) == "[odd]<eos>"
    prompt = drawn("parity", 7, 2, OPTIONS)
    assert typed("parity", texts_of(prompt), 0, OPTIONS) == prompt and working(prompt) == []
    even = texts_of(prompt)[0].count("1") % 2 == 0
    assert decode(prompt.answer[:1]) == ("[even]" if even else "[odd]")
    assert (
        len(prompts_of_same_layout(prompt, 9, 0, OPTIONS)) == 9 and example_note("parity", "101=") == "Count the ones."
    )
    with pytest.raises(ConfigError, match="bits: '12' is not accepted; accepted: 1 to 60 digits 0 and 1"):
        typed("parity", ("12",), 0, OPTIONS)


def test_the_vocabulary_of_a_run_ends_with_the_last_token_of_its_tasks():
    assert vocabulary_size(alone("dfs_trace")) == VOCABULARY_SIZE
    register(ROTATE)
    register(PARITY)
    assert vocabulary_size(alone("reverse")) == VOCABULARY_SIZE
    assert vocabulary_size(alone("rotate")) == VOCABULARY_SIZE + 1
    assert vocabulary_size(alone("parity")) == VOCABULARY_SIZE + 4
    both = RunConfig(tasks=(TaskSpec("parity", "main", 5), TaskSpec("reverse", "auxiliary", 8)))
    assert vocabulary_size(both) == VOCABULARY_SIZE + 4


def test_the_limit_of_parameters_counts_the_rows_of_new_tokens(monkeypatch):
    config = alone("reverse")
    monkeypatch.setenv("LGT_MAX_PARAMETERS", str(config.model.parameters(VOCABULARY_SIZE)))
    check_limits(config)
    register(ROTATE)
    check_limits(config)
    with pytest.raises(ConfigError, match="parameters"):
        check_limits(alone("rotate"))


class Restless(ParityTask):
    def draw(self, rng, lengths, options, operands):
        return super().draw(np.random.default_rng(), lengths, options, operands)


class Broken(ParityTask):
    def draw(self, rng, lengths, options, operands):
        raise KeyError("no\nbits")


class Silent(ParityTask):
    def bodies(self, bits):
        return Bodies(super().bodies(bits).body, np.zeros((len(bits), 1), dtype=np.int64))


class Borrower(ParityTask):
    def bodies(self, bits):
        body = np.where(bits < 0, 0, bits + TOKEN_ID["0"])
        return Bodies(pack(body, TOKEN_ID["="]), np.full((len(bits), 1), TOKEN_ID["[odd]"]))


class Deaf(ParityTask):
    def typed(self, texts, longest, seed, options):
        return super().typed(("0" * len(texts[0]),), longest, seed, options)


class Short(ParityTask):
    def working(self, body, answer):
        return [("bit", ["1"])]


def of(kind, **changes):
    return kind(**{field: getattr(PARITY, field) for field in PARITY.__dataclass_fields__} | changes)


LACKING = [
    ("a text", "an object of a class that derives from"),
    (replace(PARITY, name="reverse"), "task: 'reverse' is not accepted; accepted: a new name"),
    (replace(PARITY, name="Parity"), "a name of small letters"),
    (replace(PARITY, name="x" * 41), "a name of small letters"),
    (replace(PARITY, title=""), "parity.title"),
    (replace(PARITY, title="Reverse"), "parity.title: 'Reverse' is not accepted; accepted: a title that no other task"),
    (replace(PARITY, summary="Parity"), "parity.summary"),
    (replace(PARITY, unit=""), "parity.unit"),
    (
        replace(PARITY, family="bits"),
        "parity.family: 'bits' is not accepted; accepted: one of arithmetic, strings, maz",
    ),
    (replace(PARITY, colour=("green", "#7FC48F")), "parity.colour"),
    (replace(PARITY, colour=("#3E7C4F",)), "parity.colour"),
    (replace(PARITY, minimum_length=0), "parity.minimum_length"),
    (replace(PARITY, fields=("A", "B", "C")), "parity.fields"),
    (replace(PARITY, tokens=("[even]", "odd")), "token: 'odd' is not accepted"),
    (replace(PARITY, body_format="letters"), "a format of its own, because string_copy draws other bodies"),
    (of(Broken), "parity.draw: \"KeyError: 'no\\\\\\\\nbits'\" is not accepted"),
    (of(Restless), "parity.draw: .* the same prompts for the same rng"),
    (of(Silent), "parity.draw: .* a body and an answer for each of the 32 lengths"),
    (of(Deaf), "parity.typed: .* the prompt that was drawn"),
    (of(Short), "parity.working: .* one text for each answer token"),
]


@pytest.mark.parametrize(("task", "says"), LACKING, ids=lambda value: value if isinstance(value, str) else "")
def test_a_task_that_lacks_something_is_refused_in_one_line(task, says):
    with pytest.raises(ConfigError, match=says) as caught:
        register(task)
    assert "\n" not in str(caught.value)
    assert tuple(TOKENS) == VERSION_1 and len(TASKS) == 13


def test_a_token_of_another_task_is_refused_unless_the_task_names_it():
    register(PARITY)
    with pytest.raises(ConfigError, match=r"borrower.draw: '\[odd\]' is not accepted; accepted: tokens of version 1"):
        register(of(Borrower, tokens=("[even]",), name="borrower", title="Borrower"))
    register(of(Borrower, name="borrower", title="Borrower"))
    assert TOKENS[VOCABULARY_SIZE:] == ["<parity>", "[even]", "[odd]", "<borrower>"]


def test_a_shortest_length_without_test_prompts_is_refused():
    def answer(letters):
        return letters

    class OneBody(StringTask):
        def draw(self, rng, lengths, options, operands):
            letters = np.where(np.arange(int(lengths.max())) < lengths[:, None], TOKEN_ID["a"], 0)
            return self.bodies(letters)

    task = OneBody(name="one", title="One", summary="One.", colour=COLOUR, answer=answer, body_format="one")
    with pytest.raises(ConfigError, match=r"one\.minimum_length: 1 is not accepted; accepted: a length with training"):
        register(task)


def test_a_registered_group_has_its_lengths_in_every_preset_and_its_own_settings():
    register(ROTATE)
    register_group(GROUP, LENGTHS, {"demo": Overrides(steps=77)})
    assert list(GROUPS)[-1] == "rotate-copy"
    for preset, pair in {**LENGTHS, "paper": (16, 32)}.items():
        config = group_config("rotate-copy", preset, seed=4)
        assert (config.main.training_length, config.transfer_length) == pair
        assert [spec.task for spec in config.tasks] == ["rotate", "string_copy"] and config.group == "rotate-copy"
    assert group_config("rotate-copy", "demo").training.steps == 77
    assert group_config("rotate-copy", "small").training.steps == group_config("caprev", "small").training.steps


@pytest.mark.parametrize(
    ("group", "lengths", "says"),
    [
        (replace(GROUP, key="caprev"), LENGTHS, "group: 'caprev' is not accepted; accepted: a new key"),
        (replace(GROUP, key="custom"), LENGTHS, "a new key"),
        (replace(GROUP, key="A b"), LENGTHS, "a new key"),
        (replace(GROUP, title=""), LENGTHS, "rotate-copy.title"),
        (replace(GROUP, main="sorting"), LENGTHS, "task: 'sorting'"),
        (replace(GROUP, auxiliaries=()), LENGTHS, "one or more tasks"),
        (replace(GROUP, auxiliaries=("rotate",)), LENGTHS, "one or more tasks"),
        (replace(GROUP, auxiliaries=("no_carry",)), LENGTHS, "arithmetic, the family of no_carry"),
        (GROUP, {"demo": (5, 9)}, "the presets demo, small, long, paper"),
        (GROUP, {**LENGTHS, "huge": (5, 9)}, "the presets demo, small, long, paper"),
        (GROUP, {**LENGTHS, "small": (9, 9)}, "Lm < La"),
        (replace(GROUP, auxiliaries=("mqar",), auxiliary_length=60), LENGTHS, "from 2 to 52"),
    ],
)
def test_a_group_that_cannot_be_trained_is_refused_in_one_line_and_not_added(group, lengths, says):
    register(ROTATE)
    with pytest.raises(ConfigError, match=says) as caught:
        register_group(group, lengths)
    assert "\n" not in str(caught.value) and len(GROUPS) == 9
    assert all("rotate-copy" not in preset.lengths for preset in PRESETS.values())
