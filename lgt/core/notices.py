"""Log lines that are written once in a process, however often their reason comes up."""

from __future__ import annotations

import logging
from functools import cache


@cache
def warn_once(logger: logging.Logger, message: str) -> None:
    """Log ``message`` as a warning, the first time only. ``warn_once.cache_clear()`` forgets what was logged."""
    logger.warning("%s", message)
