"""Warnings that a process logs only once."""

from __future__ import annotations

import logging
from functools import cache


@cache
def warn_once(logger: logging.Logger, message: str) -> None:
    """Log ``message`` as a warning, the first time only. After ``warn_once.cache_clear()`` it is logged again."""
    logger.warning("%s", message)
