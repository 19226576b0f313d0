"""Partitions (``model.parts``): which tasks of a run may use which attention heads and feed-forward channels.

The text has one entry for each group of tasks, joined by ``+``: ``WHO:HEADS`` or ``WHO:HEADS:CHANNELS``. WHO is a role,
or the name of a task whose role other tasks of the run have too. HEADS and CHANNELS are ``all``, a number or a range
such as ``0-3``; they count from 0 and mean the same heads and channels in every layer. A task that no entry names uses
everything. ``random-4`` instead draws 4 heads for each training example.

A partition has one spelling, so that equal partitions give equal configs: ``all`` where a range covers everything, no
CHANNELS where they are all, no entry that allows everything, and the entries in the order of :data:`ROLES`, then tasks
by name. What is not allowed puts out zero, as :mod:`lgt.model.parts` defines it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from lgt.core import bounds
from lgt.core.checks import ConfigError

if TYPE_CHECKING:
    from lgt.core.config import ModelConfig, RunConfig, TaskSpec

FIELD = "model.parts"
ROLES = ("main", "control", "auxiliary")
GRAMMAR = "WHO:HEADS or WHO:HEADS:CHANNELS, joined by +, such as main:0-3+auxiliary:4-7, or random-4"
_ENTRY = re.compile(r"([A-Za-z0-9_.-]+):([a-z0-9-]+)(?::([a-z0-9-]+))?")
_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")
_RANDOM = re.compile(r"random-([0-9]{1,9})")
Range = tuple[int, int]
"""The first and the last of some numbers in a row."""


class Part(NamedTuple):
    """What the tasks that ``who`` names may use: ranges of the heads and of the feed-forward channels of each layer."""

    who: str
    heads: Range
    channels: Range


@dataclass(frozen=True)
class Partition:
    """The meaning of a text. ``parts``: its entries. ``drawn``: how many heads are drawn for each training example, or
    ``None``. Without both, every task uses everything."""

    parts: tuple[Part, ...] = ()
    drawn: int | None = None


def partition_of(model: ModelConfig) -> Partition:
    """The partition of a network. Raises ConfigError unless its text is the one spelling of a partition of its heads
    and channels."""
    text, heads, hidden = model.parts, model.heads, model.hidden
    if text == "":
        return Partition()
    if not isinstance(text, str):
        raise ConfigError(FIELD, text, GRAMMAR)
    bounds.PARTS.check_text(FIELD, text)
    random = _RANDOM.fullmatch(text)
    found = Partition(drawn=int(random[1])) if random else Partition(tuple(_parts(text, heads, hidden)))
    if found.drawn is not None and not 1 <= found.drawn < heads:
        fewer = f"random-K with K from 1 to {heads - 1}, fewer than model.heads" if heads > 1 else "another partition"
        raise ConfigError(FIELD, text, fewer)
    if text != (wanted := _text(found, heads, hidden)):
        raise ConfigError(FIELD, text, f"{wanted!r}, which means the same")
    return found


def check_tasks(config: RunConfig) -> None:
    """Raise ConfigError if an entry names no task of the run, or if two entries name the same task."""
    if not config.model.parts:
        return
    parts, names = partition_of(config.model).parts, names_of(config.tasks)
    for part in parts:
        if part.who not in names:
            raise ConfigError(FIELD, config.model.parts, "entries for " + ", ".join(names))
    for spec in config.tasks:
        if {spec.role, spec.task} <= {part.who for part in parts} and spec.role != spec.task:
            raise ConfigError(FIELD, config.model.parts, f"one entry for {spec.task}: {spec.role} names it too")


def names_of(tasks: Sequence[TaskSpec]) -> tuple[str, ...]:
    """What an entry may name in a run of ``tasks``: their roles, and the tasks that share a role with another task."""
    roles = [spec.role for spec in tasks]
    shared = sorted(spec.task for spec in tasks if roles.count(spec.role) > 1)
    return (*(role for role in ROLES if role in roles), *shared)


def parts_by_task(config: RunConfig) -> dict[str, Part]:
    """For each task of the run that an entry names: the entry. Other tasks use everything."""
    by_name = {part.who: part for part in partition_of(config.model).parts}
    found = {spec.task: by_name.get(spec.task, by_name.get(spec.role)) for spec in config.tasks}
    return {task: part for task, part in found.items() if part is not None}


def kept_for(text: str, tasks: Sequence[TaskSpec]) -> str:
    """The partition ``text`` without the entries that name none of ``tasks``: that of a run of these tasks alone."""
    if _RANDOM.fullmatch(text):
        return text
    return "+".join(entry for entry in text.split("+") if entry.partition(":")[0] in names_of(tasks))


def _parts(text: str, heads: int, hidden: int) -> list[Part]:
    found: list[Part] = []
    named: set[str] = set()
    for entry in text.split("+"):
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise ConfigError(FIELD, text, GRAMMAR)
        who, of_heads, of_channels = match.groups()
        if who in named:
            raise ConfigError(FIELD, text, f"one entry for {who}")
        named.add(who)
        channels = _range(f"channels of {who}", of_channels or "all", hidden)
        found.append(Part(who, _range(f"heads of {who}", of_heads, heads), channels))
    return found


def _range(what: str, text: str, count: int) -> Range:
    """The range that ``text`` names among ``count`` numbers."""
    match = _RANGE.fullmatch("0" if text == "all" else text)
    first = last = -1
    if match is not None:
        first, last = int(match[1]), int(match[2] or match[1])
    if not 0 <= first <= last < count:
        ranges = (
            f", or a range from 0 to {count - 1}, such as 0-{count // 2}" if count > 1 else ", because there is one"
        )
        raise ConfigError(f"{FIELD}, {what}", text, f"all{ranges}")
    return (0, count - 1) if text == "all" else (first, last)


def _text(partition: Partition, heads: int, hidden: int) -> str:
    """The one spelling of a partition."""
    if partition.drawn is not None:
        return f"random-{partition.drawn}"
    entries = sorted((_place(part.who), part) for part in partition.parts)
    texts = [(part.who, _range_text(part.heads, heads), _range_text(part.channels, hidden)) for _, part in entries]
    kept = (text for text in texts if text[1:] != ("all", "all"))
    return "+".join(":".join(text if text[2] != "all" else text[:2]) for text in kept)


def _place(who: str) -> int:
    return ROLES.index(who) if who in ROLES else len(ROLES)


def _range_text(found: Range, count: int) -> str:
    first, last = found
    if found == (0, count - 1):
        return "all"
    return f"{first}" if first == last else f"{first}-{last}"
