"""Layer schedules: the order in which a decoder applies its layers. :func:`register` adds to the built-in ones.

A schedule applies every layer at least once; it may apply a layer several times (a looped or shared layer). The
decoder in :mod:`lgt.model.decoder`, the compiled code (:mod:`lgt.fused`) and ensembles compute every schedule. The fast
passes for maps, patterns and knock-outs (:mod:`lgt.evaluation.forward`) support only schedules for which
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


def repeated(name: str, times: int) -> Schedule:
    """The built-in schedule ``name``: all layers in order, ``times`` times (a looped network)."""
    return Schedule(name, SCHEDULES.title(name), lambda layers: tuple(range(layers)) * times)


_SCHEDULES: dict[str, Schedule] = {
    name: repeated(name, times) for name, times in (("once", 1), ("twice", 2), ("three-times", 3), ("six-times", 6))
}


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
    SCHEDULES.add(Choice(schedule.name, schedule.title, depth=lambda layers: len(schedule.order(layers))))
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
