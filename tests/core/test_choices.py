"""Named choices: values with titles, to which an extension adds one."""

from __future__ import annotations

import pytest

from lgt.core.checks import ConfigError
from lgt.core.choices import Choice, Choices


@pytest.fixture()
def choices() -> Choices:
    return Choices("model.order", Choice("once", "each layer once", note=""), Choice("back", "and back"))


def test_a_choice_has_a_title_and_a_note_and_an_unknown_one_has_its_own_name(choices: Choices) -> None:
    assert list(choices) == ["once", "back"] == list(choices.names)
    assert [choices.title(name) for name in ("once", "back", "old")] == ["each layer once", "and back", "old"]
    assert [choices.note(name) for name in ("once", "back", "old")] == ["", "and back", "old"]
    assert choices.by_title() == {"each layer once": "once", "and back": "back"}


def test_an_unknown_choice_is_refused_by_the_field_or_by_the_place(choices: Choices) -> None:
    choices.check("back")
    with pytest.raises(ConfigError, match=r"^model\.order: 'old' is not accepted; accepted: one of once, back$"):
        choices.check("old")
    with pytest.raises(ConfigError, match=r"^--order: 'old' is not accepted; accepted: one of once, back$"):
        choices.check("old", "--order")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Choice("", "new"), "model.order: '' is not accepted; accepted: a new name; taken are once, back"),
        (Choice("once", "new"), "model.order: 'once' is not accepted; accepted: a new name; taken are once, back"),
        (
            Choice("new", ""),
            "model.order title: '' is not accepted; accepted: a new title; taken are each layer once, and back",
        ),
        (
            Choice("new", "and back"),
            "model.order title: 'and back' is not accepted; accepted: a new title; taken are each layer once, and back",
        ),
    ],
)
def test_a_choice_needs_a_name_and_a_title_of_its_own(choices: Choices, choice: Choice, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        choices.add(choice)
    assert str(caught.value) == message and choices.names == ("once", "back")


def test_a_choice_is_added_and_removed(choices: Choices) -> None:
    choices.add(Choice("new", "a new one"))
    assert choices.names == ("once", "back", "new") and choices.title("new") == "a new one"
    choices.check("new")
    choices.remove("new")
    assert choices.names == ("once", "back")
    with pytest.raises(KeyError):
        choices.remove("new")
