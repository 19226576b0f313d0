"""Waiting for a store that is busy: locked, restarting, without a free connection, or not reached."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from lgt.store.errors import LeaseLost, StoreBusy, StoreError

LONGEST_SECONDS = 300.0
"""How long a busy store is waited for."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0
"""Seconds between tries; each pause is twice the one before."""
OTHER_TRIES = 5
"""How often something is tried that the store refuses for another reason than being busy, such as a full disk."""
logger = logging.getLogger(__name__)
T = TypeVar("T")
_chance = random.SystemRandom()  # processes that were forked from one would otherwise draw the same pauses
_connects: ContextVar[bool] = ContextVar("connects", default=False)


def jittered(seconds: float) -> float:
    """``seconds`` times a random factor from 0.5 to 1.5, so that many workers do not come back at one moment."""
    return seconds * _chance.uniform(0.5, 1.5)


def pauses() -> Iterator[float]:
    """Seconds to sleep before each new try. They end when ``LONGEST_SECONDS`` have passed since the first try."""
    began, slept, pause = time.monotonic(), 0.0, FIRST_PAUSE
    while max(slept, time.monotonic() - began) < LONGEST_SECONDS:
        chosen = jittered(pause)
        yield chosen
        slept += chosen
        pause = min(2 * pause, LONGEST_PAUSE)


def patiently(act: Callable[[], T], refusal: type[StoreError] = StoreBusy) -> T:
    """Call ``act``, and again after a pause while it raises StoreBusy, for ``LONGEST_SECONDS``; then raises it.

    Another error of the kind ``refusal`` is raised after ``OTHER_TRIES``, any other error and LeaseLost at once.
    ``act`` may have been done although it raised StoreBusy: the connection can be lost while it is confirmed.
    """
    for number, pause in enumerate(pauses(), start=1):
        try:
            with waiting(False):  # a try that waits itself would make the wait twice as long
                return act()
        except LeaseLost:
            raise
        except refusal as error:
            if number >= OTHER_TRIES and not isinstance(error, StoreBusy):
                raise
            logger.warning("%s; trying again in %.1f s", error, pause)
            time.sleep(pause)
    with waiting(False):
        return act()


@contextmanager
def waiting(patient: bool = True) -> Iterator[None]:
    """Whether a connection to a busy server is waited for in the block; outside of such a block it is not.

    It holds for this thread only: a page must not wait for minutes, and a heartbeat is sent again anyway.
    """
    before = _connects.set(patient)
    try:
        yield
    finally:
        _connects.reset(before)


def to_connect(connect: Callable[[], T]) -> T:
    """What ``connect`` returns; in a block of :func:`waiting` a busy server is waited for. Raises StoreBusy."""
    return patiently(connect) if _connects.get() else connect()
