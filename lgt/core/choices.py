"""Named choices of a network that can be extended: positional encodings and layer schedules.

Here are the names and their titles, without torch, so that configs, pages and commands know them. What a name computes
stands in :mod:`lgt.model.positions` and :mod:`lgt.model.schedules`, whose ``register`` adds a name here as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lgt.core.checks import ConfigError, check_choice


@dataclass(frozen=True)
class Choice:
    """One value of a field. ``title``: its name in tables and forms. ``note``: what a run's title says of it, empty for
    the usual value; None: the title."""

    name: str
    title: str
    note: str | None = None


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
        """The title of a value; of an unknown one, such as an older store may have, the value itself."""
        return self._choices[name].title if name in self._choices else name

    def note(self, name: str) -> str:
        """What a run's title says of a value; empty for the usual one."""
        choice = self._choices.get(name, Choice(name, name))
        return choice.title if choice.note is None else choice.note

    def by_title(self) -> dict[str, str]:
        """Title -> value, for forms and addresses."""
        return {choice.title: name for name, choice in self._choices.items()}

    def check(self, value: object, where: str = "") -> None:
        """Raise ConfigError naming the field (or ``where`` the value stood) unless ``value`` is accepted."""
        check_choice(where or self.path, value, self.names)

    def add(self, choice: Choice) -> None:
        """Accept one more value. Raises ConfigError for a name or title that is taken or empty."""
        if not choice.name or choice.name in self._choices:
            raise ConfigError(self.path, choice.name, "a new name; taken are " + ", ".join(self.names))
        if not choice.title or choice.title in self.by_title():
            raise ConfigError(
                f"{self.path} title", choice.title, "a new title; taken are " + ", ".join(self.by_title())
            )
        self._choices[choice.name] = choice

    def remove(self, name: str) -> None:
        """Accept ``name`` no longer (tests take back what they added). Raises KeyError for an unknown name."""
        del self._choices[name]


POSITIONS = Choices("model.position", Choice("rope", "rotary", note=""), Choice("nope", "none", note="no positions"))
"""Positional encodings (:mod:`lgt.model.positions`)."""

SCHEDULES = Choices("model.schedule", Choice("once", "each layer once", note=""))
"""Layer schedules: in which order layers are applied (:mod:`lgt.model.schedules`)."""
