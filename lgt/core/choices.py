"""Named choices of a network that can be extended: positional encodings and layer schedules.

This module has the names and their titles only. It does not import torch, so that configs, pages and commands can use
it. :mod:`lgt.model.positions` and :mod:`lgt.model.schedules` define what each name computes. Their functions
``register`` also add the name here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lgt.core import bounds
from lgt.core.checks import ConfigError, check_choice


@dataclass(frozen=True)
class Choice:
    """One value of a field. ``title``: its name in tables and forms. ``note``: the text for it in the title of a run,
    empty for the usual value. If ``note`` is None, the text is ``title``. ``depth``: for a schedule, how many layers a
    decoder of so many layers applies."""

    name: str
    title: str
    note: str | None = None
    depth: Callable[[int], int] = int


class Choices:
    """The accepted values of the config field ``path``, in order; the first is the default."""

    def __init__(self, path: str, *choices: Choice) -> None:
        self.path = path
        self._choices = {choice.name: choice for choice in choices}

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._choices))

    @property
    def names(self) -> tuple[str, ...]:
        """The accepted values."""
        return tuple(self._choices)

    def title(self, name: str) -> str:
        """The title of a value. For an unknown value, which an older store may have, the value itself."""
        return self._choices[name].title if name in self._choices else name

    def note(self, name: str) -> str:
        """The text for a value in the title of a run; empty for the usual value."""
        choice = self._choices.get(name, Choice(name, name))
        return choice.title if choice.note is None else choice.note

    def depth(self, name: str, layers: int) -> int:
        """The number of layers that a decoder of ``layers`` layers applies with the schedule ``name``, each use of a
        layer counted. Raises KeyError for an unknown name."""
        return self._choices[name].depth(layers)

    def check_depth(self, name: str, layers: int) -> None:
        """Raise ConfigError if a decoder of ``layers`` layers would apply too many with the schedule ``name``."""
        depth = self.depth(name, layers)
        if depth > bounds.DEPTH.most:
            accepted = f"{bounds.DEPTH.accepted}, each use of a layer counted, and not {depth}"
            raise ConfigError(self.path, name, accepted)

    def by_title(self) -> dict[str, str]:
        """Title -> value, for forms and addresses."""
        return {choice.title: name for name, choice in self._choices.items()}

    def check(self, value: object, where: str = "") -> None:
        """Raise ConfigError unless ``value`` is accepted. The error names ``where`` or, if empty, the config field."""
        check_choice(where or self.path, value, self.names)

    def add(self, choice: Choice) -> None:
        """Accept one more value. Raises ConfigError for a name or title that is empty or already used."""
        if not choice.name or choice.name in self._choices:
            raise ConfigError(self.path, choice.name, "a new name; taken are " + ", ".join(self.names))
        if not choice.title or choice.title in self.by_title():
            raise ConfigError(
                f"{self.path} title", choice.title, "a new title; taken are " + ", ".join(self.by_title())
            )
        self._choices[choice.name] = choice

    def remove(self, name: str) -> None:
        """Stop accepting ``name``; tests use this to undo :meth:`add`. Raises KeyError for an unknown name."""
        del self._choices[name]


POSITIONS = Choices(
    "model.position",
    Choice("rope", "rotary", note=""),
    Choice("nope", "none", note="no positions"),
    Choice("alibi", "ALiBi"),
    Choice("fire", "FIRE"),
)
"""Positional encodings (:mod:`lgt.model.positions`)."""

SCHEDULES = Choices(
    "model.schedule",
    Choice("once", "each layer once", note=""),
    Choice("twice", "all layers two times", depth=lambda layers: 2 * layers),
    Choice("three-times", "all layers three times", depth=lambda layers: 3 * layers),
    Choice("six-times", "all layers six times", depth=lambda layers: 6 * layers),
)
"""Layer schedules: in which order layers are applied (:mod:`lgt.model.schedules`)."""
