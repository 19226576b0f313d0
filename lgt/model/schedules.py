"""Layer schedules: the order in which a decoder applies its layers. ``once`` is built in; :func:`register` adds others.

A schedule applies every layer at least once; it may apply a layer several times (a looped or shared layer). The
decoder in :mod:`lgt.model.decoder` computes every schedule. Most of the faster code supports only schedules for which
:func:`each_layer_once` is true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lgt.core.checks import ConfigError
from lgt.core.choices import SCHEDULES, Choice
from lgt.core.config import ModelConfig


@dataclass(frozen=True)
class Schedule:
    """``order(L)``: for a decoder of L layers, the numbers (from 0) of the layers in the order of their application."""

    name: str
    title: str
    order: Callable[[int], tuple[int, ...]]


ONCE = Schedule("once", "each layer once", lambda layers: tuple(range(layers)))

_SCHEDULES: dict[str, Schedule] = {ONCE.name: ONCE}


def order_of(config: ModelConfig) -> tuple[int, ...]:
    """The layers that a decoder of this shape applies, in order.

    Raises ConfigError for an unknown schedule, and for one that omits a layer or has the number of a missing layer.
    """
    if config.schedule not in _SCHEDULES:
        raise ConfigError(SCHEDULES.path, config.schedule, "one of " + ", ".join(_SCHEDULES))
    order = _SCHEDULES[config.schedule].order(config.layers)
    if set(order) != set(range(config.layers)):
        accepted = f"a schedule that applies each of the layers 0 to {config.layers - 1}, not {order}"
        raise ConfigError(SCHEDULES.path, config.schedule, accepted)
    return order


def each_layer_once(config: ModelConfig) -> bool:
    """Whether a decoder of this shape applies each layer once, first to last."""
    return order_of(config) == tuple(range(config.layers))


def register(schedule: Schedule) -> Schedule:
    """Make ``schedule`` a value of ``model.schedule``. Raises ConfigError for a name or title that is already used."""
    SCHEDULES.add(Choice(schedule.name, schedule.title))
    _SCHEDULES[schedule.name] = schedule
    return schedule


@contextmanager
def registered(schedule: Schedule) -> Iterator[Schedule]:
    """:func:`register` inside the block only, for tests."""
    register(schedule)
    try:
        yield schedule
    finally:
        del _SCHEDULES[schedule.name]
        SCHEDULES.remove(schedule.name)
